"""Saving: what is written, and how it is split."""

import itertools
import json
import os

import numpy as np
import pytest
import safetensors
from checkpoint.small import CONFIG, SIZE, THREE, TWO, listing, same, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.checkpoint import load, save, shards


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("size", ["5GB", 40])
def test_bits_are_kept(tmp_path, dtype, size):
    """Every bit pattern, NaN payloads and negative zero among them."""
    expected = weights(dtype=dtype)
    rng = np.random.default_rng(1)
    for name, array in expected.items():
        data = rng.integers(0, 256, array.nbytes, np.uint8).tobytes()
        expected[name] = np.frombuffer(data, array.dtype).reshape(array.shape)
    save(expected, tmp_path, max_shard_size=size)
    found = load(tmp_path, CONFIG).weights
    assert same(found, expected)
    assert {array.dtype for array in found.values()} == {expected["model.layer_norm.bias"].dtype}


def test_one_file_as_the_library_reads_it(tmp_path):
    expected = weights(dtype="bfloat16")
    assert save(expected, tmp_path / "new" / "folder") == [
        tmp_path / "new" / "folder" / "model.safetensors"
    ]
    data = (tmp_path / "new" / "folder" / "model.safetensors").read_bytes()
    found = dict(safetensors.deserialize(data))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name]["dtype"] == "BF16"
        assert found[name]["shape"] == [*array.shape]
        assert bytes(found[name]["data"]) == array.tobytes()
    with safetensors.safe_open(tmp_path / "new" / "folder" / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_shards_and_index_as_transformers_writes_them(tmp_path):
    expected = weights()
    paths = save(expected, tmp_path, max_shard_size=THREE)
    names = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert [path.name for path in paths] == names
    assert listing(tmp_path) == [*names, "model.safetensors.index.json"]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": SIZE}
    assert index["weight_map"].keys() == expected.keys()
    order = [index["weight_map"][name] for name in expected]
    assert order == sorted(order)
    for name in names:
        with safetensors.safe_open(tmp_path / name, "numpy") as file:
            inside = {key: file.get_tensor(key).nbytes for key in file.keys()}  # noqa: SIM118
            assert file.metadata() == {"format": "pt"}
        assert inside.keys() == {key for key, shard in index["weight_map"].items() if shard == name}
        assert sum(inside.values()) <= THREE


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(1, 20))
def test_shards_are_filled_in_order(sizes, limit):
    """A shard closes exactly when the next tensor would make it too large."""
    arrays = {str(n): np.zeros(size, "<f4") for n, size in enumerate(sizes)}
    parts = shards.split(arrays, 4 * limit)
    assert [name for part in parts for name in part.tensors] == [*arrays]
    for part in parts:
        assert part.tensors
        assert part.nbytes == sum(array.nbytes for array in part.tensors.values())
        assert part.nbytes <= 4 * limit or len(part.tensors) == 1
    for part, after in itertools.pairwise(parts):
        assert part.nbytes + next(iter(after.tensors.values())).nbytes > 4 * limit


@pytest.mark.parametrize(
    ("size", "number"),
    [
        (1, 1),
        ("5GB", 5 * 10**9),
        ("200MB", 2 * 10**8),
        ("3KB", 3000),
        ("2GiB", 2**31),
        ("7MiB", 7 * 2**20),
        ("1KiB", 1024),
        ("1gib", 2**30),
        ("1kib", 1024),
        ("8Gb", 10**9),
        ("8kb", 1000),
        ("5 GB", 5 * 10**9),
    ],
)
def test_sizes_mean_what_transformers_means(size, number):
    assert shards.parse_size(size) == number


@pytest.mark.parametrize(
    "size", [0, -1, True, 1.5, None, "", "GB", "5", "5TB", "-5GB", "0GB", "1.5GB", "٣GB", "5GB\n"]
)
def test_sizes_that_are_none(tmp_path, size):
    with pytest.raises(ValueError, match="max_shard_size is .*, expected a positive number"):
        save(weights(), tmp_path / "x", max_shard_size=size)
    assert not (tmp_path / "x").exists()


def test_a_bare_model_has_no_prefix(tmp_path):
    expected = weights()
    save(expected, tmp_path, bare=True)
    data = (tmp_path / "model.safetensors").read_bytes()
    assert {name for name, _ in safetensors.deserialize(data)} == {
        name.removeprefix("model.") for name in expected
    }
    assert same(load(tmp_path, CONFIG).weights, expected)
    with pytest.raises(ValueError, match=r"a bare model has no lm_head.weight"):
        save({"lm_head.weight": np.zeros(1, "<f4")}, tmp_path, bare=True)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(2, "<i8"), "model.x is stored as int64, expected one of float32"),
        (np.zeros(2, "<u2"), "stored as uint16"),
        (np.zeros(2, "O"), "stored as object"),
        ([1.0], "stored as list"),
    ],
)
def test_what_is_no_weight_is_refused_before_anything_is_written(tmp_path, bad, message):
    with pytest.raises(ValueError, match=message):
        save({**weights(), "model.x": bad}, tmp_path / "x")
    with pytest.raises(ValueError, match="no weights"):
        save({}, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_arrays_of_any_layout(tmp_path):
    """Transposed, sliced, big-endian, read-only and 0-d arrays are stored by value."""
    base = np.arange(24, dtype="<f4").reshape(4, 6)
    arrays = {
        "model.a": base.T,
        "model.b": base[::2, ::-3],
        "model.c": base.astype(">f4"),
        "model.d": np.array(3.5, "<f8"),
        "model.e": np.broadcast_to(np.float16(2), (3, 2)),
        "model.f": np.zeros((0, 3), "<f2"),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    save(arrays, tmp_path)
    found = dict(safetensors.deserialize((tmp_path / "model.safetensors").read_bytes()))
    for name, array in before.items():
        plain = np.frombuffer(bytes(found[name]["data"]), array.dtype.newbyteorder("<"))
        np.testing.assert_array_equal(plain.reshape(found[name]["shape"]), array)
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_access_rights_follow_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        save(weights(), tmp_path, max_shard_size=TWO)
        save(weights(), tmp_path / "one")
    finally:
        os.umask(before)
    for path in (*tmp_path.glob("*.*"), tmp_path / "one" / "model.safetensors"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_is_replaced_keeps_its_access_rights(tmp_path):
    tmp_path.chmod(0o700)
    place = tmp_path.stat().st_ino
    beside = {"config.json": b"{}"}
    save(weights(), tmp_path, max_shard_size=TWO, beside=beside)
    for path in tmp_path.iterdir():
        path.chmod(0o640)
    save(weights(1), tmp_path, max_shard_size=TWO, beside=beside)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o640] * 4
    assert (tmp_path.stat().st_mode & 0o777, tmp_path.stat().st_ino) == (0o700, place)


@pytest.mark.parametrize(("old", "new"), [*itertools.product([SIZE, THREE], [SIZE, THREE, TWO])])
def test_onto_the_directory_that_the_model_is_mapped_from(tmp_path, old, new):
    expected = weights()
    save(expected, tmp_path, max_shard_size=old)
    mapped = load(tmp_path, CONFIG).weights
    changed = mapped | {"model.layer_norm.bias": np.float16([7, 8, 9, 10])}
    save(changed, tmp_path, max_shard_size=new)
    assert same(mapped, expected)
    assert same(load(tmp_path, CONFIG).weights, changed)
