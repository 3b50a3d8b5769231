"""Memory in large pages: as numpy.empty's, and where it lies."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from pyxglm import pages
from pyxglm.cache import KVCache

SMALL, LARGE = (511, 1024), (512, 1024)  # just below a page of 2 MB, and just one, in float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0,), (), (3, 0, 5), SMALL, LARGE, (2, 513, 1025)])
def test_an_array_like_any_other(shape: tuple[int, ...], dtype: str) -> None:
    array = pages.empty(shape, np.dtype(dtype))
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert array.flags.writeable
    wanted = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    array[...] = wanted
    assert np.array_equal(array, wanted)


def test_arrays_are_apart_and_outlive_each_other() -> None:
    first, second = (pages.empty(LARGE, np.dtype("float32")) for _ in range(2))
    first[...], second[...] = 1, 2
    view = first[5:7]
    del first
    assert (view == 1).all()
    assert (second == 2).all()


def test_large_pages_are_asked_for_from_one_on() -> None:
    array = pages.empty(LARGE, np.dtype("float32"))
    assert array.ctypes.data % pages.LARGE == 0
    has_any = Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert ("hg" in flags_of(array)) == has_any
    assert pages.empty(SMALL, np.dtype("float32")).base is None  # NumPy's own memory


def flags_of(array: np.ndarray) -> list[str]:
    """What the system knows about the mapping that an array lies in."""
    address, here = array.ctypes.data, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            here = int(found[1], 16) <= address < int(found[2], 16)
        elif here and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("the array lies in no mapping")


def test_a_system_that_knows_no_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    array = pages.empty(LARGE, np.dtype("float32"))
    array[...] = 3
    assert array.sum() == 3 * array.size


def test_memory_that_cannot_be_had() -> None:
    with pytest.raises(MemoryError, match=r"cannot be had"):
        pages.empty((2**40, 2**6), np.dtype("float32"))


def test_the_keys_and_values_of_a_layer_share_pages() -> None:
    cache = KVCache(1, 256)
    rows = np.ones((1, 16, 1, 64), np.float32)
    k_BHSK, v_BHSK = cache.append(0, rows, 2 * rows)
    assert k_BHSK.ctypes.data % pages.LARGE == 0
    assert v_BHSK.ctypes.data == k_BHSK.ctypes.data + 256 * 16 * 64 * 4
    assert (k_BHSK == 1).all()
    assert (v_BHSK == 2).all()
