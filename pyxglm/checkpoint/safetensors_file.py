"""The safetensors format, read by mapping.

A file is a little-endian 64-bit length N, N bytes of JSON, and the tensors'
bytes::

    {"__metadata__": {"format": "pt"},
     "model.layer_norm.weight": {"dtype": "F16", "shape": [1024], "data_offsets": [0, 2048]},
     ...}

Offsets count from the end of the header, and in their order the tensors fill
the rest of the file: no gap, no overlap, nothing after them. So one file has
one meaning. Everything is checked before anything is allocated. The format is
described at https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm.checkpoint.mapping import Source, count_bytes, lfs_pointer, opened, tensor
from pyxglm.dtypes import Array, bfloat16
from pyxglm.strict_json import SIZE_LIMIT, parse_json, quoted

#: The format's own bound on the header, spaces that pad it included.
HEADER_LIMIT = 100_000_000


def _opaque(name: str) -> np.dtype[Any]:
    """Return a dtype for bytes that NumPy has no number format for."""
    return np.dtype([(name, "u1")])


#: Stray tensors may have any of these; parameters must be floating point.
DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": bfloat16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    # A byte other than 0 and 1 is no bool to NumPy: keep the bytes.
    "BOOL": _opaque("BOOL"),
    "F8_E4M3": _opaque("F8_E4M3"),
    "F8_E5M2": _opaque("F8_E5M2"),
    "C64": np.dtype("<c8"),
}

_KEYS = {"dtype", "shape", "data_offsets"}


def read_safetensors(path: Path) -> dict[str, Array]:
    """Map the tensors of a safetensors file.

    Returns
    -------
    dict
        Name to read-only array, in the order in which they lie in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file breaks any rule of the format. The message names the file,
        the tensor, what was found and what was expected.
    """
    with opened(path) as source:
        header, data_start = _read_header(source)
        _check_metadata(header.pop("__metadata__", None), path)
        entries = [_entry(name, value, path) for name, value in header.items()]
        entries.sort(key=lambda entry: entry[:2])
        _check_layout(entries, source.size - data_start, path)
        mapped = source.map()
    return {
        name: tensor(mapped, data_start + begin, dtype, shape)
        for begin, _, name, dtype, shape in entries
    }


def _read_header(source: Source) -> tuple[dict[str, Any], int]:
    """Return the header's JSON object and where the tensors' bytes start."""
    path = source.path
    if lfs_pointer(source):
        raise ValueError(f"{path}: a Git LFS pointer and not the weights: run `git lfs pull`")
    length = int.from_bytes(source.read(0, 8), "little")
    if length > min(HEADER_LIMIT, source.size - 8):
        raise ValueError(
            f"{path}: a header of {length} bytes in a file of {source.size}, expected safetensors "
            f"with a header of at most {HEADER_LIMIT}"
        )
    text = source.read(8, length).rstrip(b" ")
    if len(text) > SIZE_LIMIT:
        raise ValueError(f"{path}: {len(text)} bytes of JSON, expected at most {SIZE_LIMIT}")
    if not re.match(rb"\s*\{", text):
        raise ValueError(f"{path}: the header starts with {text[:8]!r}, expected a JSON object")
    return parse_json(text, str(path)), 8 + length


def _check_metadata(metadata: object, path: Path) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{path}: __metadata__ must be an object that maps names to strings")


_Entry = tuple[int, int, str, np.dtype[Any], tuple[int, ...]]


def _entry(name: str, value: object, path: Path) -> _Entry:
    """Check one tensor's entry by itself; return (begin, end, name, dtype, shape)."""
    where = f"{path}: tensor {quoted(name)}"
    if not isinstance(value, dict) or value.keys() != _KEYS:
        raise ValueError(f"{where}: expected an object with dtype, shape and data_offsets")
    dtype = value["dtype"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{where}: dtype is {quoted(dtype)}, expected one of {', '.join(DTYPES)}")
    shape, offsets = value["shape"], value["data_offsets"]
    if not _sizes(shape) or (nbytes := count_bytes(shape, DTYPES[dtype].itemsize)) is None:
        raise ValueError(f"{where}: shape is {quoted(shape)}, expected a list of possible sizes")
    if not _sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{where}: data_offsets is {quoted(offsets)}, expected [begin, end]")
    begin, end = offsets
    if end - begin != nbytes:
        raise ValueError(
            f"{where}: data_offsets {quoted(offsets)} hold {quoted(end - begin)} bytes, "
            f"expected {nbytes} for shape {shape} of {dtype}"
        )
    return begin, end, name, DTYPES[dtype], tuple(shape)


def _sizes(value: object) -> bool:
    """Tell whether `value` is a list of non-negative integers (a bool is none)."""
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def _check_layout(entries: list[_Entry], available: int, path: Path) -> None:
    """Check that the tensors, in order, fill the rest of the file exactly."""
    position = 0
    for begin, end, name, _, _ in entries:
        if begin != position:
            how = "overlaps the one before" if begin < position else "leaves a gap before it"
            raise ValueError(
                f"{path}: tensor {quoted(name)} {how}: it starts at {quoted(begin)}, "
                f"expected {position}"
            )
        position = end
    if position != available:
        raise ValueError(
            f"{path}: the file holds {available} bytes of tensors, expected {position}"
        )
