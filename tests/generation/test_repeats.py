"""Processors that look at the text so far, against naive implementations of their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation.processors import lengths, repeats, values, words

V = 6
texts = st.lists(st.integers(0, V - 1), min_size=1, max_size=9)


def batch(rows):
    """Rows of the same length, and scores for them."""
    width = min(map(len, rows))
    ids_BS = np.array([row[:width] for row in rows])
    scores_BV = np.random.default_rng(len(rows)).standard_normal((len(rows), V)) * 3
    return ids_BS, scores_BV


@settings(deadline=None, max_examples=60)
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from([0.5, 1.3, 2.0]))
def test_repetition_penalty(rows, penalty):
    ids_BS, scores_BV = batch(rows)
    found_BV = repeats.repetition_penalty(ids_BS, scores_BV, penalty)
    for ids, scores, found in zip(ids_BS.tolist(), scores_BV, found_BV, strict=True):
        for v in range(V):
            changed = scores[v] * penalty if scores[v] < 0 else scores[v] / penalty
            assert found[v] == (changed if v in ids else scores[v])


@settings(deadline=None, max_examples=100)
@given(st.lists(texts, min_size=1, max_size=3), st.integers(1, 4))
def test_no_ngram_comes_twice(rows, n):
    ids_BS, scores_BV = batch(rows)
    found_BV = repeats.no_repeat_ngram(ids_BS, scores_BV, n)
    for ids, found in zip(ids_BS.tolist(), found_BV, strict=True):
        there = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
        for v in range(V):
            last = tuple([*ids, v][-n:])
            assert np.isneginf(found[v]) == (len(last) == n and last in there)


@settings(deadline=None, max_examples=60)
@given(st.lists(texts, min_size=2, max_size=2), st.integers(1, 3), texts)
def test_no_ngram_of_another_text(rows, n, text):
    ids_BS, scores_BV = batch(rows)
    texts_BT = np.array([text, text[::-1]])
    found_BV = repeats.no_ngram_of(texts_BT, ids_BS, scores_BV, n)
    for other, ids, found in zip(texts_BT.tolist(), ids_BS.tolist(), found_BV, strict=True):
        there = {tuple(other[i : i + n]) for i in range(len(other) - n + 1)}
        for v in range(V):
            last = tuple([*ids, v][-n:])
            assert np.isneginf(found[v]) == (len(last) == n and last in there)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(texts, min_size=1, max_size=3),
    st.dictionaries(
        st.lists(st.integers(0, V - 1), min_size=1, max_size=4).map(tuple),
        st.floats(-3, 3),
        min_size=1,
        max_size=6,
    ),
)
def test_sequence_bias(rows, bias):
    ids_BS, scores_BV = batch(rows)
    found_BV = words.sequence_bias(ids_BS, scores_BV, list(bias.items()))
    for ids, scores, found in zip(ids_BS.tolist(), scores_BV, found_BV, strict=True):
        expected = scores.copy()
        for sequence, value in bias.items():
            *begin, last = sequence
            # transformers leaves out sequences that are longer than the row.
            if len(sequence) <= len(ids) and begin == ids[len(ids) - len(begin) :]:
                expected[last] += value
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_processors_keep_the_type_and_the_argument(dtype):
    ids_BS = np.array([[1, 2, 1], [3, 3, 3]])
    scores_BV = (np.arange(12.0).reshape(2, 6) - 6).astype(dtype)
    before = scores_BV.copy()
    for found in (
        repeats.repetition_penalty(ids_BS, scores_BV, 1.5),
        repeats.no_repeat_ngram(ids_BS, scores_BV, 2),
        words.sequence_bias(ids_BS, scores_BV, [((1,), 2.5), ((3, 3), -np.inf)]),
        words.suppressed(scores_BV, [1]),
        words.only_allowed(ids_BS, scores_BV, lambda prompt, ids: [prompt], np.array([0, 1])),
        lengths.no_end_before(ids_BS, scores_BV, 4, [2]),
        lengths.forced(ids_BS, scores_BV, 3, [2]),
        lengths.exponential_decay(ids_BS, scores_BV, 1, 1.5, [0, 2]),
        values.log_softmax(scores_BV),
        values.without_invalid(scores_BV),
    ):
        assert found.dtype == dtype
        assert (scores_BV == before).all()


def test_a_function_that_allows_nothing_is_named():
    with pytest.raises(ValueError, match="^prefix_allowed_tokens_fn allowed no token for prompt 1"):
        words.only_allowed(
            np.zeros((2, 1), int), np.zeros((2, V)), lambda p, ids: [5][p:], np.array([0, 1])
        )
