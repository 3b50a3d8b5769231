"""The texts that are kept, against a plain list of all of them; when a search is over."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation.beams.ending import as_rows, sequences
from pyxglm.generation.beams.hypotheses import Hypotheses, Hypothesis, Rules, best, normalized

NONE = np.zeros(0)


def add(kept: Hypotheses, total: float, length: int, name: int) -> None:
    kept.add(total, length, np.array([name]), NONE, NONE, ended=True)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(-6, 0), st.integers(1, 4)), max_size=12),
    st.integers(1, 4),
    st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]),
)
def test_the_best_are_kept(texts, most, penalty):
    kept = Hypotheses(most, Rules(penalty, False, 9))
    for name, (total, length) in enumerate(texts):
        add(kept, float(total), length, name)
    scores = [total / length**penalty for total, length in texts]
    assert sorted(text.score for text in kept.texts) == sorted(sorted(scores)[-most:])
    for text in kept.texts:
        assert text.score == scores[int(text.ids_S[0])]


def test_the_first_of_equals_is_dropped_and_the_last_is_best():
    kept = Hypotheses(2, Rules(0.0, False, 9))
    for name, total in enumerate((-3.0, -3.0, -1.0, -1.0)):
        add(kept, total, 1, name)
    assert [int(text.ids_S[0]) for text in kept.texts] == [2, 3]
    assert [int(text.ids_S[0]) for text in best(kept.texts, 2)] == [3, 2]
    add(kept, -1.0, 1, 4)
    assert [int(text.ids_S[0]) for text in kept.texts] == [2, 3], "an equal one is no better"


@pytest.mark.parametrize(
    ("early", "penalty", "best_total", "over"),
    [
        (True, 1.0, 0.0, True),
        # Kept: a score of -1 or better. Four tokens so far, ten at most.
        (False, 1.0, -4.1, True),
        (False, 1.0, -3.9, False),
        ("never", 1.0, -4.1, False),
        ("never", 1.0, -10.1, True),
        ("never", 0.0, -1.1, True),
        ("never", 0.0, -0.9, False),
        ("never", -1.0, -0.26, True),  # longer is worse: the present length counts
        ("never", -1.0, -0.24, False),
    ],
)
def test_when_a_search_is_over(early, penalty, best_total, over):
    kept = Hypotheses(2, Rules(penalty, early, 10))
    add(kept, -1.0, 1, 0)
    assert not kept.complete(-1e9, 4)
    add(kept, -1.0, 1, 1)
    assert kept.complete(best_total, 4) is over


def test_extreme_penalties_have_limits():
    assert normalized(-5.0, 3, 1e9) == 0
    assert normalized(-5.0, 3, -1e9) == -np.inf
    assert normalized(-np.inf, 3, 1.0) == -np.inf


def test_rows():
    texts = [
        Hypothesis(0.0, np.array(ids), NONE, NONE, ended)
        for ids, ended in (([2, 3, 4], True), ([2, 3, 4, 5], False), ([2], True))
    ]
    assert sequences(texts, 1, (9, 8)).tolist() == [[2, 3, 4, 9], [2, 3, 4, 5], [2, 9, 1, 1]]
    assert sequences(texts[:1], 1, (9, 8)).tolist() == [[2, 3, 4, 9]]
    assert sequences(texts[1:2], 1, ()).tolist() == [[2, 3, 4, 5]]
    assert as_rows([np.array([3]), np.array([4, 5])], 3, -1).tolist() == [[3, -1, -1], [4, 5, -1]]
