"""Memory in large pages, for what is read whole again and again.

A CPU remembers where some thousand pages lie; of the usual 4 KB, that is a few
megabytes. A cache of keys and values is larger, is read whole for every token, and
under a hypervisor each page that has to be looked up costs two walks through tables.
In pages of 2 MB one thread reads half as fast again.
"""

from __future__ import annotations

import contextlib
import math
import mmap

import numpy as np

from pyxglm.dtypes import Array

#: Bytes of a large page, on x86-64 and on most aarch64 systems.
LARGE = 2 * 2**20


def empty(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Return an array as `numpy.empty` does, in large pages if it fills one.

    The memory is asked for, not demanded: where the system has no large pages, or none
    left, it gives its usual ones. NumPy asks for itself from 4 MB on, but for memory
    that begins anywhere, whose ends then lie in small pages.

    Parameters
    ----------
    shape, dtype
        Of the array.

    Returns
    -------
    ndarray
        C-contiguous, with any content.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(shape, dtype)
    try:
        memory = mmap.mmap(-1, size + LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"{size} bytes cannot be had: {error.strerror}") from None
    with contextlib.suppress(OSError):  # a kernel that is built without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    content = np.frombuffer(memory, np.uint8)
    begin = -content.ctypes.data % LARGE
    return content[begin : begin + size].view(dtype).reshape(shape)
