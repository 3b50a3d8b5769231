"""Memory of dropped results serves the next; memory in use never does."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from pyxglm.ops import native_buffers as buffers
from pyxglm.ops.native_buffers import KEPT_BYTES, SMALLEST_BYTES, empty

N = SMALLEST_BYTES // 4


@pytest.fixture(autouse=True)
def _none_kept():
    gc.collect()
    buffers.release()
    yield
    buffers.release()


def address(array):
    return array.__array_interface__["data"][0]


def test_a_dropped_result_is_used_again():
    first = empty((3, N))
    place = address(first)
    del first
    second = empty((N, 3))
    assert address(second) == place
    assert (second.shape, second.dtype, type(second)) == ((N, 3), np.float32, np.ndarray)
    assert second.flags.c_contiguous
    assert second.flags.writeable


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[1:2],
        lambda a: a.T,
        lambda a: a.reshape(-1)[5:6].view(np.int32),
        memoryview,
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, 0),
        lambda a: a[:, ::-1][1].reshape(2, -1)[1:],
    ],
)
def test_a_view_keeps_its_memory(view):
    whole = empty((2, N))
    whole[:] = 7
    part = view(whole)
    before = np.array(part)
    del whole
    other = empty((2, N))
    other[:] = 8
    assert (np.array(part) == before).all()


def test_results_that_live_at_once_lie_apart():
    arrays = [empty((N,)) for _ in range(5)]
    for i, array in enumerate(arrays):
        array[:] = i
    assert [set(array.tolist()) for array in arrays] == [{i} for i in range(5)]


def test_small_results_are_left_to_numpy():
    assert empty((N - 1,)).base is None
    assert empty((0, N)).shape == (0, N)
    assert empty(()).shape == ()


def test_a_block_that_is_much_too_large_is_left_alone():
    del (big := [empty((4 * N,))])[0]
    assert len(buffers._unused) == 1
    assert not big
    kept = empty((2 * N,))
    assert len(buffers._unused) == 1
    del kept
    assert len(buffers._unused) == 2


def test_what_is_kept_is_bounded():
    arrays = [empty((4 * N,)) for _ in range(40)]
    assert sum(array.nbytes for array in arrays) > 4 * KEPT_BYTES
    del arrays
    assert 0 < sum(block.nbytes for block in buffers._unused.values()) <= KEPT_BYTES
    huge = empty((KEPT_BYTES // 2,))
    place = address(huge)
    del huge
    assert [address(block) for block in buffers._unused.values()] == [place]
    buffers.release()
    assert not buffers._unused
    assert not buffers._leases


def test_several_threads():
    wrong = []

    def work(number):
        for i in range(60):
            array = empty((N + i,))
            array[:] = number
            wrong.extend(array[array != number])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
