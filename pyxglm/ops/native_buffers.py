"""Memory for results, used again when a result is gone.

A large array comes from the operating system page by page, and touching a page
for the first time costs ten times what writing to it costs, or much more on a
busy virtual machine. A forward pass makes and drops the same large arrays over
and over; so the memory of a dropped one is kept for the next of about its size.

At most `KEPT_BYTES` are kept, or one block if that alone is larger; `release`
gives all of it back.
"""

from __future__ import annotations

import weakref
from math import prod

import numpy as np

from pyxglm.dtypes import Array

#: Results below this are NumPy's own: the C library's allocator reuses those by itself.
SMALLEST_BYTES = 2 << 20

#: How much unused memory is kept.
KEPT_BYTES = 64 << 20

#: Blocks that nobody uses, the oldest first, by their ids. Every access is one
#: operation on the dict, since blocks come back in any thread, at any moment.
_unused: dict[int, Array] = {}


#: What is in use: the block behind every lease that lives.
_leases: dict[int, tuple[weakref.ref[Array], Array]] = {}


def empty(shape: tuple[int, ...]) -> Array:
    """Return an array of float32 whose contents are undefined."""
    size = prod(shape)
    if size * 4 < SMALLEST_BYTES:
        return np.empty(shape, np.float32)
    block = _take(size)
    # Every view of an array, and every view of that, holds on to the last array of the chain
    # that they come from. With a buffer behind it that is not the block, but the lease.
    lease: Array = np.frombuffer(block.data, np.float32, size)
    reference = weakref.ref(lease, _come_back)
    _leases[id(reference)] = (reference, block)
    return lease.reshape(shape)


def release() -> None:
    """Give all unused memory back."""
    _unused.clear()


def _take(size: int) -> Array:
    """Return the smallest unused block that fits and wastes no more than a third, or a new one."""
    fitting = [b for b in list(_unused.values()) if size <= b.size <= size + size // 2]
    for block in sorted(fitting, key=lambda b: b.size):
        if _unused.pop(id(block), None) is not None:  # else another thread was faster
            return block
    return np.empty(size, np.float32)


def _come_back(reference: weakref.ref[Array]) -> None:
    _, block = _leases.pop(id(reference))
    _unused[id(block)] = block
    while len(_unused) > 1 and sum(b.nbytes for b in list(_unused.values())) > KEPT_BYTES:
        oldest = next(iter(list(_unused)), 0)
        _unused.pop(oldest, None)
