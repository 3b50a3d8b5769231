"""Mutations of torch's files from before the zip format: five pickles, then the storages."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from pathlib import Path
from random import Random
from typing import Any

from mutation.tokens import awkward_integer, spoil
from mutation.torch_mutator import mutate_program, split_program

#: The pickles of a file, each cut into its instructions, and the storages behind them.
Parts = tuple[list[list[bytes]], list[bytes]]

PICKLES = 5


def read_stream_seed(path: Path, sizes: dict[str, int]) -> Parts:
    """Return the parts of a right file; `sizes` are the storage types' bytes an element."""
    data = path.read_bytes()
    pickles = []
    for _ in range(PICKLES):
        end = 1 + max(position for _, _, position in pickletools.genops(data))
        pickles.append(split_program(data[:end]))
        data = data[end:]
    widths = _Widths(io.BytesIO(b"".join(pickles[3])), sizes).found()
    storages = []
    for key in (step[5:].decode() for step in pickles[4] if step[:1] == b"X"):
        length = 8 + struct.unpack("<q", data[:8])[0] * widths[key]
        storages.append(data[:length])
        data = data[length:]
    assert not data
    return pickles, storages


class _Widths(pickle.Unpickler):
    """Bytes an element of each storage, by key; nothing that the pickle names is looked up."""

    def __init__(self, file: io.BytesIO, sizes: dict[str, int]) -> None:
        super().__init__(file)
        self.sizes, self.widths = sizes, {}

    def found(self) -> dict[str, int]:
        self.load()
        return self.widths

    def find_class(self, module: str, name: str) -> Any:
        return type(name, (dict,), {"__init__": lambda *_: None, "__setstate__": lambda *_: None})

    def persistent_load(self, pid: Any) -> None:
        self.widths[pid[2]] = self.sizes[pid[1].__name__]


def mutate_stream(rng: Random, seed: Parts) -> bytes:
    """Return a file spoilt in its pickles, its storages or their order."""
    pickles, storages = [b"".join(steps) for steps in seed[0]], list(seed[1])
    for _ in range(rng.choice((1, 1, 1, 2))):
        at = rng.randrange(len(storages))
        match rng.randrange(10):
            case 0 | 1 | 2 | 3:
                pickles[3] = mutate_program(rng, seed[0][3])
            case 4:
                which = rng.randrange(PICKLES)
                pickles[which] = mutate_program(rng, seed[0][which])
            case 5:
                pickles[4] = mutate_program(rng, seed[0][4])
            case 6:
                count = struct.unpack("<q", storages[at][:8].ljust(8, b"\0"))[0]
                number = awkward_integer(rng, count) % 2**64
                storages[at] = struct.pack("<Q", number) + storages[at][8:]
            case 7:
                other = rng.randrange(len(storages))
                storages[at], storages[other] = storages[other], storages[at]
            case 8:
                storages[at] = rng.choice((b"", storages[at] * 2, spoil(rng, storages[at])))
            case _:
                storages.append(rng.randbytes(rng.randrange(20)))
    whole = b"".join((*pickles, *storages))
    return spoil(rng, whole) if rng.random() < 0.1 else whole
