"""Candidates: the best ones against a plain sort, drawn ones against the probabilities of draws."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation.beams.candidates import Candidates, best, drawn, enough, split

FEW = st.sampled_from([-np.inf, -1e9, -3.0, -2.5, -1.0, 0.0, 4.0])  # so that there are ties


def tuples(found: Candidates) -> list[tuple[float, int, int]]:
    return [(float(t), int(b), int(v)) for t, b, v in zip(*found, strict=True)]


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 4), st.integers(1, 70), st.integers(1, 20))
def test_the_best_are_those_of_a_sort(data, beams, V, count):
    values = data.draw(st.lists(FEW, min_size=beams * V, max_size=beams * V))
    totals_GV = np.array(values, np.float32).reshape(beams, V)
    everything = [(totals_GV[b, v], b, v) for b in range(beams) for v in range(V)]
    expected = sorted(everything, key=lambda one: (-one[0], one[1], one[2]))[:count]
    assert tuples(best(totals_GV, count)) == expected


def test_the_best_of_many():
    totals_GV = np.random.default_rng(0).standard_normal((4, 5000)).astype(np.float32)
    totals_GV[1, 4000:] = 9
    expected = np.argsort(-totals_GV.ravel(), kind="stable")[:1010]
    beams_C, ids_C = best(totals_GV, 1010)[1:]
    assert (beams_C * 5000 + ids_C).tolist() == expected.tolist()


def test_draws_without_replacement():
    """The chance of a set is the sum over its orders of the chances of one draw after another."""
    p = np.array([0.4, 0.3, 0.0, 0.2, 0.1])
    with np.errstate(divide="ignore"):
        totals_GV = np.log(p)[None]
    expected = {}
    for some in combinations([0, 1, 3, 4], 2):
        orders = permutations(some)
        expected[some] = sum(p[a] * p[b] / (1 - p[a]) for a, b in orders)
    random, draws = np.random.default_rng(1), 6000
    seen = Counter(tuple(sorted(drawn(totals_GV, 2, random).ids_C.tolist())) for _ in range(draws))
    assert set(seen) <= set(expected)
    square = sum((seen[s] - draws * p) ** 2 / (draws * p) for s, p in expected.items())
    assert square < 20.5  # five degrees of freedom: one seed in a thousand is above


def test_draws_are_sorted_and_fill_up_with_the_impossible():
    totals_GV = np.array([[-np.inf, -5.0], [-np.inf, -1.0]])
    found = drawn(totals_GV, 3, np.random.default_rng(0))
    assert tuples(found) == [(-1.0, 1, 1), (-5.0, 0, 1), (-np.inf, 0, 0)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=12, max_size=12), st.sets(st.integers(0, 9)))
def test_what_ends_and_what_goes_on(ids, eos):
    eos_ids = tuple(sorted(eos))
    found = Candidates(-np.arange(12.0), np.zeros(12, int), np.array(ids))
    going = [i for i in range(12) if ids[i] not in eos][:3]
    if len(going) < 3:
        with pytest.raises(ValueError, match=f"only {len(going)} of 12 continuations do not end"):
            split(found, 3, eos_ids)
        return
    ends, others = split(found, 3, eos_ids)
    assert ends.tolist() == [i for i in range(3) if ids[i] in eos]
    assert others.tolist() == going


def test_there_are_enough_whatever_ends():
    assert [enough(5, tuple(range(n))) for n in range(4)] == [10, 10, 15, 20]
