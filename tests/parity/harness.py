"""Run a golden case on pyxglm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from golden.weights import Draws, as_array, as_stored, make_weights

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16
from pyxglm.modeling import XGLMForCausalLM
from pyxglm.parameters import parameter_shapes

#: Largest max |a - b| / max |b| by arithmetic.
TOLERANCES = {"float32": 2e-5, "float64": 1e-10}
MASKS = {"attention_mask", "encoder_attention_mask"}
ARRAYS = MASKS | {
    "input_ids",
    "position_ids",
    "encoder_hidden_states",
    "head_mask",
    "cross_attn_head_mask",
    "inputs_embeds",
    "labels",
}


def weights_of(model: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a case's weights as they are stored: bfloat16 as bit patterns."""
    shapes = parameter_shapes(XGLMConfig(**model["config"]))
    stored = as_stored(make_weights(shapes, model["seed"], model["profile"]), model["stored"])
    return {name: read_only(array) for name, array in stored.items()}


def read_only(array: np.ndarray) -> np.ndarray:
    """Lock an array, as mapped weights are, so that writing to it is an error."""
    array.setflags(write=False)
    return array


def build(
    model: Mapping[str, Any],
    compute: str = "float32",
    table: np.ndarray | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> XGLMForCausalLM:
    """Build a case's model, with the golden's position table if one is given."""
    stored = weights_of(model) if weights is None else weights
    made = XGLMForCausalLM.from_weights(
        XGLMConfig(**model["config"]),
        {n: w.view(bfloat16) if w.dtype == np.uint16 else w for n, w in stored.items()},
        compute=compute,
    )
    if table is not None:
        made.set_position_table(table)
    return made


def arguments(
    call: Mapping[str, Any], weights: Mapping[str, np.ndarray], caches: list[Any], compute: str
) -> dict[str, Any]:
    """Turn a call's JSON into keyword arguments; floating-point inputs in `compute`."""
    found: dict[str, Any] = {}
    for name, value in call.items():
        if name == "past":
            found["past_key_values"] = caches[value][: call.get("past_layers")]
        elif name in ARRAYS and value is not None:
            array = as_array(value, weights)
            found[name] = read_only(array.astype(compute) if array.dtype.kind == "f" else array)
        elif name not in {"keep", "structure", "tuple", "past_layers"}:
            found[name] = value
    return found


def run(
    case: Mapping[str, Any],
    compute: str = "float32",
    table: np.ndarray | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> list[Any]:
    """Make a case's calls one after the other, and return their outputs as mappings."""
    stored = weights_of(case) if weights is None else weights
    model = build(case, compute, table, stored)
    if "training" in case:
        model.train(rng=Draws(case["training"]))
    caches: list[Any] = []
    outputs = []
    for call in case["calls"]:
        given = arguments(call, stored, caches, compute)
        outputs.append(model(**{"loss_type": "hf-4.37", **given, "return_dict": True}))
        caches.append(outputs[-1].past_key_values)
    return outputs
