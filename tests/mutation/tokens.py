"""What mutators have in common: awkward numbers and texts, and blind changes of bytes."""

from __future__ import annotations

import struct
from random import Random

#: Numbers at the edges of the types that readers use.
INTEGERS = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32),
    *(2**53, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -1, -2, -8, -(2**31)),
    *(-(2**63), -(2**63) - 1),
)

TEXTS = (
    *("", " ", "a", "model", "..", "/", "../x", "a/b", "\\", "\0", "\n", "\x1b[2J", "é", "한", "▁"),
    *("\u202e", "\ufeff", "\U0001f600", "NaN", "null", "x" * 300, "model.safetensors", "a.json"),
    *("model.embed_tokens.weight", "lm_head.weight", "__metadata__", "weight_map", "<unk>", "</s>"),
)  # fmt: skip


def awkward_integer(rng: Random, near: int | None = None) -> int:
    """Return a number at an edge, or one close to `near`."""
    if near is not None and rng.random() < 0.5:
        return near + rng.choice((-8, -2, -1, 1, 2, 8, near, -near))
    return rng.choice(INTEGERS)


def spoil(rng: Random, data: bytes) -> bytes:
    """Change bytes without knowing what they mean."""
    if not data:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(9)))
    at = rng.randrange(len(data))
    count = rng.choice((1, 1, 2, 4, 8, 64))
    match rng.randrange(8):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + count :]
        case 2:
            return data[:at] + rng.randbytes(count) + data[at:]
        case 3:
            return data[:at] + data[at : at + count] * 2 + data[at + count :]
        case 4:
            return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
        case 5:
            return data[:at] + rng.randbytes(count) + data[at + count :]
        case 6:
            width, code = rng.choice(((2, "<H"), (4, "<L"), (8, "<Q")))
            number = awkward_integer(rng) % (1 << (8 * width))
            return data[:at] + struct.pack(code, number) + data[at + width :]
        case _:
            other = rng.randrange(len(data))
            return data[:at] + data[other : other + count] + data[at + count :]
