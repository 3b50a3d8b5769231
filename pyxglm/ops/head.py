"""The output head without its logits, in NumPy: the best tokens, and log-probabilities.

The logits of N positions are N times 256,008 numbers. A decoder wants the best
few of a row, a scorer the logit of one target and the log of the sum of all
exponentials: so no more than a part of the logits exists at a time. These
operations belong to `ops.reference`, where the others are.

In names as `values_NK`, K is the k best tokens of a position (no head width), and
the B of `sums_NB` is blocks of the vocabulary (no batch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.stored import widened_blocks

#: Some rows of the head: which, and they themselves, to compute with.
Block = tuple[slice, Array]

#: Positions whose logits exist at a time when the best are looked for.
_POSITIONS = 32

#: Tokens whose logits exist at a time when the sums are collected.
TOKENS = 512


def head_top(hidden_ND: Array, head_VD: Array, k: int) -> tuple[Array, Array]:
    """Find the k best tokens of each position, best first.

        logits = hidden headᵀ
        values[0] ≥ values[1] ≥ … ≥ values[k-1] ≥ every other logit

    NaN is better than any number, and of equals the lower id is better: the
    best is what ``logits.argmax()`` finds. (Positions are taken 32 at a time, and a
    logit has the bits that `linear` gives it among those: BLAS may add up products of
    other heights in other orders.)

    Returns
    -------
    values_NK, ids_NK
        The logits, and which tokens they belong to (int64).

    Examples
    --------
    >>> values_NK, ids_NK = head_top(np.array([[2.0, 1.0]]), np.eye(3, 2), 2)
    >>> values_NK, ids_NK
    (array([[2., 1.]]), array([[0, 1]]))
    """
    return top_of(hidden_ND, len(head_VD), k, lambda: widened_blocks(head_VD, hidden_ND.dtype))


def top_of(
    hidden_ND: Array, V: int, k: int, blocks: Callable[[], Iterable[Block]]
) -> tuple[Array, Array]:
    """Do what `head_top` does, with a head that comes by blocks of its V rows."""
    N, dtype = len(hidden_ND), hidden_ND.dtype
    values_NK, ids_NK = np.empty((N, k), dtype), np.empty((N, k), np.int64)
    for start in range(0, N, _POSITIONS):
        some = slice(start, min(start + _POSITIONS, N))
        logits = np.empty((some.stop - start, V), dtype)
        for block, rows in blocks():
            logits[:, block] = hidden_ND[some] @ rows.T
        values_NK[some], ids_NK[some] = best_of(logits, k)
    return values_NK, ids_NK


def best_of(logits_NV: Array, k: int) -> tuple[Array, Array]:
    """Return the k best logits of each row, best first, and where they stand."""
    broken = np.isnan(logits_NV)
    order = np.lexsort((-np.where(broken, 0, logits_NV), ~broken))  # stable: lower ids first
    return np.take_along_axis(logits_NV, order[:, :k], axis=-1), order[:, :k]


def head_log_probs(hidden_ND: Array, head_VD: Array, targets_N: Array) -> tuple[Array, Array]:
    """Find the log-probability of one token at each position.

        logits   = hidden headᵀ
        log_sum  = log Σ_v exp(logits[v])
        log_prob = logits[target] - log_sum

    The sum is collected over blocks of the vocabulary: each gives its largest
    logit m and Σ exp(logit - m), and those are put together as
    M + log Σ exp(m - M) Σ exp(logit - m) with M the largest of all.

    Returns
    -------
    log_probs_N, log_sums_N
        In nats.

    Examples
    --------
    >>> log_probs_N, log_sums_N = head_log_probs(np.zeros((1, 2)), np.eye(4, 2), np.array([3]))
    >>> np.exp(log_probs_N), np.exp(log_sums_N)
    (array([0.25]), array([4.]))
    """
    blocks = widened_blocks(head_VD, hidden_ND.dtype, TOKENS)
    return log_probs_of(hidden_ND, len(head_VD), targets_N, blocks)


def log_probs_of(
    hidden_ND: Array, V: int, targets_N: Array, blocks: Iterable[Block]
) -> tuple[Array, Array]:
    """Do what `head_log_probs` does, with a head that comes by blocks of its V rows."""
    N, dtype = len(hidden_ND), hidden_ND.dtype
    check_targets(targets_N, N, V)
    chosen_N = np.zeros(N, dtype)
    largest, sums = [], []
    for block, rows in blocks:
        logits = hidden_ND @ rows.T
        here_N = np.flatnonzero((targets_N >= block.start) & (targets_N < block.stop))
        chosen_N[here_N] = logits[here_N, targets_N[here_N] - block.start]
        largest.append(logits.max(axis=-1))
        sums.append(np.exp(logits - _finite(largest[-1])[:, None]).sum(axis=-1))
    largest_NB, sums_NB = np.stack(largest, axis=1), np.stack(sums, axis=1)
    top_N = _finite(largest_NB.max(axis=-1))
    terms_NB = sums_NB * np.exp(largest_NB - top_N[:, None])
    log_sums_N: Array = top_N + np.log(terms_NB.sum(axis=-1))
    return chosen_N - log_sums_N, log_sums_N


def _finite(largest_N: Array) -> Array:
    """Return what to subtract: where nothing is finite, infinity minus infinity would be NaN."""
    return np.where(np.isinf(largest_N), largest_N.dtype.type(0), largest_N)


def check_targets(targets_N: Array, N: int, V: int) -> None:
    """Refuse targets that are not one id of the vocabulary for each position.

    Raises
    ------
    ValueError
        If there are not N of them.
    IndexError
        If one is not an id.
    """
    if targets_N.shape != (N,):
        raise ValueError(f"targets_N has shape {targets_N.shape}, expected {(N,)}")
    outside_N = targets_N[(targets_N < 0) | (targets_N >= V)]
    if outside_N.size:
        raise IndexError(f"targets_N holds {outside_N[0]}, expected 0 to {V - 1}")
