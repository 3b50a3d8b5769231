"""A crash at any step of saving leaves a checkpoint that loads: the old one or the new one."""

import errno
import itertools
import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkpoint.build import torch_members, zip_file
from checkpoint.small import CONFIG, SIZE, THREE, TWO, listing, same, weights

from pyxglm.checkpoint import forms, load, save, saving


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
            (forms, "write_safetensors"),
        ):
            monkeypatch.setattr(owner, name, self.wrapped(getattr(owner, name), name))

    def wrapped(self, function, name):
        def step(*args, **kwargs):
            self.steps += 1
            dead = self.steps > self.left and self.error is Crash
            if self.steps == self.left or dead:
                if name == "write_safetensors" and not dead:
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
ERRORS = [(before, after, True) for before, after in itertools.product((nothing, single, two), NEW)]


@pytest.mark.parametrize(
    ("before", "after", "links", "error"),
    [(*turn, Crash) for turn in TURNS] + [(*turn, OSError) for turn in ERRORS],
)
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
    ours = saving.leftovers(forms.FORMS["safetensors"])
    assert all(ours.fullmatch(path.name) for path in paths)
    assert sorted(path.name for path in paths) == [
        name for name in listing(tmp_path) if name != "model.safetensors.index.json"
    ]
    assert same(load(tmp_path, CONFIG).weights, weights(2))


@pytest.mark.parametrize("form", ["safetensors", "tf", "flax"])
def test_a_full_disk_is_an_oserror_and_leaves_nothing(tmp_path, form):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save(weights(), tmp_path, form=form, beside={"config.json": b"{}"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(tmp_path / forms.FORMS[form].single)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("size", [SIZE, THREE])
@pytest.mark.usefixtures("unsynced")
def test_a_full_disk_changes_nothing_wherever_it_is_met(tmp_path, monkeypatch, size):
    """Each file in turn cannot be written: all old ones stay, and the error names the new one."""
    small = ("generation_config.json", "config.json")
    save(weights(1), tmp_path, max_shard_size=size, beside=dict.fromkeys(small, b"old"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    named = []
    for at in itertools.count(1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", full_at(at))
            try:
                save(weights(2), tmp_path, max_shard_size=size, beside=dict.fromkeys(small, b"new"))
            except OSError as error:
                named.append(Path(error.filename).name)
        if named[-1] == tmp_path.name:  # the first time that the directory is written
            break
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    shards = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert named[:-1] == [*small, *(["model.safetensors"] if size == SIZE else shards)]


def full_at(at):
    """Return an fsync that finds the disk full at the at-th call."""
    calls = itertools.count(1)

    def fsync(descriptor):
        if next(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fsync


@pytest.mark.parametrize("size", [SIZE, THREE])
def test_small_files_take_their_names_when_the_weights_count(tmp_path, monkeypatch, size):
    renamed, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda a, b: (renamed.append(b.name), replace(a, b))[1])
    beside = {"generation_config.json": b"new", "config.json": b"new too"}
    save(weights(), tmp_path, max_shard_size=size, beside=beside)
    assert renamed[-2:] == [*beside]
    assert {name: (tmp_path / name).read_bytes() for name in beside} == beside


def test_small_files_do_not_wait_for_the_usual_names_of_shards(tmp_path, monkeypatch):
    beside = {"generation_config.json": b"new", "config.json": b"new too"}
    save(weights(), tmp_path, max_shard_size=THREE, beside=beside)
    renamed, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda a, b: (renamed.append(b.name), replace(a, b))[1])
    save(weights(1), tmp_path, max_shard_size=THREE, beside=beside)
    index = "model.safetensors.index.json"
    counts = renamed.index(index)
    assert renamed[counts + 1 : counts + 3] == [*beside]
    assert renamed[-1] == index  # with the usual names: a disk that is full now does no harm


def test_a_disk_without_room_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    room = SimpleNamespace(f_bavail=1, f_frsize=SIZE - 1, f_blocks=99)
    monkeypatch.setattr(os, "statvfs", lambda path: room)
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(OSError, match="MB are to be written, expected at most the .* MB") as caught:
        save(weights(), tmp_path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    monkeypatch.undo()
    room.f_blocks = 0  # a file system that does not know its size
    monkeypatch.setattr(os, "statvfs", lambda path: room)
    save(weights(), tmp_path)


def test_the_directory_may_be_a_hub_snapshot(tmp_path):
    """Links to blobs are replaced; the blobs, which other snapshots share, are not touched."""
    single(tmp_path, weights(1))
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to("../model.safetensors")
    single(tmp_path / "snapshot", weights(2))
    assert same(load(tmp_path, CONFIG).weights, weights(1))
    assert same(load(tmp_path / "snapshot", CONFIG).weights, weights(2))
