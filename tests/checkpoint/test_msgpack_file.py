"""Flax's format: what msgpack's own library packs is read, and the other way round."""

import struct

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pyxglm.checkpoint import msgpack_file
from pyxglm.checkpoint.msgpack_file import (
    parse_tree,
    read_msgpack,
    read_tree,
    tree_bytes,
    write_msgpack,
)
from pyxglm.checkpoint.pieces import Pieces, blocks
from pyxglm.dtypes import bfloat16

NUMBERS = np.arange(6, dtype="<f4").reshape(2, 3)


def packed_array(array, name=None, code=1):
    """Return an array as Flax packs it, by the library."""
    kind = name or ("bfloat16" if array.dtype == bfloat16 else array.dtype.name)
    inside = msgpack.packb((array.shape, kind, array.tobytes()), use_bin_type=True)
    return msgpack.ExtType(code, inside)


def packed(tree):
    return msgpack.packb(tree, default=packed_array, strict_types=False)


def cut(array, size):
    """Return an array as Flax cuts it."""
    flat = array.reshape(-1)
    pieces = [flat[n : n + size] for n in range(0, flat.size, size)]
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(n): size for n, size in enumerate(array.shape)},
        "chunks": {str(n): packed_array(piece) for n, piece in enumerate(pieces)},
    }


def write(tmp_path, data):
    path = tmp_path / "flax_model.msgpack"
    path.write_bytes(data)
    return path


DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4", "i1", "u1", "<u2", "<c8"]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="./"), min_size=1, max_size=40),
        arrays(st.sampled_from(DTYPES), array_shapes(min_dims=0, max_dims=4, min_side=0)),
        max_size=20,
    )
)
def test_the_library_and_this_package_agree(tree):
    found = parse_tree(packed({"a": tree}))["a"]
    assert [*found] == [*tree]
    for key, array in tree.items():
        np.testing.assert_array_equal(found[key], array, strict=True)
    # What is written is what the library writes, byte for byte.
    assert tree_bytes({"a": tree}) == packed({"a": tree})


@pytest.mark.parametrize("length", [15, 16, 31, 32, 255, 256, 65535, 65536])
def test_lengths_of_every_width(length):
    tree = {"x" * min(length, 300): np.zeros(length, "u1"), "wide": np.zeros((length, 0), "u1")}
    assert tree_bytes(tree) == packed(tree)
    many = {str(n): np.zeros(0, "u1") for n in range(min(length, 300))}
    assert tree_bytes(many) == packed(many)
    assert parse_tree(packed(many)).keys() == many.keys()


def test_arrays_are_mapped(tmp_path):
    path = write(tmp_path, packed({"a": {"b": NUMBERS}}))
    found = read_msgpack(path)
    np.testing.assert_array_equal(found["a/b"], NUMBERS, strict=True)
    assert not found["a/b"].flags.owndata
    assert not found["a/b"].flags.writeable


def test_bfloat16_and_transposed_views(tmp_path):
    half = np.arange(6, dtype="<u2").view(bfloat16).reshape(3, 2)
    path = tmp_path / "flax_model.msgpack"
    write_msgpack({"a": half.T, "b": NUMBERS.T}, path)
    found = read_tree(path)
    np.testing.assert_array_equal(found["a"]["bfloat16"], half.T["bfloat16"])
    np.testing.assert_array_equal(found["b"], NUMBERS.T)


@pytest.mark.parametrize("size", [1, 4, 5, 6, 100])
def test_arrays_in_pieces(tmp_path, size, monkeypatch):
    path = write(tmp_path, packed({"w": cut(NUMBERS, size)}))
    found = read_msgpack(path)["w"]
    assert isinstance(found, Pieces) is (size < 6)
    np.testing.assert_array_equal(read_tree(path)["w"], NUMBERS, strict=True)
    for tensor, expected in ((found, NUMBERS), (found.T, NUMBERS.T), (found.T.T, NUMBERS)):
        assert tensor.shape == expected.shape
        np.testing.assert_array_equal(tensor[0:1], expected[:1])
        np.testing.assert_array_equal(tensor[1:2], expected[1:2])
        joined = np.concatenate([block.ravel() for block in blocks(tensor, "float64")])
        np.testing.assert_array_equal(joined, expected.ravel())
    monkeypatch.setattr(msgpack_file, "PIECE", 4 * size)
    assert tree_bytes({"w": NUMBERS}) == packed({"w": cut(NUMBERS, size) if size < 6 else NUMBERS})


def test_scalars_and_complex_numbers():
    number = msgpack.ExtType(2, msgpack.packb((1.0, -2.0)))
    tree = parse_tree(packed({"s": packed_array(np.array(3, "<f2"), code=3), "c": number}))
    assert tree["s"] == 3
    assert tree["s"].shape == ()
    assert tree["c"] == 1 - 2j


def test_bytes_for_the_type_name():
    """As msgpack packed it that did not know text from bytes."""
    inside = msgpack.packb((NUMBERS.shape, b"float32", NUMBERS.tobytes()))
    found = parse_tree(msgpack.packb({"a": msgpack.ExtType(1, inside)}))
    np.testing.assert_array_equal(found["a"], NUMBERS)


def extension(*values, code=1):
    return msgpack.packb({"w": msgpack.ExtType(code, b"".join(map(msgpack.packb, values)))})


CUT = cut(NUMBERS, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty, expected a msgpack file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\xc1", "the byte 0xc1 starts no msgpack value"),
        (b"\x90", "holds a list, expected a tree of arrays"),
        (b"\x81\x01\x01", "a map's key is a int, expected a string"),
        (b"\x82\xa1a\x01\xa1a\x02", "the key 'a' stands twice in one map"),
        (b"\x80\x80", "1 bytes are left over"),
        (b"\x81\xa1a", "a msgpack map of 1 entries in 2 bytes|ends where 1 more bytes"),
        (b"\xdf\xff\xff\xff\xff", "a msgpack map of 4294967295 entries in 0 bytes"),
        (b"\x81\xa1a\xdd\x7f\xff\xff\xff", "a msgpack array of 2147483647 entries"),
        (b"\x81\xa1\xffa", "a string that is not UTF-8"),
        (b"\x81\xda\xff\xff" + b"a" * 65535 + b"\x01", "a string of 65535 bytes, expected at most"),
        (b"\x91" * 100 + b"\x01", "nested too deeply"),
        (packed({"a": 1}), "'a' is a int, expected an array"),
        (packed({"a": {"b": [NUMBERS]}}), "'a/b' is a list, expected an array"),
        (packed({"a": None}), "'a' is a NoneType"),
        (packed({"a/b": NUMBERS}), "the key 'a/b', expected a name without"),
        (packed({"a.b": NUMBERS}), "the key 'a.b', expected a name without"),
        (packed({"": NUMBERS}), "the key '', expected a name"),
        (extension(1, code=4), "a msgpack extension of type 4"),
        (extension(1), r"an array is not \[shape, type, bytes\]"),
        (extension([[2], "float32"]), "an array is not"),
        (extension(["x", "float32", b"1234"]), "an array is not"),
        (extension([[1], "float32", "1234"]), "an array is not"),
        (extension([[1], "float32", b"1234"], 0), "an extension holds more than one value"),
        (extension([[2], "float32", b"1234"]), "an array of shape '.2.' and type float32 has 4 b"),
        (extension([[-1], "float32", b"1234"]), "an array of shape"),
        (extension([[True], "float32", b"1234"]), "an array of shape"),
        (extension([[2**63, 2**63, 0], "float32", b""]), "an array of shape"),
        (extension([[1] * 40, "float32", b"1234"]), "an array of shape"),
        (extension([[1], "float31", b"1234"]), "an array of type 'float31', expected one of"),
        (extension([[1], "object", b"12345678"]), "an array of type 'object'"),
        (extension([[1], "float32", b"1234"], code=3), "an array of shape"),
        (extension([1.0], code=2), "a complex number is not made of two numbers"),
        (packed({"w": {**CUT, "x": 1}}), "a cut array lacks its shape or its pieces"),
        (packed({"w": {**CUT, "__msgpack_chunked_array__": 1}}), "a cut array lacks"),
        (packed({"w": {**CUT, "chunks": {}}}), "a cut array lacks"),
        (packed({"w": {**CUT, "chunks": {"0": 1}}}), "a piece of a cut array is no flat array"),
        (packed({"w": {**CUT, "chunks": {"0": NUMBERS}}}), "a piece of a cut array is no flat"),
        (packed({"w": {**CUT, "chunks": {"1": NUMBERS[0]}}}), "a cut array lacks"),
        (packed({"w": {**CUT, "shape": {"0": 5}}}), "do not make up its shape"),
        (packed({"w": {**CUT, "shape": {"0": "x"}}}), "do not make up its shape"),
        (packed({"w": {**CUT, "shape": {}}}), "do not make up its shape"),
        (packed({"w": {**CUT, "shape": 3}}), "do not make up its shape"),
        (
            packed({"w": {**CUT, "chunks": {"0": NUMBERS[0], "1": NUMBERS[1].astype("<i4")}}}),
            "do not make up its shape",
        ),
    ],
)
def test_damaged_files_are_refused(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(ValueError, match=message) as caught:
        read_msgpack(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = packed({"a": {"b": NUMBERS, "c": cut(NUMBERS, 4)}, "d": np.zeros(3, "<f2")})
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="flax_model.msgpack: "):
            read_msgpack(write(tmp_path, whole[:length]))


def test_lengths_in_the_widest_form_are_read(tmp_path):
    """What another writer may do: each length in four bytes."""
    inside = b"\xdd" + struct.pack(">L", 3) + b"\xdc\x00\x01\xcf" + struct.pack(">Q", 2)
    inside += b"\xdb" + struct.pack(">L", 7) + b"float16" + b"\xc6" + struct.pack(">L", 4) + b"abcd"
    data = b"\xdf" + struct.pack(">L", 1) + b"\xd9\x01w" + b"\xc9"
    data += struct.pack(">L", len(inside)) + b"\x01" + inside
    assert read_msgpack(write(tmp_path, data))["w"].tobytes() == b"abcd"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({1: NUMBERS}, "a key of the tree is 1, expected a string"),
        ({"a": 3.0}, "'a' is float, expected an array of float64"),
        ({"a": {"b": np.array(["x"])}}, "'b' is str32, expected an array"),
        ({"a": np.array([object()])}, "'a' is object, expected an array"),
    ],
)
def test_what_cannot_be_written(tree, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        write_msgpack(tree, tmp_path / "x")
    assert not [*tmp_path.iterdir()]
