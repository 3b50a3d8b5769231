"""Speculation: proposed tokens change nothing but the time."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate, stream
from pyxglm.generation.assisted import Lookup
from pyxglm.modeling import XGLMModel

SIZES = {"vocab_size": 23, "max_position_embeddings": 64, "ffn_dim": 24, "attention_heads": 2}
LARGE = XGLMConfig(d_model=16, num_layers=2, init_std=0.5, **SIZES)
SMALL = XGLMConfig(d_model=8, num_layers=1, init_std=0.5, **SIZES)


@functools.cache
def model_of(config_seed=(16, 3)):
    width, seed = config_seed
    return XGLMForCausalLM(LARGE if width == 16 else SMALL, seed=seed, backend="c")


#: Another model, and one that is always right.
ASSISTANTS = [(8, 1), (16, 3)]

prompts = st.lists(st.integers(3, 22), min_size=1, max_size=12)
options = st.fixed_dictionaries(
    {"max_new_tokens": st.integers(1, 24)},
    optional={
        "eos_token_id": st.just(None),
        "min_new_tokens": st.just(1),
        "repetition_penalty": st.sampled_from([0.7, 1.2]),
        "no_repeat_ngram_size": st.just(3),
        "suppress_tokens": st.just([5, 9]),
        "guidance_scale": st.just(1.5),
        "output_scores": st.just(True),
        "output_log_probs": st.just(True),
        "num_assistant_tokens": st.integers(1, 7),
        "num_assistant_tokens_schedule": st.just("constant"),
    },
)
draws = st.fixed_dictionaries(
    {"do_sample": st.just(True), "seed": st.integers(0, 9)},
    optional={"temperature": st.sampled_from([0.5, 1.5]), "top_p": st.just(0.8)},
)
proposals = st.one_of(
    st.integers(1, 6).map(lambda n: {"prompt_lookup_num_tokens": n}),
    st.sampled_from(ASSISTANTS).map(lambda key: {"assistant_model": key}),
)


@settings(deadline=None, max_examples=40)
@given(prompts, options, st.one_of(st.just({}), draws), proposals)
def test_the_result_is_that_without_proposals(prompt, asked, drawing, proposing):
    if "assistant_model" in proposing:
        proposing = {"assistant_model": model_of(proposing["assistant_model"])}
    asked = {**asked, **drawing, "return_dict_in_generate": True}
    plain = generate(model_of(), prompt, **asked)
    found = generate(model_of(), prompt, **asked, **proposing)
    assert found.sequences.tolist() == plain.sequences.tolist()
    for one, other in zip(found.scores or (), plain.scores or (), strict=True):
        assert one.tobytes() == other.tobytes()
    if "output_log_probs" in asked:
        assert found.log_probs.tobytes() == plain.log_probs.tobytes()
    kept, expected = found.past_key_values, plain.past_key_values
    assert kept.length == expected.length == found.sequences.shape[1] - 1
    for layer in range(len(kept)):
        for one, other in zip(kept[layer], expected[layer], strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.fixture
def passes(monkeypatch):
    """The tokens of each pass of a model, by the model."""
    seen = {}
    forward = XGLMModel.forward

    def spy(self, *args, **kwargs):
        seen.setdefault(id(self), []).append(np.shape(kwargs["input_ids"])[1])
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(XGLMModel, "__call__", spy)
    return lambda model: seen[id(model.model)]


FREE = {"max_new_tokens": 20, "eos_token_id": None, "num_assistant_tokens": 4}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [3 + 4, 5, 5, 5]), ("heuristic", [3 + 4, 1 + 6, 1 + 7])],
)
def test_right_proposals_save_passes(passes, schedule, expected):
    model, same = (XGLMForCausalLM(LARGE, seed=3, backend="c") for _ in range(2))
    options = {**FREE, "num_assistant_tokens_schedule": schedule}
    generate(model, [2, 5, 6], assistant_model=same, **options)
    assert passes(model) == expected


def test_wrong_proposals_become_fewer(passes):
    model, wrong = (XGLMForCausalLM(LARGE, seed=3, backend="c") for _ in range(2))
    wrong.set_output_embeddings(-np.asarray(wrong.lm_head.weight))
    generate(model, [2, 5, 6], assistant_model=wrong, **FREE)
    assert passes(model) == [3 + 4, 1 + 3, 1 + 2, *[1 + 1] * 16, 1]  # none for the last


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([5, 6, 7, 5, 6], [7, 5, 6]),
        ([5, 6, 7, 8, 6], [7, 8, 6]),  # a single token was there
        ([4, 6, 5, 6, 7, 5, 6], [7, 5, 6]),  # two tokens before one
        ([5, 6, 9, 5, 6, 7, 5, 6], [9, 5, 6]),  # the first of several places
        ([5, 6, 7], []),
        ([5, 5], [5]),
        ([5], []),
    ],
)
def test_what_is_looked_up(ids, expected):
    assert Lookup(3).propose(np.array(ids), 9).tolist() == expected
    assert Lookup(3).propose(np.array(ids), 1).tolist() == expected[:1]
    assert Lookup(3).propose(np.array(ids), 0).tolist() == []


@pytest.mark.parametrize("proposing", [{"prompt_lookup_num_tokens": 4}, {"assistant_model": None}])
def test_hidden_states_and_attentions_are_those_of_each_token(proposing):
    if "assistant_model" in proposing:
        proposing = {"assistant_model": model_of((8, 1))}
    asked = {"max_new_tokens": 15, "eos_token_id": None, "return_dict_in_generate": True,
             "output_hidden_states": True, "output_attentions": True}  # fmt: skip
    plain = generate(model_of(), [5, 6, 5, 6, 5], **asked)
    found = generate(model_of(), [5, 6, 5, 6, 5], **asked, **proposing)
    for name in ("hidden_states", "attentions"):
        assert len(found[name]) == len(plain[name]) == 15
        for step, expected in zip(found[name], plain[name], strict=True):
            for one, other in zip(step, expected, strict=True):
                assert one.shape == other.shape
                np.testing.assert_array_equal(one, other)


def test_streaming_yields_every_token_by_itself():
    options = {"max_new_tokens": 9, "prompt_lookup_num_tokens": 3, "eos_token_id": None}
    steps = list(stream(model_of(), [5, 6, 5, 6], **options))
    assert [step.shape for step in steps] == [(1,)] * 9
    whole = generate(model_of(), [5, 6, 5, 6], **options)
    assert np.concatenate(steps).tolist() == whole[0, 4:].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_ids": [[2, 5], [2, 6]]}, "there are 2 prompts, expected 1: proposed tokens"),
        ({"num_beams": 2}, "num_beams is 2, expected 1: assistant_model proposes"),
        ({"use_cache": False}, "use_cache is False, expected True: assistant_model"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens is 2, expected None: ass"),
        ({"do_sample": True, "num_return_sequences": 2}, "num_return_sequences is 2, expected 1"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        generate(
            model_of(), **{"input_ids": [2, 5], "assistant_model": model_of((8, 1)), **options}
        )


def test_an_assistant_with_other_tokens_is_refused():
    other = XGLMForCausalLM(XGLMConfig.from_dict({**SMALL.to_dict(), "vocab_size": 24}))
    with pytest.raises(ValueError, match="^assistant_model has a vocabulary of 24, expected the"):
        generate(model_of(), [2, 5], assistant_model=other)
