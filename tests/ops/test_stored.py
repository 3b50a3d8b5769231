"""Stored numbers: widened exactly, narrowed to the nearest, every pattern of bfloat16."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pyxglm.check.patterns import LAYOUTS
from pyxglm.dtypes import DTYPES, as_dtype, bfloat16, convert, dtype_name
from pyxglm.ops.reference import widen

PATTERNS = np.arange(2**16, dtype=np.uint16)


def bfloat16_value(bits: int) -> float:
    """Return what 16 bits mean: a sign, 8 bits of exponent, 7 of fraction."""
    sign = -1.0 if bits >> 15 else 1.0
    exponent, fraction = bits >> 7 & 0xFF, bits & 0x7F
    if exponent == 0xFF:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, -133)
    return sign * math.ldexp(128 + fraction, exponent - 134)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_bfloat16_is_widened_exactly(dtype: str) -> None:
    stored = PATTERNS.view(bfloat16)
    with np.errstate(invalid="ignore"):  # float64 tells a signalling NaN from a quiet one
        found = widen(stored, np.dtype(dtype))
    wanted = np.array([bfloat16_value(bits) for bits in PATTERNS.tolist()])
    assert found.dtype == dtype
    assert np.array_equal(found, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(found), PATTERNS >= 2**15)
    converted = convert(stored, dtype)  # without a warning
    assert np.array_equal(converted, wanted, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_float16_is_widened_exactly(dtype: str) -> None:
    found = widen(PATTERNS.view(np.float16), np.dtype(dtype))
    exponent, fraction = (PATTERNS >> 10 & 0x1F).astype(int), (PATTERNS & 0x3FF).astype(float)
    size = np.where(exponent, (1024 + fraction) * 2.0 ** (exponent - 25), fraction * 2.0**-24)
    size[exponent == 31] = np.where(fraction[exponent == 31] == 0, np.inf, np.nan)
    assert found.dtype == dtype
    assert np.array_equal(found, np.where(PATTERNS >> 15, -size, size), equal_nan=True)


def test_widening_what_is_wide_copies_nothing() -> None:
    weight = np.ones(3, np.float32)
    assert widen(weight, np.float32) is weight


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("stored", ["bfloat16", "float16", "float32", "float64"])
def test_widening_in_every_layout(layout: str, stored: str) -> None:
    values = np.arange(-12.0, 12).reshape(2, 3, 4)  # exact in every dtype
    weight = LAYOUTS[layout](convert(values, stored))
    before = weight.tobytes()
    assert np.array_equal(widen(weight, np.float32), values)
    assert np.array_equal(widen(weight[0, 1], np.float64), values[0, 1])
    assert weight.tobytes() == before


# ------------------------------------------------------------------------------ narrowing


def nearest_bfloat16(single: np.ndarray) -> np.ndarray:
    """Return the nearer of the two neighbours of each float32, the even one in a tie."""
    down = single.view(np.uint32) >> 16
    value = single.astype(np.float64)
    below, above = (
        np.array([bfloat16_value(b) for b in range(2**16)])[(down + step) & 0xFFFF]
        for step in (0, 1)
    )
    # One step above the largest number stands 2 ** 128, which is stored as infinity.
    above = np.where(np.isinf(above), np.copysign(2.0**128, value), above)
    nearer = np.abs(value - above) < np.abs(value - below)
    tie = np.abs(value - above) == np.abs(value - below)
    return down + (nearer | (tie & (down & 1 == 1)))


@pytest.mark.parametrize("low", [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
def test_float32_is_rounded_to_the_nearest_bfloat16(low: int) -> None:
    bits = PATTERNS.astype(np.uint32) << 16 | np.uint32(low)
    single = bits.view(np.float32)
    finite = np.isfinite(single)
    found = convert(single, "bfloat16")["bfloat16"]
    with np.errstate(invalid="ignore"):
        wanted = nearest_bfloat16(single[finite])
    assert np.array_equal(found[finite], wanted)
    # Infinity stays what it is, and NaN a NaN of the same sign, never an infinity.
    infinite = np.isinf(single)
    assert np.array_equal(found[infinite], bits[infinite] >> 16)
    nan = np.isnan(single)
    assert nan.sum() in (254, 256)
    assert np.all((found[nan] & 0x7F80 == 0x7F80) & (found[nan] & 0x7F != 0))
    assert np.array_equal(found[nan] >> 15, bits[nan] >> 31)


def test_beyond_a_narrow_range_is_infinity_without_a_warning() -> None:
    huge = np.array([1e39, -1e39, 3.4e38, 65520.0, 65519.0])
    assert convert(huge, "float32")[:2].tolist() == [np.inf, -np.inf]
    assert widen(convert(huge, "bfloat16"), np.float32).tolist()[:3] == [np.inf, -np.inf, np.inf]
    assert convert(huge, "float16")[3:].tolist() == [np.inf, 65504.0]
    largest = np.array([0x7F7F], "<u2").view(bfloat16)
    assert np.isinf(convert(largest, "float16"))[0]


def test_float64_goes_to_bfloat16_by_way_of_float32() -> None:
    # Just above a tie in float64, a tie in float32: to even, as torch rounds.
    value = 1 + 2.0**-8 + 2.0**-40
    assert convert(np.array([value]), "bfloat16")["bfloat16"].tolist() == [0x3F80]


@pytest.mark.parametrize("one", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("other", ["float32", "float16", "bfloat16", "float64"])
def test_small_whole_numbers_survive_any_conversion(one: str, other: str) -> None:
    values = np.arange(-8.0, 8).reshape(4, 4)
    stored = convert(values, one)
    found = convert(stored, other)
    assert found.dtype == DTYPES[other]
    assert (found is stored) == (one == other)
    assert np.array_equal(convert(found, "float64"), values)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (3, 2)])
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_narrowing_keeps_the_shape(shape: tuple[int, ...], layout: str) -> None:
    array = np.full(shape, 3.0, np.float32)
    array = LAYOUTS[layout](array) if shape else array
    for target in DTYPES:
        found = convert(array, target)
        assert isinstance(found, np.ndarray)
        assert found.shape == shape
        assert np.all(convert(found, "float32") == 3)


def test_big_endian_numbers_are_turned_round() -> None:
    found = convert(np.array([1.5, -2.0], ">f4"), "float32")
    assert found.dtype == np.dtype("<f4")
    assert found.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("float16", "float16"), ("torch.float16", "float16"), ("torch.bfloat16", "bfloat16"),
        (np.float32, "float32"), (np.dtype("f8"), "float64"), (float, "float64"),
        (bfloat16, "bfloat16"), ("<f2", "float16"), (np.dtype(">f4"), "float32"),
    ],
)  # fmt: skip
def test_names_of_dtypes(given: object, wanted: str) -> None:
    assert dtype_name(as_dtype(given)) == wanted


class PrintsAsTorch:
    def __str__(self) -> str:
        return "torch.float16"


def test_a_torch_dtype_is_known_by_how_it_prints() -> None:
    assert as_dtype(PrintsAsTorch()) == np.float16


@pytest.mark.parametrize("given", ["int8", "float128", "", "fp16", np.int64, bool, None, 3, [], {}])
def test_other_dtypes_are_refused_by_name(given: Any) -> None:
    with pytest.raises(ValueError, match=r"^dtype is .*, expected one of float32, float16"):
        as_dtype(given)
