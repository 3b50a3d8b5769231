"""The output head without its logits on the C kernels; see `ops.head` for what it computes.

Blocks of logits stay in the CPU's cache and are reduced as soon as they are
there. Logits have the bits that `linear` gives them on this backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.head import check_targets
from pyxglm.ops.native_arrays import INTEGERS, Stored, activations, floats, matrix
from pyxglm.ops.native_calls import settle
from pyxglm.ops.native_library import IN_USE, check, ffi, lib
from pyxglm.pages import empty

_HEAD = ffi.typeof("pyxglm_head_args *")


def head_top(hidden_ND: Array, head_VD: Array, k: int) -> tuple[Array, Array]:
    """Find the k best tokens of each position, best first; see `head.head_top`.

    Raises
    ------
    TypeError
        If `hidden_ND` is not float32.
    ValueError
        If the shapes do not fit, or there are no k tokens.
    """
    return _top("head_top", lib.pyxglm_run_head, hidden_ND, head_VD, k)


def head_log_probs(hidden_ND: Array, head_VD: Array, targets_N: Array) -> tuple[Array, Array]:
    """Find the log-probability of one token at each position; see `head.head_log_probs`.

    Raises
    ------
    TypeError
        If `hidden_ND` is not float32.
    ValueError
        If the shapes do not fit.
    IndexError
        If a target is not an id.
    """
    return _log_probs("head_log_probs", lib.pyxglm_run_head, hidden_ND, head_VD, targets_N)


def head_top_coarse(hidden_ND: Array, head_VD: Array, k: int) -> tuple[Array, Array]:
    """Find the k best tokens by logits of rounded numbers; see `coarse.head_top`."""
    return _top("head_top_coarse", lib.pyxglm_run_head_coarse, hidden_ND, head_VD, k)


def head_log_probs_coarse(
    hidden_ND: Array, head_VD: Array, targets_N: Array
) -> tuple[Array, Array]:
    """Find log-probabilities by logits of rounded numbers; see `coarse.head_log_probs`."""
    run = lib.pyxglm_run_head_coarse
    return _log_probs("head_log_probs_coarse", run, hidden_ND, head_VD, targets_N)


def _top(
    op: str, run: Callable[..., int], hidden_ND: Array, head_VD: Array, k: int
) -> tuple[Array, Array]:
    return top_by(op, run, hidden_ND, head_VD, k, ffi.NULL)


def top_by(
    op: str, run: Callable[..., int], hidden_ND: Array, head_VD: Array, k: int, shortlist: Any
) -> tuple[Array, Array]:
    """Find the k best tokens of each position, with a ``pyxglm_shortlist *`` or without (NULL)."""
    hidden_ND, head = _checked(op, hidden_ND, head_VD)
    (N, D), V = hidden_ND.shape, len(head_VD)
    if not 0 <= k <= V:
        raise ValueError(f"{op}: k is {k}, expected 0 to {V}, the number of tokens")
    values_NK, ids_NK = empty((N, k)), np.empty((N, k), np.int64)
    args = ffi.new(_HEAD, (
        floats(hidden_ND), head.pointer, _integers(ids_NK), floats(values_NK),
        ffi.NULL, ffi.NULL, ffi.NULL, shortlist, ffi.NULL, k, N, V, D,
    ))  # fmt: skip
    check(run(args, head.code, IN_USE))
    return values_NK, ids_NK


def _log_probs(
    op: str, run: Callable[..., int], hidden_ND: Array, head_VD: Array, targets_N: Array
) -> tuple[Array, Array]:
    hidden_ND, head = _checked(op, hidden_ND, head_VD)
    (N, D), V = hidden_ND.shape, len(head_VD)
    # A copy, so that no other thread can change a target after it has been checked.
    targets_N = np.array(targets_N, np.int64, order="C")
    check_targets(targets_N, N, V)
    logits_N, log_sums_N = empty((N,)), empty((N,))
    args = ffi.new(_HEAD, (
        floats(hidden_ND), head.pointer, ffi.NULL, ffi.NULL, _integers(targets_N),
        floats(logits_N), floats(log_sums_N), ffi.NULL, ffi.NULL, 0, N, V, D,
    ))  # fmt: skip
    check(run(args, head.code, IN_USE))
    return logits_N - log_sums_N, log_sums_N


def _checked(op: str, hidden_ND: Array, head_VD: Array) -> tuple[Array, Stored]:
    hidden_ND = activations(op, "hidden_ND", hidden_ND)
    if hidden_ND.ndim != 2 or head_VD.ndim != 2 or hidden_ND.shape[1] != head_VD.shape[1]:
        raise ValueError(
            f"{op}: hidden_ND has shape {hidden_ND.shape} and head_VD {head_VD.shape}, "
            "expected two matrices of one width"
        )
    settle()
    return hidden_ND, matrix(head_VD)


def _integers(array: Array) -> Any:
    return ffi.from_buffer(INTEGERS, array)
