"""Splitting weights into files as transformers does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pyxglm.checkpoint.pieces import Pieces, Tensor
from pyxglm.dtypes import DTYPES, as_dtype

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

    tensors: dict[str, Tensor] = field(default_factory=dict)
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


def split(weights: Mapping[str, Tensor], limit: int, dtype: object = None) -> list[Shard]:
    """Put the tensors, in their order, into as many shards as transformers would.

    A shard is closed when the next tensor would make it larger than `limit`
    bytes; so a tensor larger than that gets a shard of its own. Sizes are
    those of the dtype given, or of each tensor's own.

    Raises
    ------
    ValueError
        If a tensor has a dtype in which no weights are stored.
    """
    shards = [Shard()]
    for name, tensor in weights.items():
        known = isinstance(tensor, (np.ndarray, Pieces))
        if not known or tensor.dtype.newbyteorder("<") not in DTYPES.values():
            found = tensor.dtype if known else type(tensor).__name__
            raise ValueError(f"{name} is stored as {found}, expected one of {', '.join(DTYPES)}")
        size = tensor.nbytes
        if dtype is not None:
            size = size // tensor.dtype.itemsize * as_dtype(dtype).itemsize
        if shards[-1].tensors and shards[-1].nbytes + size > limit:
            shards.append(Shard())
        shards[-1].tensors[name] = tensor
        shards[-1].nbytes += size
    return shards
