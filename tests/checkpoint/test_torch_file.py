"""torch's files: tensors lie inside their storages, or the file is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from checkpoint.build import (
    Member,
    integer,
    members,
    plain_strides,
    state_dict,
    storage,
    tensor,
    text,
    torch_members,
    zip_file,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pyxglm.checkpoint.torch_file import read_torch
from pyxglm.dtypes import bfloat16

HALF = np.dtype("<f2")
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
NUMBERS = np.arange(12, dtype=HALF)


def write(tmp_path, parts):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(parts if isinstance(parts, bytes) else zip_file(parts))
    return path


def one(value):
    """Return an archive with one tensor, whose description is `value`."""
    return members(state_dict({"w": value}), [NUMBERS.tobytes()])


def view(shape, strides=None, offset=0, numel=12, dtype=HALF, key="0"):
    strides = plain_strides(shape) if strides is None else strides
    return tensor(storage(dtype, key, numel), shape, strides, offset)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.sampled_from(["<f2", "<f4", "<f8", "<i8", "|u1"]).flatmap(
            lambda dtype: arrays(
                dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
            )
        ),
        max_size=5,
    )
)
def test_tensors_of_every_shape(tmp_path_factory, tensors):
    path = write(tmp_path_factory.mktemp("bin"), torch_members(tensors))
    found = read_torch(path)
    assert [*found] == [*tensors]
    for name, array in tensors.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert not found[name].flags.writeable


def test_unaligned_members_and_bfloat16(tmp_path):
    brain = np.arange(5, dtype="<u2").view(bfloat16)
    parts = [Member(m.name, m.data) for m in torch_members({"a": np.float64([1.5]), "b": brain})]
    aligned = set()
    for shift in range(8):
        parts[0].padding = bytes(shift)
        found = read_torch(write(tmp_path, parts))
        assert found["a"].tolist() == [1.5]
        assert found["b"]["bfloat16"].tolist() == [0, 1, 2, 3, 4]
        aligned.add(found["a"].flags.aligned)
    assert aligned == {True, False}


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=3),
    st.integers(0, 13),
)
def test_strided_views_are_those_of_numpy(tmp_path_factory, axes, offset):
    """Compared with indexing element by element; whatever leaves the storage is refused."""
    shape, strides = tuple(a for a, _ in axes), tuple(b for _, b in axes)
    indices = [
        offset + sum(i * s for i, s in zip(index, strides, strict=True))
        for index in np.ndindex(shape)
    ]
    path = write(tmp_path_factory.mktemp("bin"), one(view(shape, strides, offset)))
    inside = all(i < 12 for i in indices) and offset <= 12
    if inside and len(indices) <= 12:
        found = read_torch(path)["w"]
        assert found.shape == shape
        assert found.ravel().tolist() == indices
    else:
        with pytest.raises(ValueError, match="tensor 'w' (has shape|reaches from)"):
            read_torch(path)


def test_two_names_may_share_one_storage(tmp_path):
    """The tied head, and a tensor in the middle of another's storage."""
    first = view((3, 4))
    program = state_dict({"a": first, "b": first, "c": view((4,), offset=8)})
    found = read_torch(write(tmp_path, members(program, [NUMBERS.tobytes()])))
    assert np.shares_memory(found["a"], found["b"])
    assert np.shares_memory(found["a"], found["c"])
    assert found["c"].tolist() == [8, 9, 10, 11]


def test_archives_without_byteorder_and_with_newer_members(tmp_path):
    parts = torch_members({"w": NUMBERS})
    old = [part for part in parts if not part.name.endswith(b"byteorder")]
    assert read_torch(write(tmp_path, old))["w"].tolist() == NUMBERS.tolist()
    new = [*parts, Member(b"archive/.data/serialization_id", b"1"), Member(b"archive/data/", b"")]
    assert read_torch(write(tmp_path, new))["w"].tolist() == NUMBERS.tolist()


HUGE = 2**62


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (view((13,)), r"has shape '\(13,\)' in 24 bytes"),
        (view((12,), offset=1), "reaches from element '1' over '12'"),
        (view((3, 4), (5, 1)), "reaches from element '0' over '14', but its storage has 12"),
        (view((2,), (HUGE,)), "reaches"),
        (view((HUGE,), (0,)), "has shape"),
        (view((HUGE, HUGE), (0, 0)), "has shape"),
        (view((0, HUGE, HUGE), (0, 0, 0)), "has shape"),
        (view((13,), (0,)), "has shape"),
        (view((), offset=12), "reaches"),
        (view((0,), offset=13), "reaches"),
        (view((1,), offset=2**70), "reaches"),
        (view((1,) * 33), "has shape"),
        (view((12,), numel=13), "storage of 24 bytes, expected '26'"),
        (view((12,), numel=11), "storage of 24 bytes, expected '22'"),
        (view((12,), dtype=np.dtype("<f4")), "storage of 24 bytes, expected '48'"),
        (view((12,), numel=2**2000), "storage of 24 bytes"),
        (view((12,), key="1"), "storage '1', which is absent"),
        (view((12,), key="../data.pkl"), "which is absent"),
        (view((12,), key="x\n" * 500), "which is absent"),
        (integer(3), "tensor 'w' is a int, expected a tensor"),
        (b"N", "is a NoneType"),
        (b"}", "is a dict"),
        (text("x"), "is a str"),
        (storage(HALF, "0", 12), "is a Storage"),
    ],
)
def test_tensors_outside_their_storage_are_refused(tmp_path, value, message):
    path = write(tmp_path, one(value))
    with pytest.raises(ValueError, match=message) as caught:
        read_torch(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def replaced(name, data):
    parts = torch_members({"w": NUMBERS})
    return [Member(p.name, data) if p.name == name.encode() else p for p in parts]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (replaced("archive/byteorder", b"big"), "byte order is b'big', expected b'little'"),
        (replaced("archive/byteorder", b"little" * 9), "byte order is"),
        (replaced("archive/byteorder", b""), "byte order is b''"),
        (replaced("archive/data.pkl", b"\x80\x02N."), "holds a NoneType, expected tensors"),
        (replaced("archive/data.pkl", b"\x80\x02)."), "holds a tuple"),
        (replaced("archive/data.pkl", b"\x80\x02cos\nsystem\n."), "names 'os.system'"),
        (replaced("archive/data.pkl", b""), "cut short"),
        (replaced("archive/data.pkl", bytes(16 * 2**20 + 1)), "data.pkl has 16777217 bytes"),
        (torch_members({"w": NUMBERS}, "a") + torch_members({}, "b"), "expected one folder"),
        ([Member(b"archive/data/0", b"")], "expected one folder with a data.pkl"),
        ([Member(b"data.pkl", b"")], "expected one folder with a data.pkl"),
        (
            [*torch_members({"w": NUMBERS}), Member(b"archive/constants.pkl", b"")],
            "TorchScript program",
        ),
        (
            [
                Member(p.name, p.data, *([{"method": 8}] * 2 if b"/data/" in p.name else []))
                for p in torch_members({"w": NUMBERS})
            ],
            "'archive/data/0' is deflated, expected stored",
        ),
        (b"", "starts with b'', expected a torch file"),
        (b"\x80\x02N.", "expected a torch file"),
        (b"PK\x05\x06" + bytes(18), "expected a torch file"),
        (b"PK\x03\x04", "4 bytes, expected a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (bytes(257) + b"ustar" + bytes(250), "the tar format of torch before 0.1.10"),
    ],
)
def test_other_files_are_refused(tmp_path, parts, message):
    path = write(tmp_path, parts)
    with pytest.raises(ValueError, match=message) as caught:
        read_torch(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_of_torch_cut_anywhere_is_refused(tmp_path):
    whole = (GOLDEN / "bin-sharded-float16" / "pytorch_model-00003-of-00003.bin").read_bytes()
    for length in range(0, len(whole), 7):
        with pytest.raises(ValueError, match="pytorch_model.bin: "):
            read_torch(write(tmp_path, whole[:length]))


def test_no_checksum_pass_over_the_weights(tmp_path):
    """Weights of any checksum are mapped as they lie: torch can be told to write none."""
    wrong = {"crc": 7}
    parts = torch_members({"w": NUMBERS})
    for part in parts:
        part.central, part.local = wrong, wrong
    assert read_torch(write(tmp_path, parts))["w"].tolist() == NUMBERS.tolist()


def test_only_regular_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_torch(tmp_path / "pytorch_model.bin")
    os.mkfifo(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="not a regular file"):
        read_torch(tmp_path / "pytorch_model.bin")


def test_nothing_of_the_standard_unpickler_is_used():
    """The words do not occur in the package."""
    package = Path(__file__).parents[2] / "pyxglm"
    for path in package.rglob("*.py"):
        source = path.read_text()
        for word in ("import pickle", "from pickle", "pickle.load", "Unpickler", "marshal", "dill"):
            assert word not in source, f"{path}: {word}"
