"""The shortlist on the C kernels: the reference's, and no bit of a result is moved by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import arrays_for, exact, left_alone

from pyxglm.check.patterns import PATTERNS, numbers
from pyxglm.ops import native, reference
from pyxglm.ops.native_library import lib
from pyxglm.ops.shortlist import ROWS, TOP, Shortlist, make_shortlist

SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def best(hidden_ND, head_VD, k, shortlist):
    return native.head_top_by_shortlist(hidden_ND, head_VD, k, shortlist)[1].tolist()


def assert_unmoved(hidden_ND, head_VD, k, shortlist):
    found = native.head_top_by_shortlist(hidden_ND, head_VD, k, shortlist)
    wanted = native.head_top(hidden_ND, head_VD, k)
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_array_equal(found[0].view(np.int32), wanted[0].view(np.int32))


@SETTINGS
@given(
    arguments=arrays_for(reference.head_log_probs, dtype="float32", patterns=PATTERNS, zeros="ND"),
    top=st.integers(0, 12),
)
def test_made_and_used_as_the_reference_says(level, arguments, top):
    hidden_ND, head_VD = arguments["hidden_ND"], arguments["head_VD"]
    with np.errstate(all="ignore"), left_alone(arguments):
        made = native.make_shortlist(head_VD)
        wanted = make_shortlist(head_VD)
        np.testing.assert_array_equal(made.codes_VD, wanted.codes_VD)
        np.testing.assert_array_equal(made.scales_V, wanted.scales_V)
        np.testing.assert_allclose(made.radii_V, wanted.radii_V, rtol=3e-7)
        for rows in (hidden_ND[:4], hidden_ND):  # a shortlist serves few, and is no harm to many
            assert_unmoved(rows, head_VD, min(top, len(head_VD)), made)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("top", [1, 51, 200])
def test_over_several_blocks(level, dtype, top):
    rng = np.random.default_rng(5)
    head_VD = numbers(rng, (1700, 70), "normal", dtype)
    shortlist = native.make_shortlist(head_VD)
    for rows in (1, 2, 4, 5):
        assert_unmoved(numbers(rng, (rows, 70), "normal", "float32"), head_VD, top, shortlist)


def test_the_limits_are_those_of_the_library():
    assert (lib.PYXGLM_SHORTLIST_ROWS, lib.PYXGLM_SHORTLIST_TOP) == (ROWS, TOP)


def test_of_equal_tokens_the_first_is_the_best(level):
    head_VD = np.zeros((1200, 8), np.float32)
    shortlist = native.make_shortlist(head_VD)
    hidden_ND = np.ones((1, 8), np.float32)
    assert best(hidden_ND, head_VD, 3, shortlist) == [[0, 1, 2]]
    head_VD[[700, 900]] = 1.0
    shortlist = native.make_shortlist(head_VD)
    assert best(hidden_ND, head_VD, 3, shortlist) == [[700, 900, 0]]


def test_the_whole_radius_is_needed(level):
    """What codes leave out decides: it points along the hidden state.

    A token whose codes leave nothing out is better than the other's score, by 0.99 of the
    radius; but that one's logit is better by all of it.
    """
    rng = np.random.default_rng(5)
    for _ in range(20):
        row = rng.standard_normal(24, np.float32)
        codes_VD, scales_V, _ = (exact(array) for array in make_shortlist(row[None]))
        left_out = exact(row) - scales_V[0] * codes_VD[0]
        hidden_D = (64 * left_out).astype(np.float32)
        at = np.abs(hidden_D).argmax()
        plain = np.zeros(24, np.float32)
        score = scales_V[0] * codes_VD[0] @ exact(hidden_D)
        plain[at] = (score + 0.99 * np.linalg.norm(left_out) * np.linalg.norm(hidden_D)) / (
            hidden_D[at]
        )
        head_VD = np.stack([plain, row])
        shortlist = native.make_shortlist(head_VD)
        assert best(hidden_D[None], head_VD, 1, shortlist) == [[1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes_VD": np.zeros((3, 2), np.int8)},
         r"^head_top_by_shortlist: codes_VD of the shortlist is int8 \(3, 2\), expected int8"
         r" \(4, 2\) in one piece: that of this head$"),
        ({"codes_VD": np.zeros((4, 2), np.uint8)}, r"codes_VD of the shortlist is uint8 \(4, 2\)"),
        ({"codes_VD": np.zeros((2, 4), np.int8).T}, r"expected int8 \(4, 2\) in one piece"),
        ({"scales_V": np.zeros(4)}, r"scales_V of the shortlist is float64 \(4,\), expected f"),
        ({"radii_V": np.zeros((4, 1), "f4")}, r"radii_V of the shortlist is float32 \(4, 1\)"),
    ],
)  # fmt: skip
def test_the_shortlist_of_another_head_is_refused(change, message):
    head_VD = np.ones((4, 2), np.float32)
    shortlist: Shortlist = native.make_shortlist(head_VD)
    with pytest.raises(ValueError, match=message):
        best(np.ones((1, 2), "f4"), head_VD, 1, shortlist._replace(**change))
    with pytest.raises(ValueError, match=r"head_VD has shape \(4,\), expected a matrix$"):
        native.make_shortlist(head_VD[:, 0])
