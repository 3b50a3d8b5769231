"""Flax's table of positions: angles are float64 until their sines are taken."""

from __future__ import annotations

import math

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.positions import PositionTable

#: The row that is zero whatever the padding id is: position -1 reads it.
ZERO_ROW = 1


def float64_positions(rows: int, width: int) -> Array:
    """Return the table of position vectors, float32, shape (rows, width).

    As `pyxglm.ops.reference.sinusoidal_positions`, but computed in float64
    (`create_sinusoidal_positions` of transformers 4.37's `modeling_flax_xglm.py`).
    Entries differ by up to 2e-4 near position 2000.

    >>> float64_positions(3, 4)[1:].astype(float).round(4).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.9093, 0.0002, -0.4161, 1.0]]
    """
    half = width // 2
    frequencies = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
    angles = np.arange(rows)[:, None] * frequencies
    table_PD = np.zeros((rows, width), np.float32)
    table_PD[:, :half], table_PD[:, half : 2 * half] = np.sin(angles), np.cos(angles)
    table_PD[ZERO_ROW : ZERO_ROW + 1] = 0
    return table_PD


class Float64PositionTable(PositionTable):
    """The table of a Flax model; it grows with the input."""

    def compute(self, rows: int) -> Array:
        """Return the first `rows` rows of the table."""
        return float64_positions(rows, self._config.d_model)
