"""Memory for large arrays: used again when one is gone, and in large pages.

A large array comes from the operating system page by page, and touching a page
for the first time costs ten times what writing to it costs, or much more on a
busy virtual machine. A forward pass makes and drops the same large arrays over
and over, and every text has a cache; so the memory of a dropped one is kept for the
next of about its size. At most `KEPT_BYTES` are kept, and one block that alone is
larger (all logits of a prompt, say); `release` gives all of it back.

And a CPU remembers where some thousand pages lie; of the usual 4 KB, that is a few
megabytes. A cache of keys and values is larger, is read whole for every token, and
under a hypervisor each page that has to be looked up costs two walks through tables.
In pages of 2 MB one thread reads half as fast again.

And arrays begin with a cache line: a vector of 64 bytes that lies across two is
two loads.

What is computed later than it is asked for takes turns in its memory: `Turns`.
"""

from __future__ import annotations

import weakref
from math import prod

import numpy as np

from pyxglm.dtypes import Array

#: Bytes of a large page, on x86-64 and on most aarch64 systems. Arrays below this are
#: NumPy's own: the C library's allocator reuses their memory by itself.
LARGE = 2 << 20

#: Bytes of a cache line.
LINE = 64

#: How much unused memory is kept: a cache of a thousand tokens of the smallest model.
KEPT_BYTES = 256 << 20

#: Blocks that nobody uses, the oldest first, by their ids. Every access is one
#: operation on the dict, since blocks come back in any thread, at any moment.
_unused: dict[int, Array] = {}

#: What is in use: the block behind every lease that lives.
_leases: dict[int, tuple[weakref.ref[Array], Array]] = {}

_FLOAT32 = np.dtype(np.float32)


def empty(shape: tuple[int, ...], dtype: np.dtype = _FLOAT32) -> Array:
    """Return an array as `numpy.empty` does, in memory of a dropped one if there is any.

    Parameters
    ----------
    shape, dtype
        Of the array.

    Returns
    -------
    ndarray
        C-contiguous, from a cache line on, with any content.
    """
    size = prod(shape) * dtype.itemsize
    room = size + LINE
    memory = _lease(room) if size >= LARGE else np.empty(room, np.uint8)
    return _from_next(LINE, memory, size).view(dtype).reshape(shape)


def empty_on_large(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Return the same, in large pages if it fills one.

    They are asked for, not demanded: where the system has no large pages, or none
    left, it gives its usual ones. NumPy asks for them from 4 MB on, but for memory that
    begins anywhere, whose ends then lie in small ones; so a page more is taken, of which
    nothing is touched, and the array begins with a page.
    """
    size = prod(shape) * dtype.itemsize
    if size < LARGE:
        return empty(shape, dtype)
    return _from_next(LARGE, _lease(size + LARGE), size).view(dtype).reshape(shape)


def release() -> None:
    """Give all unused memory back."""
    _unused.clear()


def _from_next(multiple: int, memory: Array, size: int) -> Array:
    """Return so many bytes of an array, from the next address that is a multiple on."""
    begin = -memory.ctypes.data % multiple
    return memory[begin : begin + size]


def _lease(size: int) -> Array:
    block = _take(size)
    # Every view of an array, and every view of that, holds on to the last array of the chain
    # that they come from. With a buffer behind it that is not the block, but the lease.
    lease: Array = np.frombuffer(block.data, np.uint8, size)
    reference = weakref.ref(lease, _come_back)
    _leases[id(reference)] = (reference, block)
    return lease


def _take(size: int) -> Array:
    """Return the smallest unused block that fits and wastes no more than a third, or a new one."""
    fitting = [b for b in list(_unused.values()) if size <= b.size <= size + size // 2]
    for block in sorted(fitting, key=lambda b: b.size):
        if _unused.pop(id(block), None) is not None:  # else another thread was faster
            return block
    return np.empty(size, np.uint8)


def _come_back(reference: weakref.ref[Array]) -> None:
    _, block = _leases.pop(id(reference))
    _unused[id(block)] = block
    kept, larger = 0, 0
    for key, one in reversed(list(_unused.items())):  # the newest first
        if one.nbytes > KEPT_BYTES:
            larger += 1
            too_much = larger > 1
        else:
            kept += one.nbytes
            too_much = kept > KEPT_BYTES
        if too_much:
            _unused.pop(key, None)


class Turns:
    """Memory that arrays have one after the other, though nothing is written to them yet.

    What is computed later, but in the order in which it was asked for, can use the
    memory of an array that was dropped meanwhile, and may still have to be computed
    itself; nobody else may before that. So blocks stay here until `close`.
    """

    def __init__(self) -> None:
        self._unused: dict[int, list[Array]] = {}
        self._turns: dict[int, _Turn] = {}

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return a float32 array in memory of a dropped one of this size, if there is any."""
        size = prod(shape)
        if size == 0:
            return np.empty(shape, _FLOAT32)
        unused = self._unused.get(size)
        block = unused.pop() if unused else empty(shape)
        lease: Array = np.frombuffer(block.data, _FLOAT32)  # see `_lease`
        turn = _Turn(lease, self._come_back)
        turn.block, turn.key = block, id(lease)
        self._turns[turn.key] = turn
        return lease.reshape(shape)

    def has(self, array: Array) -> bool:
        """Whether this is the array at the end of the chain of views that `empty` has returned."""
        turn = self._turns.get(id(array))
        return turn is not None and turn() is array

    def close(self) -> None:
        """Keep nothing any more: memory is the arrays' that live."""
        self._turns.clear()
        self._unused.clear()

    def _come_back(self, turn: weakref.ref[Array]) -> None:
        assert isinstance(turn, _Turn)  # noqa: S101  # for mypy: it is called for these alone
        if self._turns.pop(turn.key, None) is not None:
            self._unused.setdefault(turn.block.size, []).append(turn.block)


class _Turn(weakref.ref[Array]):
    """An array that has a block of memory for as long as it lives."""

    __slots__ = ("block", "key")
    block: Array
    key: int
