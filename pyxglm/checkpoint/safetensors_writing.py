"""Writing safetensors, tensor by tensor; see `safetensors_file` for the format.

The safetensors library writes arrays that all lie in memory as they are to
be written. Here each is made contiguous, and converted, a few megabytes at a
time: a checkpoint of any format is rewritten in next to no memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pyxglm.checkpoint.pieces import Tensor, blocks, raw
from pyxglm.checkpoint.safetensors_file import DTYPES
from pyxglm.dtypes import as_dtype

#: What the format calls each dtype.
_CODES = {dtype: code for code, dtype in DTYPES.items()}


def write_safetensors(
    tensors: Mapping[str, Tensor],
    path: Path,
    dtype: object = None,
    watch: Callable[[str], None] | None = None,
) -> None:
    """Write one safetensors file.

    Parameters
    ----------
    tensors
        What to write; wide numbers come first, so that each lies at an address
        that is a multiple of its width.
    path
        The file.
    dtype
        The dtype to store all of them in; None for each tensor's own.
    watch
        Called with each tensor's name when it is written.

    Raises
    ------
    OSError
        If writing fails.
    """
    stored = {
        name: tensor.dtype.newbyteorder("<") if dtype is None else as_dtype(dtype)
        for name, tensor in tensors.items()
    }
    order = sorted(tensors, key=lambda name: -stored[name].itemsize)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name in order:
        kind, shape = stored[name], tensors[name].shape
        size = tensors[name].nbytes // tensors[name].dtype.itemsize * kind.itemsize
        header[name] = {
            "dtype": _CODES[kind],
            "shape": [*shape],
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            for block in blocks(tensors[name], dtype):
                file.write(raw(block))
            if watch is not None:
                watch(name)
