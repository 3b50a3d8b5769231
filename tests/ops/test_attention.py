"""Softmax, masks and attention against loops and exact sums, and by their properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ops import naive
from strategies import arrays, arrays_for, exact, left_alone

from pyxglm.ops.reference import attention, softmax, visible_keys

quick = settings(max_examples=60, deadline=None, derandomize=True)

#: Values for which scores and their differences stay small enough to bound.
MILD = ("normal", "zeros", "subnormal")

shapes = st.sampled_from([(1, 1), (3, 1), (2, 7), (2, 3, 16), (1, 2, 3, 33), (0, 5), (4, 300)])


# -------------------------------------------------------------------------------- softmax


@quick
@given(st.data(), shapes, st.sampled_from(["float32", "float64"]))
def test_softmax(data: st.DataObject, shape: tuple[int, ...], dtype: str) -> None:
    x = data.draw(arrays(shape, dtype))
    with left_alone({"x": x}):
        found = softmax(x)
    assert (found.dtype, found.shape) == (x.dtype, shape)
    u, n = float(np.finfo(dtype).eps), shape[-1]
    for row, scores in zip(found.reshape(-1, n), exact(x).reshape(-1, n), strict=True):
        wanted = np.array(naive.softmax(scores.tolist()))
        # The difference to the maximum, d, is rounded: exp is off by d u, relatively, and the
        # sum by the mean of that; n more for adding up, 8 for exp itself and the quotient.
        depth = scores.max() - scores
        bound = wanted * u * (depth + (wanted * depth).sum() + n + 8)
        assert np.all(np.abs(row - wanted) <= bound + 4 * np.finfo(dtype).tiny)
        assert abs(float(row.sum(dtype=np.float64)) - 1) <= (n + 8) * u


@quick
@given(st.data(), st.sampled_from(["float32", "float64"]))
def test_softmax_sees_only_differences(data: st.DataObject, dtype: str) -> None:
    x = np.round(data.draw(arrays((3, 9), dtype, MILD)) * 16)  # so that adding 1024 is exact
    assert np.array_equal(softmax(x + 1024), softmax(x))


def test_softmax_does_not_overflow() -> None:
    assert softmax(np.array([[1e308, 1e308, 0.0]])).tolist() == [[0.5, 0.5, 0.0]]
    assert softmax(np.array([3e38, 0.0, -1e37], np.float32)).tolist() == [1.0, 0.0, 0.0]
    with np.errstate(over="ignore"):  # the difference is infinite, as it should be
        assert softmax(np.array([3e38, -3e38], np.float32)).tolist() == [1.0, 0.0]


def test_softmax_of_what_is_no_number() -> None:
    with np.errstate(all="ignore"):
        found = softmax(np.array([[0.0, -np.inf], [np.nan, 0.0], [np.inf, 0.0], [-np.inf] * 2]))
    assert found[0].tolist() == [1.0, 0.0]
    assert np.isnan(found[1:]).all()


def test_softmax_of_nothing_is_nothing() -> None:
    assert softmax(np.zeros((2, 3, 0), np.float32)).shape == (2, 3, 0)


# ---------------------------------------------------------------------------------- masks


@quick
@given(arrays_for(visible_keys))
def test_visible_keys(arguments: dict[str, Any]) -> None:
    T, S, keys_BS = arguments["T"], arguments["S"], arguments["keys_BS"]
    visible_BTS = arguments["visible_BTS"]
    with left_alone(arguments):
        found = visible_keys(**arguments)
    batches = [len(mask) for mask in (keys_BS, visible_BTS) if mask is not None]
    B = batches[0] if batches else 1
    everything = np.ones((B, T, S), bool)
    found = everything if found is None else np.broadcast_to(found, (B, T, S))
    for b in range(B):
        for t in range(T):
            wanted = naive.seen(
                t, T, S, arguments["causal"],
                None if keys_BS is None else keys_BS[b],
                None if visible_BTS is None else visible_BTS[b],
            )  # fmt: skip
            assert np.flatnonzero(found[b, t]).tolist() == wanted


def test_one_query_without_a_mask_is_not_masked() -> None:
    # None, not a mask of True: then nothing is clamped either, as in transformers.
    assert visible_keys(1, 5) is None
    assert visible_keys(3, 5, causal=False) is None


# ------------------------------------------------------------------------------ attention


@quick
@given(arrays_for(attention, patterns=MILD, return_weights=True))
def test_attention(arguments: dict[str, Any]) -> None:
    q_BHTK, k_BHSK, v_BHSK = (arguments[name] for name in ("q_BHTK", "k_BHSK", "v_BHSK"))
    (B, H, T, K), S, dtype = q_BHTK.shape, k_BHSK.shape[2], q_BHTK.dtype
    with left_alone(arguments):
        out_BHTK, weights_BHTS = attention(**arguments)
    assert (out_BHTK.shape, out_BHTK.dtype) == ((B, H, T, K), dtype)
    assert (weights_BHTS.shape, weights_BHTS.dtype) == ((B, H, T, S), dtype)
    u, keys_BS, visible_BTS = float(np.finfo(dtype).eps), *(
        arguments[name] for name in ("keys_BS", "visible_BTS")
    )  # fmt: skip
    heads_H = np.ones(H) if arguments["head_mask_H"] is None else exact(arguments["head_mask_H"])
    for b, h in np.ndindex(B, H):
        seen_T = [
            naive.seen(
                t, T, S, arguments["causal"],
                None if keys_BS is None else keys_BS[b],
                None if visible_BTS is None else visible_BTS[b],
            )
            for t in range(T)
        ]  # fmt: skip
        v_SK = exact(v_BHSK[b, h])
        wanted_TK, chosen_TS, size_T = naive.attention(
            exact(q_BHTK[b, h]), exact(k_BHSK[b, h]), v_SK, seen_T
        )
        # A score is off by (K + 2) u Σ|q k| and a weight, relatively, by the difference of two
        # such; the softmax adds what test_softmax allows, of depth at most 2 Σ|q k|.
        error_T1 = (u * ((2 * K + 8) * size_T + S + 12))[:, None]
        weights_TS = chosen_TS * heads_H[h]
        floor = 4 * float(np.finfo(dtype).tiny)
        assert np.all(
            np.abs(weights_BHTS[b, h] - weights_TS) <= np.abs(weights_TS) * error_T1 + floor
        )
        size_TK = np.abs(weights_TS) @ np.abs(v_SK)
        bound = size_TK * (error_T1 + (S + 2) * u) + floor * (1 + np.abs(v_SK).sum())
        assert np.all(np.abs(out_BHTK[b, h] - wanted_TK * heads_H[h]) <= bound)


@quick
@given(arrays_for(attention, patterns=MILD, return_weights=True, head_mask_H=None))
def test_attention_stays_within_the_values_it_sees(arguments: dict[str, Any]) -> None:
    out_BHTK, weights_BHTS = attention(**arguments)
    v_BHSK = arguments["v_BHSK"]
    S = v_BHSK.shape[2]
    assume(S and out_BHTK.size)
    slack = (S + 8) * np.finfo(v_BHSK.dtype).eps * np.abs(v_BHSK).max()
    assert np.all(out_BHTK <= v_BHSK.max(axis=2, keepdims=True) + slack)
    assert np.all(out_BHTK >= v_BHSK.min(axis=2, keepdims=True) - slack)
    assert np.all(weights_BHTS >= 0)
    assert np.abs(weights_BHTS.sum(axis=-1) - 1).max() <= (S + 8) * np.finfo(v_BHSK.dtype).eps


@quick
@given(arrays_for(attention, patterns=MILD))
def test_attention_goes_where_it_is_wanted(arguments: dict[str, Any]) -> None:
    expected, _ = attention(**arguments)
    B, H, T, K = expected.shape
    place = np.full((B, T + 2, H, K), 7, expected.dtype)
    found, _ = attention(**{**arguments, "out_BHTK": place[:, 1:-1].swapaxes(1, 2)})
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(place[:, 1:-1], expected.swapaxes(1, 2), equal_nan=True)
    assert np.all(place[:, [0, -1]] == 7)


@quick
@given(
    # In one layout: the products of others may be added up in another order.
    arrays_for(
        attention,
        causal=True,
        visible_BTS=None,
        patterns=MILD,
        return_weights=True,
        layouts=("contiguous",),
    ),
    st.data(),
)
def test_a_token_does_not_see_the_future(arguments: dict[str, Any], data: st.DataObject) -> None:
    T, S = arguments["q_BHTK"].shape[2], arguments["k_BHSK"].shape[2]
    keys_BS = arguments["keys_BS"]
    assume(T > 1)
    t = data.draw(st.integers(0, T - 2))
    future = slice(S - T + t + 1, None)
    assume(keys_BS is None or keys_BS[:, : S - T + t + 1].any(axis=-1).all())
    out_BHTK, weights_BHTS = attention(**arguments)
    changed = dict(arguments)
    for name in ("k_BHSK", "v_BHSK"):
        changed[name] = arguments[name].copy()
        changed[name][:, :, future] = 1e9
    out_2_BHTK, weights_2_BHTS = attention(**changed)
    assert np.array_equal(out_2_BHTK[:, :, t], out_BHTK[:, :, t])
    assert np.array_equal(weights_2_BHTS[:, :, t], weights_BHTS[:, :, t])
    if arguments["head_mask_H"] is None:
        assert not weights_BHTS[:, :, t, future].any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_has_no_weight_at_all(dtype: str) -> None:
    generator = np.random.default_rng(5)
    q_BHTK, k_BHSK, v_BHSK = generator.standard_normal((3, 2, 3, 4, 5)).astype(dtype)
    keys_BS = np.array([[0, 1, 1, 1], [1, 1, 0, 1]], bool)
    out_BHTK, weights_BHTS = attention(q_BHTK, k_BHSK, v_BHSK, keys_BS=keys_BS, return_weights=True)
    assert weights_BHTS is not None
    assert not weights_BHTS[0, :, 1:, 0].any()
    assert not weights_BHTS[1, :, :, 2].any()
    k_BHSK[0, :, 0] = v_BHSK[0, :, 0] = 1e6
    again_BHTK, _ = attention(q_BHTK, k_BHSK, v_BHSK, keys_BS=keys_BS)
    assert np.array_equal(again_BHTK[0, :, 1:], out_BHTK[0, :, 1:])


@pytest.mark.parametrize("score", [-1e4, -1e9, -1e30])
def test_the_lowest_score_of_all_is_that_of_a_masked_key(score: float) -> None:
    k_BHSK = np.array([1.0, 1.0, 0.0, 1.0], np.float32)[None, None, :, None]
    _, weights_BHTS = attention(
        np.full((1, 1, 4, 1), score, np.float32), k_BHSK, k_BHSK,
        keys_BS=np.array([[True, True, False, True]]), return_weights=True,
    )  # fmt: skip
    assert weights_BHTS is not None
    third = float(np.float32(1) / np.float32(3))
    assert weights_BHTS[0, 0, 1:].tolist() == [[0.5, 0.5, 0, 0]] * 2 + [[third, third, 0, third]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", ["padding on the left", "all padding", "a whole mask"])
def test_a_query_that_sees_nothing_looks_everywhere_alike(dtype: str, how: str) -> None:
    generator = np.random.default_rng(6)
    q_BHTK, k_BHSK, v_BHSK = generator.standard_normal((3, 1, 2, 5, 3)).astype(dtype) * 10
    masks: dict[str, dict[str, np.ndarray]] = {
        "padding on the left": {"keys_BS": np.array([[0, 0, 1, 1, 1]], bool)},
        "all padding": {"keys_BS": np.zeros((1, 5), bool)},
        "a whole mask": {"visible_BTS": np.arange(5)[None, :, None] * np.ones((1, 1, 5)) > 1},
    }
    out_BHTK, weights_BHTS = attention(q_BHTK, k_BHSK, v_BHSK, return_weights=True, **masks[how])
    assert weights_BHTS is not None
    blind = slice(None) if how == "all padding" else slice(0, 2)
    # Over all five keys, those of the future included, and exactly.
    assert np.all(weights_BHTS[:, :, blind] == np.dtype(dtype).type(1) / 5)
    mean_BH1K = v_BHSK.mean(axis=2, keepdims=True, dtype=np.float64)
    assert np.abs(out_BHTK[:, :, blind] - mean_BH1K).max() <= 1e-5


def test_a_whole_mask_replaces_the_causal_rule_and_padding() -> None:
    q_BHTK = k_BHSK = np.zeros((1, 1, 2, 1))
    v_BHSK = np.array([[[[2.0], [4.0]]]])
    visible_BTS = np.array([[[False, True], [True, False]]])
    out_BHTK, _ = attention(
        q_BHTK, k_BHSK, v_BHSK, visible_BTS=visible_BTS, keys_BS=np.array([[False, False]])
    )
    assert out_BHTK.ravel().tolist() == [4.0, 2.0]


def test_the_head_mask_comes_after_the_softmax() -> None:
    generator = np.random.default_rng(7)
    q_BHTK, k_BHSK, v_BHSK = generator.standard_normal((3, 2, 3, 4, 5))
    factors_H = np.array([0.0, 0.5, -2.0])
    plain_BHTK, plain_BHTS = attention(q_BHTK, k_BHSK, v_BHSK, return_weights=True)
    out_BHTK, weights_BHTS = attention(
        q_BHTK, k_BHSK, v_BHSK, return_weights=True, head_mask_H=factors_H
    )
    assert plain_BHTS is not None
    assert weights_BHTS is not None
    assert np.array_equal(weights_BHTS, plain_BHTS * factors_H[:, None, None])  # no longer sum 1
    np.testing.assert_allclose(out_BHTK, plain_BHTK * factors_H[:, None, None], atol=1e-14)


def test_scores_are_not_scaled_here() -> None:
    # Queries arrive scaled. Scores of 0 and ln 3 give a quarter and three quarters.
    q_BHTK = np.full((1, 1, 1, 4), 0.5)
    k_BHSK = np.array([0.0, np.log(3) / 2])[None, None, :, None] * np.ones(4)
    _, weights_BHTS = attention(q_BHTK, k_BHSK, k_BHSK, return_weights=True)
    assert weights_BHTS is not None
    np.testing.assert_allclose(weights_BHTS.ravel(), [0.25, 0.75], rtol=1e-14)


def test_weights_come_only_when_asked_for() -> None:
    array = np.ones((1, 1, 1, 1))
    assert attention(array, array, array)[1] is None


@pytest.mark.parametrize(("B", "T", "S"), [(0, 2, 3), (2, 0, 0), (2, 0, 3), (1, 1, 1)])
def test_nothing_to_attend_with(B: int, T: int, S: int) -> None:
    q_BHTK, k_BHSK = np.ones((B, 2, T, 3)), np.ones((B, 2, S, 3))
    out_BHTK, weights_BHTS = attention(q_BHTK, k_BHSK, k_BHSK, return_weights=True)
    assert out_BHTK.shape == (B, 2, T, 3)
    assert weights_BHTS is not None
    assert weights_BHTS.shape == (B, 2, T, S)


def test_nothing_to_attend_to_gives_zeros() -> None:
    k_BHSK = np.ones((1, 2, 0, 4), np.float32)
    out_BHTK, _ = attention(np.ones((1, 2, 3, 4), np.float32), k_BHSK, k_BHSK, causal=False)
    assert out_BHTK.shape == (1, 2, 3, 4)
    assert not out_BHTK.any()
