"""Flax's files, read by mapping and written piece by piece; no library is needed for either.

What the bytes mean stands in `msgpack_values`. Arrays are views of the mapped
file; only one that was cut into pieces (above 1 GiB) is put together by who
uses it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyxglm.checkpoint.mapping import lfs_pointer, opened
from pyxglm.checkpoint.msgpack_values import CHUNKED, DTYPES, NDARRAY, read_values
from pyxglm.checkpoint.names import paths
from pyxglm.checkpoint.pieces import Pieces, Tensor, blocks, raw, whole
from pyxglm.dtypes import Array
from pyxglm.files import replacing
from pyxglm.strict_json import quoted

#: Bytes of an array above which Flax cuts it into pieces of so many.
PIECE = 2**30


def read_msgpack(path: Path) -> dict[str, Tensor]:
    """Map the arrays of a file that Flax wrote.

    Returns
    -------
    dict
        The path of each array in the tree, joined by ``/``, to the read-only
        array; see `names.canonical_names` for what the paths mean.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or holds anything but arrays in nested maps.
    """
    found = paths(_read_tree(path))
    for name, array in found.items():
        if not isinstance(array, (np.ndarray, Pieces)):
            kind = type(array).__name__
            raise ValueError(f"{path}: {quoted(name)} is a {kind}, expected an array")  # noqa: TRY004
    return found


def read_tree(path: str | Path) -> dict[str, Any]:
    """Return the tree of arrays in a file that Flax wrote; see `read_msgpack` for the errors.

    An array that lies in pieces is put together in memory; all others are
    mapped.
    """
    return _whole(_read_tree(Path(path)))


def parse_tree(data: bytes) -> dict[str, Any]:
    """Return the tree of arrays in bytes that Flax's ``to_bytes`` made (ValueError if not)."""
    return _whole(_checked(np.frombuffer(data, np.uint8), "the bytes"))


def _read_tree(path: Path) -> dict[str, Any]:
    with opened(path) as source:
        if lfs_pointer(source):
            raise ValueError(f"{path}: a Git LFS pointer and not the weights: run `git lfs pull`")
        if not source.size:
            raise ValueError(f"{path}: empty, expected a msgpack file")
        mapped = source.map()
    return _checked(mapped, str(path))


def _checked(mapped: Array, where: str) -> dict[str, Any]:
    tree = read_values(mapped, where)
    if not isinstance(tree, dict):
        raise ValueError(f"{where}: holds a {type(tree).__name__}, expected a tree of arrays")  # noqa: TRY004
    _check_keys(tree, where)
    return tree


def _check_keys(tree: Mapping[str, Any], where: str) -> None:
    """Refuse keys that would make two paths read alike."""
    for key, value in tree.items():
        if not key or "/" in key or "." in key:
            raise ValueError(f"{where}: the key {quoted(key)}, expected a name without / and .")
        if isinstance(value, dict):
            _check_keys(value, where)


def _whole(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _whole(value) if isinstance(value, Mapping) else whole(value)
        for key, value in tree.items()
    }


def write_msgpack(tree: Mapping[str, Any], path: str | Path) -> None:
    """Write a tree of arrays as Flax does: after a crash the file is the old one or the new.

    Parameters
    ----------
    tree
        Nested dicts of arrays (`names.flax_tree` makes one). Arrays may be
        views; a few megabytes are copied at a time.
    path
        The file.

    Raises
    ------
    TypeError
        If a key is no string, or a leaf no array of a type that Flax stores.
    """
    with replacing(Path(path)) as temporary:
        write_new(tree, temporary)


def write_new(tree: Mapping[str, Any], path: Path) -> None:
    """Write a tree of arrays to a file that nobody reads yet; see `write_msgpack`."""
    _check_tree(tree)
    with path.open("wb") as file:
        _write(tree, file)


def tree_bytes(tree: Mapping[str, Any]) -> bytes:
    """Return what `write_msgpack` would write."""
    _check_tree(tree)
    file = io.BytesIO()
    _write(tree, file)
    return file.getvalue()


def _check_tree(tree: Mapping[str, Any]) -> None:
    for key, value in tree.items():
        if not isinstance(key, str):
            raise TypeError(f"a key of the tree is {key!r}, expected a string")
        if isinstance(value, Mapping):
            _check_tree(value)
        elif not isinstance(value, (np.ndarray, Pieces)) or _name(value) not in DTYPES:
            kind = _name(value) if hasattr(value, "dtype") else type(value).__name__
            raise TypeError(f"{quoted(key)} is {kind}, expected an array of {', '.join(DTYPES)}")


def _name(value: Any) -> str:
    dtype = value.dtype
    return str(dtype.names[0] if dtype.names else dtype.name)


def _write(value: Any, file: BinaryIO) -> None:
    if isinstance(value, Mapping):
        file.write(_head(value, 0x80, 15, 0xDE))
        for key, item in value.items():
            _write_string(key, file)
            _write(item, file)
    elif value.nbytes > PIECE:
        _write_pieces(value, file)
    else:
        _write_array(value, value.shape, value.nbytes, file)


def _head(value: Any, short: int, most: int, long: int) -> bytes:
    """Return how a map or an array of that many entries begins."""
    length = len(value)
    if length <= most:
        return bytes([short | length])
    if length < 2**16:
        return bytes([long]) + length.to_bytes(2, "big")
    return bytes([long + 1]) + length.to_bytes(4, "big")


def _write_string(text: str, file: BinaryIO) -> None:
    data = text.encode()
    if len(data) < 32:
        file.write(bytes([0xA0 | len(data)]))
    elif len(data) < 2**8:
        file.write(bytes([0xD9, len(data)]))
    else:
        file.write(b"\xda" + len(data).to_bytes(2, "big"))
    file.write(data)


def _integer(value: int) -> bytes:
    """Return a number from 0 on, in as few bytes as msgpack has for it."""
    if value < 0x80:
        return bytes([value])
    width = next(n for n in (1, 2, 4, 8) if value < 1 << 8 * n)
    return bytes([0xCB + width.bit_length()]) + value.to_bytes(width, "big")


def _write_array(tensor: Tensor, shape: tuple[int, ...], nbytes: int, file: BinaryIO) -> None:
    """Write an array as an extension: its shape, its type, its bytes."""
    inside = io.BytesIO()
    inside.write(b"\x93" + _head(shape, 0x90, 15, 0xDC))
    inside.write(b"".join(_integer(size) for size in shape))
    _write_string(_name(tensor), inside)
    inside.write(_sized(nbytes, 0xC4))
    header = inside.getvalue()
    file.write(_sized(len(header) + nbytes, 0xC7, fixed=True) + bytes([NDARRAY]) + header)
    for block in blocks(tensor):
        file.write(raw(block))


def _sized(length: int, first: int, *, fixed: bool = False) -> bytes:
    """Return how bin (0xC4) or ext (0xC7) values of that many bytes begin."""
    if fixed and length in (1, 2, 4, 8, 16):
        return bytes([0xD3 + length.bit_length()])
    width = next(n for n in (0, 1, 2) if length < 1 << (8 << n))
    return bytes([first + width]) + length.to_bytes(1 << width, "big")


def _write_pieces(tensor: Tensor, file: BinaryIO) -> None:
    """Write a large array as the map of its pieces."""
    array = whole(tensor)
    size = max(1, PIECE // array.itemsize)
    flat = np.ascontiguousarray(array).reshape(-1)
    file.write(b"\x83")
    _write_string(CHUNKED, file)
    file.write(b"\xc3")
    _write_string("shape", file)
    file.write(_head(array.shape, 0x80, 15, 0xDE))
    for axis, length in enumerate(array.shape):
        _write_string(str(axis), file)
        file.write(_integer(length))
    _write_string("chunks", file)
    pieces = [flat[start : start + size] for start in range(0, len(flat), size)]
    file.write(_head(pieces, 0x80, 15, 0xDE))
    for number, piece in enumerate(pieces):
        _write_string(str(number), file)
        _write_array(piece, piece.shape, piece.nbytes, file)
