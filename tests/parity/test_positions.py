"""The position table against torch's, at near and far positions, after growth too."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from golden.compare import load

from pyxglm.ops.reference import sinusoidal_positions

FACTS = json.loads(load("facts")["json"].tobytes())


@pytest.mark.parametrize("width", FACTS["table_widths"])
def test_table(width: int) -> None:
    wanted, theirs = load("facts")[f"table.{width}"], load("facts")[f"frequencies.{width}"]
    found = sinusoidal_positions(2305, width)[FACTS["table_rows"]]
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    # Frequencies correctly rounded; torch's exp is off by one unit in the last place on some.
    half = width // 2
    exponents = np.arange(half, dtype=np.float32) * np.float32(-math.log(10000) / (half - 1))
    ours = np.exp(exponents.astype(np.float64)).astype(np.float32)
    assert np.max(np.abs(ours - theirs) / ours) <= 2.0**-23
    agree = np.flatnonzero(ours == theirs)
    assert len(agree) > 0.8 * half
    apart = np.abs(found.astype(np.float64) - wanted)
    assert apart[:, np.concatenate([agree, half + agree])].max() <= 2.0**-23
    assert apart.max() <= 2e-4
    near = np.array(FACTS["table_rows"]) <= 130
    assert apart[near].max() <= 1.1e-5
    if width % 2:
        assert not found[:, -1].any()
    assert not found[1].any()


def test_rows_do_not_depend_on_the_size_of_the_table() -> None:
    assert np.array_equal(sinusoidal_positions(2305, 33)[:2050], sinusoidal_positions(2050, 33))


def test_the_zero_row_is_the_pad_row() -> None:
    for row in (0, 5):
        table_PD = sinusoidal_positions(9, 16, row)
        assert np.flatnonzero(~table_PD.any(axis=1)).tolist() == [row]
    assert sinusoidal_positions(9, 16, None).any(axis=1).all()
