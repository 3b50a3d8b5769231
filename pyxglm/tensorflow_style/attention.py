"""Attention with masks that are numbers and add up, as TensorFlow's XGLM of transformers 4.37.

There a key that a query may not see gets -1e8 for being later, and -1e8 for
being padding; both are added to its score. Next to any key that may be seen its
weight is 0 all the same. But a query that may see nothing keeps its scores,
rounded to multiples of 8 or 16 (a unit in the last place of float32 at 1e8 and
2e8), and prefers keys that are only one of both.

Two more numbers are added there to all scores of a query alike: 1e-9, and 1 to
those of a token that comes alone. A softmax does not change by that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.reference import softmax

#: What masks of TensorFlow's classes add to a score (`LARGE_NEGATIVE`).
LARGE_NEGATIVE = -1e8


class AdditiveMasks:
    """The operations of a backend, of which `attention` adds masks up.

    Parameters
    ----------
    ops
        The operations of a backend.
    mask_BS
        Numbers over past and new tokens, as the caller gave them; 1 is real.
    encoder_mask_BE
        Numbers over the encoder's tokens, for cross-attention.
    """

    def __init__(self, ops: Any, mask_BS: Array | None, encoder_mask_BE: Array | None) -> None:
        self._ops, self._mask_BS, self._encoder_mask_BE = ops, mask_BS, encoder_mask_BE

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def attention(
        self,
        q_BHTK: Array,
        k_BHSK: Array,
        v_BHSK: Array,
        *,
        causal: bool = True,
        head_mask_H: Array | None = None,
        return_weights: bool = False,
        **masks: Any,
    ) -> tuple[Array, Array | None]:
        """Let every query gather values; see `pyxglm.ops.reference.attention`.

            weights = softmax(q kᵀ + mask) * head_mask

        The masks are those of construction; those of the call, in the
        decoder's terms, say the same less exactly.
        """
        T, S = q_BHTK.shape[2], k_BHSK.shape[2]
        scores_BHTS = q_BHTK @ k_BHSK.swapaxes(-1, -2)
        bias_BTS = self._bias(causal, T, S, scores_BHTS.dtype)
        if bias_BTS is not None:
            scores_BHTS = scores_BHTS + bias_BTS[:, None]
        weights_BHTS = softmax(scores_BHTS)
        if head_mask_H is not None:
            weights_BHTS = weights_BHTS * head_mask_H[:, None, None]
        return weights_BHTS @ v_BHSK, weights_BHTS if return_weights else None

    def _bias(self, causal: bool, T: int, S: int, dtype: Any) -> Array | None:
        """Return what is added to the scores, to be broadcast to (B, T, S)."""
        mask = self._mask_BS if causal else self._encoder_mask_BE
        padding_B1S = None
        if mask is not None:
            padding_B1S = (1 - mask.astype(dtype)[:, None]) * dtype.type(LARGE_NEGATIVE)
        if not causal:
            return padding_B1S
        later_1TS = np.arange(S)[None, None] > S - T + np.arange(T)[None, :, None]
        causal_1TS = np.where(later_1TS, LARGE_NEGATIVE, 0.0).astype(dtype)
        return causal_1TS if padding_B1S is None else padding_B1S + causal_1TS
