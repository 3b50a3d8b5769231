"""Every recorded result of transformers 4.37.2's XGLMTokenizerFast, exactly."""

from __future__ import annotations

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from golden.fast_grid import DIFFERENCES, SCENARIOS
from golden.record_fast_tokenizer import results
from golden.tokenizer_grid import run_scenario
from golden.tokenizer_texts import TEXTS

from pyxglm.tokenization import AddedToken, XGLMTokenizer, XGLMTokenizerFast

RESULTS = results()

#: What we refuse and 4.37.2 does not: half a character becomes "?" there, and a list of a list
#: of nothing a text without words.
REFUSED = (
    ("call", ["half \ud800"], {}),
    ("call", [[[]]], {"is_split_into_words": True}),
)

#: Added tokens that begin with "▁" or a space: releases of the library put other spaces around
#: them when they decode.
OF_THE_LIBRARY = ("<r> q x<l> q <r>  ", "▁The dog</s>")


def run(scenario: Any, make: Any, documents: Path, folder: Path) -> list[Any]:
    with warnings.catch_warnings():
        # They warn of arguments that contradict one another; tests of the calls look at that.
        warnings.simplefilter("ignore")
        found = run_scenario(scenario, make, AddedToken, documents, folder)
    plain: list[Any] = json.loads(json.dumps(found))
    return plain


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_scenario(number: int, documents: Path, tmp_path: Path) -> None:
    found = run(SCENARIOS[number], XGLMTokenizerFast, documents, tmp_path / "saved")
    expected = RESULTS["scenarios"][number]
    operations = SCENARIOS[number][2] if len(expected) > 1 else [("make",)]
    added = any(operation[0] == "add_tokens" for operation in operations)
    for operation, result, recorded in zip(operations, found, expected, strict=True):
        if operation in REFUSED:
            assert result == "!" != recorded
        elif not (added and operation[0] == "round_trip" and operation[1] in OF_THE_LIBRARY):
            assert result == recorded, operation


def test_recording_is_whole() -> None:
    """The recording is of this grid, and not mostly of refusals."""
    recorded = [result for scenario in RESULTS["scenarios"] for result in scenario]
    assert len(RESULTS["scenarios"]) == len(SCENARIOS)
    assert len(recorded) > 3000
    assert recorded.count("!") < 200


@pytest.mark.parametrize("model", [*RESULTS["differences"]])
def test_where_fast_and_slow_differ(model: str, documents: Path, tmp_path: Path) -> None:
    """Each row of the table in `XGLMTokenizerFast`, on both sides."""
    columns = [
        run((name, {}, [*DIFFERENCES.values()]), make, documents, tmp_path)
        for name, make in (
            (model, XGLMTokenizer),
            (model, XGLMTokenizerFast),
            (f"{model}-hub", XGLMTokenizerFast),
        )
    ]
    for row, *found in zip(DIFFERENCES, *columns, strict=True):
        assert found == RESULTS["differences"][model][row], row


def test_the_rows_do_differ() -> None:
    """No row of the table is there without reason."""
    for row in DIFFERENCES:
        seen = [RESULTS["differences"][model][row] for model in RESULTS["differences"]]
        assert any(slow != hub for slow, _, hub in seen), row


def test_a_model_of_the_bpe_kind(tmp_path: Path) -> None:
    """Its merges are not stored: they are found again, in the order of transformers."""
    recorded = RESULTS["pairs"]
    (tmp_path / "pairs.model").write_bytes(base64.b64decode(recorded["model"]))
    operations = [("vocabulary",), *(("encode", [text], {}) for text in TEXTS)]
    found = run(("pairs", {}, operations), XGLMTokenizerFast, tmp_path, tmp_path)
    assert found == recorded["results"]
