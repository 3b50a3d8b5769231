"""Embedding, layer norm and linear against loops and exact sums.

In the bounds u is the distance from 1 to the next number of the dtype. A sum of
n products, added in any order, is off by at most (n + 1) u Σ|a b|; with the
products' own rounding and one more operation each for bias and residual we
allow (n + 4) u. Below the smallest normal number a rounding is absolute.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ops import naive
from strategies import arrays_for, exact, left_alone

from pyxglm.check.patterns import EXTREME
from pyxglm.dtypes import bfloat16, convert
from pyxglm.ops import stored as stored_numbers
from pyxglm.ops.reference import ACTIVATIONS, add_positions, embed, layer_norm, linear

quick = settings(max_examples=60, deadline=None, derandomize=True)


def zeros_for(array: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape) if array is None else exact(array)


def tiny(dtype: Any, count: int) -> float:
    return count * float(np.finfo(dtype).smallest_subnormal)


# --------------------------------------------------------------------------------- linear


@quick
@given(arrays_for(linear, activation=None))
def test_linear(arguments: dict[str, Any]) -> None:
    x_BTI, weight_OI = arguments["x_BTI"], arguments["weight_OI"]
    (B, T, inner), outer = x_BTI.shape, len(weight_OI)
    with left_alone(arguments):
        found = linear(**arguments)
    assert (found.dtype, found.shape) == (x_BTI.dtype, (B, T, outer))
    # A float64 weight is rounded to a float32 activation's dtype before it is used.
    weight_OI, bias_O, residual_BTO = (
        zeros_for(array if array is None else convert_up(array, x_BTI.dtype), shape)
        for array, shape in (
            (weight_OI, (outer, inner)),
            (arguments["bias_O"], (outer,)),
            (arguments["residual_BTO"], (B, T, outer)),
        )
    )
    wanted, size = naive.linear(exact(x_BTI), weight_OI, bias_O, residual_BTO)
    bound = (inner + 4) * np.finfo(x_BTI.dtype).eps * size + tiny(x_BTI.dtype, inner + 4)
    assert np.all(np.abs(found - wanted) <= bound)


def convert_up(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a stored array in the arithmetic dtype, without the code under test."""
    return exact(array).astype(dtype)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_linear_applies_the_activation_before_the_residual(activation: str) -> None:
    generator = np.random.default_rng(1)
    x_BTI, weight_OI, bias_O = (generator.standard_normal(s) for s in ((2, 3, 5), (7, 5), (7,)))
    residual_BTO = generator.standard_normal((2, 3, 7))
    found = linear(x_BTI, weight_OI, bias_O, activation=activation, residual_BTO=residual_BTO)
    wanted = [naive.ACTIVATIONS[activation](y) for y in linear(x_BTI, weight_OI, bias_O).flat]
    np.testing.assert_allclose(found, np.reshape(wanted, found.shape) + residual_BTO, atol=1e-13)


def test_linear_refuses_an_unknown_activation() -> None:
    with pytest.raises(KeyError, match="gelu_2"):
        linear(np.ones((1, 1, 1)), np.ones((1, 1)), activation="gelu_2")


@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("block_bytes", [1, 100, 2**20])
def test_linear_widens_a_stored_matrix_by_blocks(
    stored: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The blocks must cover every row once, also when they do not divide the matrix.
    monkeypatch.setattr(stored_numbers, "_BLOCK_BYTES", block_bytes)
    generator = np.random.default_rng(2)
    weight_OI = convert(generator.standard_normal((37, 5)).astype(np.float32), stored)
    x_BTI = generator.standard_normal((2, 3, 5))
    wanted = np.einsum("bti,oi->bto", x_BTI, exact(weight_OI))
    np.testing.assert_allclose(linear(x_BTI, weight_OI), wanted, rtol=1e-12, atol=1e-13)


def test_linear_never_makes_a_wide_copy_of_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    widened = []
    monkeypatch.setattr(
        stored_numbers, "widen", lambda w, dtype: widened.append(w.nbytes) or w.astype(dtype)
    )
    linear(np.ones((1, 1, 64), np.float32), np.ones((40_000, 64), np.float16))
    assert sum(widened) == 40_000 * 64 * 2
    assert max(widened) <= 2**20


@quick
@given(arrays_for(linear, patterns=EXTREME, activation=None, stored=("float32",)), st.data())
def test_linear_keeps_rows_apart(arguments: dict[str, Any], data: st.DataObject) -> None:
    # Whatever one token holds, NaN included, another token's result is the same without it.
    # (Near overflow a sum's order shows, and BLAS chooses it by the memory's layout: one layout.)
    x_BTI = arguments["x_BTI"] = arguments["x_BTI"].copy()
    assume(x_BTI.shape[0] > 0 and x_BTI.shape[1] > 1)
    keep = data.draw(st.integers(0, x_BTI.shape[1] - 1))
    others = np.arange(x_BTI.shape[1]) != keep
    plain = x_BTI.copy()
    plain[:, others] = 1
    with np.errstate(all="ignore"), left_alone(arguments):
        found = linear(**arguments)[:, keep]
        wanted = linear(**{**arguments, "x_BTI": plain})[:, keep]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    finite = np.isfinite(wanted)
    np.testing.assert_allclose(found[finite], wanted[finite], rtol=1e-3)


def test_linear_passes_infinity_and_nan_through() -> None:
    x_BTI = np.array([[[1.0, np.inf], [np.nan, 0.0], [np.inf, 1.0]]])
    with np.errstate(all="ignore"):
        found = linear(x_BTI, np.array([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]]))[0]
    assert found[0].tolist() == [np.inf, -np.inf, np.inf]
    assert np.isnan(found[1]).all()
    assert np.isnan(found[2]).tolist() == [False, False, True]  # 0 times infinity


# ----------------------------------------------------------------------------- layer norm


@quick
@given(arrays_for(layer_norm))
def test_layer_norm(arguments: dict[str, Any]) -> None:
    x_BTD, dtype = arguments["x_BTD"], arguments["x_BTD"].dtype
    with left_alone(arguments):
        found = layer_norm(**arguments)
    assert (found.dtype, found.shape) == (dtype, x_BTD.shape)
    weight_D, bias_D = (exact(convert_up(arguments[n], dtype)) for n in ("weight_D", "bias_D"))
    n, u = x_BTD.shape[-1], float(np.finfo(dtype).eps)
    for place in np.ndindex(x_BTD.shape[:2]):
        x_D = exact(x_BTD[place])
        wanted, mean, variance = naive.layer_norm(x_D.tolist(), weight_D.tolist(), bias_D.tolist())
        # The mean is off by (n + 1) u max|x|, so is each difference from it; that in turn puts
        # the variance off, and the deviation by half as much, relatively.
        centre = (n + 3) * u * np.abs(x_D).max()
        deviation = np.sqrt(variance + 1e-5)
        spread = (2 * np.sqrt(variance) * centre + centre**2 + (n + 4) * u * variance) / (
            deviation**2
        )
        steps = centre / deviation + np.abs(x_D - mean) / deviation * (min(spread, 1) + 6 * u)
        # However wrong the mean is, a normalised number is at most sqrt(n).
        steps = np.minimum(steps, 2 * np.sqrt(n)) if spread > 0.5 else steps
        bound = np.abs(weight_D) * steps + 4 * u * (np.abs(wanted) + np.abs(bias_D))
        assert np.all(np.abs(found[place] - wanted) <= bound + tiny(dtype, 4))


def test_layer_norm_gives_mean_zero_and_variance_one() -> None:
    x_BTD = np.random.default_rng(3).normal(5, 20, (2, 3, 64))
    y_BTD = layer_norm(x_BTD, np.ones(64), np.zeros(64))
    assert np.abs(y_BTD.mean(axis=-1)).max() < 1e-14
    variance = x_BTD.var(axis=-1)  # biased: divided by D
    np.testing.assert_allclose(y_BTD.var(axis=-1), variance / (variance + 1e-5), rtol=1e-13)


@quick
@given(arrays_for(layer_norm, dtype="float64", patterns=("normal",)))
def test_layer_norm_does_not_see_shift_and_scale(arguments: dict[str, Any]) -> None:
    x_BTD = arguments["x_BTD"]
    assume(x_BTD.shape[-1] > 2)
    found = layer_norm(**arguments)
    shifted = layer_norm(**{**arguments, "x_BTD": x_BTD + 4})
    np.testing.assert_allclose(shifted, found, rtol=1e-9, atol=1e-9)
    # eps is added to the variance, so scaling is seen by as much as eps is to the variance.
    scaled = layer_norm(**{**arguments, "x_BTD": x_BTD * 1024})
    with np.errstate(all="ignore"):
        seen = 1e-5 / (x_BTD.var(axis=-1, keepdims=True) + 1e-5) + 1e-9
    magnitude = np.abs(scaled) + np.abs(exact(arguments["bias_D"]))
    assert np.all(np.abs(scaled - found) <= seen * magnitude + 1e-12)


def test_layer_norm_of_one_number_is_the_bias() -> None:
    x_BTD = np.array([[[7.0], [-1e30], [0.0]]])
    assert layer_norm(x_BTD, np.array([3.0]), np.array([0.5])).tolist() == [[[0.5], [0.5], [0.5]]]


def test_layer_norm_epsilon_is_that_of_the_model() -> None:
    # One vector of variance 1e-5: as large as the epsilon, so that it halves the square.
    x_D = np.array([1.0, -1.0]) * np.sqrt(1e-5)
    np.testing.assert_allclose(
        layer_norm(x_D[None, None], np.ones(2), np.zeros(2))[0, 0], [np.sqrt(0.5), -np.sqrt(0.5)]
    )


def test_layer_norm_keeps_tokens_apart() -> None:
    x_BTD = np.random.default_rng(4).standard_normal((2, 3, 8))
    plain = layer_norm(x_BTD, np.ones(8), np.zeros(8))
    x_BTD[0, 1, 2] = np.nan
    x_BTD[1, 0, 3] = np.inf
    with np.errstate(all="ignore"):
        found = layer_norm(x_BTD, np.ones(8), np.zeros(8))
    hit = np.zeros((2, 3), bool)
    hit[0, 1] = hit[1, 0] = True
    assert np.isnan(found[hit]).all()
    assert np.array_equal(found[~hit], plain[~hit])


# ------------------------------------------------------------------------------ embedding


@quick
@given(arrays_for(embed))
def test_embed(arguments: dict[str, Any]) -> None:
    with left_alone(arguments):
        found = embed(**arguments)
    dtype = arguments["dtype"]
    B, T = arguments["ids_BT"].shape
    assert (found.dtype, found.shape) == (dtype, (B, T, arguments["embed_VD"].shape[1]))
    embed_VD = exact(convert_up(arguments["embed_VD"], dtype))
    table_PD = exact(convert_up(arguments["table_PD"], dtype))
    for b, t in np.ndindex(B, T):
        token = embed_VD[arguments["ids_BT"][b, t]] * arguments["scale"]
        position = table_PD[arguments["positions_BT"][b, t] + 2]
        # One rounding of the scale, one of the product, one of the sum.
        bound = 3 * np.finfo(dtype).eps * (np.abs(token) + np.abs(position)) + tiny(dtype, 3)
        assert np.all(np.abs(found[b, t] - (token + position)) <= bound)


@quick
@given(arrays_for(add_positions))
def test_add_positions(arguments: dict[str, Any]) -> None:
    with left_alone(arguments):
        found = add_positions(**arguments)
    embeds_BTD, table_PD = arguments["embeds_BTD"], arguments["table_PD"]
    assert found.dtype == embeds_BTD.dtype
    for b, t in np.ndindex(embeds_BTD.shape[:2]):  # one addition, correctly rounded
        row_D = table_PD[arguments["positions_BT"][b, t] + 2]
        assert np.array_equal(found[b, t], embeds_BTD[b, t] + row_D)


def test_one_row_of_positions_serves_the_whole_batch() -> None:
    table_PD = np.arange(12.0).reshape(6, 2)
    found = add_positions(np.zeros((3, 2, 2)), np.array([[-2, 3]]), table_PD)
    assert found.tolist() == [[[0, 1], [10, 11]]] * 3


def test_no_arithmetic_takes_bfloat16_for_numbers() -> None:
    weight = convert(np.ones(3, np.float32), "bfloat16")
    assert weight.dtype == bfloat16
    with pytest.raises(TypeError):
        weight + weight
