"""XGLMModel takes every argument that XGLMForCausalLM takes, and does the same with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from model.small import IDS, bare, encoder_states, lm

CROSS = {"encoder_hidden_states": encoder_states()}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "input_ids": {},
    "attention_mask": {"attention_mask": [[0, 1, 1, 1, 1], [1] * 5]},
    "position_ids": {"position_ids": [[3, 1, 4, 1, 5]]},
    "encoder_hidden_states": CROSS,
    "encoder_attention_mask": {**CROSS, "encoder_attention_mask": [[1, 0, 0, 1, 1, 1]] * 2},
    "head_mask": {"head_mask": [[1, 0], [0.5, 1], [1, 1]]},
    "cross_attn_head_mask": {**CROSS, "cross_attn_head_mask": [[1, 1], [0, 1], [1, 0.25]]},
    "past_key_values": {},
    "inputs_embeds": {"input_ids": None, "inputs_embeds": encoder_states(E=5)},
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_argument_does_what_it_does_with_a_head(name: str) -> None:
    language, plain = lm(add_cross_attention=True), bare(add_cross_attention=True)
    for part in (language, plain):  # as `small` fills them: the same weights
        for array, other in zip(part.parameters(), language.parameters(), strict=True):
            array[...] = other
    given = {"input_ids": IDS, **ARGUMENTS[name]}
    if name == "past_key_values":
        given["past_key_values"] = plain(IDS[:, ::-1]).past_key_values
    wanted = language(**given, output_hidden_states=True, output_attentions=True)
    found = plain(**given, output_hidden_states=True, output_attentions=True)
    assert np.array_equal(found.last_hidden_state, wanted.hidden_states[-1])
    for field in ("past_key_values", "attentions", "cross_attentions"):
        for mine, theirs in zip(found.get(field, ()), wanted.get(field, ()), strict=True):
            assert all(map(np.array_equal, mine, theirs))
    if name != "input_ids":
        less = {key: value for key, value in given.items() if key != name}
        if less["input_ids"] is None:
            less["input_ids"] = IDS
        elif name == "encoder_hidden_states":
            less = {"input_ids": IDS}
        assert not np.array_equal(plain(**less).last_hidden_state, found.last_hidden_state)
