"""TensorFlow's format: what keras's layout says is read, everything else refused.

Files that TensorFlow itself wrote: `test_frameworks`.
"""

import builtins

import h5py
import numpy as np
import pytest
from checkpoint.small import weights

from pyxglm.checkpoint import h5_writing
from pyxglm.checkpoint.h5_file import read_h5
from pyxglm.checkpoint.h5_writing import tf_weights, write_h5
from pyxglm.checkpoint.mapping import Source

NUMBERS = np.arange(6, dtype="<f4").reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tf_model.h5"


@pytest.fixture
def file(path):
    """A right file of one layer and two weights, to be spoilt."""
    with h5py.File(path, "w") as opened:
        opened.attrs["layer_names"] = np.array([b"model"])
        group = opened.create_group("model")
        group.attrs["weight_names"] = np.array([b"m/a/kernel:0", b"m/b:0"])
        group["m/a/kernel:0"] = NUMBERS
        group["m/b:0"] = NUMBERS[0].astype("<f2")
        yield opened


def refused(path, file, message):
    file.flush()
    file.close()
    with pytest.raises(ValueError, match=message) as caught:
        read_h5(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_weights_are_mapped(path, file):
    file.close()
    found = read_h5(path)
    assert [*found] == ["m/a/kernel:0", "m/b:0"]
    np.testing.assert_array_equal(found["m/a/kernel:0"], NUMBERS, strict=True)
    np.testing.assert_array_equal(found["m/b:0"], NUMBERS[0].astype("<f2"), strict=True)
    assert not found["m/a/kernel:0"].flags.owndata
    assert not found["m/a/kernel:0"].flags.writeable


def test_names_may_be_text_and_lie_in_several_attributes(path, file):
    del file.attrs["layer_names"]
    file.attrs["layer_names0"] = ["model"]
    file.attrs["layer_names1"] = np.array([], "f8")
    file.attrs["layer_names2"] = np.array([b"other"])
    group = file.create_group("other")
    group.attrs.create("weight_names", ["c"], dtype=h5py.string_dtype())
    group["c"] = NUMBERS
    file.close()
    assert [*read_h5(path)] == ["m/a/kernel:0", "m/b:0", "c"]


def test_long_lists_are_cut_as_keras_cuts_them(path, monkeypatch):
    monkeypatch.setattr(h5_writing, "ATTRIBUTE_LIMIT", 200)
    write_h5(weights(dtype="float32"), path)
    with h5py.File(path) as opened:
        parts = [name for name in opened["model"].attrs if name.startswith("weight_names")]
        assert len(parts) > 2
        assert all(opened["model"].attrs[name].nbytes <= 200 for name in parts)
    assert read_h5(path).keys() == tf_weights(weights()).keys()


SPOILT = [
    (lambda f: f.attrs.pop("layer_names"), "'/' has no attribute layer_names, expected a list"),
    (lambda f: f.attrs.__setitem__("layer_names", 3), "has the shape \\(\\), expected a list"),
    (lambda f: f.attrs.__setitem__("layer_names", [3]), "holds int64, expected names"),
    (lambda f: f.attrs.__setitem__("layer_names", [[b"model"]]), "has the shape"),
    (lambda f: f.attrs.__setitem__("layer_names", np.array([b"x" * 1001])), "expected names"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"mod\xff"]), "damaged HDF5: .*utf-8"),
    (lambda f: f.attrs.__setitem__("layer_names", [b""]), "expected a name"),
    (lambda f: f.attrs.__setitem__("layer_names", ["x" * 1001]), "holds 'xxx.*expected a name"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"other"]), "'other' is listed, but absent"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"model", b"model"]), "is listed twice"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"/model"]), "a path without empty parts"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"model/../model"]), "without empty parts"),
    (lambda f: f.attrs.__setitem__("layer_names", [b"model/m/b:0/x"]), "is listed, but absent"),
    (lambda f: f["model"].attrs.pop("weight_names"), "'/model' has no attribute weight_names"),
    (lambda f: f["model"].attrs.__setitem__("weight_names", [b"m"]), "is a Group, expected numb"),
    (lambda f: f["model"].__delitem__("m/b:0"), "'m/b:0' is listed, but absent"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILT)
def test_damaged_lists_are_refused(path, file, spoil, message):
    spoil(file)
    refused(path, file, message)


def instead(file, **options):
    """Replace a weight by a dataset made in another way."""
    del file["model/m/b:0"]
    file["model/m"].create_dataset("b:0", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": NUMBERS, "chunks": (1, 3)}, "'m/b:0' is stored compressed, in chunks or in ano"),
        ({"data": NUMBERS, "compression": "gzip"}, "is stored compressed"),
        ({"data": NUMBERS, "fletcher32": True}, "is stored compressed"),
        ({"shape": (2,), "dtype": "<f4"}, "lies at byte None, but the file"),
        ({"data": ["a", "b"]}, "is of type 'object', expected numbers"),
        ({"data": np.array([b"a"])}, "is of type '|S1', expected numbers"),
        ({"data": np.zeros(2, [("a", "<f4"), ("b", "<f4")])}, "is of type .*expected numbers"),
        ({"data": np.zeros(2, "<c8")}, "is of type .*expected numbers"),
        ({"data": np.zeros(2, bool)}, "is of type 'bool', expected numbers"),
        ({"shape": (2,), "dtype": h5py.vlen_dtype("f4")}, "is of type 'object', expected"),
        ({"shape": (2,), "dtype": h5py.enum_dtype({"A": 1})}, "is of type .*expected numbers"),
        ({"dtype": "<f4", "data": h5py.Empty("f4")}, "is a null dataspace"),
    ],
)
def test_other_kinds_of_datasets_are_refused(path, file, options, message):
    instead(file, **options)
    refused(path, file, message)


def test_links_that_leave_the_file_are_refused(path, file, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = NUMBERS
    for link, message in (
        (h5py.SoftLink("/model/m/a/kernel:0"), "is a SoftLink, expected the weight"),
        (h5py.ExternalLink("other.h5", "/x"), "is a ExternalLink, expected the weight"),
    ):
        del file["model/m/b:0"]
        file["model/m/b:0"] = link
        file.flush()
        with pytest.raises(ValueError, match=message):
            read_h5(path)


def test_numbers_in_another_file_are_refused(path, file, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(24))
    instead(file, shape=(6,), dtype="<f4", external=[(str(tmp_path / "raw"), 0, 24)])
    refused(path, file, "is stored compressed, in chunks or in another file")


def test_virtual_datasets_are_refused(path, file, tmp_path):
    layout = h5py.VirtualLayout((2, 3), "<f4")
    layout[...] = h5py.VirtualSource(path, "model/m/a/kernel:0", (2, 3))
    del file["model/m/b:0"]
    file["model/m"].create_virtual_dataset("b:0", layout)
    refused(path, file, "is stored compressed, in chunks or in another file")


def test_hard_links_in_a_circle_are_harmless(path, file):
    file["model/m/circle"] = file["model"]
    file["model"].attrs["weight_names"] = [b"m/circle/m/circle/m/b:0"]
    file.close()
    assert len(read_h5(path)) == 1


def test_bytes_before_the_data_are_refused(path):
    with h5py.File(path, "w", userblock_size=512) as opened:
        opened.attrs["layer_names"] = np.array([b"x"])
    with pytest.raises(ValueError, match="starts with .*expected an HDF5 file"):
        read_h5(path)


def test_empty_and_scalar_weights(path, file):
    instead(file, data=np.zeros((0, 3), "<f4"))
    file["model/m/c"] = np.float32(3)
    file["model"].attrs["weight_names"] = [b"m/b:0", b"m/c"]
    file.close()
    found = read_h5(path)
    assert found["m/b:0"].shape == (0, 3)
    assert found["m/c"] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with b'', expected an HDF5 file"),
        (b"PK\x03\x04", "expected an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged HDF5: '"),
    ],
)
def test_other_files_are_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_h5(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_refused(path, file):
    file.close()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged HDF5: .*truncated"):
        read_h5(path)


def test_without_h5py_one_sentence_says_what_to_install(path, file, monkeypatch):
    file.close()
    right = builtins.__import__

    def absent(name, *args):
        if name == "h5py":
            raise ModuleNotFoundError(name)
        return right(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    for act in (lambda: read_h5(path), lambda: write_h5(weights(), path)):
        with pytest.raises(ImportError, match=r"pip install 'pyxglm\[tf\]'"):
            act()


def test_what_is_no_parameter_is_not_written(path):
    with pytest.raises(ValueError, match="'model.layers.0.fc3.weight' is no parameter of XGLM"):
        write_h5({"model.layers.0.fc3.weight": NUMBERS}, path)
    assert not path.exists()


def test_numbers_beyond_the_mapped_file_are_refused(path, file, monkeypatch):
    """Though the library finds nothing wrong."""
    monkeypatch.setattr(Source, "map", lambda source: np.zeros(100, "u1"))
    refused(path, file, r"'m/a/kernel:0' has the shape '\(2, 3\)' and lies at byte .* 100 bytes")
