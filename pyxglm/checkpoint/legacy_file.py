"""torch's format from before version 1.6: five pickles, and the storages behind them.

::

    a magic number | 1001 | {"protocol_version": 1001, "little_endian": True, ...}
    the state dict | the keys of its storages, in the order of the data
    for each key: the number of its elements (int64), its bytes

The pickles are read by `pickle_machine`. Storages lie at any address and fill
the rest of the file: no gap, nothing after them.
"""

from __future__ import annotations

from typing import NamedTuple

from pyxglm.checkpoint.mapping import Source, count_bytes
from pyxglm.checkpoint.pickle_machine import run_from
from pyxglm.checkpoint.pickle_values import Names, Storage
from pyxglm.strict_json import quoted

#: The largest XGLM's description has some 100 kilobytes.
DESCRIPTION_LIMIT = 16 * 2**20

#: How the pickle of the magic number writes it.
MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_NUMBER = int.from_bytes(MAGIC[2:], "little")
_PROTOCOL = 1001


class Stream(NamedTuple):
    """What a file holds: the value, and where each storage's bytes start and how many they are."""

    value: object
    starts: dict[str, int]
    sizes: dict[str, int]


def read_stream(source: Source, names: Names) -> Stream:
    """Read the pickles of a file, and find its storages.

    Raises
    ------
    ValueError
        If the file is damaged, big-endian, or holds what `names` does not know.
    """
    program = source.read(0, min(source.size, DESCRIPTION_LIMIT))
    at, values = 0, []
    storages: dict[str, Storage] = {}
    for part in ("magic number", "version", "system", "state", "keys"):
        where = f"{source.path}: the pickle of the {part}"
        value, at, named = run_from(program, at, where, names)
        values.append(value)
        if part == "state":
            storages = named
    number, version, system, state, keys = values
    if number != _NUMBER or version != _PROTOCOL:
        raise ValueError(f"{source.path}: format {quoted(version)}, expected {_PROTOCOL}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError(f"{source.path}: written on a big-endian machine, expected little-endian")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{source.path}: the storages' keys are no list of strings")
    starts, sizes = {}, {}
    for key in keys:
        where = f"{source.path}: the storage {quoted(key)}"
        if key in starts or key not in storages:
            raise ValueError(f"{where} is listed twice, or belongs to no tensor")
        count = int.from_bytes(source.read(at, 8), "little", signed=True)
        size = count_bytes((count,), storages[key].dtype.itemsize)
        at += 8
        if size is None or count != storages[key].numel or size > source.size - at:
            raise ValueError(
                f"{where} has {quoted(count)} elements and {source.size - at} bytes left for them, "
                f"expected {quoted(storages[key].numel)} elements"
            )
        starts[key], sizes[key] = at, size
        at += size
    if at != source.size:
        raise ValueError(f"{source.path}: {source.size - at} bytes after the last storage")
    return Stream(state, starts, sizes)
