"""The head without its logits, and the cache's rows: the reference against loops and exact sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from ops import naive
from strategies import arrays_for, exact, left_alone

from pyxglm.dtypes import convert
from pyxglm.ops import head, stored
from pyxglm.ops.reference import cache_append, head_log_probs, head_top

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def logits_of(hidden: np.ndarray, matrix: np.ndarray) -> list[list[float]]:
    """The logits, each correctly rounded to float64."""
    return [[naive.dot(row, other)[0] for other in exact(matrix).tolist()]
            for row in exact(hidden).tolist()]  # fmt: skip


@SETTINGS
@given(arguments=arrays_for(head_log_probs, dtype="float64", zeros="ND"))
def test_log_probs_are_those_of_the_logits(arguments: dict[str, Any]) -> None:
    arguments["targets_N"] = targets = np.maximum(arguments["targets_N"], 0)
    hidden, matrix = arguments["hidden_ND"], arguments["head_VD"]
    with left_alone(arguments):
        log_probs, log_sums = head_log_probs(**arguments)
    sizes = (np.abs(exact(hidden)) @ np.abs(exact(matrix)).T).max(axis=-1)
    for n, row in enumerate(logits_of(hidden, matrix)):
        wanted = naive.log_softmax(row)[targets[n]]
        # What is added up for a logit (33 products at most), and for the sum of the exponentials.
        size = sizes[n] + len(row)
        assert abs(log_probs[n] - wanted) <= 1e-13 * (size + 1)
        assert abs(log_sums[n] - (row[targets[n]] - wanted)) <= 1e-13 * (size + 1)


@pytest.mark.parametrize("rows", [1, 7, 37, 512])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_blocks_cover_the_vocabulary(
    rows: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    hidden = generator.standard_normal((5, 6))
    matrix = convert(generator.standard_normal((37, 6)).astype("f4"), dtype)
    monkeypatch.setattr(stored, "_BLOCK_BYTES", rows * 12)
    monkeypatch.setattr(head, "TOKENS", rows)
    monkeypatch.setattr(head, "_POSITIONS", 2)
    logits = np.array(logits_of(hidden, matrix))
    for first in (0, 1, 36):
        targets = np.array([first, 36, 0, 18, 35])
        wanted = [
            naive.log_softmax(row.tolist())[t] for row, t in zip(logits, targets, strict=True)
        ]
        found, _ = head_log_probs(hidden, matrix, targets)
        assert np.abs(found - wanted).max() < 1e-13
    values, ids = head_top(hidden, matrix, 4)
    assert ids.tolist() == np.argsort(-logits, axis=-1)[:, :4].tolist()
    assert np.abs(values - np.take_along_axis(logits, ids, -1)).max() < 1e-13


def test_no_more_than_a_block_of_logits_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    blocks = stored.widened_blocks

    def spy(*given: Any, **how: Any) -> Any:
        for block, rows in blocks(*given, **how):
            shapes.append(rows.shape)
            yield block, rows

    monkeypatch.setattr(head, "widened_blocks", spy)
    matrix = np.zeros((40_000, 64), np.float32)
    head_log_probs(np.zeros((3, 64), np.float32), matrix, np.zeros(3, int))
    assert sum(rows for rows, _ in shapes) == 40_000
    assert max(rows for rows, _ in shapes) <= 512


def test_the_best_are_ordered_as_by_argmax() -> None:
    nan, inf = math.nan, math.inf
    logits = np.array([
        [1, 3, 3, 2, 3], [nan, 5, inf, nan, 0], [-inf, -inf, -inf, -inf, -inf],
        [0.0, -0.0, 0.0, -1, -inf], [inf, nan, -inf, inf, nan],
    ])  # fmt: skip
    # A head that is the logits themselves: each position picks its row.
    with np.errstate(invalid="ignore"):
        products = [head_top(np.ones((1, 1)), row[:, None], 5) for row in logits]
    ids = [ids[0].tolist() for _, ids in products]
    assert ids == [
        [1, 2, 4, 3, 0], [0, 3, 2, 1, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [1, 4, 0, 3, 2]
    ]  # fmt: skip
    for row, (values, found) in zip(logits, products, strict=True):
        assert found[0, 0] == row.argmax()
        assert np.array_equal(values[0], row[found[0]], equal_nan=True)


def test_sums_that_are_not_finite() -> None:
    inf = math.inf
    with np.errstate(all="ignore"):
        for row, log_sum in [([0, -inf], 0.0), ([-inf, -inf], -inf), ([inf, 0], inf)]:
            _, found = head_log_probs(np.ones((1, 1)), np.array(row)[:, None], np.array([0]))
            assert found[0] == log_sum
        _, found = head_log_probs(np.ones((1, 1)), np.array([[math.nan], [0]]), np.array([1]))
        assert math.isnan(found[0])
        # Neither a large number nor a block of nothing but -inf overflows or drowns the rest.
        matrix = np.full((3000, 64), -inf, "f4")
        matrix[2999] = 800 / 64
        _, found = head_log_probs(np.ones((1, 64), "f4"), matrix, np.array([2999]))
        assert found[0] == 800


@pytest.mark.parametrize("target", [-1, -100, 4])
def test_a_target_that_is_no_id(target: int) -> None:
    with pytest.raises(IndexError, match=f"^targets_N holds {target}, expected 0 to 3$"):
        head_log_probs(np.zeros((2, 3)), np.zeros((4, 3)), np.array([0, target]))
    with pytest.raises(ValueError, match=r"^targets_N has shape \(1,\), expected \(2,\)$"):
        head_log_probs(np.zeros((2, 3)), np.zeros((4, 3)), np.array([0]))


@SETTINGS
@given(arguments=arrays_for(cache_append, k_room_BHSK=None, v_room_BHSK=None, start=2))
def test_rows_go_where_they_belong(arguments: dict[str, Any]) -> None:
    k_BHTK, v_BHTK = arguments["k_BHTK"], arguments["v_BHTK"]
    B, H, T, K = k_BHTK.shape
    rooms = np.full((2, B, H, T + 3, K), -7.0)
    with left_alone({"k": k_BHTK, "v": v_BHTK}):
        cache_append(*rooms, k_BHTK, v_BHTK, 2)
    for room, new in zip(rooms, (k_BHTK, v_BHTK), strict=True):
        for b, h, t in np.ndindex(B, H, T):
            assert room[b, h, 2 + t].tolist() == new[b, h, t].tolist()
        assert (room[:, :, [0, 1, T + 2]] == -7).all()
