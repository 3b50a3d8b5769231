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


def generate(call: dict[str, Any], model: XGLMForCausalLM) -> Any:
    settings = dict(call["settings"])
    if "constraints" in settings:
        settings["constraints"] = [KINDS[kind](ids) for kind, ids in settings["constraints"]]
    ids_BT = np.array(GOLDEN["prompts"][call["prompts"]])
    mask_BT = (ids_BT != 1).astype(int)
    found = model.generate(ids_BT, attention_mask=mask_BT, return_dict_in_generate=True, **settings)
    assert (
        found.sequences[:, : ids_BT.shape[1]].tolist()
        == np.repeat(ids_BT, settings.get("num_return_sequences", 1), axis=0).tolist()
    )
    return found.sequences[:, ids_BT.shape[1] :].tolist(), found.get("sequences_scores")


@pytest.mark.parametrize("call", CALLS, ids=[call["name"] for call in CALLS])
def test_ids_and_scores(call: dict[str, Any], bundled: XGLMForCausalLM) -> None:
    seeded = {"config": GOLDEN["config"], "profile": "sharp", "stored": "float32", **call}
    model = bundled if call["seed"] is None else build(seeded)
    ids, scores = generate(call, model)
    assert ids == call["ids"]
    if call["scores"] is not None:
        np.testing.assert_allclose(scores, call["scores"], rtol=1e-5, atol=1e-5)
