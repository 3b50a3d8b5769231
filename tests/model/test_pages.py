"""Memory of large arrays: as numpy.empty's, used again, and where it lies."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyxglm import pages
from pyxglm.cache import KVCache
from pyxglm.pages import KEPT_BYTES, Turns, empty, empty_on_large

SMALL, LARGE = (511, 1024), (512, 1024)  # just below a page of 2 MB, and just one, in float32
N = pages.LARGE // 4


@pytest.fixture(autouse=True)
def _none_kept() -> Iterator[None]:
    gc.collect()
    pages.release()
    yield
    pages.release()


@pytest.mark.parametrize("made", [empty, empty_on_large])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0,), (), (3, 0, 5), SMALL, LARGE, (2, 513, 1025)])
def test_an_array_like_any_other(
    made: Callable[..., Any], shape: tuple[int, ...], dtype: str
) -> None:
    array = made(shape, np.dtype(dtype))
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert array.flags.writeable
    wanted = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    array[...] = wanted
    assert np.array_equal(array, wanted)


def test_large_pages_are_asked_for_from_one_on() -> None:
    array = empty_on_large(LARGE, np.dtype("float32"))
    assert array.ctypes.data % pages.LARGE == 0
    has_any = Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert ("hg" in flags_of(array)) == has_any
    leases = len(pages._leases)
    small = empty_on_large(SMALL, np.dtype("float32"))
    assert len(pages._leases) == leases  # NumPy's own memory, wherever it lies
    assert small.shape == SMALL


def flags_of(array: np.ndarray) -> list[str]:
    """What the system knows about the mapping that an array lies in."""
    address, here = array.ctypes.data, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            here = int(found[1], 16) <= address < int(found[2], 16)
        elif here and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("the array lies in no mapping")


def test_memory_that_cannot_be_had() -> None:
    with pytest.raises(MemoryError, match="Unable to allocate"):
        empty((2**40, 2**6), np.dtype("float32"))


def test_the_keys_and_values_of_a_layer_share_pages() -> None:
    cache = KVCache(1, 256)
    rows = np.ones((1, 16, 1, 64), np.float32)
    k_BHSK, v_BHSK = cache.append(0, rows, 2 * rows)
    assert k_BHSK.ctypes.data % pages.LARGE == 0
    assert v_BHSK.ctypes.data == k_BHSK.ctypes.data + 256 * 16 * 64 * 4
    assert (k_BHSK == 1).all()
    assert (v_BHSK == 2).all()


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_a_dropped_result_is_used_again() -> None:
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
@pytest.mark.parametrize("made", [empty, empty_on_large])
def test_a_view_keeps_its_memory(made: Callable[..., Any], view: Callable[[Any], Any]) -> None:
    whole = made((2, N), np.dtype("float32"))
    whole[:] = 7
    part = view(whole)
    before = np.array(part)
    del whole
    other = made((2, N), np.dtype("float32"))
    other[:] = 8
    assert (np.array(part) == before).all()


@pytest.mark.parametrize("made", [empty, empty_on_large])
def test_arrays_that_live_at_once_lie_apart(made: Callable[..., Any]) -> None:
    arrays = [made((N,), np.dtype("float32")) for _ in range(5)]
    for i, array in enumerate(arrays):
        array[:] = i
    assert [set(array.tolist()) for array in arrays] == [{i} for i in range(5)]


@pytest.mark.parametrize("made", [empty, empty_on_large])
def test_memory_of_small_results_is_not_kept(made: Callable[..., Any]) -> None:
    for shape in ((N - 1,), (0, N), ()):
        del (alive := [made(shape, np.dtype("float32"))])[0]
        assert not alive
    assert not pages._unused


@pytest.mark.parametrize("made", [empty, empty_on_large])
def test_results_begin_with_a_cache_line(made: Callable[..., Any]) -> None:
    alive = [made((rows, 7), np.dtype("float32")) for rows in (1, 2, 3, 10, 1000, N)]
    assert [array.ctypes.data % 64 for array in alive] == [0] * len(alive)


def test_memory_in_turns_begins_with_a_cache_line() -> None:
    turns = Turns()
    alive = [turns.empty((rows, 7)) for rows in (1, 2, 3, 10, 1000, N)]
    assert [array.ctypes.data % 64 for array in alive] == [0] * len(alive)


def test_a_block_that_is_much_too_large_is_left_alone() -> None:
    del (big := [empty((4 * N,))])[0]
    assert len(pages._unused) == 1
    assert not big
    kept = empty((2 * N,))
    assert len(pages._unused) == 1
    del kept
    assert len(pages._unused) == 2


def test_what_is_kept_is_bounded() -> None:
    arrays = [empty((4 * N,)) for _ in range(140)]
    assert sum(array.nbytes for array in arrays) > 4 * KEPT_BYTES
    del arrays
    assert 0 < sum(block.nbytes for block in pages._unused.values()) <= KEPT_BYTES
    assert len(pages._unused) > 1


def test_one_block_larger_than_all_is_kept_besides() -> None:
    larger = [empty((KEPT_BYTES // 4 + 1,)) for _ in range(2)]
    place = address(larger[1])
    larger.pop(0)
    larger.pop()
    del (cache := [empty((4 * N,)) for _ in range(140)])[:]
    assert not cache
    sizes = sorted(block.nbytes for block in pages._unused.values())
    assert sum(sizes[:-1]) <= KEPT_BYTES < sizes[-1]
    assert address(empty((KEPT_BYTES // 4 + 1,))) == place


def test_all_is_given_back() -> None:
    del (arrays := [empty((N,)) for _ in range(3)])[:]
    assert not arrays
    assert len(pages._unused) == 3
    pages.release()
    assert not pages._unused
    assert not pages._leases


def test_several_threads() -> None:
    wrong: list[float] = []

    def work(number: int) -> None:
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


class TestTurns:
    """Memory that is used again before anything is written to it."""

    def test_a_dropped_array_makes_room_for_the_next_of_its_size(self) -> None:
        turns = Turns()
        first = turns.empty((3, 40))
        address = first.ctypes.data
        view = first.T[::2]
        del first
        assert turns.empty((3, 40)).ctypes.data != address  # a view of it lives
        del view
        other = turns.empty((4, 30))
        assert other.shape == (4, 30)
        assert other.ctypes.data == address
        assert turns.empty((4, 31)).ctypes.data != address

    @pytest.mark.parametrize("shape", [(0,), (3, 0), (), (5,), LARGE])
    def test_arrays_of_any_size(self, shape: tuple[int, ...]) -> None:
        array = Turns().empty(shape)
        assert (array.shape, array.dtype) == (shape, np.float32)
        array[...] = 1

    def test_it_knows_its_own(self) -> None:
        turns = Turns()
        array = turns.empty((2, 3))
        assert turns.has(array.base)
        assert not turns.has(np.empty((2, 3), np.float32))

    def test_what_lives_on_is_nobody_elses(self) -> None:
        turns = Turns()
        array = turns.empty(LARGE)
        array[...] = 7
        turns.close()
        others = [turns.empty(LARGE), empty(LARGE)]
        for other in others:
            other[...] = 0
        assert np.all(array == 7)

    def test_afterwards_memory_is_kept_for_anybody(self) -> None:
        turns = Turns()
        address = turns.empty(LARGE).ctypes.data
        turns.close()
        assert empty(LARGE).ctypes.data == address
