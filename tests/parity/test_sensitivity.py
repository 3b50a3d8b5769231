"""The goldens notice what they should: each small fault exceeds the tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden.compare import cases, error, expected
from golden.flatten import flatten
from parity.harness import TOLERANCES, run, weights_of

from pyxglm.config import XGLMConfig
from pyxglm.parameters import parameter_shapes

WHOLE = next(case for case in cases("outputs") if case["name"] == "cross")
UNTIED = next(case for case in cases("losses") if case["name"] == "pad_7")


def worst(group: str, case: dict[str, Any], **faults: Any) -> float:
    """Return the largest error of any recorded float32 array of a case."""
    found = 0.0
    for number, (call, outputs) in enumerate(zip(case["calls"], run(case, **faults), strict=True)):
        arrays = flatten(outputs, call.get("keep", ["logits"]))
        for name, array in expected(group, case["name"], number, "float32").items():
            if name != "loss_standard":
                found = max(found, error(arrays[name], array))
    return found


@pytest.mark.parametrize("name", parameter_shapes(XGLMConfig(**WHOLE["config"])))
def test_every_parameter_matters(name: str) -> None:
    weights = weights_of(WHOLE)
    weights[name] = weights[name].copy()
    weights[name].flat[:: max(1, weights[name].size // 4)] += 1e-3
    assert worst("outputs", WHOLE, weights=weights) > 2 * TOLERANCES["float32"]


def test_the_untied_head_matters() -> None:
    weights = weights_of(UNTIED)
    weights["lm_head.weight"] = weights["lm_head.weight"] * np.float32(1.001)
    assert worst("losses", UNTIED, weights=weights) > 2 * TOLERANCES["float32"]


ARGUMENTS = [
    ("masks", "left", "attention_mask"),
    ("masks", "other_values", "attention_mask"),
    ("masks", "4d_prefix", "attention_mask"),
    ("masks", "row_masked", "attention_mask"),
    ("heads", "one", "head_mask"),
    ("cross", "masked", "encoder_attention_mask"),
    ("cross", "head_masks", "cross_attn_head_mask"),
    ("cross", "one_encoder_state", "encoder_hidden_states"),
    ("positions", "each_its_own", "position_ids"),
    ("past", "chunks", "past"),
]


@pytest.mark.parametrize(("group", "name", "argument"), ARGUMENTS)
def test_every_argument_matters(group: str, name: str, argument: str) -> None:
    case = next(case for case in cases(group) if case["name"] == name)
    calls = [{k: v for k, v in call.items() if k != argument} for call in case["calls"]]
    assert worst(group, case) <= TOLERANCES["float32"]
    assert worst(group, {**case, "calls": calls}) > 2 * TOLERANCES["float32"]


@pytest.mark.parametrize(
    ("group", "name", "field", "value"),
    [
        ("widths", "D15_H3_F37_L2", "scale_embedding", False),
        ("widths", "D15_H3_F37_L2", "activation_function", "gelu_new"),
        ("widths", "D15_H3_F37_L2", "attention_heads", 5),
        ("activations", "gelu_10", "activation_function", "gelu"),
        ("activations", "relu6", "activation_function", "relu"),
        ("activations", "quick_gelu", "activation_function", "silu"),
        ("positions", "pad_5", "pad_token_id", 1),
    ],
)
def test_every_option_matters(group: str, name: str, field: str, value: object) -> None:
    case = next(case for case in cases(group) if case["name"] == name)
    other = {**case, "config": {**case["config"], field: value}}
    assert worst(group, other) > 2 * TOLERANCES["float32"]
