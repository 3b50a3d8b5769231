"""Every recorded output of TensorFlow's classes of transformers 4.37.2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frameworks.harness import TOLERANCE, cases, named, of_kind, real_error, run, weights_of
from golden.compare import error
from golden.frameworks import tf_cases
from golden.frameworks.arrays import expected, load

from pyxglm import TFXGLMForCausalLM, TFXGLMModel, XGLMConfig

KINDS: dict[str, Any] = {"bare": TFXGLMModel, "lm": TFXGLMForCausalLM}
EVERY = cases("tf")
NAMES = [case["name"] for case in EVERY]


def build(case: dict[str, Any], weights: dict[str, np.ndarray], **settings: Any) -> Any:
    config = XGLMConfig(**case["config"])
    return KINDS[case["kind"]].from_weights(config, of_kind(case, weights), **settings)


@pytest.mark.parametrize("case", EVERY, ids=NAMES)
def test_real_tokens_agree_by_default(case: dict[str, Any]) -> None:
    weights = weights_of(case)
    for number, (call, outputs) in enumerate(
        zip(case["calls"], run(build(case, weights), case, weights), strict=True)
    ):
        if call.get("note") == "quirk":
            continue
        found, wanted = named(outputs, call), expected("tf", case["name"], number)
        assert sorted(found) == sorted(wanted)
        if call["fields"] is not None:
            assert list(outputs.keys()) == call["fields"]
        for name, array in wanted.items():
            assert found[name].dtype == np.float32
            assert real_error(found[name], array, name, call) <= TOLERANCE, (number, name)


@pytest.mark.parametrize("case", EVERY, ids=NAMES)
def test_everything_agrees_with_compat(case: dict[str, Any]) -> None:
    weights = weights_of(case)
    model = build(case, weights, compat="4.37")
    for number, (call, outputs) in enumerate(
        zip(case["calls"], run(model, case, weights), strict=True)
    ):
        found, wanted = named(outputs, call), expected("tf", case["name"], number)
        assert sorted(found) == sorted(wanted)
        for name, array in wanted.items():
            assert error(found[name], array) <= TOLERANCE, (number, name)


def test_the_grid_is_the_recorded_one() -> None:
    recorded = [
        {**case, "calls": [{k: v for k, v in c.items() if k != "fields"} for c in case["calls"]]}
        for case in EVERY
    ]
    assert recorded == tf_cases.cases()


GREEDY = load("tf")[0]["greedy"]


@pytest.mark.parametrize("compat", [None, "4.37"])
@pytest.mark.parametrize("call", GREEDY, ids=[call["name"] for call in GREEDY])
def test_greedy_ids(call: dict[str, Any], compat: str | None) -> None:
    model = build(call, weights_of(call), compat=compat)
    found = model.generate(
        call["input_ids"], attention_mask=call["attention_mask"], do_sample=False,
        **call["settings"],
    )  # fmt: skip
    assert np.asarray(found).tolist() == call["output_ids"]
