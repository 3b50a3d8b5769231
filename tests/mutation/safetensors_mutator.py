"""Mutations of safetensors files: the header as JSON, the layout it describes, the frame."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from random import Random

import numpy as np
from checkpoint.build import safetensors_entries
from mutation.json_mutator import Pairs, emit, mutate, parse
from mutation.tokens import TEXTS, awkward_integer, spoil

TYPES = ("F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "", "f16")


def seed_parts(tensors: Mapping[str, np.ndarray]) -> tuple[Pairs, bytes]:
    """Return the header, as a tree, and the data of a right file."""
    header, data = safetensors_entries(tensors)
    return parse(
        emit(Pairs([[k, Pairs([[a, b] for a, b in v.items()])] for k, v in header.items()]))
    ), data


def _reshape(rng: Random, header: Pairs, data: bytes) -> bytes:
    """Change a shape, a type or the order, and make the layout right again."""
    entries = [dict(map(tuple, value)) for _, value in header]
    chosen = rng.choice(entries)
    match rng.randrange(4):
        case 0:
            chosen["shape"] = [rng.randrange(9) for _ in range(rng.randrange(5))]
        case 1:
            chosen["dtype"] = rng.choice(TYPES[:8])
        case 2:
            rng.shuffle(entries)
        case _:
            chosen["shape"] = [*chosen["shape"], *rng.choice(([1], [0], [1] * 31, [1] * 40))]
    widths = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2}
    position = 0
    for entry in entries:
        count = int(np.prod(entry["shape"], dtype=object)) * widths.get(entry["dtype"], 1)
        entry["data_offsets"] = [position, position + count]
        position += count
    if position > 2**20:
        raise ValueError("more bytes than a case is worth")
    for pair, entry in zip(header, entries, strict=True):
        pair[1] = Pairs([[key, value] for key, value in entry.items()])
    return (data * 3)[:position].ljust(position, b"\0")


def _move(rng: Random, header: Pairs) -> None:
    """Let tensors overlap, leave gaps, change places."""
    spans = [dict(map(tuple, value))["data_offsets"] for _, value in header]
    if any(type(span) is not list for span in spans):
        raise TypeError("an earlier mutation left an object here, whose members are no numbers")
    one, other = rng.choice(spans), rng.choice(spans)
    match rng.randrange(4):
        case 0:
            one[:], other[:] = other[:], one[:]
        case 1:
            one[:] = other[:]
        case 2:
            one[rng.randrange(2)] = awkward_integer(rng, one[0])
        case _:
            shift = awkward_integer(rng, 8)
            one[0] += shift
            one[1] += shift


def mutate_safetensors(rng: Random, seed: tuple[Pairs, bytes]) -> bytes:
    """Return a file spoilt in one or a few places."""
    header, data = seed
    header = parse(emit(header))
    for _ in range(rng.choice((1, 1, 1, 2))):
        match rng.randrange(8):
            case 0 | 1 | 2:
                changed = mutate(rng, header)
                header = changed if isinstance(changed, Pairs) else header
            case 3 | 4 if all(isinstance(v, Pairs) and len(v) == 3 for _, v in header):
                try:
                    data = _reshape(rng, header, data)
                except (KeyError, TypeError, ValueError, OverflowError, MemoryError):
                    continue  # an earlier mutation left nothing to work on
            case 5 if all(isinstance(v, Pairs) for _, v in header):
                try:
                    _move(rng, header)
                except (KeyError, TypeError, ValueError, IndexError):
                    continue
            case 6:
                values = [[key, rng.choice(TEXTS)] for key in rng.choices(TEXTS, k=2)]
                header.insert(0, ["__metadata__", rng.choice((Pairs(values), None, 1, Pairs()))])
            case _:
                rng.choice(header or [["x", 0]])[0] = rng.choice(TEXTS)
    text = emit(header).encode("utf-8", "surrogatepass")
    length = len(text)
    match rng.randrange(16):
        case 0:
            length = awkward_integer(rng, length) % 2**64
        case 1:
            text += rng.choice((b" ", b"\n", b"\0", b"x")) * rng.choice((1, 8, 1000))
            length = len(text)
        case 2:
            text = spoil(rng, text)
        case 3:
            data = spoil(rng, data)
        case 4:
            text = rng.choice((b" ", b"[", b"\xef\xbb\xbf", b"")) + text
            length = len(text)
    whole = struct.pack("<Q", length) + text + data
    return spoil(rng, whole) if rng.random() < 0.05 else whole
