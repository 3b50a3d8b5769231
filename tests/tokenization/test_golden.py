"""Every recorded result of transformers 4.37.2's slow XGLMTokenizer, exactly."""

from __future__ import annotations

import json
import lzma
import warnings
from pathlib import Path
from typing import Any

import pytest
from golden.record_tokenizer import FOLDER
from golden.tokenizer_grid import SCENARIOS, run_scenario, splitting_cases
from golden.tokenizer_texts import TEXTS

from pyxglm.tokenization import AddedToken, XGLMTokenizer
from pyxglm.tokenization.splitting import Splitter

RESULTS: dict[str, Any] = json.loads(lzma.decompress((FOLDER / "results.json.xz").read_bytes()))


@pytest.mark.parametrize("number", range(len(SCENARIOS)))
def test_scenario(number: int, models: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # Both warn of arguments that contradict one another; test_tokenizer.py looks at that.
        warnings.simplefilter("ignore")
        results = run_scenario(
            SCENARIOS[number], XGLMTokenizer, AddedToken, models, tmp_path / "saved"
        )
    expected = RESULTS["scenarios"][number]
    operations = SCENARIOS[number][2] if len(expected) > 1 else [("make",)]
    found = json.loads(json.dumps(results))
    for operation, result, recorded in zip(operations, found, expected, strict=True):
        if isinstance(operation[-1], dict) and "return_offsets_mapping" in operation[-1]:
            # transformers' slow tokenizers refuse this: ours knows, see test_offsets.py.
            assert recorded == "!" != result
        else:
            assert result == recorded, operation


def test_recording_is_whole() -> None:
    """The recording is of this grid, and not mostly of refusals."""
    results = [result for scenario in RESULTS["scenarios"] for result in scenario]
    assert len(RESULTS["scenarios"]) == len(SCENARIOS)
    assert len(results) > 2500
    assert results.count("!") < 200
    assert RESULTS["scenarios"][1][4 + TEXTS.index("</s>")] == [2, 2]


def test_splits() -> None:
    for (strings, text), recorded in zip(splitting_cases(), RESULTS["splits"], strict=True):
        splitter = Splitter()
        for string in strings:
            splitter.add(string)
        assert splitter.split(text) == recorded, (strings, text)
