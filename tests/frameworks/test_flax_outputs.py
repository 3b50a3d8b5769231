"""Every recorded output of Flax's classes of transformers 4.37.2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frameworks.flax_models import build
from frameworks.harness import TOLERANCE, cases, named, real_error, run, weights_of
from golden.compare import error
from golden.frameworks import flax_cases
from golden.frameworks.arrays import expected, load

EVERY = cases("flax")
EXACT = [case for case in EVERY if "dtype" not in case]
NAMES = [case["name"] for case in EXACT]


def start(found: dict[str, np.ndarray], call: dict[str, Any]) -> int | None:
    """Return how many tokens the cache held before a call, if there was one."""
    filled = [array for name, array in found.items() if name.endswith("cache_index")]
    return int(filled[0]) - len(call["input_ids"][0]) if filled else None


@pytest.mark.parametrize("case", EXACT, ids=NAMES)
def test_real_tokens_agree_by_default(case: dict[str, Any]) -> None:
    weights = weights_of(case)
    model = build(case)
    calls = [call for call in case["calls"] if call.get("note") != "quirk"]
    outputs = run(model, {**case, "calls": calls}, weights, model.init_cache)
    for number, (call, output) in enumerate(zip(calls, outputs, strict=True)):
        found, wanted = named(output, call), expected("flax", case["name"], number)
        assert sorted(found) == sorted(wanted)
        if call["fields"] is not None:
            assert sorted(output.keys()) == sorted(call["fields"])
        for name, array in wanted.items():
            assert str(found[name].dtype) == call["dtypes"][name]
            assert real_error(found[name], array, name, call, start(found, call)) <= TOLERANCE, (
                number, name,
            )  # fmt: skip


@pytest.mark.parametrize("case", EXACT, ids=NAMES)
def test_everything_agrees_with_compat(case: dict[str, Any]) -> None:
    weights = weights_of(case)
    model = build(case, compat="4.37")
    for number, (call, output) in enumerate(
        zip(case["calls"], run(model, case, weights, model.init_cache), strict=True)
    ):
        found, wanted = named(output, call), expected("flax", case["name"], number)
        assert sorted(found) == sorted(wanted)
        for name, array in wanted.items():
            assert error(found[name], array) <= TOLERANCE, (number, name)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_computation_in_half_precision(name: str) -> None:
    case = next(case for case in EVERY if case["name"] == name)
    model = build(case)
    # A rounding of each of some twenty operations in a row.
    tolerance = {"float16": 2**-11, "bfloat16": 2**-8}[name] * 20
    for number, (call, output) in enumerate(
        zip(case["calls"], run(model, case, weights_of(case), model.init_cache), strict=True)
    ):
        found, wanted = named(output, call), expected("flax", name, number)
        assert sorted(found) == sorted(wanted)
        for field, array in wanted.items():
            # NumPy has no bfloat16: those results are float32.
            kind = call["dtypes"][field].replace("bfloat16", "float32")
            assert str(found[field].dtype) == kind, field
            assert real_error(found[field], array, field, call) <= tolerance, (number, field)
        assert error(np.float32(output.logits), build({**case, "dtype": "float32"})(
            np.array(call["input_ids"]), np.array(call["attention_mask"])[:, :6]
        ).logits) > 1e-6  # fmt: skip


def test_the_grid_is_the_recorded_one() -> None:
    added = {"fields", "dtypes"}
    recorded = [
        {**case, "calls": [{k: v for k, v in c.items() if k not in added} for c in case["calls"]]}
        for case in EVERY
    ]
    assert recorded == flax_cases.cases()


GREEDY = load("flax")[0]["greedy"]


@pytest.mark.parametrize("compat", [None, "4.37"])
@pytest.mark.parametrize("call", GREEDY, ids=[call["name"] for call in GREEDY])
def test_greedy_ids(call: dict[str, Any], compat: str | None) -> None:
    model = build(call, compat=compat)
    prompts, mask = np.array(call["input_ids"]), call["attention_mask"]
    found = model.generate(
        prompts, attention_mask=None if mask is None else np.array(mask), do_sample=False,
        **call["settings"],
    )  # fmt: skip
    assert np.asarray(found.sequences).tolist() == call["output_ids"]
