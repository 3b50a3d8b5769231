"""KVCache: what it is told in numbers, and which are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pyxglm.cache import KVCache


@pytest.mark.parametrize("wrong", [-1, 1.5, "a", None, True, [2]])
def test_a_cache_counts_in_whole_numbers(wrong: Any, tmp_path: Any) -> None:
    cache = KVCache(np.int64(1), np.int32(3))
    cache.append(0, *np.ones((2, 2, 3, 2, 4)))
    cache.commit(2)
    cache.save(tmp_path / "cache")
    assert KVCache.load(tmp_path / "cache", room=np.int16(3)).length == 2
    for name, lowest, call in [
        ("num_layers", 1, lambda: KVCache(wrong)),
        ("capacity", 0, lambda: KVCache(4, wrong)),
        ("room", 0, lambda: KVCache.load(tmp_path / "cache", room=wrong)),
        ("room", 0, lambda: KVCache.load(tmp_path / "no such file", wrong)),
    ]:
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call()
        assert str(caught.value) == f"{name} is {wrong!r}, expected a whole number from {lowest}"
    with pytest.raises(ValueError, match="^num_layers is 0, expected a whole number from 1$"):
        KVCache(0)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ([0.7], TypeError, "holds float64 values, expected whole numbers"),
        ([True, False], TypeError, "holds bool values, expected whole numbers"),
        ("ab", TypeError, "holds <U2 values, expected whole numbers"),
        (None, TypeError, "holds object values, expected whole numbers"),
        ([[0], [0, 1]], ValueError, "is ragged, expected rows of one length"),
        ([], ValueError, "has shape (0,), expected (B,), a number for each row there will be, and"
         " at least one"),
        (1, ValueError, "has shape (), expected (B,), a number for each row there will be, and at"
         " least one"),
        ([[0, 1]], ValueError, "has shape (1, 2), expected (B,), a number for each row there will"
         " be, and at least one"),
        ([0, 2], IndexError, "holds 2 at [1], expected 0..1"),
        (np.array([-1], np.int8), IndexError, "holds -1 at [0], expected 0..1"),
    ],
)  # fmt: skip
def test_rows_that_a_cache_does_not_have(wrong: Any, error: Any, says: str) -> None:
    cache, part = KVCache(1, 4), np.arange(96.0).reshape(2, 2, 3, 2, 4)
    for stored in (False, True):
        for name, call in (("beam_idx", cache.reorder), ("rows_B", cache.gathered)):
            if error is IndexError and not stored:  # nobody knows how many there will be
                call(wrong)
                continue
            with pytest.raises(error) as caught:
                call(wrong)
            assert str(caught.value) == f"{name} {says}"
        cache.append(0, *part)
        cache.commit(2 - cache.length)
    assert np.array_equal(cache[0][0], part[0])
