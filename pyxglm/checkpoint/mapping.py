"""Weight files as memory: mapped, read-only, never copied.

A mapped file costs no memory of the process's own. Its pages come from the
page cache when a weight is first read, several processes share them, and the
kernel may drop them again at any time. The one thing a mapping cannot survive
is a file that is cut short behind its back (the read ends in SIGBUS): writers
must replace a checkpoint's files, as `pyxglm.checkpoint.save` does, and not
rewrite them in place.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyxglm.dtypes import Array

#: NumPy 1 has arrays of at most 32 axes; XGLM's weights have two.
AXES_LIMIT = 32

#: Sizes in bytes must fit a signed 64-bit integer, whatever the other sizes are.
BYTES_LIMIT = 2**63 - 1


class Source(NamedTuple):
    """An open weight file, its size, and its name for messages."""

    descriptor: int
    size: int
    path: Path

    def read(self, start: int, length: int) -> bytes:
        """Return exactly `length` bytes from `start` on; ValueError if the file ends before."""
        data = b""
        if 0 <= start <= self.size - length:
            data = os.pread(self.descriptor, length, start)
        if len(data) != length:
            raise ValueError(
                f"{self.path}: ends at byte {self.size}, expected {length} bytes from byte {start}"
            )
        return data

    def map(self) -> Array:
        """Map the whole file: a read-only array of its bytes."""
        try:
            return np.frombuffer(
                mmap.mmap(self.descriptor, self.size, access=mmap.ACCESS_READ), np.uint8
            )
        except ValueError:
            raise ValueError(f"{self.path}: shrank below {self.size} bytes while opened") from None


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a regular file for reading and mapping.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is a directory, a pipe or a device.
    """
    # A pipe would block in open() until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: not a regular file, expected a weight file")
        yield Source(descriptor, status.st_size, path)
    finally:
        os.close(descriptor)


def count_bytes(shape: Sequence[int], itemsize: int) -> int | None:
    """Return how many bytes a tensor has, or None if its shape is absurd.

    Absurd is a negative size, too many axes, or sizes whose product would not
    fit 64 bits even if one of them were not zero.

    >>> count_bytes((3, 4), 2), count_bytes((), 4), count_bytes((0, 5), 4)
    (24, 4, 0)
    >>> count_bytes((2**40, 2**40, 0), 4) is None
    True
    """
    if len(shape) > AXES_LIMIT or any(size < 0 for size in shape):
        return None
    bound = itemsize
    for size in shape:
        bound *= max(size, 1)
        if bound > BYTES_LIMIT:
            return None
    return 0 if 0 in shape else bound


def tensor(
    mapped: Array,
    start: int,
    dtype: np.dtype[Any],
    shape: Sequence[int],
    strides: Sequence[int] | None = None,
) -> Array:
    """Return the tensor that lies at byte `start` of a mapped file.

    `strides` counts bytes; without it the tensor is contiguous. The caller has
    checked that the tensor lies inside the file; NumPy checks it once more.
    """
    array: Array = np.ndarray(
        tuple(shape),
        dtype,
        buffer=mapped.data,
        offset=start,
        strides=None if strides is None else tuple(strides),
    )
    return array


def lfs_pointer(source: Source) -> bool:
    """Tell whether the file is what Git leaves where large files were not fetched."""
    sign = b"version https://git-lfs"
    return source.size >= len(sign) and source.read(0, len(sign)) == sign
