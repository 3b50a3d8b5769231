"""A shortlist of tokens, in NumPy: what finds the best without reading the whole head.

Of a small model half the weights are the output head's, and decoding a token
reads all of them. A copy in whole numbers of 8 bits is half as long as one of
float16 and nearly tells the logits; a bound on what it does not tell leaves a
few tokens that may be the best, and their logits are computed from the head.
So the result is that of `head.head_top`.

The interval of a logit: with a row w ≈ scale · code of the head, and a hidden state h,

    |w·h - scale (code·h)|  ≤  ‖w - scale · code‖ ‖h‖           (Cauchy-Schwarz)

and float32 rounds each of D products and sums by u = 2⁻²⁴ at most (Higham 2002,
ch. 3), of the logit and of the score alike:

    radius = ‖w - scale · code‖ + 1.01 (D + 16) u (2 ‖w‖ + ‖w - scale · code‖)

The K of `values_NK` and its like is the k best tokens, as in `head`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.head import best_of
from pyxglm.ops.stored import widen, widened_blocks

#: Codes are whole numbers from -127 to 127.
_CODES = 127

#: The largest weight of a row, and the length of a hidden state, lie between these if
#: products can neither overflow nor vanish. Else nothing is said, and all is computed.
SMALLEST, LARGEST = 2.0**-20, 2.0**20

#: The most rows, and best tokens of a row, that the C kernels use it for: with more rows
#: memory is not what limits, and many tokens let still more through.
ROWS, TOP = 4, 128


class Shortlist(NamedTuple):
    """A copy of a head (V, D) in 8 bits, and how far it may be off.

    Attributes
    ----------
    codes_VD
        Whole numbers (int8).
    scales_V
        What to multiply a row's codes with (float32).
    radii_V
        How far a logit may be from its score, for a hidden state of length 1
        (float32); infinite where nothing can be said.
    """

    codes_VD: Array
    scales_V: Array
    radii_V: Array

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return sum(array.nbytes for array in self)


def make_shortlist(head_VD: Array) -> Shortlist:
    """Make the shortlist of a head.

    Examples
    --------
    >>> make_shortlist(np.float32([[1.0, -0.5], [0.0, 0.0]])).codes_VD
    array([[127, -64],
           [  0,   0]], dtype=int8)
    """
    V, D = head_VD.shape
    found = Shortlist(np.zeros((V, D), np.int8), np.zeros(V, "f4"), np.zeros(V, "f4"))
    for block, rows in widened_blocks(head_VD, np.float32):
        largest = np.abs(rows).max(axis=1, initial=0)
        usable = (largest >= SMALLEST) & (largest <= LARGEST)  # neither is true of NaN
        plain = np.where(usable[:, None], rows, 0)
        scales = np.where(usable, largest, 0) / np.float32(_CODES)
        per_scale = np.divide(1, scales, out=np.zeros_like(scales), where=usable)
        codes = np.rint(plain * per_scale[:, None])
        wide = plain.astype(np.float64)
        size = np.linalg.norm(wide, axis=1)
        rest = np.linalg.norm(wide - scales.astype(np.float64)[:, None] * codes, axis=1)
        radii = (rest + 1.01 * (D + 16) * 2.0**-24 * (2 * size + rest)) * (1 + 2.0**-20)
        found.codes_VD[block], found.scales_V[block] = codes, scales
        above = np.nextafter(radii.astype(np.float32), np.float32(np.inf))
        found.radii_V[block] = np.where(usable, above, np.where(largest == 0, 0, np.inf))
    return found


def candidates(hidden_D: Array, shortlist: Shortlist, k: int) -> Array:
    """Return the tokens that may be among the k best of a position, in ascending order.

    A logit lies in its interval, so k logits are no lower than the k-th best
    beginning of an interval; and a token whose interval ends below that is not
    among the k best.

    Examples
    --------
    >>> head_VD = np.float32([[1.0, 0.0], [0.9, 0.3], [-1.0, 0.2], [1.0, 0.001]])
    >>> candidates(np.float32([2.0, 0.0]), make_shortlist(head_VD), 1)
    array([0, 3])
    """
    V = len(shortlist.codes_VD)
    length = np.linalg.norm(hidden_D.astype(np.float64))
    if not SMALLEST <= length <= LARGEST:
        return np.arange(V)
    scores_V = shortlist.scales_V * (shortlist.codes_VD.astype(np.float64) @ hidden_D)
    reach_V = shortlist.radii_V * length
    floor = np.sort(scores_V - reach_V)[V - k] if k else np.inf
    return np.flatnonzero(scores_V + reach_V >= floor)


def head_top_by_shortlist(
    hidden_ND: Array, head_VD: Array, k: int, shortlist: Shortlist
) -> tuple[Array, Array]:
    """Find the k best tokens of each position, best first, among the candidates.

    Returns
    -------
    values_NK, ids_NK
        What `head.head_top` returns. (Here the last bits of values may differ, as
        BLAS adds up few products and many in different orders; on the C kernels,
        none does.)

    Examples
    --------
    >>> hidden_ND, head_VD = np.array([[2.0, 1.0]]), np.eye(3, 2)
    >>> head_top_by_shortlist(hidden_ND, head_VD, 2, make_shortlist(head_VD))
    (array([[2., 1.]]), array([[0, 1]]))
    """
    N, dtype = len(hidden_ND), hidden_ND.dtype
    values_NK, ids_NK = np.empty((N, k), dtype), np.empty((N, k), np.int64)
    for n in range(N):
        ids = candidates(hidden_ND[n], shortlist, k)
        logits_1V = hidden_ND[n : n + 1] @ widen(head_VD[ids], dtype).T
        values_NK[n : n + 1], order_1K = best_of(logits_1V, k)
        ids_NK[n] = ids[order_1K[0]]
    return values_NK, ids_NK
