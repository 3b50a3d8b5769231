"""Every logits processor in a greedy search, id by id, and the scores that were chosen."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden.compare import FOLDER
from golden.generation_grid import FUNCTIONS
from parity.harness import build

from pyxglm import XGLMForCausalLM
from pyxglm.tiny import PATH

RECORDED = json.loads((FOLDER / "processors.json").read_text(encoding="utf-8"))
MODELS: dict[Any, XGLMForCausalLM] = {}


def model_of(call: dict[str, Any], compute: str) -> XGLMForCausalLM:
    key = (call.get("seed"), compute)
    if key not in MODELS:
        if "seed" in call:
            model = {"config": RECORDED["config"], "profile": "sharp", "stored": "float32"}
            MODELS[key] = build({**model, "seed": call["seed"]}, compute)
        else:
            MODELS[key] = XGLMForCausalLM.from_pretrained(PATH, compute=compute)
    return MODELS[key]


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Functions instead of their names."""
    found = dict(settings)
    for name in ("prefix_allowed_tokens_fn", "logits_processor"):
        if name in found:
            found[name] = FUNCTIONS[found[name]]
    if "logits_processor" in found:
        found["logits_processor"] = [found["logits_processor"]]
    return found


def title(call: dict[str, Any]) -> str:
    names = [name for name in call["settings"] if name != "max_new_tokens"]
    return f"{'+'.join(names)[:60]}-{len(call['input_ids'])}"


@pytest.mark.parametrize("call", RECORDED["random"] + RECORDED["bundled"], ids=title)
def test_ids(call: dict[str, Any]) -> None:
    found = model_of(call, "float32").generate(
        call["input_ids"], attention_mask=call["attention_mask"], **given(call["settings"])
    )
    assert np.asarray(found).tolist() == call["output_ids"]


@pytest.mark.parametrize("call", RECORDED["random"] + RECORDED["bundled"][:2], ids=title)
def test_ids_and_scores_in_a_structured_result(call: dict[str, Any]) -> None:
    model = model_of(call, "float64" if "seed" in call else "float32")
    result = model.generate(
        call["input_ids"],
        attention_mask=call["attention_mask"],
        output_scores=True,
        return_dict_in_generate=True,
        **given(call["settings"]),
    )
    assert result.sequences.tolist() == call["output_ids"]
    found = model.compute_transition_scores(result.sequences, result.scores)
    for row, expected in zip(found.tolist(), call["scores"], strict=True):
        # The oracle's float32: relative to the logits of about 10 that scores are made of.
        np.testing.assert_allclose(row[: len(expected)], expected, rtol=2e-5, atol=1e-4)
