"""Attention and positions as Flax's XGLM of transformers 4.37 has them, oddities included.

Attention is over the whole room of the cache, and a query that may see nothing
spreads its weight over all of it. What stands beyond the table of positions is
NaN, and with it all that its row computes; a position below -2 counts from the
table's end. The causal rule is a table, too, which ends at
``max_position_embeddings``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.ops.reference import POSITION_OFFSET, softmax, widen


class AsItWas:
    """The operations of a backend, of which `embed` and `attention` are those of 4.37.

    Parameters
    ----------
    ops
        The operations of a backend.
    config
        For `max_position_embeddings`.
    mask_BS
        True at tokens that may be seen, over the room of the cache if there is
        one; a single column stands for all.
    positions_BT
        Positions of the new tokens.
    table_PD
        The table that they read, as long as that of 4.37 at least.
    filled
        Tokens in the cache before the call, P.
    room
        The cache's length, M; None without one.

    Raises
    ------
    ValueError
        If tokens or cache are longer than the table of the causal rule, or the
        mask has another shape.
    """

    def __init__(
        self, ops: Any, config: XGLMConfig, mask_BS: Array, positions_BT: Array, table_PD: Array,
        filled: int, room: int | None,
    ) -> None:  # fmt: skip
        T, most = positions_BT.shape[1], config.max_position_embeddings
        S = T if room is None else room
        if max(T, S) > most:
            raise ValueError(
                f"{max(T, S)} tokens are given or have room in the cache, expected at most {most},"
                " max_position_embeddings"
            )
        B = len(mask_BS)
        if mask_BS.shape[1] not in (1, S):
            raise ValueError(f"attention_mask has shape {mask_BS.shape}, expected ({B}, {S})")
        self._ops, self._positions_BT = ops, positions_BT
        self._table_PD = table_PD[: most + POSITION_OFFSET]
        # A slice of a table begins where it still fits.
        first = 0 if room is None else min(filled, most - T)
        keys_S, queries_T = np.arange(S), np.arange(T)
        seen_TS = keys_S <= first + queries_T[:, None]  # and nothing that is not filled
        self._seen_BTS = seen_TS & mask_BS[:, None]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def embed(
        self, ids_BT: Array, positions_BT: Array, embed_VD: Array, table_PD: Array, scale: float,
        dtype: Any,
    ) -> Array:  # fmt: skip
        """Turn token ids into vectors; see `pyxglm.ops.reference.embed`.

        Positions and their table are those of construction.
        """
        rows = len(self._table_PD)
        rows_BT = self._positions_BT + POSITION_OFFSET
        rows_BT = np.where(rows_BT < 0, rows_BT + rows, rows_BT)
        beyond_BT = (rows_BT < 0) | (rows_BT >= rows)
        places_BTD = widen(self._table_PD[np.where(beyond_BT, 0, rows_BT)], dtype)
        hidden_BTD: Array = widen(embed_VD[ids_BT], dtype) * scale + places_BTD
        return np.where(beyond_BT[..., None], dtype.type(np.nan), hidden_BTD)

    def attention(
        self, q_BHTK: Array, k_BHSK: Array, v_BHSK: Array, *, return_weights: bool = False,
        **masks: Any,
    ) -> tuple[Array, Array | None]:  # fmt: skip
        """Let every query gather values; see `pyxglm.ops.reference.attention`.

            weights = softmax(q kᵀ + bias)        bias is 0, or the lowest number

        The masks of the call say the same less exactly.
        """
        scores_BHTS = q_BHTK @ k_BHSK.swapaxes(-1, -2)
        dtype = scores_BHTS.dtype
        bias_BTS = np.where(self._seen_BTS, dtype.type(0), np.finfo(dtype).min)
        weights_BHTS = softmax(scores_BHTS + bias_BTS[:, None])
        return weights_BHTS @ v_BHSK, weights_BHTS if return_weights else None
