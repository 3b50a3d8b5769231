"""Tensors as they lie in files, and their bytes block by block.

Most formats keep a tensor in one piece, which is mapped and is an ordinary
array. Flax cuts tensors above 1 GiB into several; these stay `Pieces` until
somebody needs the whole, so that a checkpoint can be rewritten without ever
holding two large tensors in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pyxglm.dtypes import Array, as_dtype, bfloat16, convert

#: Bytes that are made contiguous, or converted, at a time.
BLOCK = 4 * 2**20


class Pieces:
    """A tensor that lies in a file as several flat pieces, in row-major order.

    Parameters
    ----------
    parts
        Flat arrays of one dtype.
    shape
        The tensor's shape, of as many elements as the parts have together.
    """

    def __init__(self, parts: Sequence[Array], shape: tuple[int, ...]) -> None:
        self.parts, self.shape = tuple(parts), shape
        self.turned = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self.parts[0].dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return sum(part.nbytes for part in self.parts)

    @property
    def T(self) -> Pieces:  # noqa: N802
        """The transposed tensor, still in the same pieces."""
        other = Pieces(self.parts, self.shape[::-1])
        other.turned = not self.turned
        return other

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """Return some rows, put together."""
        start, stop, _ = rows.indices(len(self))
        if not self.turned:
            width = math.prod(self.shape[1:])
            return self._flat(start * width, stop * width).reshape(-1, *self.shape[1:])
        # Rows of a transposed matrix are columns of the one that lies in the file.
        width, height = self.shape
        found = np.empty((stop - start, height), self.dtype)
        for row in range(height):
            found[:, row] = self._flat(row * width + start, row * width + stop)
        return found

    def _flat(self, start: int, stop: int) -> Array:
        """Return a run of the elements as they lie in the file."""
        found, position = [], 0
        for part in self.parts:
            found.append(part[max(start - position, 0) : max(stop - position, 0)])
            position += len(part)
        return np.concatenate(found)

    def whole(self) -> Array:
        """Return the tensor as one array, a copy in memory."""
        flat = np.concatenate(self.parts)
        return flat.reshape(self.shape[::-1]).T if self.turned else flat.reshape(self.shape)


Tensor = Array | Pieces


def whole(tensor: Tensor) -> Array:
    """Return a tensor as one array: itself, unless it lies in pieces."""
    return tensor.whole() if isinstance(tensor, Pieces) else tensor


def blocks(tensor: Tensor, dtype: object = None) -> Iterator[Array]:
    """Yield a tensor's numbers in row-major order: contiguous, little-endian arrays.

    Of the dtype given (one in which weights are stored), or of the tensor's
    own. A few megabytes are copied at a time, and nothing that already is as it
    should be.
    """
    target = tensor.dtype.newbyteorder("<") if dtype is None else as_dtype(dtype)
    if not isinstance(tensor, Pieces) and tensor.dtype == target and tensor.flags.c_contiguous:
        yield tensor
    elif tensor.ndim == 0:
        yield _packed(whole(tensor), target)
    else:
        for rows in row_blocks(tensor):
            yield _packed(tensor[rows], target)


def _packed(array: Array, dtype: np.dtype[Any]) -> Array:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    converted = little if little.dtype == dtype else convert(little, dtype)
    return converted.astype(dtype, order="C", copy=False)


def row_blocks(array: Tensor) -> Iterator[slice]:
    """Yield slices of rows that together are a tensor, each of about `BLOCK` bytes.

    >>> [*row_blocks(np.zeros((2, 3)))]
    [slice(0, 2, None)]
    """
    rows = max(1, BLOCK * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), rows):
        yield slice(start, min(start + rows, len(array)))


def raw(block: Array) -> memoryview:
    """Return the bytes of a contiguous array."""
    if not block.size:
        return memoryview(b"")
    # NumPy gives no plain buffer of records; bfloat16 is two bytes wide.
    plain = block.view("<u2") if block.dtype == bfloat16 else block
    return plain.reshape(-1).data.cast("B")
