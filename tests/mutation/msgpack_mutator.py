"""Mutations of Flax's files: the values of msgpack, their lengths, and what Flax means by them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgpack
from mutation.tokens import TEXTS, awkward_integer, spoil

KEYS = (
    *("model", "layers", "0", "kernel", "__msgpack_chunked_array__", "shape", "chunks", "a/b"),
    *("a.b", "lm_head", "embedding"),
)
TYPES = ("float32", "float16", "bfloat16", "bool", "object", "V2", "complex64", "int8", "f4", "")
RAW = (b"\xc1", b"\xdf\xff\xff\xff\xff", b"\xdd\x7f\xff\xff\xff", b"\xc0", b"\xcb" + bytes(8))
RAW += (b"\x91" * 60, b"\xd4\x01", b"\xc6\xff\xff\xff\xff", b"\xff", b"", b"\xda\xff\xff")


@dataclass
class Node:
    """A value as msgpack writes it; `length` is what it says of itself, if not the truth."""

    kind: str  # map, array, str, bin, ext, plain
    items: list[Any] = field(default_factory=list)  # nodes; of a map key, value, key, value, …
    data: Any = b""
    code: int = 0
    length: int | None = None


def parse(data: bytes) -> Node:
    """Return the tree of a right file; what Flax packs into extensions is taken apart, too."""
    return _node(msgpack.unpackb(data, strict_map_key=False))


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node("map", [_node(part) for pair in value.items() for part in pair])
    if isinstance(value, msgpack.ExtType):  # which is a tuple
        return Node("ext", [_node(msgpack.unpackb(value.data))], code=value.code)
    if isinstance(value, list):
        return Node("array", [_node(part) for part in value])
    if isinstance(value, (str, bytes)):
        return Node("str" if isinstance(value, str) else "bin", data=value)
    return Node("plain", data=value)


#: The short form of each kind, how much it takes, and the byte of its long forms.
_FORMS = {
    "map": (0x80, 15, 0xDE, 2), "array": (0x90, 15, 0xDC, 2), "str": (0xA0, 31, 0xD9, 1),
    "bin": (0, -1, 0xC4, 1), "ext": (0, -1, 0xC7, 1),
}  # fmt: skip


def emit(node: Node) -> bytes:
    """Write a tree, lies included."""
    if node.kind == "raw":
        return bytes(node.data)
    if node.kind == "plain":
        value = node.data
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            value = value % 2**64
        return bytes(msgpack.packb(value))
    if node.items or node.kind in ("map", "array"):
        body = b"".join(map(emit, node.items))
        count = len(node.items) // (2 if node.kind == "map" else 1)
    else:
        body = node.data.encode("utf-8", "surrogatepass") if node.kind == "str" else node.data
        count = len(body)
    if node.kind == "ext":
        count = len(body)
    length = count if node.length is None else node.length
    short, most, long, width = _FORMS[node.kind]
    if length <= most:
        head = bytes([short | length])
    else:
        step = 0
        while step < (1 if width == 2 else 2) and length >= 1 << 8 * (width << step):
            step += 1
        head = bytes([long + step]) + (length % 2**32).to_bytes(4, "big")[4 - (width << step) :]
    code = struct.pack("b", node.code) if node.kind == "ext" else b""
    return head + code + body


def _copy(node: Node) -> Node:
    return Node(node.kind, [_copy(item) for item in node.items], node.data, node.code, node.length)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for item in node.items:
        yield from _walk(item)


def _mutate(rng: Random, root: Node) -> None:
    """Change one value."""
    nodes = [*_walk(root)]
    # The leaves are many; every kind gets its turn.
    kind = rng.choice(sorted({node.kind for node in nodes}))
    node = rng.choice([node for node in nodes if node.kind == kind])
    match rng.randrange(8):
        case 0:
            size = len(node.items) or len(node.data if isinstance(node.data, (bytes, str)) else b"")
            node.length = awkward_integer(rng, size) % 2**32
        case 1:
            node.kind, node.data, node.items = "raw", rng.choice(RAW), []
        case 2:
            other = _copy(rng.choice(nodes))
            node.__dict__.update(other.__dict__)
        case 3 if node.items:
            at = rng.randrange(len(node.items))
            step = 2 if node.kind == "map" else 1
            at -= at % step
            part = node.items[at : at + step]
            node.items[at : at + step] = rng.choice(([], part + [_copy(item) for item in part]))
        case 4 if node.kind == "map" and node.items:
            node.items[2 * rng.randrange(len(node.items) // 2)] = Node(
                "str", data=rng.choice((*KEYS, *TEXTS))
            )
        case 5 if node.items:
            rng.shuffle(node.items)
        case _:
            _other_value(rng, node)


def _other_value(rng: Random, node: Node) -> None:
    """Give a value another content of its kind."""
    if node.kind == "plain":
        number = node.data if type(node.data) is int else None
        node.data = rng.choice((awkward_integer(rng, number), True, None, 0.5, -1.0))
    elif node.kind == "str":
        node.data = rng.choice((*TYPES, *TEXTS, *KEYS))
    elif node.kind == "bin":
        node.data = spoil(rng, node.data)
    elif node.kind == "ext":
        node.code = rng.choice((0, 1, 2, 3, 4, -1, 127))
    else:
        node.items.append(Node("plain", data=awkward_integer(rng)))


def read_flax_seed(path: Path) -> Node:
    """Return the tree of a file that Flax wrote."""
    return parse(path.read_bytes())


def mutate_flax(rng: Random, seed: Node) -> bytes:
    """Return a file spoilt in one or a few places."""
    root = _copy(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _mutate(rng, root)
    data = emit(root)
    return spoil(rng, data) if rng.random() < 0.1 else data
