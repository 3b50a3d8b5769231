"""The directory of a torch file: where each member of a zip archive lies.

torch stores a state dict as a zip archive whose members are not compressed,
so that each can be mapped where it lies. The standard library's `zipfile`
does not say where a member's data start, and it takes archives that two
readers may read differently; here every byte that says where something is
must agree with every other. Layout (PKWARE APPNOTE 6.3)::

    local header, name, extra, DATA, [data descriptor]     for each member
    central header, name, extra, comment                   for each member
    [zip64 end record, zip64 locator]
    end record

Checksums are not read: a pass over the weights would cost the very reading
that mapping saves.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pyxglm.checkpoint.mapping import Source
from pyxglm.strict_json import quoted

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")

#: The central directory of the largest XGLM takes some 50 kilobytes.
DIRECTORY_LIMIT = 16 * 2**20

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DESCRIPTOR = 0x0008  # sizes and checksum follow the data; the local header may hold zeros
_UTF8 = 0x0800
_DEFLATE_LEVEL = 0x0006  # says nothing about a stored member
_METHODS = {8: "deflated", 9: "deflated (64)", 12: "bzip2", 14: "LZMA", 93: "Zstandard"}
_MAX16, _MAX32 = 0xFFFF, 0xFFFFFFFF


class Member(NamedTuple):
    """One stored file: where its data start and how many bytes they are."""

    start: int
    size: int


class _Central(NamedTuple):
    """What the central directory says about a member."""

    name: bytes
    flags: int
    checksum: int
    size: int
    offset: int


def read_directory(source: Source) -> dict[str, Member]:
    """Return the members of a zip archive by name, directories left out.

    Raises
    ------
    ValueError
        If the archive is damaged, encrypted, compressed, split, or ambiguous:
        two members of one name or over the same bytes, a name that leaves the
        archive's folder, bytes before or after, headers that disagree.
    """
    start, size, count = _find_directory(source)
    if size > DIRECTORY_LIMIT:
        raise ValueError(
            f"{source.path}: a zip directory of {size} bytes, at most {DIRECTORY_LIMIT}"
        )
    members: dict[str, Member] = {}
    spans: list[tuple[int, int, str]] = []
    for central in _read_central(source, start, size, count):
        name = _checked_name(central, source)
        if name in members:
            raise ValueError(f"{source.path}: the zip member {quoted(name)} stands there twice")
        data_start = _check_local(central, name, source)
        spans.append((central.offset, data_start + central.size, name))
        members[name] = Member(data_start, central.size)
    position = 0
    for begin, end, name in sorted(spans):
        if begin < position or end > start:
            raise ValueError(
                f"{source.path}: the zip member {quoted(name)} lies at bytes {begin} to {end}, "
                f"expected between {position} and {start}"
            )
        position = end
    return {name: member for name, member in members.items() if not name.endswith("/")}


def _find_directory(source: Source) -> tuple[int, int, int]:
    """Return the central directory's start, size and number of members."""
    if source.size < _END.size:
        raise ValueError(f"{source.path}: {source.size} bytes, expected a zip archive")
    end = source.size - _END.size
    sign, disk, first_disk, here, count, size, start, comment = _END.unpack(
        source.read(end, _END.size)
    )
    if sign != b"PK\x05\x06" or comment:
        raise ValueError(f"{source.path}: does not end as a zip archive: cut short or added to")
    if disk or first_disk or here != count:
        raise ValueError(f"{source.path}: one part of a split zip archive, expected a whole one")
    if end >= _LOCATOR64.size and source.read(end - _LOCATOR64.size, 4) == b"PK\x06\x07":
        classic = count, size, start
        end, (count, size, start) = _find_directory64(source, end - _LOCATOR64.size)
        limits = _MAX16, _MAX32, _MAX32
        for old, new, limit in zip(classic, (count, size, start), limits, strict=True):
            if old not in (new, limit):
                raise ValueError(f"{source.path}: the zip archive's two end records disagree")
    elif count == _MAX16 or _MAX32 in (size, start):
        raise ValueError(f"{source.path}: the zip archive lacks its zip64 end record")
    if start + size != end or size < count * _CENTRAL.size:
        raise ValueError(
            f"{source.path}: a zip directory of {count} members in {size} bytes from byte {start}, "
            f"expected it to end at byte {end}"
        )
    return start, size, count


def _find_directory64(source: Source, locator: int) -> tuple[int, tuple[int, int, int]]:
    """Return where the zip64 end record starts, and its (count, size, start)."""
    _, record_disk, record, disks = _LOCATOR64.unpack(source.read(locator, _LOCATOR64.size))
    # Compared before it is read: the record must end where the locator starts.
    if record_disk or disks > 1 or record != locator - _END64.size:
        raise ValueError(
            f"{source.path}: the zip64 locator points to byte {record}, not to its record"
        )
    sign, length, _, _, disk, first_disk, here, count, size, start = _END64.unpack(
        source.read(record, _END64.size)
    )
    if sign != b"PK\x06\x06" or length != _END64.size - 12 or disk or first_disk or here != count:
        raise ValueError(f"{source.path}: damaged zip64 end record")
    return record, (count, size, start)


def _read_central(source: Source, start: int, size: int, count: int) -> list[_Central]:
    """Read the central directory: `count` entries that fill it exactly."""
    data = source.read(start, size)
    position, entries = 0, []
    for _ in range(count):
        if position + _CENTRAL.size > size:
            raise ValueError(f"{source.path}: the zip directory is cut short")
        fields = _CENTRAL.unpack_from(data, position)
        sign, flags, method = fields[0], fields[3], fields[4]
        checksum, packed, unpacked = fields[7:10]
        name_length, extra_length, comment_length, disk = fields[10:14]
        offset = fields[16]
        position += _CENTRAL.size
        name = data[position : position + name_length]
        extra = data[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length + comment_length
        if sign != b"PK\x01\x02" or position > size or disk:
            raise ValueError(f"{source.path}: damaged zip directory")
        shown = quoted(name.decode("utf-8", "backslashreplace"))
        if flags & _ENCRYPTED:
            raise ValueError(f"{source.path}: the zip member {shown} is encrypted")
        if method:
            kind = _METHODS.get(method, f"compressed by method {method}")
            raise ValueError(f"{source.path}: the zip member {shown} is {kind}, expected stored")
        if flags & ~(_DESCRIPTOR | _UTF8 | _DEFLATE_LEVEL):
            raise ValueError(f"{source.path}: the zip member {shown} has unknown flags {flags:#x}")
        wide = [unpacked, packed, offset]
        _widen(wide, extra, f"{source.path}: the zip member {shown}")
        if wide[0] != wide[1]:
            raise ValueError(f"{source.path}: the stored zip member {shown} has two sizes")
        entries.append(_Central(name, flags, checksum, wide[0], wide[2]))
    if position != size:
        raise ValueError(f"{source.path}: {size - position} bytes left over in the zip directory")
    return entries


def _widen(values: list[int], extra: bytes, where: str) -> None:
    """Replace the fields that say "too large" by the zip64 extra field's values."""
    if _MAX32 not in values:
        return
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        position += 4
        if kind == 1:
            field = extra[position : position + length]
            for index, value in enumerate(values):
                if value == _MAX32 and len(field) >= 8:
                    values[index] = int.from_bytes(field[:8], "little")
                    field = field[8:]
                elif value == _MAX32:
                    break
            else:
                return
            break
        position += length
    raise ValueError(f"{where} lacks its 64-bit sizes")


def _checked_name(central: _Central, source: Source) -> str:
    """Return a member's name, which must stay inside the archive."""
    try:
        name = central.name.decode("utf-8" if central.flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise ValueError(f"{source.path}: a zip member's name is not text") from None
    parts = name.removesuffix("/").split("/")
    if (
        not name.isprintable()
        or any(part in ("", ".", "..") for part in parts)
        or any(sign in name for sign in "\\:")
        or (name.endswith("/") and central.size)
    ):
        raise ValueError(
            f"{source.path}: the zip member's name {quoted(name)} is no plain path "
            "inside the archive"
        )
    return name


def _check_local(central: _Central, name: str, source: Source) -> int:
    """Check a member's local header against the directory; return where its data start."""
    sign, _, flags, method, _, _, checksum, packed, unpacked, name_length, extra_length = (
        _LOCAL.unpack(source.read(central.offset, _LOCAL.size))
    )
    disagrees = ValueError(
        f"{source.path}: the zip member {quoted(name)} has a local header that disagrees with "
        "the directory"
    )
    if sign != b"PK\x03\x04" or flags != central.flags or method:
        raise disagrees
    rest = source.read(central.offset + _LOCAL.size, name_length + extra_length)
    sizes = [unpacked, packed]
    _widen(sizes, rest[name_length:], f"{source.path}: the zip member {quoted(name)}")
    later = bool(flags & _DESCRIPTOR)
    if (
        rest[:name_length] != central.name
        or (checksum != central.checksum and not (later and checksum == 0))
        or (sizes != [central.size] * 2 and not (later and sizes == [0, 0]))
    ):
        raise disagrees
    return central.offset + _LOCAL.size + len(rest)
