"""A file is written whole or not at all, and an error says which one it is about."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.small import lm

from pyxglm import KVCache, XGLMConfig, XGLMTokenizer, tiny
from pyxglm.checkpoint.h5_writing import write_h5
from pyxglm.checkpoint.msgpack_file import write_msgpack
from pyxglm.files import replacing, write_atomically


@pytest.fixture
def full() -> Iterator[None]:
    """Let no file grow beyond a few bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def cache() -> KVCache:
    """Return a cache that remembers three tokens."""
    model = lm()
    remembered = KVCache(model.config.num_layers)
    model([[2, 5, 7]], past_key_values=remembered)
    return remembered


WRITERS: dict[str, Callable[[Path], Any]] = {
    "config.json": lambda folder: XGLMConfig().save_pretrained(folder),
    "own.json": lambda folder: XGLMConfig().to_json_file(folder / "own.json"),
    "generation_config.json": lambda folder: lm(pad_token_id=1).save_pretrained(folder),
    "remembered": lambda folder: cache().save(folder / "remembered"),
    "tf_model.h5": lambda folder: write_h5(lm().state_dict(), folder / "tf_model.h5"),
    "flax_model.msgpack": lambda folder: write_msgpack(
        {"a": np.zeros(99)}, folder / "flax_model.msgpack"
    ),
    "sentencepiece.bpe.model": lambda folder: XGLMTokenizer.from_pretrained(
        tiny.PATH
    ).save_pretrained(folder),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.usefixtures("full")
def test_a_full_disk_names_the_file_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="File too large") as caught:
        WRITERS[name](tmp_path)
    assert caught.value.filename == str(tmp_path / name)
    assert caught.value.filename2 is None
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_synced_or_renamed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.EIO, "Input/output error", *map(str, arguments[:-1]))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"error: '{tmp_path}/x'$"):
        write_atomically(tmp_path / "x", b"")
    monkeypatch.undo()
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=f"error: '{tmp_path}/x'$"):
        write_atomically(tmp_path / "x", b"")
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError, match=f"directory: '{tmp_path}/no/x'$"):
        write_atomically(tmp_path / "no" / "x", b"")
    assert not [*tmp_path.iterdir()]


def test_errors_about_other_things_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "x"):
        Path("/nowhere/at/all").read_bytes()
    assert caught.value.filename == "/nowhere/at/all"
    with pytest.raises(OSError, match="^no number$"), replacing(tmp_path / "x"):
        raise OSError("no number")
    assert not [*tmp_path.iterdir()]


def test_access_rights(tmp_path: Path) -> None:
    """Those of the file that is replaced; of a new one, or in place of a link, the umask's."""
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"1")
        (tmp_path / "private").touch(0o600)
        write_atomically(tmp_path / "private", b"2")
        (tmp_path / "link").symlink_to("private")
        write_atomically(tmp_path / "link", b"3")
    finally:
        os.umask(before)
    rights = {path.name: path.lstat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert rights == {"new": 0o640, "private": 0o600, "link": 0o640}
    assert [(tmp_path / name).read_bytes() for name in ("new", "private", "link")] == [
        b"1", b"2", b"3"
    ]  # fmt: skip
