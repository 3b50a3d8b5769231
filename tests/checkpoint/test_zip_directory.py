"""The zip directory: archives that two readers could read differently are refused."""

import io
import os
import struct
import zipfile
import zlib

import pytest
from checkpoint.build import Member, zip_file
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.checkpoint.mapping import opened
from pyxglm.checkpoint.zip_directory import read_directory


def directory(path):
    with opened(path) as source:
        return {name: source.read(*member) for name, member in read_directory(source).items()}


def write(tmp_path, data):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(data)
    return path


A = Member(b"m/a", b"alpha")
B = Member(b"m/b", b"beta")


@pytest.mark.parametrize("zip64", [False, True])
def test_members_lie_where_the_data_are(tmp_path, zip64):
    path = write(tmp_path, zip_file([A, Member(b"m/b", b"beta", align=64)], zip64=zip64))
    assert directory(path) == {"m/a": b"alpha", "m/b": b"beta"}
    with opened(path) as source:
        assert read_directory(source)["m/b"].start % 64 == 0


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9é_]{1,5}(/[a-z.]{3,4})?", fullmatch=True), st.binary(max_size=9)
    )
)
def test_reads_what_the_standard_library_writes(tmp_path_factory, files):
    files = {name: data for name, data in files.items() if ".." not in name}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    path = write(tmp_path_factory.mktemp("zip"), buffer.getvalue())
    assert directory(path) == files


def test_sizes_of_64_bits_and_data_descriptors(tmp_path):
    """What streaming writers leave: sizes after the data, or in extra fields."""
    wide = struct.pack("<HHQQ", 1, 16, 5, 5)
    both = {"csize": 2**32 - 1, "usize": 2**32 - 1, "extra": b"FB\x01\0Z" + wide}
    later = {"flags": 0x808, "crc": 0, "csize": 0, "usize": 0}
    path = write(
        tmp_path,
        zip_file([
            Member(b"m/wide", b"alpha", central=both, local=both),
            Member(b"m/later", b"beta", central={"flags": 0x808}, local=later, padding=bytes(16)),
            Member(b"m/folder/", b""),
        ]),
    )  # fmt: skip
    assert directory(path) == {"m/wide": b"alpha", "m/later": b"beta"}


def test_beyond_four_gigabytes(tmp_path):
    """Offsets and sizes that 32 bits cannot hold, in a file that is mostly a hole."""
    size = 5 * 2**30
    path = tmp_path / "pytorch_model.bin"
    sentinel = 2**32 - 1
    head = zip_file([Member(b"m/first", b"alpha")])[: 30 + 7 + 5]
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, 0, sentinel, sentinel, 5, 20)
    local += b"m/big" + struct.pack("<HHQQ", 1, 16, size, size)
    last = len(head) + len(local) + size
    tail = zip_file([Member(b"m/last", b"beta")])
    last_local, last_central = tail[: 30 + 6 + 4], tail[40:-22]
    first_central = zip_file([Member(b"m/first", b"alpha")])[42:-22]
    big_extra = struct.pack("<HHQQ", 1, 16, size, size)
    big_central = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0, sentinel, sentinel, 5, 20, 0, 0, 0, 0,
        len(head),
    ) + b"m/big" + big_extra  # fmt: skip
    last_extra = struct.pack("<HHQ", 1, 8, last)
    last_central = bytearray(last_central)
    struct.pack_into("<H", last_central, 30, len(last_extra))
    struct.pack_into("<L", last_central, 42, sentinel)
    central = first_central + big_central + bytes(last_central) + last_extra
    start = last + len(last_local)
    with path.open("wb") as file:
        file.write(head + local)
        file.seek(last)
        file.write(last_local + central)
        file.write(
            struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 3, 3, len(central), start)
        )
        file.write(struct.pack("<4sLQL", b"PK\6\7", 0, start + len(central), 1))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 3, 3, len(central), sentinel, 0))
    with opened(path) as source:
        members = read_directory(source)
        assert members["m/big"] == (len(head) + len(local), size)
        assert source.read(*members["m/last"]) == b"beta"
    # The standard library agrees on what lies where.
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("m/big").file_size == size
        assert archive.read("m/last") == b"beta"


def spoilt(**central):
    return [A, Member(b"m/b", b"beta", central=central)]


def both(**fields):
    return [A, Member(b"m/b", b"beta", central=fields, local=fields)]


LOCAL = "local header that disagrees"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (both(method=8), "'m/b' is deflated, expected stored"),
        (both(method=12), "is bzip2, expected stored"),
        (both(method=99), "is compressed by method 99"),
        (both(flags=1), "'m/b' is encrypted"),
        (both(flags=0x41), "is encrypted"),
        (both(flags=0x2000), "is encrypted"),
        (both(flags=0x20), "unknown flags 0x20"),
        (spoilt(csize=3), "two sizes"),
        (spoilt(csize=5, usize=5), LOCAL),
        (spoilt(csize=2**31, usize=2**31), LOCAL),
        (spoilt(csize=2**32 - 1, usize=2**32 - 1), "lacks its 64-bit sizes"),
        (spoilt(usize=2**32 - 1, extra=struct.pack("<HHL", 1, 4, 4)), "lacks its 64-bit sizes"),
        (spoilt(usize=2**32 - 1, extra=struct.pack("<HHQ", 1, 200, 5)), "two sizes"),
        (spoilt(usize=2**32 - 1, extra=struct.pack("<HHQ", 2, 8, 4)), "lacks its 64-bit sizes"),
        (spoilt(offset=2**32 - 1), "lacks its 64-bit sizes"),
        (spoilt(offset=2**31), "ends at byte"),
        (spoilt(offset=1), LOCAL),
        (spoilt(offset=0), LOCAL),
        (spoilt(name=b"m/c"), LOCAL),
        (spoilt(crc=7), LOCAL),
        (spoilt(flags=8), LOCAL),
        (spoilt(disk=1), "damaged zip directory"),
        (spoilt(sign=b"PK\1\3"), "damaged zip directory"),
        ([A, Member(b"m/b", b"beta", local={"sign": b"PK\3\5"})], LOCAL),
        ([A, Member(b"m/b", b"beta", local={"method": 8})], LOCAL),
        ([A, Member(b"m/b", b"beta", local={"usize": 3})], LOCAL),
        ([A, Member(b"m/b", b"beta", local={"csize": 0, "usize": 0})], LOCAL),
        ([A, Member(b"m/b", b"beta", local={"usize": 2**32 - 1})], "lacks its 64-bit sizes"),
        ([A, A], "'m/a' stands there twice"),
        (both(name=b"m/../b"), "no plain path"),
        (both(name=b"/m/b"), "no plain path"),
        (both(name=b"m//b"), "no plain path"),
        (both(name=b"./b"), "no plain path"),
        (both(name=b"m\\b"), "no plain path"),
        (both(name=b"c:/b"), "no plain path"),
        (both(name=b"m/b\0"), "no plain path"),
        (both(name=b"m/\x1b[2J"), "no plain path"),
        (both(name=b""), "no plain path"),
        (both(name=b"/"), "no plain path"),
        (both(name=b"m/b/"), "no plain path"),
        (both(name=b"m/\xff"), "not text"),
        (both(name=b"m/\xff", flags=0x800), "not text"),
    ],
)
def test_ambiguous_members_are_refused(tmp_path, members, message):
    path = write(tmp_path, zip_file(members))
    with pytest.raises(ValueError, match=message) as caught:
        directory(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_overlapping_members_are_refused(tmp_path):
    """A member whose data contain another member, header and all."""
    inner = zip_file([Member(b"m/b", b"beta")])[:37]
    outer = Member(b"m/a", inner)
    right = {"offset": 33, "csize": 4, "usize": 4, "crc": zlib.crc32(b"beta")}
    fake = Member(b"m/b", b"", central=right)
    data = zip_file([outer, fake])
    with pytest.raises(ValueError, match="'m/b' lies at bytes 33 to 70, expected between 70"):
        directory(write(tmp_path, data))


def test_members_may_not_reach_into_the_directory(tmp_path):
    size = {"csize": 60, "usize": 60}
    path = write(tmp_path, zip_file([Member(b"m/a", b"alpha", central=size, local=size)]))
    with pytest.raises(ValueError, match="'m/a' lies at bytes 0 to 93, expected between 0 and 38"):
        directory(path)


GOOD = zip_file([A, B])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes, expected a zip archive"),
        (b"PK\x05\x06", "4 bytes"),
        (GOOD + b"x", "does not end as a zip archive"),
        (zip_file([A, B], end={"comment": 1}, after=b"x"), "does not end as a zip archive"),
        (b"MZ" + GOOD, "expected it to end at byte"),
        (zip_file([A, B], end={"disk": 1}), "split zip archive"),
        (zip_file([A, B], end={"first": 1}), "split zip archive"),
        (zip_file([A, B], end={"here": 1}), "split zip archive"),
        (zip_file([A, B], end={"here": 1, "count": 1}), "left over in the zip directory"),
        (zip_file([A, B], end={"here": 3, "count": 3}), "a zip directory of 3 members"),
        (zip_file([A, B], end={"here": 65535, "count": 65535}), "lacks its zip64"),
        (zip_file([A, B], end={"size": 2**32 - 1}), "lacks its zip64"),
        (zip_file([A, B], end={"start": 0}), "expected it to end at byte"),
        (zip_file([A, B], end={"start": 2**31}), "expected it to end at byte"),
        (zip_file([A, B], zip64=True, end={"wide_disk": 1}), "damaged zip64"),
        (zip_file([A, B], zip64=True, end={"wide_length": 45}), "damaged zip64"),
        (zip_file([A, B], zip64=True, end={"wide_here": 1}), "damaged zip64"),
        (zip_file([A, B], zip64=True, end={"wide_record": 2**63}), "zip64 locator"),
        (zip_file([A, B], zip64=True, end={"wide_disks": 2}), "zip64 locator"),
        (zip_file([A, B], zip64=True, end={"wide_size": 2**63}), "expected it to end"),
        (zip_file([A, B], zip64=True, end={"wide_start": 2**64 - 1}), "expected it to end"),
        (zip_file([A, B], zip64=True, end={"start": 3}), "two end records disagree"),
        (zip_file([A, B], zip64=True, end={"here": 1, "count": 1}), "two end records disagree"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(ValueError, match=message) as caught:
        directory(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_every_cut_is_noticed(tmp_path):
    for zip64 in (False, True):
        whole = zip_file([A, B], zip64=zip64)
        for length in range(len(whole)):
            with pytest.raises(ValueError, match="pytorch_model.bin: "):
                directory(write(tmp_path, whole[:length]))


def test_a_huge_directory_is_refused_before_it_is_read(tmp_path):
    path = write(tmp_path, b"")
    os.truncate(path, 2**40)
    with path.open("r+b") as file:
        file.seek(2**40)
        file.write(
            struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
            + struct.pack("<4sLQL", b"PK\6\7", 0, 2**40, 1)
            + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 2**32 - 1, 2**32 - 1, 0)
        )
    with pytest.raises(ValueError, match="zip directory of 1099511627776 bytes, at most"):
        directory(path)
