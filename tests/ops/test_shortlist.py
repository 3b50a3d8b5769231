"""The shortlist of tokens: its bound, tried where it is tight, and that it changes no result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import arrays_for, exact, left_alone

from pyxglm.check.patterns import ORDINARY, PATTERNS, numbers
from pyxglm.dtypes import Array
from pyxglm.ops.head import head_log_probs, head_top
from pyxglm.ops.shortlist import (
    LARGEST,
    SMALLEST,
    candidates,
    head_top_by_shortlist,
    make_shortlist,
)

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def told(head_VD: Array, hidden_D: Array) -> tuple[Array, Array]:
    """What codes say of logits in float64, and how far a logit may be from it."""
    codes_VD, scales_V, radii_V = (exact(array) for array in make_shortlist(head_VD))
    return scales_V * (codes_VD @ hidden_D), radii_V * np.linalg.norm(hidden_D)


@pytest.mark.parametrize("pattern", ORDINARY)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_logits_lie_in_their_intervals(pattern: str, dtype: str) -> None:
    rng = np.random.default_rng(7)
    head_VD = numbers(rng, (50, 33), pattern, dtype)
    for of_hidden in ORDINARY:
        hidden_D = exact(numbers(rng, (33,), of_hidden))
        scores_V, reach_V = told(head_VD, hidden_D)
        off_V = np.abs(exact(head_VD) @ hidden_D - scores_V)
        assert (off_V <= reach_V * (1 + 1e-12)).all()


def test_the_interval_is_no_wider_than_it_must_be() -> None:
    """A hidden state along what the codes leave out is as far off as the radius says."""
    rng = np.random.default_rng(7)
    head_VD = rng.standard_normal((20, 64), np.float32)
    codes_VD, scales_V, _ = make_shortlist(head_VD)
    for row, scale, codes in zip(exact(head_VD), exact(scales_V), exact(codes_VD), strict=True):
        left_out = row - scale * codes
        scores, reach = told(row[None].astype(np.float32), left_out)
        off = abs(row @ left_out - scores[0])
        assert 0.99 * reach[0] < off <= reach[0]


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan, 2 * LARGEST, SMALLEST / 2])
def test_rows_of_which_nothing_can_be_said_are_always_candidates(odd: float) -> None:
    head_VD = np.full((4, 3), [[-1.0], [-1.0], [1.0], [-1.0]], np.float32)
    head_VD[1] = odd if abs(odd) < 1 else [-1.0, odd, -1.0]
    head_VD[3] = 0.0
    shortlist = make_shortlist(head_VD)
    assert np.isinf(shortlist.radii_V).tolist() == [False, True, False, False]
    assert shortlist.radii_V[3] == 0
    assert candidates(np.ones(3, np.float32), shortlist, 1).tolist() == [1, 2]


@pytest.mark.parametrize("odd", [0.0, np.inf, np.nan, 2 * LARGEST, SMALLEST / 2])
def test_hidden_states_of_which_nothing_can_be_said_rule_nothing_out(odd: float) -> None:
    shortlist = make_shortlist(np.float32([[-1.0], [1.0], [0.5]]))
    assert candidates(np.float32([odd]), shortlist, 1).tolist() == [0, 1, 2]
    assert candidates(np.float32([1.0]), shortlist, 1).tolist() == [1]
    assert candidates(np.float32([1.0]), shortlist, 0).tolist() == []


@SETTINGS
@given(
    arguments=arrays_for(head_log_probs, dtype="float64", patterns=PATTERNS, zeros="ND"),
    top=st.integers(0, 12),
)
def test_the_best_are_those_that_are_found_without(arguments: dict[str, Any], top: int) -> None:
    hidden_ND, head_VD = arguments["hidden_ND"], arguments["head_VD"]
    top = min(top, len(head_VD))
    with np.errstate(all="ignore"), left_alone(arguments):
        shortlist = make_shortlist(head_VD)
        values_NK, ids_NK = head_top_by_shortlist(hidden_ND, head_VD, top, shortlist)
        logits_NV = hidden_ND @ exact(head_VD).T
        wanted_NK, _ = head_top(hidden_ND, head_VD, top)
        # BLAS adds up few rows and many in different orders: the same numbers up to rounding.
        size_NV = np.abs(hidden_ND) @ np.abs(exact(head_VD)).T
        room_N1 = 1e-13 * size_NV.max(axis=-1, keepdims=True, initial=0)
        same = (np.abs(values_NK - wanted_NK) <= room_N1) | ~np.isfinite(room_N1)
        assert (same | (values_NK == wanted_NK)).all()
        of_ids_NK = np.take_along_axis(logits_NV, ids_NK, axis=-1)
        assert ((np.abs(values_NK - of_ids_NK) <= room_N1) | ~np.isfinite(room_N1)).all()


def test_few_tokens_are_left() -> None:
    rng = np.random.default_rng(7)
    head_VD, hidden_ND = (rng.standard_normal((n, 512), np.float32) for n in (20_000, 8))
    shortlist = make_shortlist(head_VD)
    assert shortlist.nbytes == 20_000 * (512 + 8)
    assert max(len(candidates(hidden_D, shortlist, 1)) for hidden_D in hidden_ND) < 100
