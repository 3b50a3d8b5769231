"""The values of a msgpack file as Flax writes it, found without copying the large ones.

Flax stores a tree of maps whose leaves are extension types: 1 an array, 2 a
complex number, 3 a NumPy scalar, which is an array without axes. Inside, an
array is ``[shape, "float32", bytes]``, again as msgpack. An array above 1 GiB
is a map of its pieces::

    {"__msgpack_chunked_array__": True, "shape": {"0": 3, ...}, "chunks": {"0": array, ...}}

The format is described at https://github.com/msgpack/msgpack/blob/master/spec.md.
Each length is checked against what is left of the file before anything is
made of it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from pyxglm.checkpoint.mapping import count_bytes, tensor
from pyxglm.checkpoint.pieces import Pieces
from pyxglm.dtypes import Array, bfloat16
from pyxglm.strict_json import quoted

CHUNKED = "__msgpack_chunked_array__"
NDARRAY, COMPLEX, SCALAR = 1, 2, 3

#: By the names that Flax writes.
DTYPES: dict[str, np.dtype[Any]] = {
    **{name: np.dtype(name).newbyteorder("<") for name in (
        "float64", "float32", "float16", "int64", "int32", "int16", "int8",
        "uint64", "uint32", "uint16", "uint8", "complex64", "complex128",
    )},
    "bfloat16": bfloat16,
    # A byte other than 0 and 1 is no bool to NumPy: keep the bytes.
    "bool": np.dtype([("bool", "u1")]),
}  # fmt: skip

#: Bounds far above what the largest XGLM needs: some 800 arrays, six maps deep.
DEPTH_LIMIT = 32
VALUES_LIMIT = 1_000_000
STRING_LIMIT = 4_096

# First bytes with a length after them: how many bytes it has, and of what it is.
_LENGTHS = {
    0xC4: (1, "bin"), 0xC5: (2, "bin"), 0xC6: (4, "bin"),
    0xC7: (1, "ext"), 0xC8: (2, "ext"), 0xC9: (4, "ext"),
    0xD9: (1, "str"), 0xDA: (2, "str"), 0xDB: (4, "str"),
    0xDC: (2, "array"), 0xDD: (4, "array"), 0xDE: (2, "map"), 0xDF: (4, "map"),
}  # fmt: skip
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">L", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">l", 0xD3: ">q",
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class Span(tuple[int, int]):
    """Where the bytes of a bin value start and end."""

    __slots__ = ()


def read_values(mapped: Array, where: str) -> Any:
    """Return the value that a file holds.

    Parameters
    ----------
    mapped
        The file's bytes, an array of uint8.
    where
        What it is, for messages.

    Returns
    -------
    Any
        Dicts with string keys, lists, numbers, strings, None, `Span` for bytes;
        arrays are views of `mapped`, those that were cut are `Pieces`.

    Raises
    ------
    ValueError
        If the bytes are not one msgpack value as Flax writes it.
    """
    reader = _Reader(mapped, where)
    value = reader.value(0)
    if reader.at != len(mapped):
        raise reader.error(f"{len(mapped) - reader.at} bytes are left over")
    return value


class _Reader:
    """Where the reading is, and how much has been read."""

    def __init__(self, mapped: Array, where: str) -> None:
        self.mapped, self.where = mapped, where
        self.bytes = mapped.data
        self.at, self.end = 0, len(mapped)
        self.values = 0

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.where}: {message} (byte {self.at})")

    def take(self, count: int) -> Span:
        """Step over the next `count` bytes and return where they lie."""
        if count > self.end - self.at:
            raise self.error(f"ends where {count} more bytes are expected")
        self.at += count
        return Span((self.at - count, self.at))

    def number(self, count: int) -> int:
        start, end = self.take(count)
        return int.from_bytes(self.bytes[start:end], "big")

    def value(self, depth: int) -> Any:
        """Read one value."""
        self.values += 1
        if depth > DEPTH_LIMIT or self.values > VALUES_LIMIT:
            raise self.error("nested too deeply, or too many values")
        first = self.number(1)
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _NUMBERS:
            code = _NUMBERS[first]
            return struct.unpack_from(code, self.bytes, self.take(struct.calcsize(code))[0])[0]
        if first <= 0xBF:
            kind = "map" if first < 0x90 else "array" if first < 0xA0 else "str"
            length = first & (0x1F if kind == "str" else 0x0F)
        elif 0xD4 <= first <= 0xD8:
            kind, length = "ext", 1 << (first - 0xD4)
        elif first in _LENGTHS:
            width, kind = _LENGTHS[first]
            length = self.number(width)
        else:
            raise self.error(f"the byte {first:#x} starts no msgpack value")
        if kind == "str":
            return self.string(length)
        if kind == "bin":
            return self.take(length)
        if kind == "ext":
            return self.extension(length, depth)
        # Every value takes a byte at least: a length that cannot be true is seen here.
        if length * (2 if kind == "map" else 1) > self.end - self.at:
            raise self.error(f"a msgpack {kind} of {length} entries in {self.end - self.at} bytes")
        if kind == "map":
            return self.map(length, depth)
        return [self.value(depth + 1) for _ in range(length)]

    def string(self, length: int) -> str:
        if length > STRING_LIMIT:
            raise self.error(f"a string of {length} bytes, expected at most {STRING_LIMIT}")
        start, end = self.take(length)
        try:
            return bytes(self.bytes[start:end]).decode("utf-8")
        except UnicodeDecodeError:
            raise self.error("a string that is not UTF-8") from None

    def map(self, length: int, depth: int) -> Any:
        found: dict[str, Any] = {}
        for _ in range(length):
            key = self.value(depth + 1)
            if not isinstance(key, str):
                raise self.error(f"a map's key is a {type(key).__name__}, expected a string")
            if key in found:
                raise self.error(f"the key {quoted(key)} stands twice in one map")
            found[key] = self.value(depth + 1)
        return self.pieces(found) if CHUNKED in found else found

    def extension(self, length: int, depth: int) -> Any:
        code = self.number(1)
        start, end = self.take(length)
        if code not in (NDARRAY, COMPLEX, SCALAR):
            raise self.error(f"a msgpack extension of type {code}, expected one of Flax's: 1, 2, 3")
        outer, self.at, self.end = self.end, start, end
        value = self.value(depth + 1)
        if self.at != end:
            raise self.error("an extension holds more than one value")
        self.end = outer
        return self.complex(value) if code == COMPLEX else self.array(value, code)

    def complex(self, value: Any) -> complex:
        match value:
            case [float(real), float(imaginary)]:
                return complex(real, imaginary)
        raise self.error("a complex number is not made of two numbers")

    def array(self, value: Any, code: int) -> Array:
        match value:
            case [list(shape), (str() | Span()) as name, Span((start, end))]:
                pass
            case _:
                raise self.error("an array is not [shape, type, bytes]")
        if isinstance(name, Span):  # packed by an old msgpack, or as bytes
            name = bytes(self.bytes[slice(*name)][:40]).decode("latin-1")
        if name not in DTYPES:
            raise self.error(
                f"an array of type {quoted(name)}, expected one of {', '.join(DTYPES)}"
            )
        nbytes = None
        if all(type(size) is int for size in shape):
            nbytes = count_bytes(shape, DTYPES[name].itemsize)
        if nbytes != end - start or (code == SCALAR and shape):
            raise self.error(
                f"an array of shape {quoted(shape)} and type {name} has {end - start} bytes"
            )
        return tensor(self.mapped, start, DTYPES[name], shape)

    def pieces(self, found: dict[str, Any]) -> Array | Pieces:
        """Return the array that a map of its pieces means."""
        shape, parts = _listed(found.get("shape")), _listed(found.get("chunks"))
        if found.keys() != {CHUNKED, "shape", "chunks"} or found[CHUNKED] is not True or not parts:
            raise self.error("a cut array lacks its shape or its pieces, expected both")
        if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in parts):
            raise self.error("a piece of a cut array is no flat array")
        dtypes = {part.dtype for part in parts}
        sizes_known = shape is not None and all(type(size) is int for size in shape)
        nbytes = count_bytes(shape, parts[0].itemsize) if sizes_known and shape else None
        if len(dtypes) != 1 or nbytes != sum(part.nbytes for part in parts):
            raise self.error(f"the pieces of a cut array do not make up its shape {quoted(shape)}")
        if len(parts) == 1:
            whole: Array = parts[0].reshape(shape)
            return whole
        return Pieces(parts, tuple(shape or ()))


def _listed(value: Any) -> list[Any] | None:
    """Return the values of a map whose keys are 0, 1, 2, …; None if it is none."""
    if not isinstance(value, dict) or value.keys() != {str(n) for n in range(len(value))}:
        return None
    return [value[str(n)] for n in range(len(value))]
