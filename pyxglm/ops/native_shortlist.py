"""A shortlist of tokens on the C kernels; see `ops.shortlist` for what it is, and why it is right.

A logit has the bits that `linear` gives it on this backend, with a shortlist or without.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.native_arrays import FLOATS, float32, floats, matrix
from pyxglm.ops.native_calls import settle
from pyxglm.ops.native_head import top_by
from pyxglm.ops.native_library import IN_USE, check, ffi, lib
from pyxglm.ops.shortlist import Shortlist
from pyxglm.pages import empty, empty_on_large

_SHORTLIST = ffi.typeof("pyxglm_shortlist *")
_MAKE = ffi.typeof("pyxglm_shortlist_args *")
_CODES = ffi.typeof("int8_t[]")


def make_shortlist(head_VD: Array) -> Shortlist:
    """Make the shortlist of a head; see `shortlist.make_shortlist`.

    Raises
    ------
    ValueError
        If the head is no matrix.
    """
    if head_VD.ndim != 2:
        raise ValueError(f"make_shortlist: head_VD has shape {head_VD.shape}, expected a matrix")
    settle()
    (V, D), head = head_VD.shape, matrix(head_VD)
    codes_VD = empty_on_large((V, D), np.dtype(np.int8))
    scales_V, radii_V = empty((V,)), empty((V,))
    args = ffi.new(_MAKE, (
        ffi.from_buffer(_CODES, codes_VD), floats(scales_V), floats(radii_V), head.pointer, V, D,
    ))  # fmt: skip
    check(lib.pyxglm_run_shortlist(args, head.code, IN_USE))
    return Shortlist(codes_VD, scales_V, radii_V)


def head_top_by_shortlist(
    hidden_ND: Array, head_VD: Array, k: int, shortlist: Shortlist
) -> tuple[Array, Array]:
    """Find the k best tokens of each position; see `shortlist.head_top_by_shortlist`.

    No bit of the result is another than without. More than `shortlist.ROWS` rows, or
    `shortlist.TOP` tokens, do without.

    Raises
    ------
    TypeError
        If `hidden_ND` is not float32.
    ValueError
        If the shapes do not fit, there are no k tokens, or the shortlist is another head's.
    """
    op, run = "head_top_by_shortlist", lib.pyxglm_run_head
    return top_by(op, run, hidden_ND, head_VD, k, _pointers(op, shortlist, head_VD.shape))


def _pointers(op: str, shortlist: Shortlist, shape: tuple[int, ...]) -> Any:
    """Return a shortlist for C; whoever calls keeps the arrays alive."""
    codes, single = np.dtype(np.int8), float32
    kinds = (codes, shape), (single, shape[:1]), (single, shape[:1])
    for name, array, (dtype, expected) in zip(shortlist._fields, shortlist, kinds, strict=True):
        if array.dtype != dtype or array.shape != expected or not array.flags.c_contiguous:
            raise ValueError(
                f"{op}: {name} of the shortlist is {array.dtype} {array.shape}, expected"
                f" {dtype} {expected} in one piece: that of this head"
            )
    codes_VD, scales_V, radii_V = shortlist
    return ffi.new(_SHORTLIST, (
        ffi.from_buffer(_CODES, codes_VD),
        ffi.from_buffer(FLOATS, scales_V),
        ffi.from_buffer(FLOATS, radii_V),
    ))  # fmt: skip
