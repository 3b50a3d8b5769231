"""Saving: what is written, and that a crash at any step leaves a checkpoint that loads."""

import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors
from checkpoint.build import torch_members, zip_file
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.checkpoint import load, save, saving, shards
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16, convert
from pyxglm.parameters import parameter_shapes

CONFIG = XGLMConfig(
    vocab_size=5, d_model=4, ffn_dim=3, num_layers=1, attention_heads=1, max_position_embeddings=4
)
SIZE = 2 * sum(int(np.prod(shape)) for shape in parameter_shapes(CONFIG).values())


def limit_for(count):
    """Return the smallest max_shard_size that gives `count` shards of float16."""
    arrays = {name: np.zeros(shape, "f2") for name, shape in parameter_shapes(CONFIG).items()}
    return next(n for n in range(1, SIZE + 1) if len(shards.split(arrays, n)) == count)


THREE, TWO = limit_for(3), limit_for(2)


def weights(seed=0, dtype="float16"):
    rng = np.random.default_rng(seed)
    return {
        name: convert(rng.standard_normal(shape).astype("<f4"), dtype)
        for name, shape in parameter_shapes(CONFIG).items()
    }


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].tobytes() == expected[name].tobytes() for name in expected
    )


def listing(directory):
    return sorted(path.name for path in directory.iterdir())


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


@pytest.mark.parametrize(("old", "new"), [*itertools.product([SIZE, THREE], [SIZE, THREE, TWO])])
def test_onto_the_directory_that_the_model_is_mapped_from(tmp_path, old, new):
    expected = weights()
    save(expected, tmp_path, max_shard_size=old)
    mapped = load(tmp_path, CONFIG).weights
    changed = mapped | {"model.layer_norm.bias": np.float16([7, 8, 9, 10])}
    save(changed, tmp_path, max_shard_size=new)
    assert same(mapped, expected)
    assert same(load(tmp_path, CONFIG).weights, changed)


# ----------------------------------------------------------------------------- crashes


@pytest.fixture
def unsynced(monkeypatch):
    """Do not wait for the disk: a step of its own all the same."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("size", [SIZE, THREE])
def test_what_gets_a_name_has_reached_the_disk(tmp_path, monkeypatch, size):
    """No file is renamed before it is synced, and each renaming is synced before the next."""
    three(tmp_path, weights(1))
    synced, events, fsync, replace = set(), [], os.fsync, Path.replace

    def sync(descriptor):
        status = os.fstat(descriptor)
        synced.add((status.st_ino, status.st_size))
        events.append("directory" if status.st_ino == tmp_path.stat().st_ino else "file")
        fsync(descriptor)

    def rename(path, target):
        status = path.stat()
        assert (status.st_ino, status.st_size) in synced
        assert "rename" not in events[-1:]
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    save(weights(2), tmp_path, max_shard_size=size)
    renamings = [n for n, event in enumerate(events) if event == "rename"]
    assert len(renamings) == (1 if size == SIZE else 8)
    assert all(events[n + 1] == "directory" for n in renamings)


class Crash(BaseException):
    """The process ends here."""


class Failing:
    """Let the n-th step that touches the disk fail: by an error, or by the end of everything.

    After a crash every further step fails, too: the dead do not tidy up.
    """

    def __init__(self, monkeypatch, at, error):
        self.left, self.error, self.steps = at, error, 0
        for owner, name in (
            (Path, "replace"),
            (Path, "unlink"),
            (Path, "chmod"),
            (Path, "open"),
            (os, "link"),
            (os, "fsync"),
            (os, "open"),
            (safetensors, "serialize_file"),
        ):
            monkeypatch.setattr(owner, name, self.wrapped(getattr(owner, name), name))

    def wrapped(self, function, name):
        def step(*args, **kwargs):
            self.steps += 1
            dead = self.steps > self.left and self.error is Crash
            if self.steps == self.left or dead:
                if name == "serialize_file" and not dead:
                    # A full disk, or the end, half-way through a file.
                    function(*args, **kwargs)
                    os.truncate(args[1], Path(args[1]).stat().st_size // 2)
                raise self.error("injected")
            return function(*args, **kwargs)

        return step


def single(directory, arrays):
    save(arrays, directory)


def three(directory, arrays):
    save(arrays, directory, max_shard_size=THREE)


def two(directory, arrays):
    save(arrays, directory, max_shard_size=TWO)


def renamed(directory, arrays):
    """Write shards as they stay on a file system without links, after two saves."""
    three(directory, arrays)
    for path in list(directory.glob("model-*")):
        path.rename(path.with_name(path.name.replace("model-", "model-0123abcd-")))
    index = directory / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-", "model-0123abcd-"))


def file_over_stale_shards(directory, arrays):
    """One file that counts, and shards of something else that do not."""
    three(directory, weights(99))
    shutil.copytree(directory, directory / "aside")
    single(directory, arrays)
    shutil.copytree(directory / "aside", directory, dirs_exist_ok=True)
    shutil.rmtree(directory / "aside")


def torch_zip(directory, arrays):
    (directory / "pytorch_model.bin").write_bytes(zip_file(torch_members(arrays)))


def nothing(directory, arrays):
    pass


OLD = (nothing, single, three, two, renamed, file_over_stale_shards, torch_zip)
NEW = (single, three, two)


def state(directory, old, new):
    """Tell what a directory loads: the old checkpoint, the new one, or nothing."""
    try:
        found = load(directory, CONFIG).weights
    except FileNotFoundError as error:
        assert "no weights: looked for" in str(error)  # noqa: PT017
        return "nothing"
    return {True: "new", False: "old" if same(found, old) else "broken"}[same(found, new)]


#: Links are made only where names collide; then they may be impossible.
TURNS = [(before, after, True) for before, after in itertools.product(OLD, NEW)]
TURNS += [(three, three, False), (two, two, False), (file_over_stale_shards, three, False)]


@pytest.mark.parametrize("error", [Crash, OSError])
@pytest.mark.parametrize(("before", "after", "links"), TURNS)
@pytest.mark.usefixtures("unsynced")
def test_a_crash_at_any_step_leaves_a_checkpoint(tmp_path, before, after, links, error):
    old, new = weights(1), weights(2)
    seen = []
    for at in itertools.count(1):
        directory = tmp_path / str(at)
        directory.mkdir()
        before(directory, old)
        with pytest.MonkeyPatch.context() as patch:
            if not links:
                patch.setattr(os, "link", no_links)
            failing = Failing(patch, at, error)
            try:
                after(directory, new)
            except (Crash, OSError) as caught:
                assert "injected" in str(caught)  # noqa: PT017
            finished = failing.steps < at
        seen.append(state(directory, old, new))
        if error is OSError and seen[-1] == "old":
            assert not [name for name in listing(directory) if name.startswith(".")]
        # A later save is never hindered by what is left.
        after(directory, old)
        assert state(directory, old, new) == "old"
        assert not [name for name in listing(directory) if name.startswith(".")]
        if finished:
            break
    first = "nothing" if before is nothing else "old"
    turn = seen.index("new")
    assert set(seen[:turn]) == {first}
    assert set(seen[turn:]) == {"new"}
    assert len(seen) > 6


def no_links(*args, **kwargs):
    raise PermissionError(1, "no links here")


@pytest.mark.parametrize(("before", "after"), [*itertools.product(OLD, NEW)])
def test_nothing_stale_is_left(tmp_path, before, after):
    before(tmp_path, weights(1))
    after(tmp_path, weights(2))
    expected = {
        single: ["model.safetensors"],
        three: [
            *(f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)),
            "model.safetensors.index.json",
        ],
        two: [
            *(f"model-0000{n}-of-00002.safetensors" for n in (1, 2)),
            "model.safetensors.index.json",
        ],
    }[after]
    others = ["pytorch_model.bin"] if before is torch_zip else []
    assert listing(tmp_path) == sorted(expected + others)


def test_files_of_others_are_left_alone(tmp_path):
    others = ["README.md", "model-card.md", "model-00001-of-00002.bin", "my-model.safetensors"]
    for name in others:
        (tmp_path / name).write_text("x")
    three(tmp_path, weights())
    single(tmp_path, weights())
    assert listing(tmp_path) == sorted([*others, "model.safetensors"])


def test_without_links_the_first_names_stay(tmp_path, monkeypatch):
    three(tmp_path, weights(1))
    monkeypatch.setattr(os, "link", no_links)
    paths = save(weights(2), tmp_path, max_shard_size=THREE)
    assert all(saving._OURS.fullmatch(path.name) for path in paths)
    assert sorted(path.name for path in paths) == [
        name for name in listing(tmp_path) if name != "model.safetensors.index.json"
    ]
    assert same(load(tmp_path, CONFIG).weights, weights(2))


def test_an_error_of_the_library_is_an_oserror(tmp_path, monkeypatch):
    def full(*args):
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors, "serialize_file", full)
    with pytest.raises(OSError, match="model.safetensors: No space left on device"):
        save(weights(), tmp_path)
    assert listing(tmp_path) == []


def test_the_directory_may_be_a_hub_snapshot(tmp_path):
    """Links to blobs are replaced; the blobs, which other snapshots share, are not touched."""
    single(tmp_path, weights(1))
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to("../model.safetensors")
    single(tmp_path / "snapshot", weights(2))
    assert same(load(tmp_path, CONFIG).weights, weights(1))
    assert same(load(tmp_path / "snapshot", CONFIG).weights, weights(2))


def test_bfloat16_keeps_its_tag(tmp_path):
    save(weights(dtype="bfloat16"), tmp_path)
    assert {array.dtype for array in load(tmp_path, CONFIG).weights.values()} == {bfloat16}
