"""The model's position vectors: how many there are, and when they are computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.ops.reference import POSITION_OFFSET, sinusoidal_positions

#: The most rows that are computed ahead.
_SPARE = 512


class PositionTable:
    """The sinusoidal table of a model, computed row by row as it is needed.

    It has room for `max_position_embeddings` positions, or for the tokens of a
    pass if they are more: it grows with the input, never with an explicit
    position (transformers keeps a grown table for later calls; here every call
    is judged by itself).
    """

    def __init__(self, config: XGLMConfig) -> None:
        self._config = config
        self._given_PD: Array | None = None
        self._computed_PD = np.empty((0, config.d_model), np.float32)

    def set(self, table_PD: Any) -> None:
        """Use these rows (rows, D) and no others; None goes back to computed ones.

        Raises
        ------
        ValueError
            If the rows have another width than the model.
        """
        if table_PD is not None:
            table_PD = np.asarray(table_PD)
            if table_PD.ndim != 2 or table_PD.shape[1] != self._config.d_model:
                raise ValueError(
                    f"table_PD has shape {table_PD.shape}, expected (rows, {self._config.d_model})"
                )
        self._given_PD = table_PD

    def rows(self, length: int) -> int:
        """Return how many rows there are for a pass over `length` tokens."""
        if self._given_PD is not None:
            return len(self._given_PD)
        return max(self._config.max_position_embeddings, length) + POSITION_OFFSET

    def up_to(self, highest: int) -> Array:
        """Return a table that holds position `highest`, which is one of its `rows`."""
        if self._given_PD is not None:
            return self._given_PD
        table_PD = self._computed_PD  # another thread may replace it meanwhile, by a shorter one
        needed = highest + POSITION_OFFSET + 1
        if len(table_PD) < needed:
            table_PD = self.compute(needed + min(needed, _SPARE))  # decoding goes on step by step
            self._computed_PD = table_PD
        return table_PD

    def compute(self, rows: int) -> Array:
        """Return the first `rows` rows of the table."""
        config = self._config
        return sinusoidal_positions(rows, config.d_model, config.pad_token_id)


class FixedPositionTable(PositionTable):
    """A table that does not grow: a pass beyond `max_position_embeddings` is refused."""

    def rows(self, length: int) -> int:
        """Return how many rows there are, whatever the `length` of a pass."""
        return super().rows(0)

    def up_to(self, highest: int) -> Array:
        """Return a table that holds position `highest`, or refuse it (IndexError)."""
        most = self.rows(0) - 1 - POSITION_OFFSET
        if highest > most:
            raise IndexError(f"position_ids holds {highest}, expected at most {most}")
        return super().up_to(highest)
