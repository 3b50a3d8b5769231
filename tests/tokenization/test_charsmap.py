"""The check of the normaliser's table: sound ones pass, and what could lead astray does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenization.model_files import charsmap, field, model

from pyxglm.tokenization.charsmap import check_charsmap
from pyxglm.tokenization.model_proto import parse_model

SOUND = {b"a": b"A", b"ab": b"X", b"\xc3\xa9": b"e", b"zzz": b""}


def units_of(blob: bytes) -> list[int]:
    (size,) = struct.unpack_from("<I", blob)
    return list(struct.unpack_from(f"<{size // 4}I", blob, 4))


def with_units(blob: bytes, units: list[int]) -> bytes:
    texts = blob[4 + 4 * len(units_of(blob)) :]
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + texts


def look_up(blob: bytes, text: bytes, start: int) -> list[tuple[int, bytes]]:
    """Follow the table byte by byte, as the library does: lengths and replacements."""
    units = units_of(blob)
    texts = blob[4 + 4 * len(units) :]
    found = []

    def base(position: int) -> int:
        unit = units[position]
        return position ^ ((unit >> 10) << ((unit & 0x200) >> 6))

    position = base(0)
    for length, byte in enumerate(text[start:], 1):
        position ^= byte
        unit = units[position]
        if unit & 0x800000FF != byte:
            break
        position = base(position)
        if unit & 0x100:
            value = units[position] & 0x7FFFFFFF
            found.append((length, texts[value : texts.index(0, value)]))
    return found


KEYS = st.binary(min_size=1, max_size=4).filter(lambda key: 0 not in key)
REPLACEMENTS = st.dictionaries(KEYS, st.text("aé東", max_size=4).map(str.encode), min_size=1)


@given(REPLACEMENTS)
@settings(max_examples=60, deadline=None)
def test_sound_tables_pass(replacements: dict[bytes, bytes]) -> None:
    blob = charsmap(replacements)
    check_charsmap(blob)
    for key, text in replacements.items():
        assert look_up(blob, key, 0)[-1] == (len(key), text)


@given(
    replacements=REPLACEMENTS,
    changes=st.lists(st.tuples(st.integers(0, 600), st.integers(0, 2**32 - 1)), max_size=8),
    text=st.binary(max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_what_passes_leads_nowhere_else(
    replacements: dict[bytes, bytes], changes: list[tuple[int, int]], text: bytes
) -> None:
    """A damaged table that passes can be followed for any text without leaving it."""
    blob = charsmap(replacements)
    units = units_of(blob)
    for index, value in changes:
        units[index % len(units)] = value
    blob = with_units(blob, units)
    try:
        check_charsmap(blob)
    except ValueError:
        return
    for key in (text, *replacements):
        for start in range(len(key)):
            for _, replacement in look_up(blob, key, start):  # an IndexError fails the test
                replacement.decode("utf-8")


def test_empty_is_no_table() -> None:
    check_charsmap(b"")


@pytest.mark.parametrize(
    "blob", [b"\0", b"\0" * 4, b"\x04\0\0\0abcd", b"\xff" * 40, b"\3\0\0\0abcdef"]
)
def test_sizes(blob: bytes) -> None:
    with pytest.raises(ValueError, match="says that its trie has"):
        check_charsmap(blob)


def test_trie_beyond_all_measure() -> None:
    blob = struct.pack("<I", 4 * (2**20 + 256)) + bytes(4 * (2**20 + 256)) + b"\0"
    with pytest.raises(ValueError, match="expected at most 1048576"):
        check_charsmap(blob)


def test_offset_beyond_the_array() -> None:
    units = units_of(charsmap(SOUND))
    units[0] = 0x1FFFFF << 10
    with pytest.raises(ValueError, match="points at unit"):
        check_charsmap(with_units(charsmap(SOUND), units))


def test_children_beyond_the_array() -> None:
    """A base inside the array is not enough: its last child has to be inside as well."""
    blob = charsmap(SOUND)
    units = units_of(blob)
    with pytest.raises(ValueError, match="points at unit 255, but has 250"):
        check_charsmap(with_units(blob, units[:250]))


def test_cycle() -> None:
    blob = charsmap({b"a": b"A"})
    units = units_of(blob)
    base = units[0] >> 10
    child = base ^ ord("a")
    units[child] = ord("a") | 0x100 | (child ^ base) << 10
    with pytest.raises(ValueError, match="cycle"):
        check_charsmap(with_units(blob, units))


def test_replacement_offset_beyond_the_texts() -> None:
    blob = charsmap({b"a": b"A"})
    units = [0x80000000 | 99 if unit & 0x80000000 else unit for unit in units_of(blob)]
    with pytest.raises(ValueError, match="largest replacement offset is 99, expected less than 2"):
        check_charsmap(with_units(blob, units))


def test_replacements_that_never_end() -> None:
    with pytest.raises(ValueError, match="end in a NUL"):
        check_charsmap(charsmap({b"a": b"A"})[:-1] + b"A")


def test_replacement_that_is_not_utf8() -> None:
    with pytest.raises(ValueError, match="byte 0 is not UTF-8"):
        check_charsmap(charsmap({b"a": b"\xff"}))


def test_replacement_from_inside_a_character() -> None:
    blob = charsmap({b"a": "é".encode()})
    units = [0x80000001 if unit == 0x80000000 else unit for unit in units_of(blob)]
    with pytest.raises(ValueError, match="starts inside a character"):
        check_charsmap(with_units(blob, units))


@pytest.mark.parametrize(
    ("replacements", "message"),
    [
        ({b"a" * 300: b"A"}, "a key of more than 256 bytes"),
        ({b"a" * n: b"A" for n in range(1, 40)}, "39 keys that are prefixes"),
        ({b"a": b"A" * 600}, "a replacement of 600 bytes"),
    ],
)
def test_absurd_tables(replacements: dict[bytes, bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_charsmap(charsmap(replacements))


@pytest.mark.parametrize("spec", [3, 5])
def test_both_normalisers_are_checked(spec: int) -> None:
    data = model() if spec == 3 else model(tail=field(5, field(2, b"\xff" * 40)))
    if spec == 3:
        data = model(normalizer=field(2, b"\xff" * 40))
    with pytest.raises(ValueError, match=r"^here: .* its trie has"):
        parse_model(data, "here")
