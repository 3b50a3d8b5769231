"""Beam, group-beam, constrained and contrastive search, id by id and score by score."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden.compare import FOLDER
from parity.harness import build

from pyxglm import XGLMForCausalLM, tiny
from pyxglm.generation import DisjunctiveConstraint, PhrasalConstraint

GOLDEN = json.loads((FOLDER / "beams.json").read_text(encoding="utf-8"))
CALLS = GOLDEN["calls"]
KINDS = {"phrasal": PhrasalConstraint, "disjunctive": DisjunctiveConstraint}


@pytest.fixture(scope="module")
def bundled() -> XGLMForCausalLM:
    return XGLMForCausalLM.from_pretrained(tiny.PATH)


def generate(call: dict[str, Any], model: XGLMForCausalLM, **more: Any) -> Any:
    settings = dict(call["settings"])
    if "constraints" in settings:
        settings["constraints"] = [KINDS[kind](ids) for kind, ids in settings["constraints"]]
    if stop_at := settings.pop("stop_at", None):
        settings["stopping_criteria"] = [lambda ids_BS, scores: ids_BS.shape[1] >= stop_at]
    ids_BT = np.array(GOLDEN["prompts"][call["prompts"]])
    mask_BT = (ids_BT != 1).astype(int)
    found = model.generate(
        ids_BT, attention_mask=mask_BT, return_dict_in_generate=True, **settings, **more
    )
    assert (
        found.sequences[:, : ids_BT.shape[1]].tolist()
        == np.repeat(ids_BT, settings.get("num_return_sequences", 1), axis=0).tolist()
    )
    return found


def check(call: dict[str, Any], found: Any, compute: str = "float32") -> None:
    width = len(GOLDEN["prompts"][call["prompts"]][0])
    assert found.sequences[:, width:].tolist() == call["ids"]
    if call["scores"] is not None:
        scores = found.sequences_scores
        assert scores.dtype == compute
        np.testing.assert_allclose(scores, call["scores"], rtol=1e-5, atol=1e-5)


def model_of(call: dict[str, Any], compute: str = "float32") -> XGLMForCausalLM:
    if call["seed"] is None:
        return XGLMForCausalLM.from_pretrained(tiny.PATH, compute=compute)
    return build({"config": GOLDEN["config"], "profile": "sharp", "stored": "float32", **call},
                 compute)  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=[call["name"] for call in CALLS])
def test_ids_and_scores(call: dict[str, Any], bundled: XGLMForCausalLM) -> None:
    check(call, generate(call, bundled if call["seed"] is None else model_of(call)))


SOME = [call for call in CALLS if call["seed"] is not None][::5]


@pytest.mark.parametrize("call", SOME, ids=[call["name"] for call in SOME])
def test_in_float64(call: dict[str, Any]) -> None:
    check(call, generate(call, model_of(call, "float64")), "float64")


DETAILED = [call for call in CALLS if "beam_indices" in call]


@pytest.mark.parametrize("call", DETAILED, ids=[call["name"] for call in DETAILED])
def test_where_the_tokens_come_from(call: dict[str, Any]) -> None:
    model = model_of(call)
    found = generate(call, model, output_scores=True)
    check(call, found)
    assert found.beam_indices.tolist() == call["beam_indices"]
    parts = model.compute_transition_scores(found.sequences, found.scores, found.beam_indices)
    np.testing.assert_allclose(parts, call["transition_scores"], rtol=1e-5, atol=1e-5)
