"""Arrays on their way into C: checked, laid out, and turned into pointers.

C reads what a pointer and a size tell it, so everything about an array that
could make that wrong is settled here: its dtype, its byte order, whether its
rows are contiguous, and that somebody holds it during the call.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from pyxglm.dtypes import Array, bfloat16
from pyxglm.ops.native_calls import settle, settled
from pyxglm.ops.native_library import ffi, lib
from pyxglm.ops.reference import widen

FLOATS = ffi.typeof("float[]")
BYTES = ffi.typeof("uint8_t[]")
INTEGERS = ffi.typeof("int64_t[]")

float32 = np.dtype(np.float32)

#: How C knows the dtypes that weights are stored in.
_CODES = (
    (np.dtype("<f4"), lib.PYXGLM_F32),
    (np.dtype("<f2"), lib.PYXGLM_F16),
    (bfloat16, lib.PYXGLM_BF16),
)


class Stored(NamedTuple):
    """A weight for C: where it is, how its numbers are stored, and what keeps it alive.

    `lasting` is False for a copy that was made for one call.
    """

    pointer: Any
    code: int
    keeper: Any
    lasting: bool = True


class _Entry(NamedTuple):
    """What is remembered about an array, as long as it lives and is not reinterpreted."""

    array: weakref.ref[Array]
    dtype: Any
    stored: Stored


_entries: dict[int, _Entry] = {}


def activations(op: str, name: str, array: Any) -> Array:
    """Return float32 numbers in one contiguous, aligned piece; the array itself if it is one.

    Raises
    ------
    TypeError
        If they are of another dtype: the kernels compute in float32 alone.
    """
    given: Array = array if isinstance(array, np.ndarray) else np.asarray(array)
    if given.dtype != float32:
        raise TypeError(f"{op}: {name} is {given.dtype}, expected float32 (backend 'c')")
    flags = given.flags
    if flags.c_contiguous and flags.aligned:
        return given
    settle()
    return settled(np.array(given, float32, order="C"))


def floats(array: Array | None) -> Any:
    """Return the pointer to `activations`, which keeps them alive; NULL for None."""
    return ffi.NULL if array is None else ffi.from_buffer(FLOATS, array)


def matrix(array: Array) -> Stored:
    """Return a weight matrix as it is stored: mapped, read-only, at any address.

    Only a matrix that C cannot read so is copied, at every call: one that is
    not contiguous, or of another dtype than float32, float16 and bfloat16.
    """
    entry = _entries.get(id(array))
    if entry is not None and _is_current(entry, array):
        return entry.stored
    code = _code(array)
    if code is None or not array.flags.c_contiguous:
        copy = np.ascontiguousarray(array if code is not None else widen(array, np.float32))
        return Stored(ffi.from_buffer(copy), code or lib.PYXGLM_F32, copy, lasting=False)
    # The address alone: a buffer would keep the array alive for ever.
    address = ffi.cast("void *", ffi.from_buffer(array))
    return _remember(array, Stored(address, code, None))


def vector(array: Array) -> Stored:
    """Return a small weight (a bias, a norm's scale) as float32 numbers.

    A vector that is stored narrow is widened once and kept, if it can never
    change: if it lies in a file that is mapped read-only. Others are widened
    at every call.
    """
    entry = _entries.get(id(array))
    if entry is not None and _is_current(entry, array):
        return entry.stored
    if array.dtype == float32 and array.flags.c_contiguous and array.flags.aligned:
        return Stored(ffi.from_buffer(FLOATS, array), lib.PYXGLM_F32, array)
    wide = np.array(widen(array, np.float32), float32, order="C")
    stored = Stored(ffi.from_buffer(FLOATS, wide), lib.PYXGLM_F32, wide)
    return _remember(array, stored) if _is_frozen(array) else stored._replace(lasting=False)


def _code(array: Array) -> int | None:
    for dtype, code in _CODES:
        if array.dtype == dtype:
            return int(code)
    return None


def _is_current(entry: _Entry, array: Array) -> bool:
    """Whether an entry is about this array, which may have been given another view of itself.

    (Its memory cannot have moved: NumPy resizes no array that has a weak reference.)
    """
    return entry.array() is array and entry.dtype is array.dtype and array.flags.c_contiguous


def _remember(array: Array, stored: Stored) -> Stored:
    key = id(array)

    def forget(reference: weakref.ref[Array]) -> None:
        # Another array may have got the same id by now: then the entry is that one's.
        entry = _entries.get(key)
        if entry is not None and entry.array is reference:
            del _entries[key]

    _entries[key] = _Entry(weakref.ref(array, forget), array.dtype, stored)
    return stored


def _is_frozen(array: Any) -> bool:
    """Whether nobody can write to an array: it views a buffer that is read-only."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    try:
        return array is not None and memoryview(array).readonly
    except TypeError:  # the memory is another package's, which does not say
        return False
