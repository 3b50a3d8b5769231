"""What callers pass, read: numbers and arrays of them, and what is refused in one sentence."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyxglm.dtypes import Array, bfloat16
from pyxglm.ops.stored import widen

_INT64 = np.iinfo(np.int64)


def as_integers(name: str, value: Any) -> Array:
    """Return an argument as an int64 array.

    Raises
    ------
    TypeError
        If it holds anything but whole numbers.
    IndexError
        If one of them is no int64.
    """
    array = whole_numbers(name, value)
    if array.dtype.kind != "i":
        check_range(name, array, _INT64.min, _INT64.max)
    return array.astype(np.int64, copy=False)


def whole_numbers(name: str, value: Any) -> Array:
    """Return an argument as an array of whole numbers, whose range is still to be checked.

    It has the caller's dtype: as int64, large numbers would become others, such as
    the -100 of labels.

    Raises
    ------
    TypeError
        If it holds anything else.
    """
    array = _as_array(name, value)
    if not array.size and array.dtype.kind not in "iu":
        return array.astype(np.int64)  # of an empty list NumPy makes floats
    if not are_whole(array):
        raise TypeError(f"{name} holds {array.dtype} values, expected whole numbers")
    return array


def are_whole(array: Array) -> bool:
    """Return whether an array holds whole numbers; large ones are Python's own, as objects.

    >>> are_whole(np.array([2**80])), are_whole(np.array([True])), are_whole(np.array([None]))
    (True, False, False)
    """
    if array.dtype.kind != "O":
        return array.dtype.kind in "iu"
    return all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in array.flat)


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


def check_type(name: str, value: Any, types: Any, expected: str) -> None:
    """Refuse an argument that is of none of some types.

    Raises
    ------
    TypeError
        Saying what it is and what was expected.
    """
    if not isinstance(value, types):
        raise TypeError(f"{name} is {what_it_is(value)}, expected {expected}")


def check_methods(name: str, value: Any, methods: tuple[str, ...], example: str) -> None:
    """Refuse an argument that lacks methods; the class `example` has them.

    Raises
    ------
    TypeError
        Saying what it is, and which it lacks.
    """
    if isinstance(value, type):
        raise TypeError(f"{name} is {what_it_is(value)}, expected an object of it")
    plain = value is None or isinstance(value, (str, bytes))  # with an encode of its own
    for method in methods:
        if not plain and callable(getattr(value, method, None)):
            continue
        lack = "" if plain else f" without the method {method}"
        raise TypeError(
            f"{name} is {what_it_is(value)}{lack}, expected an object with"
            f" {' and '.join(methods)}, as {example} has {'it' if len(methods) == 1 else 'them'}"
        )


def what_it_is(value: Any) -> str:
    """Return what messages call a value that should be another.

    >>> what_it_is("x"), what_it_is(None), what_it_is(int)
    ('a str', 'None', 'the class int')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"a {type(value).__name__}"


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
