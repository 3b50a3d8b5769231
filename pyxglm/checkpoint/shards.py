"""Splitting weights into files, and writing one file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyxglm.dtypes import DTYPES, Array, dtype_name

_UNITS = {
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}


@dataclass
class Shard:
    """The tensors of one file, and how many bytes they have together."""

    tensors: dict[str, Array] = field(default_factory=dict)
    nbytes: int = 0


def parse_size(size: int | str) -> int:
    """Return the number of bytes that transformers means by `size`.

    >>> parse_size("5GB"), parse_size("1MiB"), parse_size(4096)
    (5000000000, 1048576, 4096)

    Raises
    ------
    ValueError
        If it is no positive number of bytes.
    """
    found = (
        re.fullmatch(r"(\d{1,18})\s*([KMG]I?B)", size, re.IGNORECASE | re.ASCII)
        if isinstance(size, str)
        else None
    )
    number: object = size
    if isinstance(size, str) and found:
        number = int(found[1]) * _UNITS[found[2].upper()]
        # transformers reads a small b as bits, in the units of ten.
        if size.endswith("b") and "I" not in found[2].upper():
            number //= 8
    if isinstance(number, bool) or not isinstance(number, int) or number <= 0:
        raise ValueError(
            f"max_shard_size is {size!r}, expected a positive number of bytes or text such as '5GB'"
        )
    return number


def split(weights: Mapping[str, Array], limit: int) -> list[Shard]:
    """Put the tensors, in their order, into as many shards as transformers would.

    A shard is closed when the next tensor would make it larger than `limit`
    bytes; so a tensor larger than that gets a shard of its own.

    Raises
    ------
    ValueError
        If a tensor has a dtype in which no weights are stored.
    """
    shards = [Shard()]
    for name, array in weights.items():
        if (
            not isinstance(array, np.ndarray)
            or array.dtype.newbyteorder("<") not in DTYPES.values()
        ):
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"{name} is stored as {found}, expected one of {', '.join(DTYPES)}")
        if shards[-1].tensors and shards[-1].nbytes + array.nbytes > limit:
            shards.append(Shard())
        shards[-1].tensors[name] = array
        shards[-1].nbytes += array.nbytes
    return shards


def write_shard(shard: Shard, path: Path) -> None:
    """Write one safetensors file, which must not exist yet, to the disk.

    The safetensors library reads the arrays where they lie; only what is not
    contiguous or not little-endian is copied first.

    Raises
    ------
    OSError
        If writing fails.
    """
    from safetensors import SafetensorError, TensorSpec, serialize_file

    # The library makes its files readable to their owner alone: take the access
    # rights that the umask gives to a new file.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        rights = os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
    # `ascontiguousarray` would make a number an array of one axis; these stay alive below.
    arrays = {
        name: array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        for name, array in shard.tensors.items()
    }
    specs = {
        name: TensorSpec(
            dtype=dtype_name(array.dtype),
            shape=array.shape,
            data_ptr=array.ctypes.data,
            data_len=array.nbytes,
        )
        for name, array in arrays.items()
    }
    try:
        serialize_file(specs, path, {"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error
    path.chmod(rights)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
