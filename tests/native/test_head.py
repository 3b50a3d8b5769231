"""What the head and the cache's kernel refuse, and that the head stores no logits.

What they compute, of arrays in any layout, is tested in `native_kernels`.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyxglm
from pyxglm.dtypes import Array
from pyxglm.ops import native

RNG = np.random.default_rng(3)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape, dtype=np.float32)


class TestHead:
    def test_no_logits_are_stored(self) -> None:
        hidden, head = floats(300, 8), floats(30_000, 8)  # 36 MB of logits
        tracemalloc.start()
        native.head_top(hidden, head, 5)
        native.head_log_probs(hidden, head, np.zeros(300, int))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1e6

    @given(st.data(), st.integers(1, 3000), st.sampled_from([1, 3]))
    def test_the_best_of_many_equals(self, data: st.DataObject, V: int, threads: int) -> None:
        choice = data.draw(st.lists(st.sampled_from([np.nan, np.inf, 1.0, 0.0, -0.0, -np.inf])))
        seed, k = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, V))
        logits = np.random.default_rng(seed).choice(np.float32([2.0, *choice]), V)
        # From block to block all are better, or worse: none may be refused by the others.
        logits += np.float32(data.draw(st.sampled_from([0, 4, -4]))) * (np.arange(V) // 512)
        logits = logits.astype(np.float32)
        is_number = ~np.isnan(logits)
        best = np.lexsort((np.arange(V), -np.where(is_number, logits, 0), is_number))[:k]
        before = pyxglm.get_num_threads()
        pyxglm.set_num_threads(threads)
        values, ids = native.head_top(np.ones((1, 1), "f4"), logits[:, None], k)
        pyxglm.set_num_threads(before)
        np.testing.assert_array_equal(ids, best[None])
        np.testing.assert_array_equal(values, logits[best][None])

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: native.head_top(floats(2, 3).astype("f8"), floats(4, 3), 1), TypeError,
             "head_top: hidden_ND is float64, expected float32 (backend 'c')"),
            (lambda: native.head_top(floats(2, 3), floats(4, 5), 1), ValueError,
             "head_top: hidden_ND has shape (2, 3) and head_VD (4, 5), expected two matrices of"
             " one width"),
            (lambda: native.head_top(floats(1, 2, 3), floats(4, 3), 1), ValueError,
             "head_top: hidden_ND has shape (1, 2, 3) and head_VD (4, 3), expected two matrices"
             " of one width"),
            (lambda: native.head_top(floats(2, 3), floats(4, 3), 5), ValueError,
             "head_top: k is 5, expected 0 to 4, the number of tokens"),
            (lambda: native.head_top(floats(2, 3), floats(4, 3), -1), ValueError,
             "head_top: k is -1, expected 0 to 4, the number of tokens"),
            (lambda: native.head_log_probs(floats(2, 3), floats(4, 5), np.zeros(2, int)),
             ValueError, "head_log_probs: hidden_ND has shape (2, 3) and head_VD (4, 5), expected"
             " two matrices of one width"),
            (lambda: native.head_log_probs(floats(2, 3), floats(4, 3), np.array([0, 4])),
             IndexError, "targets_N holds 4, expected 0 to 3"),
            (lambda: native.head_log_probs(floats(2, 3), floats(4, 3), np.array([-1, 0])),
             IndexError, "targets_N holds -1, expected 0 to 3"),
            (lambda: native.head_log_probs(floats(2, 3), floats(4, 3), np.array([1])),
             ValueError, "targets_N has shape (1,), expected (2,)"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit(self, call: Callable[[], object], error: type, message: str) -> None:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == message


class TestCacheAppend:
    def test_what_does_not_fit(self) -> None:
        k, v, rooms = floats(2, 3, 1, 4), floats(2, 3, 1, 4), floats(2, 2, 3, 5, 4)
        message = "^cache_append: start is {}, expected 0 to 4"
        for start in (-1, 5):
            with pytest.raises(ValueError, match=message.format(start)):
                native.cache_append(*rooms, k, v, start)
        with pytest.raises(ValueError, match="^cache_append: k_room_BHSK has shape"):
            native.cache_append(rooms[0, :, :2], rooms[1], k, v, 0)
        with pytest.raises(ValueError, match="^cache_append: k_room_BHSK has shape .* expected th"):
            native.cache_append(*rooms, k, v[:, :, :0], 0)
        with pytest.raises(ValueError, match="^cache_append: v_room_BHSK has shape"):
            native.cache_append(rooms[0], rooms[1, 0], k, v, 0)
        with pytest.raises(ValueError, match="^cache_append: v_room_BHSK is a view or read-only"):
            native.cache_append(rooms[0], floats(2, 3, 6, 4)[:, :, :5], k, v, 0)
        with pytest.raises(TypeError, match="^cache_append: k_room_BHSK is float64, expected f"):
            native.cache_append(rooms[0].astype("f8"), rooms[1], k, v, 0)
        with pytest.raises(TypeError, match="^cache_append: k_BHTK is float64, expected float32"):
            native.cache_append(*rooms, k.astype("f8"), v, 0)
        frozen = rooms[0].copy()
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="^cache_append: k_room_BHSK is a view or read-only"):
            native.cache_append(frozen, rooms[1], k, v, 0)
