"""What callers pass, read: numbers and arrays of them, and what is refused in one sentence."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyxglm.dtypes import Array, bfloat16
from pyxglm.ops.reference import widen


def as_integers(name: str, value: Any) -> Array:
    """Return an argument as an int64 array.

    Raises
    ------
    TypeError
        If it holds anything but whole numbers.
    """
    array = _as_array(name, value)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{name} holds {array.dtype} values, expected whole numbers")
    return array.astype(np.int64, copy=False)


def whole_number(name: str, value: Any, lowest: int) -> int:
    """Return an argument that counts something as an int (NumPy's are whole numbers too).

    Raises
    ------
    ValueError
        If it is anything else, or below `lowest`.
    """
    try:
        number = lowest - 1 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = lowest - 1
    if number < lowest:
        raise ValueError(f"{name} is {value!r}, expected a whole number from {lowest}")
    return number


def as_numbers(name: str, value: Any, dtype: Any) -> Array:
    """Return an argument as an array in the arithmetic dtype.

    Raises
    ------
    TypeError
        If it holds anything but numbers or booleans.
    """
    array = _as_array(name, value)
    if array.dtype != bfloat16 and array.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {array.dtype} values, expected numbers")
    with np.errstate(all="ignore"):  # what float32 cannot hold becomes infinity
        return widen(array, dtype)


def check_no_mapping(name: str, value: Any) -> None:
    """Refuse a tokenizer's result that is given whole.

    Raises
    ------
    TypeError
        If the argument is a dict or a BatchEncoding.
    """
    if isinstance(value, Mapping):
        raise TypeError(
            f"{name} is a {type(value).__name__}, expected an array: write **inputs to pass what"
            " such inputs hold by name"
        )


def one_row(array: Array, B: int) -> Array:
    """Return the one row of a batch, where its only axis is missing, with both axes."""
    return array[None] if array.ndim == 1 and B == 1 else array


def _as_array(name: str, value: Any) -> Array:
    check_no_mapping(name, value)
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} is ragged, expected rows of one length") from None


def check_range(name: str, values: Array, lowest: int, highest: int) -> None:
    """Refuse the first value outside lowest..highest, saying where it is."""
    outside = (values < lowest) | (values > highest)
    if outside.any():
        place = np.argwhere(outside)[0].tolist()
        raise IndexError(
            f"{name} holds {values[tuple(place)]} at {place}, expected {lowest}..{highest}"
        )
