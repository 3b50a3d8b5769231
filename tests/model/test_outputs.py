"""What models return: by attribute, key, index and slice, and as a tuple."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from model.small import IDS, SIZES, bare, encoder_states, lm

from pyxglm.outputs import (
    BaseModelOutputWithPastAndCrossAttentions as BaseOutput,
)
from pyxglm.outputs import (
    CausalLMOutputWithCrossAttentions as CausalOutput,
)

A, B = np.ones(2), np.zeros(3)


def test_access_by_attribute_key_and_index() -> None:
    output = CausalOutput(logits=A, hidden_states=(B,))
    assert output.logits is output["logits"] is output[0] is A
    assert output.hidden_states == output["hidden_states"] == output[1] == output[-1] == (B,)
    assert output.loss is None
    assert output[:1] == (A,)
    assert output.to_tuple() == (A, (B,))
    assert len(output) == 2


def test_what_is_absent_takes_no_part() -> None:
    output = CausalOutput(logits=A)
    assert "loss" not in output
    assert "logits" in output
    assert output.get("loss", 5) == 5
    assert output.get("logits") is A
    with pytest.raises(KeyError, match="loss"):
        output["loss"]
    with pytest.raises(IndexError):
        output[1]
    with pytest.raises(AttributeError):
        _ = output.nothing  # type: ignore[attr-defined]


def test_as_a_mapping() -> None:
    output = CausalOutput(loss=B, logits=A)
    assert list(output) == output.keys() == ["loss", "logits"]
    assert output.values() == [B, A]
    assert output.items() == [("loss", B), ("logits", A)]
    assert dict(output) == {**output} == {"loss": B, "logits": A}
    loss, logits = output.to_tuple()
    assert (loss, logits) == (B, A)


def test_a_result_can_be_set() -> None:
    output = BaseOutput(last_hidden_state=A)
    output.past_key_values = (B,)
    output["hidden_states"] = (A,)
    assert output.keys() == ["last_hidden_state", "past_key_values", "hidden_states"]
    assert output[1] == (B,)
    with pytest.raises(KeyError, match="'logits'"):
        output["logits"] = A


def test_copies() -> None:
    output = CausalOutput(logits=A)
    for again in (copy.copy(output), copy.deepcopy(output),
                  pickle.loads(pickle.dumps(output))):  # noqa: S301  # fmt: skip
        assert np.array_equal(again.logits, A)
        assert again.keys() == ["logits"]


# ------------------------------------------------------------------------ from the models


ALL = {"use_cache": True, "output_attentions": True, "output_hidden_states": True}


@pytest.mark.parametrize("cross", [False, True])
def test_the_order_of_a_tuple(cross: bool) -> None:
    states = {"encoder_hidden_states": encoder_states()} if cross else {}
    model = lm(add_cross_attention=cross)
    named = model(IDS, labels=IDS, **ALL, **states)
    names = ["loss", "logits", "past_key_values", "hidden_states", "attentions"]
    assert named.keys() == names + ["cross_attentions"] * cross
    plain = model(IDS, labels=IDS, return_dict=False, **ALL, **states)
    assert isinstance(plain, tuple)
    assert len(plain) == len(named)
    assert plain[0] == named.loss
    assert np.array_equal(plain[1], named.logits)
    assert [len(part) for part in plain[2:]] == [3, 4, 3] + [3] * cross
    hidden = model.model(IDS, return_dict=False, **ALL, **states)
    assert len(hidden) == len(plain) - 1
    assert np.array_equal(hidden[0], named.hidden_states[-1])


@pytest.mark.parametrize("call", [False, True])
@pytest.mark.parametrize("name", ["use_cache", "output_attentions", "output_hidden_states"])
def test_each_result_is_there_if_asked_for(name: str, call: bool) -> None:
    field = name.removeprefix("output_") if name != "use_cache" else "past_key_values"
    # The call's word counts, and the configuration's where the call says nothing.
    for model in (lm(**{name: not call}), bare(**{name: not call})):
        assert (field in model(IDS, **{name: call})) == call
        assert (field in model(IDS)) != call


def test_return_dict_of_the_configuration() -> None:
    for model in (lm(return_dict=False), bare(return_dict=False)):
        assert isinstance(model(IDS), tuple)
        assert not isinstance(model(IDS, return_dict=True), tuple)


def test_shapes() -> None:
    (rows, T), L, H = IDS.shape, SIZES["num_layers"], SIZES["attention_heads"]
    D, V, E = SIZES["d_model"], SIZES["vocab_size"], 6
    output = lm(add_cross_attention=True)(IDS, encoder_hidden_states=encoder_states(), **ALL)
    assert output.logits.shape == (rows, T, V)
    assert [h.shape for h in output.hidden_states] == [(rows, T, D)] * (L + 1)
    assert [a.shape for a in output.attentions] == [(rows, H, T, T)] * L
    assert [a.shape for a in output.cross_attentions] == [(rows, H, T, E)] * L
    for entry in output.past_key_values:
        assert [a.shape for a in entry] == [(rows, H, T, D // H)] * 2 + [(rows, H, E, D // H)] * 2


def test_hidden_states_are_the_steps_of_the_computation() -> None:
    model = bare()
    output = model(IDS, output_hidden_states=True)
    assert output.hidden_states[-1] is output.last_hidden_state
    embeds = model.get_input_embeddings()(IDS) * np.float32(np.sqrt(SIZES["d_model"]))
    first = model(inputs_embeds=embeds, output_hidden_states=True).hidden_states[0]
    assert np.array_equal(output.hidden_states[0], first)
    # A model without its last layer has one state less; all but the normed one are the same.
    shorter = {n: a for n, a in model.state_dict().items() if not n.startswith("layers.2.")}
    config = copy.deepcopy(model.config)
    config.num_layers = 2
    before = type(model).from_weights(config, shorter)(IDS, output_hidden_states=True)
    for mine, theirs in zip(before.hidden_states[:-1], output.hidden_states, strict=False):
        assert np.array_equal(mine, theirs)
    assert not np.allclose(before.hidden_states[-1], output.hidden_states[2])
