"""Stored numbers: float16 and bfloat16 become numbers to compute with as they are used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyxglm.dtypes import Array, bfloat16, convert

#: Bytes of a weight that are widened at a time: few enough to stay in the cache.
_BLOCK_BYTES = 1 << 20


def widen(weight: Array, dtype: Any) -> Array:
    """Return a stored array as numbers to compute with; no copy if it already is.

    A bfloat16 is the upper half of a float32, so widening is a shift.

    >>> widen(np.array([16256, 49184], "<u2").view(bfloat16), np.float32)
    array([ 1. , -2.5], dtype=float32)
    """
    if weight.dtype == bfloat16:
        weight = (weight["bfloat16"].astype(np.uint32) << np.uint32(16)).view(np.float32)
    return weight.astype(dtype, copy=False)


def widened_blocks(
    weight_OI: Array, dtype: Any, rows: int | None = None
) -> Iterator[tuple[slice, Array]]:
    """Yield a matrix by blocks of so many rows, widened.

    Without a number: by as many as stay in the cache, or whole if there is
    nothing to widen.

    >>> [block.stop for block, _ in widened_blocks(np.zeros((300, 2048), "f2"), np.float32)]
    [256, 300]
    """
    count, step = len(weight_OI), rows or max(1, len(weight_OI))
    if rows is None and weight_OI.dtype != dtype:
        step = max(1, _BLOCK_BYTES // max(1, weight_OI.shape[1] * weight_OI.itemsize))
    for start in range(0, count, step):
        block = slice(start, min(start + step, count))
        yield block, widen(weight_OI[block], dtype)


def round_to_bfloat16(x: Array) -> Array:
    """Round numbers to the nearest bfloat16, ties to even: 8 significant bits of 24.

    The result has x's dtype, and the values that bfloat16 has.

    >>> round_to_bfloat16(np.float32([1.0, 1.003, 1.00390625, 3.14159]))
    array([1.      , 1.      , 1.      , 3.140625], dtype=float32)
    """
    return widen(convert(x, bfloat16), x.dtype)


def rounded_blocks(
    weight_OI: Array, dtype: Any, rows: int | None = None
) -> Iterator[tuple[slice, Array]]:
    """Yield a matrix by blocks of rows, as `widened_blocks` does, rounded to bfloat16."""
    few = max(1, _BLOCK_BYTES // max(1, weight_OI.shape[1] * weight_OI.itemsize))
    for block, rows_OI in widened_blocks(weight_OI, dtype, rows or few):
        yield block, round_to_bfloat16(rows_OI)
