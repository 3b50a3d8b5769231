"""Temperature, top-k, top-p: against transformers, and against their definitions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pyxglm.generation import GenerationConfig
from pyxglm.generation.choice import checked, draw, generators, greedy
from pyxglm.generation.processors.narrowing import temperature, top_k, top_p
from pyxglm.generation.processors.order import Narrowing
from pyxglm.generation.processors.values import softmax

RECORDED = json.loads(Path(__file__).with_name("warpers.json").read_text())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: str(case["settings"]))
def test_warp_keeps_what_transformers_keeps(case):
    scores_BV = np.array(case["scores"])
    expected_BV = np.array(case["warped"], dtype=float)  # null becomes NaN
    settings = GenerationConfig(do_sample=True, **case["settings"])
    keep = 1 if settings.num_beams == 1 else max(2, len(settings.eos_ids) + 1)
    warped_BV = Narrowing(settings, keep)(np.zeros((3, 1), int), scores_BV)
    removed_BV = np.isnan(expected_BV)
    assert (np.isneginf(warped_BV) == removed_BV).all()
    assert np.abs(warped_BV - expected_BV)[~removed_BV].max() < 1e-5
    # The case has something to tell: a filter that does nothing would fail it.
    filters = {k for k, v in case["settings"].items() if v not in (0, 1000)} - {"temperature"}
    assert removed_BV.any() == bool(filters)


scores = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=st.integers(-3, 3)
)


@settings(deadline=None, max_examples=60)
@given(scores, st.integers(1, 12))
def test_top_k_keeps_all_that_tie_with_the_last(scores_BV, k):
    kept_BV = np.isfinite(top_k(scores_BV, k))
    for row, kept in zip(scores_BV.tolist(), kept_BV.tolist(), strict=True):
        better = [sum(other > score for other in row) for score in row]
        assert kept == [count < k for count in better]


@settings(deadline=None, max_examples=60)
@given(scores, st.floats(0.01, 1.0))
def test_top_p_keeps_enough_and_no_more(scores_BV, p):
    kept_BV = np.isfinite(top_p(scores_BV, p))
    weights_BV = np.exp(scores_BV)
    for score, kept, weight in zip(scores_BV, kept_BV, weights_BV, strict=True):
        share = weight / weight.sum()
        assert kept[score.argmax() :].any()
        assert share[kept].sum() >= p - 1e-9
        # Without the least of those kept, less than p would be left.
        if kept.sum() > 1:
            assert share[kept].sum() - share[kept].min() < p + 1e-9


def test_top_p_counts_equal_scores_in_the_order_of_ids():
    assert np.isfinite(top_p(np.zeros((1, 4)), 0.5)).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("p", [1e-9, 5e-324])  # 1 - 5e-324 is 1: all would be removed
def test_top_p_always_keeps_the_best(p):
    assert np.isfinite(top_p(np.array([[1.0, 2.0, 0.0]]), p)).tolist() == [[False, True, False]]


def test_a_processor_does_not_change_its_argument():
    scores_BV = np.array([[3.0, 1.0, 2.0]])
    for processed in (temperature(scores_BV, 2.0), top_k(scores_BV, 1), top_p(scores_BV, 0.1)):
        assert processed is not scores_BV
    top_k(scores_BV, 99)[0, 0] = 7.0
    assert scores_BV.tolist() == [[3.0, 1.0, 2.0]]


def test_a_tiny_temperature_is_greedy_not_nan():
    scores_BV = np.array([[0.0, -1e-3, -5.0]])
    assert softmax(temperature(scores_BV, 5e-324)).tolist() == [[1.0, 0.0, 0.0]]


def test_softmax_of_large_scores():
    assert softmax(np.array([[1e308, 1e308, -1e308]])).tolist() == [[0.5, 0.5, 0.0]]


def test_greedy_takes_the_lowest_of_equals():
    assert greedy(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])).tolist() == [1, 0]


class TestDraw:
    scores_BV = np.log(np.array([[0.125, 0.5, 0.375]]))

    @pytest.mark.parametrize(
        ("uniform", "expected"),
        [(0.0, 0), (0.1249, 0), (0.1251, 1), (0.6249, 1), (0.6251, 2), (1 - 2**-53, 2)],
    )
    def test_inverts_the_cumulative_distribution(self, uniform, expected):
        assert draw(self.scores_BV, np.array([uniform])).tolist() == [expected]

    @pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
    def test_never_a_removed_token(self, uniform):
        scores_BV = np.array([[-np.inf, 0.0, -np.inf, -np.inf]])
        assert draw(scores_BV, np.array([uniform])).tolist() == [1]

    def test_the_last_token_of_a_large_vocabulary_is_in_reach(self):
        # In float32 a running sum of 256,008 terms is off by more than the last one.
        scores_BV = np.zeros((1, 256_008), np.float32)
        assert draw(scores_BV, np.array([1 - 2**-53])).tolist() == [256_007]

    def test_frequencies(self):
        (random,) = generators(3, range(1))
        uniform_N = random.random(20_000)
        ids_N = draw(np.repeat(self.scores_BV, 20_000, axis=0), uniform_N)
        counts = np.bincount(ids_N) / 20_000
        assert np.abs(counts - [0.125, 0.5, 0.375]).max() < 0.015  # over 4 standard deviations


class TestGenerators:
    def test_rows_draw_from_streams_of_their_own(self):
        many, one = generators(5, range(3)), generators(5, range(1))
        drawn = [random.random(4).tolist() for random in many]
        assert drawn[0] == one[0].random(4).tolist()
        assert len({row[0] for row in drawn}) == 3

    def test_the_stream_is_pcg64_of_the_documented_seed(self):
        source = np.random.PCG64(np.random.SeedSequence(7, spawn_key=(1,)))
        expected = [(int(source.random_raw()) >> 11) * 2.0**-53 for _ in range(3)]
        assert generators(7, range(2))[1].random(3).tolist() == expected

    @pytest.mark.parametrize("seed", [-1, np.int64(-5)])
    def test_negative_seeds_are_refused(self, seed):
        with pytest.raises(ValueError, match=r"^seed is -\d, expected 0 or more$"):
            generators(seed, range(1))

    @pytest.mark.parametrize("seed", [1.0, None, True, "3"])
    def test_seeds_are_integers(self, seed):
        with pytest.raises(TypeError, match="^seed is .*, expected an integer$"):
            generators(seed, range(1))


class TestChecked:
    @pytest.mark.parametrize("row", [[0.0, np.nan], [np.inf, 0.0], [-np.inf, -np.inf]])
    def test_rows_without_a_best_token_are_refused(self, row):
        with pytest.raises(ValueError, match=r"^the scores of row 1 have the maximum"):
            checked(np.array([[0.0, -np.inf], row]), np.array([True, True]))

    def test_finished_rows_may_hold_anything(self):
        checked(np.array([[0.0, -np.inf], [np.nan, 0.0]]), np.array([True, False]))
