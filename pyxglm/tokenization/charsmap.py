"""Check the table of character replacements inside a sentencepiece model.

A normaliser such as ``nmt_nfkc`` is stored as one blob: the size in bytes of a
trie (uint32, little endian), the trie, and the replacement texts, each ended by
a NUL. The trie is a *double array* in the layout of the Darts-clone library:
one uint32 unit a node, in which

======  ======================================================================
bits    meaning
======  ======================================================================
0-7     the byte that leads here (its *label*)
8       a key ends here; the unit at the node's base then holds the value
9       the offset counts in steps of 256
10-30   the offset
31      this unit is a value: an offset into the replacement texts
======  ======================================================================

From a node at position ``p`` one computes its *base*, ``p ^ offset``; the child
for byte ``c`` stands at ``base ^ c`` if the label there is ``c``. Whoever
follows this must look at the unit before knowing whether it is a child, so a
wrong offset is a read outside the array. Releases of sentencepiece up to 0.2.1
do read there, which ends in a crash; this module proves beforehand that no
text can lead out of the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Units in the largest trie that is accepted; nmt_nfkc's has 44,800.
MOST_UNITS = 2**20

#: Bytes in the longest key that is accepted; NFKC's own have fewer than twenty.
LONGEST_KEY = 256

#: Keys on one path, each a prefix of the next; the library keeps so many results a lookup.
MOST_PREFIXES = 32

#: Bytes in the longest replacement; NFKC's (U+FDFA, a whole blessing) has 33.
LONGEST_REPLACEMENT = 512

_VALUE = np.uint32(0x80000000)


def check_charsmap(blob: bytes) -> None:
    """Raise ValueError unless every lookup in the table stays inside it.

    Parameters
    ----------
    blob
        ``NormalizerSpec.precompiled_charsmap``; empty means no replacements.

    Raises
    ------
    ValueError
        If a size is wrong, a node's children or a replacement lie outside,
        the trie has a cycle, a key or a replacement is absurdly long, or a
        replacement is not UTF-8.
    """
    if not blob:
        return
    units, texts = _split(blob)
    values = _reachable_values(units)
    _check_texts(values, texts)


def _split(blob: bytes) -> tuple[NDArray[np.uint32], bytes]:
    """Return the trie's units and the replacement texts."""
    size = int.from_bytes(blob[:4], "little")
    if len(blob) < 4 or size % 4 or not 0 < size < len(blob) - 4:
        raise ValueError(
            f"the charsmap has {len(blob)} bytes and says that its trie has {size}, "
            "expected a multiple of 4 that leaves room for the replacements"
        )
    if size > 4 * MOST_UNITS:
        raise ValueError(
            f"the charsmap's trie has {size // 4} units, expected at most {MOST_UNITS}"
        )
    return np.frombuffer(blob, "<u4", size // 4, 4).astype(np.uint32), blob[4 + size :]


def _reachable_values(units: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Walk the trie from its root and return the values of all keys.

    The states of the walk are bases, not positions: every position belongs to
    one base only (itself with its label taken off), so there are never more
    edges than units, however the file is forged.
    """
    position = np.arange(len(units), dtype=np.int64)
    label = (units & np.uint32(0xFF)).astype(np.int64)
    offset = ((units >> 10) << ((units & np.uint32(0x200)) >> 6)).astype(np.int64)
    is_node = (units & _VALUE) == 0
    source = np.where(is_node, position ^ label, -1)
    target = position ^ offset
    ends_key = (units & np.uint32(0x100)) != 0

    order = np.argsort(source, kind="stable")
    sorted_source = source[order]

    def edges_from(bases: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of all children of these bases."""
        first = np.searchsorted(sorted_source, bases, "left")
        last = np.searchsorted(sorted_source, bases, "right")
        counts = last - first
        starts = np.repeat(first - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        return order[starts + np.arange(counts.sum())]

    root = np.array([target[0]], dtype=np.int64)
    seen = np.zeros(len(units), dtype=bool)
    incoming = np.zeros(len(units), dtype=np.int64)
    frontier = root
    while len(frontier):
        if int((frontier | 0xFF).max()) >= len(units):
            raise ValueError(
                f"the charsmap's trie points at unit {int((frontier | 0xFF).max())}, "
                f"but has {len(units)}"
            )
        seen[frontier] = True
        reached = target[edges_from(frontier)]
        inside = reached[reached < len(units)]
        incoming += np.bincount(inside, minlength=len(units))
        frontier = np.unique(reached[(reached >= len(units)) | ~seen[reached % len(units)]])

    # Second walk, in topological order: a state is entered when all edges into it have
    # been followed. What is never entered lies on a cycle.
    keys = np.zeros(len(units), dtype=np.int64)
    values: list[NDArray[np.int64]] = []
    frontier, entered, depth = root[incoming[root] == 0], 0, 0
    while len(frontier):
        entered += len(frontier)
        depth += 1
        if depth > LONGEST_KEY + 1:
            raise ValueError(f"the charsmap has a key of more than {LONGEST_KEY} bytes")
        edges = edges_from(frontier)
        reached = target[edges]
        values.append((units[reached[ends_key[edges]]] & ~_VALUE).astype(np.int64))
        np.maximum.at(keys, reached, keys[source[edges]] + ends_key[edges])
        np.subtract.at(incoming, reached, 1)
        frontier = np.unique(reached[incoming[reached] == 0])
    if entered < int(seen.sum()):
        raise ValueError("the charsmap's trie has a cycle")
    if keys.max() > MOST_PREFIXES:
        raise ValueError(
            f"the charsmap has {int(keys.max())} keys that are prefixes of one another, "
            f"expected at most {MOST_PREFIXES}"
        )
    return np.unique(np.concatenate(values))


def _check_texts(values: NDArray[np.int64], texts: bytes) -> None:
    """Check that every value is the start of a short, terminated UTF-8 text."""
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the charsmap's replacement byte {error.start} is not UTF-8") from None
    if not len(values):
        return
    if int(values[-1]) >= len(texts) or texts[-1] != 0:
        raise ValueError(
            f"the charsmap's largest replacement offset is {int(values[-1])}, expected less than "
            f"{len(texts)}, and the last replacement to end in a NUL"
        )
    data = np.frombuffer(texts, np.uint8)
    inside_character = (data[values] & 0xC0) == 0x80
    if inside_character.any():
        where = int(values[inside_character][0])
        raise ValueError(f"the charsmap's replacement at {where} starts inside a character")
    ends = np.flatnonzero(data == 0)
    longest = int((ends[np.searchsorted(ends, values)] - values).max())
    if longest > LONGEST_REPLACEMENT:
        raise ValueError(
            f"the charsmap has a replacement of {longest} bytes, "
            f"expected at most {LONGEST_REPLACEMENT}"
        )
