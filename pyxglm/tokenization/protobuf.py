"""Read the protocol buffers wire format: just enough to look before one leaps.

A message is a row of fields; a field is a key and a value; a key is
``number << 3 | wire type``. Integers are *varints*: seven bits a byte, low
bits first, the top bit says that more follow. Four wire types occur in
sentencepiece models: varint, eight bytes, a length and as many bytes, and four
bytes. (The specification: protobuf.dev/programming-guides/encoding.)
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

_LARGEST_FIELD = 2**29 - 1


def varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Decode the varint at `start`; return it and where the next thing begins.

    Raises
    ------
    ValueError
        If it does not end before `end`, or needs more than 64 bits.

    Examples
    --------
    >>> varint(bytes([0x96, 0x01]), 0, 2)
    (150, 2)
    """
    value = shift = 0
    for position in range(start, min(end, start + 10)):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                break
            return value, position + 1
        shift += 7
    raise ValueError(f"no varint at byte {start}")


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield the fields of the message in ``data[start:end]``.

    Yields
    ------
    key
        ``number << 3 | wire type``, as it stands in the file.
    value
        The integer of a varint; where the bytes of any other value begin.
    stop
        Where the value ends, which is where the next field begins.

    Raises
    ------
    ValueError
        If a field does not fit, has number 0, or has a wire type that
        sentencepiece models do not use (groups included).

    Examples
    --------
    >>> list(fields(bytes([0x08, 0x96, 0x01, 0x12, 0x02, 0x68, 0x69])))
    [(8, 150, 3), (18, 5, 7)]
    """
    end = len(data) if end is None else end
    while start < end:
        key, value = varint(data, start, end)
        wire = key & 7
        if not 0 < key >> 3 <= _LARGEST_FIELD:
            raise ValueError(f"field number {key >> 3} at byte {start}")
        if wire == VARINT:
            value, stop = varint(data, value, end)
        elif wire == LENGTH:
            length, value = varint(data, value, end)
            stop = value + length
        elif wire in (FIXED32, FIXED64):
            stop = value + (4 if wire == FIXED32 else 8)
        else:
            raise ValueError(f"wire type {wire} at byte {start}")
        if stop > end:
            raise ValueError(f"the field at byte {start} ends at {stop}, but its message at {end}")
        yield key, value, stop
        start = stop
