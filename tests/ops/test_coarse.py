"""The reference of `compute="bfloat16"`: rounding, and products of what is rounded."""

from __future__ import annotations

import inspect
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import arrays_for, exact, left_alone

from pyxglm.dtypes import convert
from pyxglm.ops import coarse, reference
from pyxglm.ops.stored import round_to_bfloat16, rounded_blocks

SETTINGS = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def nearest(x: float) -> Fraction:
    """The nearest number with 8 significant bits, found among all multiples of the last place."""
    size = abs(Fraction(x))
    # Of the last of 8 bits, and at least bfloat16's smallest number.
    place = Fraction(2) ** max(math.frexp(x)[1] - 8, -133)
    below = size // place
    rest = size - below * place
    up = rest > place / 2 or (rest == place / 2 and below % 2 == 1)
    return (below + up) * place * (1 if x >= 0 else -1)


@SETTINGS
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_rounding_is_to_nearest_even(x: float) -> None:
    (found,) = round_to_bfloat16(np.float32([x])).tolist()
    wanted = nearest(x)
    if abs(wanted) >= Fraction(2) ** 128:
        assert found == np.copysign(np.inf, x)
    else:
        assert Fraction(found) == wanted


def test_rounding_at_ties_and_at_the_ends() -> None:
    half = 2.0**-8  # of the last place of 1
    x = [1 + half, 1 + 3 * half, -1 - half, 3.397e38, np.inf, -np.inf, np.nan, -0.0, 1e-45]
    found = round_to_bfloat16(np.float32(x))
    assert found[:6].tolist() == [1, 1 + 4 * half, -1, np.inf, np.inf, -np.inf]
    assert np.isnan(found[6])
    assert found[7:].tolist() == [0, 0]
    assert np.signbit(found[7])
    assert round_to_bfloat16(np.float64([1.001])).dtype == np.float64


@SETTINGS
@given(arguments=arrays_for(reference.linear, dtype="float32"))
def test_linear_is_the_product_of_rounded_numbers(arguments: dict[str, Any]) -> None:
    plain = {**arguments, "activation": None}
    with left_alone(plain):
        found = coarse.linear(**plain)
    x, w = (np.vectorize(nearest, otypes=[object])(widened(arguments[name]))
            for name in ("x_BTI", "weight_OI"))  # fmt: skip
    if not x.size or not w.size:
        return
    wanted, size = x @ w.T, np.abs(x) @ np.abs(w).T
    for name in ("bias_O", "residual_BTO"):
        if plain[name] is not None:
            wanted, size = wanted + exact(plain[name]), size + abs(exact(plain[name]))
    error = np.abs(exact(found) - wanted)
    assert (error <= (x.shape[-1] + 4) * 2.0**-23 * size + 1e-37).all()


def widened(array: Any) -> np.ndarray:
    return np.asarray(reference.widen(array, np.float32), np.float64)


def test_linear_applies_what_follows_the_product() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 40)).astype("f4"), rng.standard_normal((900, 40), "f4")
    b, r = rng.standard_normal(900, "f4"), rng.standard_normal((2, 3, 900), "f4")
    found = coarse.linear(x, w, b, activation="gelu", residual_BTO=r)
    rounded = round_to_bfloat16(x), round_to_bfloat16(w)
    wanted = reference.linear(*rounded, b, activation="gelu", residual_BTO=r)
    assert np.allclose(found, wanted, rtol=0, atol=1e-5)
    assert np.abs(found - reference.linear(x, w, b, activation="gelu", residual_BTO=r)).max() > 1e-3


def test_the_head_takes_rounded_numbers() -> None:
    rng = np.random.default_rng(1)
    hidden, head = rng.standard_normal((40, 30), "f4"), rng.standard_normal((1300, 30), "f4")
    rounded = round_to_bfloat16(hidden), convert(head, "bfloat16")
    targets = rng.integers(0, 1300, 40)
    for found, wanted, exactly in (
        (coarse.head_top(hidden, head, 4), reference.head_top(*rounded, 4),
         reference.head_top(hidden, head, 4)),
        (coarse.head_log_probs(hidden, head, targets), reference.head_log_probs(*rounded, targets),
         reference.head_log_probs(hidden, head, targets)),
    ):  # fmt: skip
        assert np.allclose(found[0], wanted[0], rtol=0, atol=1e-5)
        assert np.allclose(found[1], wanted[1], rtol=0, atol=1e-5)
        assert np.abs(found[0] - exactly[0]).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_matrix_is_rounded_by_blocks(dtype: str) -> None:
    weight = convert(np.random.default_rng(2).standard_normal((3000, 1024), "f4"), dtype)
    blocks = list(rounded_blocks(weight, np.dtype("f4")))
    assert len(blocks) > 5
    assert np.concatenate([rows for _, rows in blocks]).tobytes() == (
        round_to_bfloat16(reference.widen(weight, np.float32)).tobytes()
    )


def test_the_names_and_signatures_are_those_of_the_reference() -> None:
    for name in ("linear", "head_top", "head_log_probs"):
        assert inspect.signature(getattr(coarse, name)) == (
            inspect.signature(getattr(reference, name))
        )
        assert getattr(coarse, name) is not getattr(reference, name)
    for name in ("layer_norm", "attention", "embed", "widen", "ACTIVATIONS"):
        assert getattr(coarse, name) is getattr(reference, name)
    with pytest.raises(AttributeError):
        _ = coarse.nothing
