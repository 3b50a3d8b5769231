"""Write sentencepiece models by hand, sound and damaged."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

UNKNOWN, CONTROL, BYTE = 2, 3, 6

#: Text, score, type (None: not written): the least that XGLM's layout needs.
LAYOUT = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
WORDS = [("▁", -2.0, None), ("a", -3.0, None), ("b", -3.5, None), ("▁ab", -1.0, None)]


def varint(number: int) -> bytes:
    """Encode a number of at most 64 bits; negative ones as two's complement."""
    number &= 2**64 - 1
    octets = []
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*octets, number])


def field(number: int, value: int | float | bytes) -> bytes:
    """Write one field: an int as varint, a float as four bytes, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text: str | bytes, score: float = 0.0, kind: int | None = None) -> bytes:
    """Write one piece of the model."""
    data = text.encode("utf-8") if isinstance(text, str) else text
    body = field(1, data) + field(2, score) + (b"" if kind is None else field(3, kind))
    return field(1, body)


def model(
    pieces: Iterable[tuple[str | bytes, float, int | None]] = (*LAYOUT, *WORDS),
    *,
    trainer: bytes = b"",
    normalizer: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """Write a model."""
    body = b"".join(piece(*entry) for entry in pieces)
    return body + field(2, field(3, 1) + trainer) + field(3, normalizer) + tail


def charsmap(replacements: Mapping[bytes, bytes]) -> bytes:
    """Build the blob of a normaliser: a double array, and the texts that it points at."""
    texts = b""
    trie: dict[int, object] = {}
    for key, text in sorted(replacements.items()):
        node = trie
        for byte in key:
            node = node.setdefault(byte, {})  # type: ignore[assignment]
        node[-1] = len(texts)
        texts += text + b"\0"
    units = [0] * 256
    used = {0}
    _place(trie, 0, units, used, set())
    units += [0x80000000] * (-len(units) % 256)
    for index in range(len(units)):
        if index not in used:
            units[index] = 0x80000000
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts


def _place(
    node: dict[int, object], position: int, units: list[int], used: set[int], bases: set[int]
) -> None:
    """Give a node's children a base of their own where all of them fit, then theirs."""
    labels = [max(label, 0) for label in node]
    base = 1
    while base in bases or any(base ^ label in used for label in labels):
        base += 1
    bases.add(base)
    while (base | 0xFF) >= len(units):
        units += [0] * 256
    units[position] |= (position ^ base) << 10 | (0x100 if -1 in node else 0)
    used.update(base ^ label for label in labels)
    for label, child in node.items():
        if label == -1:
            units[base] = 0x80000000 | int(child)  # type: ignore[call-overload]
        else:
            units[base ^ label] = label
            _place(child, base ^ label, units, used, bases)  # type: ignore[arg-type]
