"""A batch that grows, is reordered and cropped: always the scores of each text from scratch."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation.prompts import prepare
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.stepper import Stepper

CONFIG = XGLMConfig(
    vocab_size=23, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, init_std=0.5,
    max_position_embeddings=64,
)  # fmt: skip


@functools.cache
def model():
    return XGLMForCausalLM(CONFIG, seed=3, backend="c")


@functools.cache
def scores_of(text):
    return model()([list(text)]).logits[0, -1].tobytes()


texts = st.lists(st.integers(3, 22), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(texts, min_size=1, max_size=3), st.integers(1, 3), st.booleans(), st.data())
def test_whatever_is_done_to_it(prompts, copies, use_cache, data):
    batch = prepare(prompts, None, GenerationConfig(), 23)
    stepper = Stepper(model(), *batch, copies=copies, use_cache=use_cache, steps=2)
    expected = [prompt for prompt in prompts for _ in range(copies)]
    paddings = [max(map(len, prompts)) - len(prompt) for prompt in expected]
    width = max(map(len, prompts))
    for action in data.draw(st.lists(st.sampled_from("saaarcs"), min_size=1, max_size=14)):
        B = len(expected)
        if action == "s":
            scores_BV = stepper.scores().all()
            assert [row.tobytes() for row in scores_BV] == [scores_of(tuple(t)) for t in expected]
        elif action == "a":
            new = data.draw(st.lists(st.integers(3, 22), min_size=B, max_size=B))
            stepper.append(np.array(new))
            expected = [[*text, id_] for text, id_ in zip(expected, new, strict=True)]
        elif action == "r":
            size = data.draw(st.sampled_from([B, B, B, max(1, B - 1), B + 1]))
            order = data.draw(st.lists(st.integers(0, B - 1), min_size=size, max_size=size))
            stepper.reorder(order)
            expected = [expected[i] for i in order]
            paddings = [paddings[i] for i in order]
        else:
            length = data.draw(st.integers(width, stepper.length))
            stepper.crop(length)
            expected = [t[: length - p] for t, p in zip(expected, paddings, strict=True)]
            if stepper.done == length:
                stepper.forget_last()
        if action == "s":  # the next scores are of another token
            stepper.append(np.full(B, 7))
            expected = [[*text, 7] for text in expected]
        assert stepper.mask.sum(axis=1).tolist() == [len(text) for text in expected]
        for ids, text in zip(stepper.ids.tolist(), expected, strict=True):
            assert ids[len(ids) - len(text) :] == text


def test_rows_with_other_padding_are_exchanged_between_recorded_steps():
    prompts = [[5, 6, 7], [8], [9, 9]]
    stepper = Stepper(model(), *prepare(prompts, None, GenerationConfig(), 23), steps=9)
    expected = [list(prompt) for prompt in prompts]
    for step, order in enumerate([None, None, None, [1, 0, 2], None, [2, 2, 1], None, None]):
        if order:
            stepper.reorder(order)
            expected = [list(expected[i]) for i in order]
        scores_BV = stepper.scores().all()
        assert [row.tobytes() for row in scores_BV] == [scores_of(tuple(t)) for t in expected]
        new = [3 + step, 9, 4]
        stepper.append(np.array(new))
        for text, id_ in zip(expected, new, strict=True):
            text.append(id_)


def test_other_models_are_reordered_by_themselves():
    class Reordering(FakeModel):
        def _reorder_cache(self, past, rows):
            return [list(past[row]) for row in rows]

    batch = prepare([[5, 6, 7], [8]], None, GenerationConfig(), 12)
    stepper = Stepper(Reordering(), *batch)
    stepper.scores()
    stepper.append(np.array([3, 4]))
    stepper.reorder([1, 0])
    found = stepper.scores().all()
    expected = [FakeModel().scores(list(enumerate(ids))) for ids in ([8, 4], [5, 6, 7, 3])]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    stepper = Stepper(FakeModel(), *batch)
    stepper.scores()
    with pytest.raises(TypeError, match="^FakeModel has no _reorder_cache, expected a model whose"):
        stepper.reorder([1, 0])
    with pytest.raises(TypeError, match="^the model's cache is a list, expected a KVCache or a"):
        stepper.forget_last()
