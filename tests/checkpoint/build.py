"""Checkpoint files made by hand, right and wrong in every detail.

`Zip`, `Pickle` and `safetensors_file` build files from their parts, so that a
test (or a mutator) can give any part a wrong value and keep the rest right.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.dtypes import bfloat16

# ------------------------------------------------------------------------ safetensors

SAFETENSORS_NAMES = {"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "|u1": "U8"}


def safetensors_entries(tensors: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], bytes]:
    """Return a header and the data of a right file, to be put together or spoilt."""
    header: dict[str, Any] = {}
    data = b""
    for name, array in tensors.items():
        dtype = "BF16" if array.dtype == bfloat16 else SAFETENSORS_NAMES[array.dtype.str]
        begin, data = len(data), data + array.tobytes()
        header[name] = {"dtype": dtype, "shape": [*array.shape], "data_offsets": [begin, len(data)]}
    return header, data


def safetensors_file(
    header: Mapping[str, Any] | bytes, data: bytes, length: int | None = None
) -> bytes:
    """Put a safetensors file together from its header and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


# -------------------------------------------------------------------------------- zip


@dataclass
class Member:
    """A zip member; every field of its two headers may be given a wrong value."""

    name: bytes
    data: bytes
    central: dict[str, int | bytes] = field(default_factory=dict)
    local: dict[str, int | bytes] = field(default_factory=dict)
    align: int = 1
    padding: bytes = b""  # between this member's data and the next local header


def zip_file(
    members: Iterable[Member],
    *,
    end: Mapping[str, int] | None = None,
    zip64: bool = False,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Write an archive of stored members.

    `end` overrides fields of the end record; `zip64` adds the 64-bit one and
    puts all-ones into the other.
    """  # fmt: skip
    out, directory = before, b""
    members = list(members)
    for member in members:
        right = {
            "sign": b"PK\x03\x04", "needed": 0, "flags": 0, "method": 0, "time": 0, "date": 0,
            "crc": zlib.crc32(member.data), "csize": len(member.data), "usize": len(member.data),
            "name": member.name, "extra": b"", "offset": len(out),
            "made": 0, "comment": b"", "disk": 0, "iattr": 0, "eattr": 0,
        }  # fmt: skip
        local = {**right, **member.local}
        room = len(out) + 30 + len(local["name"]) + len(local["extra"])
        if room % member.align:
            pad = -(room + 4) % member.align
            local["extra"] += struct.pack("<2sH", b"FB", pad) + b"Z" * pad
        out += struct.pack(
            "<4s5H3L2H",
            *(local[k] for k in ("sign", "needed", "flags", "method", "time", "date", "crc")),
            *(local[k] for k in ("csize", "usize")),
            *(len(local[k]) for k in ("name", "extra")),
        )
        out += local["name"] + local["extra"] + member.data + member.padding
        central = {**right, "sign": b"PK\x01\x02", **member.central}
        directory += struct.pack(
            "<4s6H3L5H2L",
            *(central[k] for k in ("sign", "made", "needed", "flags", "method", "time", "date")),
            *(central[k] for k in ("crc", "csize", "usize")),
            *(len(central[k]) for k in ("name", "extra", "comment")),
            *(central[k] for k in ("disk", "iattr", "eattr", "offset")),
        )
        directory += central["name"] + central["extra"] + central["comment"]
    start = len(out)
    out += directory
    count = len(members)
    fields = {"disk": 0, "first": 0, "here": count, "count": count, "size": len(directory)}
    fields |= {"start": start, "comment": 0}
    if zip64:
        wide = {**fields, "length": 44, "record": len(out), "disks": 1, "locator_disk": 0}
        wide |= {k.removeprefix("wide_"): v for k, v in (end or {}).items() if "wide_" in k}
        out += struct.pack(
            "<4sQ2H2L4Q", b"PK\x06\x06", wide["length"], 45, 45,
            *(wide[k] for k in ("disk", "first", "here", "count", "size", "start")),
        )  # fmt: skip
        out += struct.pack(
            "<4sLQL", b"PK\x06\x07", wide["locator_disk"], wide["record"], wide["disks"]
        )
        fields |= {"size": 0xFFFFFFFF, "start": 0xFFFFFFFF}
    fields |= {k: v for k, v in (end or {}).items() if "wide_" not in k}
    order = ("disk", "first", "here", "count", "size", "start", "comment")
    return out + struct.pack("<4s4H2LH", b"PK\x05\x06", *(fields[k] for k in order)) + after


# ----------------------------------------------------------------------------- pickle

STORAGES = {
    "<f8": "DoubleStorage", "<f4": "FloatStorage", "<f2": "HalfStorage", "<i8": "LongStorage",
    "|u1": "ByteStorage",
}  # fmt: skip


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode()
    return b"X" + struct.pack("<L", len(data)) + data


def name(value: str) -> bytes:
    """GLOBAL, of "module name"."""
    return b"c" + value.replace(" ", "\n").encode() + b"\n"


def integer(value: int) -> bytes:
    """BININT1, BININT2, BININT or LONG1: what pickle chooses."""
    if 0 <= value < 2**8:
        return b"K" + bytes([value])
    if 0 <= value < 2**16:
        return b"M" + struct.pack("<H", value)
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<l", value)
    data = value.to_bytes((value.bit_length() // 8) + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


ORDERED = name("collections OrderedDict") + b")R"


def storage(dtype: np.dtype[Any], key: str, numel: int, more: bytes = b"") -> bytes:
    """Return the persistent id of a storage; the older format has `more`: None."""
    kind = "BFloat16Storage" if dtype == bfloat16 else STORAGES[dtype.str]
    return tuple_of(
        text("storage"), name(f"torch {kind}"), text(key), text("cpu"), integer(numel), more
    ) + b"Q"  # fmt: skip


def tensor(
    stored: bytes,
    shape: Iterable[int],
    strides: Iterable[int],
    offset: int = 0,
    hooks: bytes = ORDERED,
    more: bytes = b"",
) -> bytes:
    """Return the call of _rebuild_tensor_v2."""  # fmt: skip
    return (
        name("torch._utils _rebuild_tensor_v2")
        + tuple_of(
            stored,
            integer(offset),
            tuple_of(*map(integer, shape)),
            tuple_of(*map(integer, strides)),
            b"\x89",
            hooks,
            more,
        )
        + b"R"
    )


def plain_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor, in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def state_dict(items: Mapping[str, bytes], *, start: bytes = b"}", end: bytes = b"") -> bytes:
    """Return a whole pickle: a dict of what `items` compute."""
    body = b"".join(text(key) + value for key, value in items.items())
    return b"\x80\x02" + start + b"(" + body + b"u" + end + b"."


def torch_members(tensors: Mapping[str, np.ndarray], root: str = "archive") -> list[Member]:
    """Return the members of a right torch file, each tensor in a storage of its own."""
    items = {
        key: tensor(
            storage(array.dtype, str(n), array.size), array.shape, plain_strides(array.shape)
        )
        for n, (key, array) in enumerate(tensors.items())
    }
    return members(state_dict(items), [a.tobytes() for a in tensors.values()], root)


def members(program: bytes, storages: list[bytes], root: str = "archive") -> list[Member]:
    """Return the members of a torch file from its pickle and its storages."""
    return [
        Member(f"{root}/data.pkl".encode(), program),
        Member(f"{root}/byteorder".encode(), b"little"),
        *(
            Member(f"{root}/data/{n}".encode(), data, align=64)
            for n, data in enumerate(storages)
        ),
        Member(f"{root}/version".encode(), b"3\n"),
    ]  # fmt: skip


# ------------------------------------------------------------ torch before the zip format

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def system_pickle(little: bytes = b"\x88") -> bytes:
    """Return the pickle that says how the machine was that wrote the file."""
    items = {"protocol_version": integer(1001), "little_endian": little}
    return state_dict({**items, "type_sizes": b"}(" + text("int") + integer(4) + b"u"})


def keys_pickle(keys: Iterable[str]) -> bytes:
    return b"\x80\x02](" + b"".join(map(text, keys)) + b"e."


def torch_stream(tensors: Mapping[str, np.ndarray]) -> list[bytes]:
    """Return the parts of a right file of the older format: five pickles, then the storages."""
    program = state_dict({
        key: tensor(
            storage(array.dtype, str(n), array.size, b"N"), array.shape, plain_strides(array.shape)
        )
        for n, (key, array) in enumerate(tensors.items())
    })  # fmt: skip
    parts = [MAGIC, b"\x80\x02M\xe9\x03.", system_pickle(), program]
    parts.append(keys_pickle(str(n) for n in range(len(tensors))))
    return parts + [struct.pack("<q", a.size) + a.tobytes() for a in tensors.values()]
