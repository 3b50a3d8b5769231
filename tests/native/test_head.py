"""What Python hands to the head and the cache's kernel: any layout that is right, nothing else."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from pyxglm.dtypes import Array, convert
from pyxglm.ops import coarse, native, native_coarse, reference

RNG = np.random.default_rng(3)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape, dtype=np.float32)


class TestHead:
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    @pytest.mark.parametrize("N", [0, 1, 3, 130])
    def test_it_has_the_bits_of_linear(self, dtype: str, N: int) -> None:
        hidden, head = floats(N, 37), convert(floats(1100, 37), dtype)
        logits = native.linear(hidden, head)
        for k in (0, 1, 7):
            values, ids = native.head_top(hidden, head, k)
            assert (values.dtype, ids.dtype) == (np.float32, np.int64)
            assert values.shape == ids.shape == (N, k)
            assert (values == np.take_along_axis(logits, ids, -1)).all()
            assert (ids[:, :1] == logits.argmax(axis=-1)[:, None]).all() or k == 0
        targets = RNG.integers(0, 1100, N)
        log_probs, log_sums = native.head_log_probs(hidden, head, targets)
        assert log_probs.dtype == log_sums.dtype == np.float32
        assert (log_probs == logits[np.arange(N), targets] - log_sums).all()
        wanted, _ = reference.head_log_probs(hidden.astype("f8"), head, targets)
        assert np.allclose(log_probs, wanted, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    @pytest.mark.parametrize("N", [0, 1, 130])
    def test_the_coarse_head_has_the_bits_of_the_coarse_linear(self, dtype: str, N: int) -> None:
        hidden, head = floats(N, 37), convert(floats(1100, 37), dtype)
        logits = native_coarse.linear(hidden, head)
        assert N == 0 or (logits != native.linear(hidden, head)).any()
        values, ids = native_coarse.head_top(hidden, head, 3)
        assert (values == np.take_along_axis(logits, ids, -1)).all()
        assert (ids[:, :1] == logits.argmax(axis=-1)[:, None]).all()
        targets = RNG.integers(0, 1100, N)
        log_probs, log_sums = native_coarse.head_log_probs(hidden, head, targets)
        assert (log_probs == logits[np.arange(N), targets] - log_sums).all()
        wanted, _ = coarse.head_log_probs(hidden, head, targets)
        assert np.allclose(log_probs, wanted, rtol=0, atol=1e-4)

    def test_other_layouts(self) -> None:
        hidden, head, targets = floats(8, 12), floats(50, 24), np.arange(8, dtype="i2")
        plain = native.head_top(hidden[::2, ::2].copy(), head[::2, :6].copy(), 3)
        found = native.head_top(hidden[::2, ::2], head[::2, :6], 3)
        assert all((a == b).all() for a, b in zip(found, plain, strict=True))
        wanted = native.head_log_probs(hidden, head[:, :12], targets.astype("i8"))
        found = native.head_log_probs(hidden, head[:, :12], np.repeat(targets, 2)[::2])
        assert all((a == b).all() for a, b in zip(found, wanted, strict=True))

    def test_no_logits_are_stored(self) -> None:
        hidden, head = floats(300, 8), floats(30_000, 8)  # 36 MB of logits
        tracemalloc.start()
        native.head_top(hidden, head, 5)
        native.head_log_probs(hidden, head, np.zeros(300, int))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1e6

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
    @pytest.mark.parametrize("T", [0, 1, 5])
    @pytest.mark.parametrize("layout", ["projection", "contiguous", "reversed"])
    def test_any_layout_of_rows(self, T: int, layout: str) -> None:
        made = {
            "projection": lambda: floats(2, T, 12).reshape(2, T, 3, 4).swapaxes(1, 2),
            "contiguous": lambda: floats(2, 3, T, 4),
            "reversed": lambda: floats(2, 3, T, 4)[::-1, ::-1, ::-1, ::-1],
        }[layout]
        k, v = made(), made()
        rooms, expected = (np.full((2, 2, 3, 9, 4), -7, "f4") for _ in range(2))
        native.cache_append(*rooms, k, v, 3)
        reference.cache_append(*expected, k, v, 3)
        assert (rooms == expected).all()

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
