"""The position table against sines and cosines of forty digits."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import pytest

from pyxglm.config import XGLMConfig
from pyxglm.ops.reference import sinusoidal_positions
from pyxglm.positions import PositionTable

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
WIDTHS = [4, 5, 6, 7, 16, 33, 64, 128]


def sine(angle: Decimal) -> float:
    """Return sin by its series, after taking out whole turns."""
    with decimal.localcontext() as context:
        context.prec = 60
        x = angle % (2 * PI)
        term = total = x
        for n in range(1, 60):
            term *= -x * x / ((2 * n) * (2 * n + 1))
            total += term
        return float(total)


def frequency(i: int, half: int) -> Decimal:
    with decimal.localcontext() as context:
        context.prec = 40
        return (-Decimal(10000).ln() * i / (half - 1)).exp()


def true_row(p: int, width: int) -> list[float]:
    half = width // 2
    angles = [p * frequency(i, half) for i in range(half)]
    row = [sine(angle) for angle in angles] + [sine(angle + PI / 2) for angle in angles]
    return row + [0.0] * (width % 2)


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_are_sines_beside_cosines(width: int) -> None:
    table_PD = sinusoidal_positions(2050, width)
    assert (table_PD.shape, table_PD.dtype) == ((2050, width), np.float32)
    # Angles are float32, as in training: at p their error is p 2 ** -24, and as much for the
    # frequency and its exponent, of up to ln 10000.
    for p in (0, 2, 3, 4, 5, 130, 1912, 2049):
        off = np.abs(table_PD[p] - np.array(true_row(p, width))).max()
        assert off <= 2.0**-23 + p * 2.0**-24 * 4
        assert off <= (1.1e-5 if p <= 130 else 2e-4)


@pytest.mark.parametrize("width", [5, 64])
def test_frequencies_and_angles_are_float32_each_rounded_once(width: int) -> None:
    # What transformers computes, step by step, with every step correctly rounded.
    half = width // 2
    table_PD = sinusoidal_positions(2050, width)
    step = np.float32(float(-Decimal(10000).ln() / (half - 1)))
    for i in range(0, half, 5):
        exponent = np.float32(i) * step
        with decimal.localcontext() as context:
            context.prec = 40
            f = np.float32(float(Decimal(float(exponent)).exp()))
        for p in (2, 77, 2049):
            angle = Decimal(float(np.float32(p) * f))
            assert table_PD[p, i] == np.float32(sine(angle))
            assert table_PD[p, half + i] == np.float32(sine(angle + PI / 2))


def test_row_norms() -> None:
    table_PD = sinusoidal_positions(100, 64).astype(np.float64)
    norms = np.linalg.norm(table_PD, axis=1)
    np.testing.assert_allclose(np.delete(norms, 1), np.sqrt(32), rtol=1e-6)


@pytest.mark.parametrize("width", [1, 5, 7, 33])
def test_an_odd_width_ends_in_a_zero_column(width: int) -> None:
    table_PD = sinusoidal_positions(9, width)
    assert not table_PD[:, -1].any()
    assert table_PD[2:, : width - 1].all()


@pytest.mark.parametrize("padding_row", [None, 0, 1, 4, 8, 9, 1000])
def test_the_padding_row_is_zero_and_no_other(padding_row: int | None) -> None:
    zero = ~sinusoidal_positions(9, 6, padding_row).any(axis=1)
    assert np.flatnonzero(zero).tolist() == ([padding_row] if padding_row in range(9) else [])


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_few_rows(rows: int) -> None:
    assert np.array_equal(sinusoidal_positions(rows, 8), sinusoidal_positions(50, 8)[:rows])


# ------------------------------------------------------------------------ a model's table


def config(**fields: int | None) -> XGLMConfig:
    sizes = {"d_model": 8, "attention_heads": 2, "max_position_embeddings": 20}
    return XGLMConfig(**{**sizes, **fields})


def test_room_for_the_configured_positions_or_for_the_tokens_if_they_are_more() -> None:
    table = PositionTable(config())
    assert [table.rows(length) for length in (0, 20, 21, 500)] == [22, 22, 23, 502]


def test_the_table_is_the_same_however_it_grows() -> None:
    table = PositionTable(config())
    whole_PD = sinusoidal_positions(6000, 8)
    for highest in (-2, 0, 19, 25, 5, 1300, 1301, 2):
        part_PD = table.up_to(highest)
        assert len(part_PD) >= highest + 3
        assert np.array_equal(part_PD, whole_PD[: len(part_PD)])
    assert table.up_to(100) is table.up_to(3)  # computed once


@pytest.mark.parametrize("pad", [None, 0, 5])
def test_the_zero_row_is_the_padding_ids(pad: int | None) -> None:
    table_PD = PositionTable(config(pad_token_id=pad)).up_to(15)
    assert np.flatnonzero(~table_PD.any(axis=1)).tolist() == ([] if pad is None else [pad])


def test_a_given_table_is_used_until_it_is_taken_back() -> None:
    table = PositionTable(config())
    given_PD = np.ones((5, 8))
    table.set(given_PD.tolist())
    assert table.rows(100) == 5
    assert np.array_equal(table.up_to(2), given_PD)
    table.set(None)
    assert table.rows(100) == 102
    with pytest.raises(ValueError, match=r"^table_PD has shape \(5, 7\), expected \(rows, 8\)$"):
        table.set(np.ones((5, 7)))
