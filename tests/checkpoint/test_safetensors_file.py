"""The safetensors reader: every rule of the format, and the library as the judge."""

import json
import os
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from checkpoint.build import safetensors_entries, safetensors_file
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pyxglm.checkpoint.safetensors_file import DTYPES, HEADER_LIMIT, read_safetensors
from pyxglm.dtypes import bfloat16

BRAIN = np.arange(6, dtype="<u2").view(bfloat16).reshape(2, 3)
TENSORS = {
    "half": np.arange(6, dtype="<f2").reshape(3, 2),
    "brain": BRAIN,
    "single": np.float32([[1.5]]),
    "empty": np.zeros((0, 7), "<f4"),
    "number": np.array(2.5, "<f8"),
}


def write(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    return path


def test_tensors_are_mapped_read_only(tmp_path):
    path = write(tmp_path, safetensors_file(*safetensors_entries(TENSORS)))
    found = read_safetensors(path)
    assert found.keys() == TENSORS.keys()
    for name, array in found.items():
        assert array.dtype == TENSORS[name].dtype
        assert array.shape == TENSORS[name].shape
        assert array.tobytes() == TENSORS[name].tobytes()
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_what_the_mapping_shows_is_the_file(tmp_path):
    path = write(tmp_path, safetensors_file(*safetensors_entries(TENSORS)))
    found = read_safetensors(path)
    data = bytearray(path.read_bytes())
    start = 8 + struct.unpack_from("<Q", data)[0]
    with path.open("r+b") as file:
        file.seek(start)
        file.write(np.float16(7).tobytes())
    assert found["half"][0, 0] == 7


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(
            lambda name: name != "__metadata__"
        ),
        st.sampled_from(["<f2", "<f4", "<f8", "<i8", "|u1", "<u2", "<i4"]).flatmap(
            lambda dtype: arrays(
                dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
            )
        ),
        max_size=4,
    ),
    # The library writes a header that it cannot read itself for no tensors and {}.
    st.none() | st.dictionaries(st.text("ab"), st.text("ab"), min_size=1),
)
def test_reads_what_the_library_writes(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.mktemp("st") / "model.safetensors"
    safetensors.numpy.save_file(tensors, path, metadata)
    found = read_safetensors(path)
    assert found.keys() == tensors.keys()
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def one(**changes):
    return {"w": entry(**changes)}


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (one(dtype="F99"), bytes(8), "dtype is 'F99', expected one of F64, F32"),
        (one(dtype=["F32"]), bytes(8), "dtype is"),
        (one(dtype=None), bytes(8), "dtype is 'None'"),
        (one(shape=2), bytes(8), "shape is '2'"),
        (one(shape=[-2]), bytes(8), "shape is"),
        (one(shape=[2.0]), bytes(8), "shape is"),
        (one(shape=[True]), bytes(4), "shape is"),
        (one(shape=["2"]), bytes(8), "shape is"),
        (one(shape=[1] * 33), bytes(4), "shape is"),
        (one(shape=[2**63, 2**63]), bytes(8), "shape is"),
        (one(shape=[2**64 + 2]), bytes(8), "shape is"),
        (one(shape=[0, 2**62, 2**62], offsets=[0, 0]), b"", "shape is"),
        (one(offsets=[0, 8, 8]), bytes(8), "data_offsets is"),
        (one(offsets=[0]), bytes(8), "data_offsets is"),
        (one(offsets={}), bytes(8), "data_offsets is"),
        (one(offsets=[0, 8.0]), bytes(8), "data_offsets is"),
        (one(offsets=[False, 8]), bytes(8), "data_offsets is"),
        (one(offsets=[-8, 0]), bytes(8), "data_offsets is"),
        (one(offsets=[8, 0]), bytes(8), "hold '-8' bytes, expected 8"),
        (one(offsets=[0, 4]), bytes(4), "hold '4' bytes, expected 8"),
        (one(offsets=[0, 10**300]), bytes(8), "expected 8 for shape"),
        (one(offsets=[4, 12]), bytes(12), "leaves a gap before it: it starts at '4', expected 0"),
        (one(), bytes(4), "holds 4 bytes of tensors, expected 8"),
        (one(), bytes(9), "holds 9 bytes of tensors, expected 8"),
        (one(), b"", "holds 0 bytes of tensors"),
        ({}, bytes(1), "holds 1 bytes of tensors, expected 0"),
        ({"w": [1]}, b"", "expected an object with dtype"),
        ({"w": {"dtype": "F32", "shape": []}}, b"", "expected an object with dtype"),
        (one(extra=1), bytes(8), "expected an object with dtype"),
        ({"a": entry(), "b": entry()}, bytes(8), "'b' overlaps the one before: it starts at '0'"),
        ({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12), "'b' overlaps"),
        ({"a": entry(), "b": entry(offsets=[9, 17])}, bytes(17), "'b' leaves a gap"),
        ({"__metadata__": {"a": 1}, **one()}, bytes(8), "__metadata__ must be"),
        ({"__metadata__": [], **one()}, bytes(8), "__metadata__ must be"),
        ({"x\n" * 200: entry(shape=[3])}, bytes(8), "expected 12"),
    ],
)
def test_a_broken_rule_is_named(tmp_path, header, data, message):
    path = write(tmp_path, safetensors_file(header, data))
    with pytest.raises(ValueError, match=message) as caught:
        read_safetensors(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends at byte 0, expected 8 bytes from byte 0"),
        (b"\x02\0\0\0\0\0\0", "ends at byte 7"),
        (safetensors_file(b"{}", b"", 3), "a header of 3 bytes in a file of 10"),
        (safetensors_file(b"{}", b"", 2**63), "a header of 9223372036854775808 bytes"),
        (safetensors_file(b"", b""), "starts with b'', expected a JSON object"),
        (safetensors_file(b"[]", b""), r"starts with b'\[\]'"),
        (safetensors_file(b"\xff{}", b""), "starts with"),
        (safetensors_file(b"{", b""), "not JSON"),
        (safetensors_file(b'{"a": NaN}', b""), "NaN"),
        (safetensors_file(b'{"a": {}, "a": {}}', b""), "the key 'a' stands twice"),
        (safetensors_file(b'{"__metadata__": {"a": "", "a": ""}}', b""), "stands twice"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
    ],
)
def test_a_broken_header_is_refused(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(ValueError, match=message) as caught:
        read_safetensors(path)
    assert str(path) in str(caught.value)


def test_the_header_may_be_padded_and_is_bounded(tmp_path):
    header, data = safetensors_entries({"w": np.float32([1, 2])})
    text = json.dumps(header).encode()
    path = write(tmp_path, safetensors_file(text + b" " * 100_001, data))
    assert read_safetensors(path)["w"].tolist() == [1, 2]
    # A header that the format allows, of more JSON than any model needs.
    os.truncate(path, 0)
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", HEADER_LIMIT) + b"{")
        file.truncate(8 + HEADER_LIMIT)
    with pytest.raises(ValueError, match="bytes of JSON, expected at most"):
        read_safetensors(path)
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", HEADER_LIMIT + 1))
        file.truncate(9 + HEADER_LIMIT)
    with pytest.raises(ValueError, match="a header of 100000001 bytes"):
        read_safetensors(path)


def test_every_cut_is_noticed(tmp_path):
    whole = safetensors_file(*safetensors_entries({"w": np.float32([1, 2])}))
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="model.safetensors: "):
            read_safetensors(write(tmp_path, whole[:length]))


def test_types_are_the_librarys(tmp_path):
    """Each type that the reader knows has the item size that the library gives it."""
    for name, dtype in DTYPES.items():
        data = safetensors_file(one(dtype=name, shape=[3], offsets=[0, 3 * dtype.itemsize]),
                                bytes(3 * dtype.itemsize))  # fmt: skip
        safetensors.deserialize(data)
        assert read_safetensors(write(tmp_path, data))["w"].shape == (3,)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_is_accepted_the_library_accepts(tmp_path_factory, data):
    """A file cannot mean one thing here and another, or nothing, there."""
    header, body = safetensors_entries(TENSORS)
    name = data.draw(st.sampled_from([*header]))
    key = data.draw(st.sampled_from(["shape", "data_offsets", "dtype"]))
    numbers = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 36])
    if key == "dtype":
        header[name][key] = data.draw(st.sampled_from([*DTYPES]))
    else:
        header[name][key] = data.draw(st.lists(numbers, min_size=1, max_size=3))
    content = safetensors_file(header, body)
    path = write(tmp_path_factory.mktemp("st"), content)
    try:
        found = read_safetensors(path)
    except ValueError:
        return
    judged = dict(safetensors.deserialize(content))
    assert {n: a.tobytes() for n, a in found.items()} == {
        n: bytes(value["data"]) for n, value in judged.items()
    }
    assert {n: [*a.shape] for n, a in found.items()} == {n: v["shape"] for n, v in judged.items()}


def test_only_regular_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_safetensors(tmp_path / "model.safetensors")
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not a regular file"):
        read_safetensors(tmp_path / "model.safetensors")
