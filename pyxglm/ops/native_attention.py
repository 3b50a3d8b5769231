"""Attention on the C kernel; what it computes is defined in `reference.attention`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.native_arrays import BYTES, FLOATS, activations, float32, floats
from pyxglm.ops.native_calls import Call, empty, issue, settle
from pyxglm.ops.native_library import ffi

_ATTENTION = ffi.typeof("pyxglm_attention_args *")
_SEQUENCES = ffi.typeof("pyxglm_sequence[]")


def attention(
    q_BHTK: Array,
    k_BHSK: Array,
    v_BHSK: Array,
    *,
    causal: bool = True,
    keys_BS: Array | None = None,
    visible_BTS: Array | None = None,
    head_mask_H: Array | None = None,
    return_weights: bool = False,
    out_BHTK: Array | None = None,
) -> tuple[Array, Array | None]:
    """Let every query gather values by how well their keys match it.

    See `reference.attention`. No array of the size (T, S) is made, unless the
    weights are asked for. A new array for the result is laid out as (B, T, H, K),
    so that joining the heads copies nothing.

    Raises
    ------
    TypeError
        If the arrays are not float32.
    ValueError
        If their shapes do not fit each other, or `out_BHTK` has no contiguous rows.
    """
    arrays = {"q_BHTK": q_BHTK, "k_BHSK": k_BHSK, "v_BHSK": v_BHSK}
    (q_BHTK, k_BHSK, v_BHSK) = (
        rows_in_place("attention", name, array) for name, array in arrays.items()
    )
    B, H, T, K = q_BHTK.shape
    S = k_BHSK.shape[2]
    if k_BHSK.shape != (B, H, S, K) or v_BHSK.shape != (B, H, S, K):
        raise ValueError(
            f"attention: q_BHTK has shape {q_BHTK.shape}, k_BHSK {k_BHSK.shape} and v_BHSK "
            f"{v_BHSK.shape}, expected the same B, H and K in all, and S in the last two"
        )
    out_BHTK = _place(out_BHTK, B, H, T, K)
    weights_BHTS = empty((B, H, T, S)) if return_weights else None
    if B * H * T * S == 0:
        settle()
        out_BHTK[...] = 0
        return out_BHTK, weights_BHTS

    keys = visible = None
    per_key = per_pair = 0  # bytes from one sequence's mask to the next's
    if visible_BTS is not None:
        visible, per_pair = _mask("visible_BTS", visible_BTS, (B, T, S))
    elif keys_BS is not None:
        keys, per_key = _mask("keys_BS", keys_BS, (B, S))
    head_mask = _head_mask(head_mask_H, H)

    o_b, o_h, o_t = steps(out_BHTK)
    q_b, q_h, q_t = steps(q_BHTK)
    k_b, k_h, k_s = steps(k_BHSK)
    v_b, v_h, v_s = steps(v_BHSK)
    sequences = ffi.new(_SEQUENCES, [
        (T, S, b * q_b, b * k_b, b * v_b, b * o_b, b * per_key, b * per_pair, b * H * T * S)
        for b in range(B)
    ])  # fmt: skip
    args = ffi.new(_ATTENTION, (
        first(out_BHTK), floats(weights_BHTS), first(q_BHTK), first(k_BHSK), first(v_BHSK),
        _bytes(keys), _bytes(visible), floats(head_mask), sequences, causal, B, H, K,
        o_t, o_h, q_t, q_h, k_s, k_h, v_s, v_h,
    ))  # fmt: skip
    usual = visible is None and head_mask is None and weights_BHTS is None
    inputs, held = (q_BHTK, k_BHSK, v_BHSK), (sequences, keys, visible, head_mask)
    outputs = (out_BHTK,) if weights_BHTS is None else (out_BHTK, weights_BHTS)
    issue(Call("attention", args, 0, inputs, outputs, held, usual))
    return out_BHTK, weights_BHTS


def _place(given: Array | None, B: int, H: int, T: int, K: int) -> Array:
    """Return where the result goes."""
    if given is None:
        new_BHTK: Array = empty((B, T, H, K)).swapaxes(1, 2)
        return new_BHTK
    if given.shape != (B, H, T, K) or given.dtype != float32:
        raise ValueError(
            f"attention: out_BHTK has shape {given.shape} and dtype {given.dtype}, "
            f"expected {(B, H, T, K)} and float32"
        )
    if not (given.flags.writeable and (given.size == 0 or _is_in_rows(given))):
        raise ValueError(
            "attention: out_BHTK is read-only, or its rows are scattered; expected rows of K "
            "numbers side by side, to write to"
        )
    return given


def rows_in_place(op: str, name: str, array: Any) -> Array:
    """Return heads whose rows of K numbers are contiguous, in whatever order the rows lie.

    Queries come as a view of (B, T, H, K), keys and values as the filled part
    of a cache: neither needs to be copied.
    """
    if not isinstance(array, np.ndarray) or array.ndim != 4:
        raise ValueError(f"{op}: {name} has shape {np.shape(array)}, expected four sizes")
    if array.dtype == float32 and _is_in_rows(array):
        return array
    return activations(op, name, array)


def _is_in_rows(array: Array) -> bool:
    """Whether the numbers of each row lie side by side, at addresses that C can use."""
    beside = array.strides[3] == float32.itemsize or array.shape[3] == 1
    return array.flags.aligned and beside


def steps(array: Array) -> tuple[int, int, int]:
    """Return how many floats lie between sequences, heads and rows."""
    by_sequence, by_head, by_row, _ = array.strides
    size = float32.itemsize
    return by_sequence // size, by_head // size, by_row // size


def first(array: Array) -> Any:
    """Return the pointer to the first row of an array that is not contiguous itself."""
    return ffi.from_buffer(FLOATS, array[0, 0, 0])


def _mask(name: str, mask: Array, shape: tuple[int, ...]) -> tuple[Array, int]:
    """Return a mask as bytes, and how many lie between two sequences (0 if they share it)."""
    sizes = zip(mask.shape, shape, strict=False)
    if mask.ndim != len(shape) or any(given not in (1, size) for given, size in sizes):
        raise ValueError(f"attention: {name} has shape {mask.shape}, expected {shape}")
    shared = len(mask) == 1
    whole = np.broadcast_to(mask, (len(mask), *shape[1:]))
    seen = np.ascontiguousarray(whole if whole.dtype == bool else whole != 0)
    return seen, 0 if shared else seen[0].size


def _bytes(mask: Array | None) -> Any:
    return ffi.NULL if mask is None else ffi.from_buffer(BYTES, mask)


def _head_mask(head_mask_H: Array | None, H: int) -> Array | None:
    if head_mask_H is None:
        return None
    factors = np.array(head_mask_H, float32, order="C")
    if factors.shape != (H,):
        raise ValueError(f"attention: head_mask_H has shape {factors.shape}, expected {(H,)}")
    return factors
