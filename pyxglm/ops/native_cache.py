"""Storing keys and values on the C kernel; see `reference.cache_append` for what it does."""

from __future__ import annotations

from pyxglm.dtypes import Array
from pyxglm.ops.native_arrays import float32, floats
from pyxglm.ops.native_attention import first, rows_in_place, steps
from pyxglm.ops.native_calls import Call, issue
from pyxglm.ops.native_library import ffi

_APPEND = ffi.typeof("pyxglm_cache_append_args *")


def cache_append(
    k_room_BHSK: Array, v_room_BHSK: Array, k_BHTK: Array, v_BHTK: Array, start: int
) -> None:
    """Store T tokens' keys and values from place `start` on; see `reference.cache_append`.

    Raises
    ------
    TypeError
        If the arrays are not float32.
    ValueError
        If their shapes do not fit each other, or the room is not one piece of
        memory that may be written to.
    """
    k_BHTK = rows_in_place("cache_append", "k_BHTK", k_BHTK)
    v_BHTK = rows_in_place("cache_append", "v_BHTK", v_BHTK)
    B, H, T, K = k_BHTK.shape
    S = k_room_BHSK.shape[2] if k_room_BHSK.ndim == 4 else 0
    for name, array in (("k_room_BHSK", k_room_BHSK), ("v_room_BHSK", v_room_BHSK)):
        if array.shape != (B, H, S, K) or v_BHTK.shape != (B, H, T, K):
            raise ValueError(
                f"cache_append: {name} has shape {array.shape}, k_BHTK {k_BHTK.shape} and v_BHTK "
                f"{v_BHTK.shape}, expected the same B, H and K in all, and T in the last two"
            )
        if array.dtype != float32:
            raise TypeError(
                f"cache_append: {name} is {array.dtype}, expected float32 (backend 'c')"
            )
        if not (array.flags.c_contiguous and array.flags.aligned and array.flags.writeable):
            raise ValueError(
                f"cache_append: {name} is a view or read-only, expected one piece of memory"
            )
    if not 0 <= start <= S - T:
        raise ValueError(f"cache_append: start is {start}, expected 0 to {S - T} (S - T)")
    if k_BHTK.size == 0:
        return
    args = ffi.new(_APPEND, (
        floats(k_room_BHSK), floats(v_room_BHSK), first(k_BHTK), first(v_BHTK),
        start, S, B, H, T, K, *steps(k_BHTK), *steps(v_BHTK),
    ))  # fmt: skip
    inputs, rooms = (k_BHTK, v_BHTK), (k_room_BHSK, v_room_BHSK)
    issue(Call("cache_append", args, 0, inputs, rooms, (), repeatable=True))
