"""The operations of ``compute="bfloat16"`` in NumPy: the reference of the coarser, faster mode.

Whatever is multiplied by a weight matrix is rounded to bfloat16 first, and so
is the matrix: 8 significant bits instead of 24. All else is what it is in
`reference`: sums, bias, activation, residual, norms, attention and the cache
are float32. Names that are not here are those of `reference`.

NumPy has no fast product of bfloat16, so here the mode only costs time. It says
what the kernels (`native_coarse`) compute.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops import head, reference
from pyxglm.ops.stored import round_to_bfloat16, rounded_blocks


def __getattr__(name: str) -> Any:
    return getattr(reference, name)


def linear(
    x_BTI: Array,
    weight_OI: Array,
    bias_O: Array | None = None,
    *,
    activation: str | None = None,
    residual_BTO: Array | None = None,
) -> Array:
    """Map vectors of width I to width O: y = activation(bf16(x) bf16(W)ᵀ + bias) + residual.

    bf16 rounds to the nearest bfloat16, ties to even; see `reference.linear`
    for the rest.

    >>> linear(np.float32([[1.001]]), np.float32([[3.0]]), np.float32([0.001]))
    array([[3.001]], dtype=float32)
    """
    x_BTI = round_to_bfloat16(x_BTI)
    y_BTO = np.empty((*x_BTI.shape[:-1], len(weight_OI)), x_BTI.dtype)
    for block, rows_OI in rounded_blocks(weight_OI, x_BTI.dtype):
        y_BTO[..., block] = reference.linear(
            x_BTI, rows_OI, None if bias_O is None else bias_O[block],
            activation=activation,
            residual_BTO=None if residual_BTO is None else residual_BTO[..., block],
        )  # fmt: skip
    return y_BTO


def head_top(hidden_ND: Array, head_VD: Array, k: int) -> tuple[Array, Array]:
    """Find the k best tokens of each position: of the logits bf16(hidden) bf16(head)ᵀ.

    See `head.head_top`.

    >>> head_top(np.float32([[1.0, 1.0]]), np.float32([[1.0, 0.001], [1.001, 0.0]]), 1)
    (array([[1.0009995]], dtype=float32), array([[0]]))
    """
    hidden_ND = round_to_bfloat16(hidden_ND)
    blocks = lambda: rounded_blocks(head_VD, hidden_ND.dtype)  # noqa: E731
    return head.top_of(hidden_ND, len(head_VD), k, blocks)


def head_log_probs(hidden_ND: Array, head_VD: Array, targets_N: Array) -> tuple[Array, Array]:
    """Find the log-probability of one token: of the logits bf16(hidden) bf16(head)ᵀ.

    See `head.head_log_probs`.

    >>> log_probs_N, _ = head_log_probs(np.ones((1, 1)), np.array([[1.001], [1.0]]), np.array([0]))
    >>> np.exp(log_probs_N)
    array([0.5])
    """
    hidden_ND = round_to_bfloat16(hidden_ND)
    blocks = rounded_blocks(head_VD, hidden_ND.dtype, head.TOKENS)
    return head.log_probs_of(hidden_ND, len(head_VD), targets_N, blocks)
