"""The files of a fast tokenizer: which are written, which are read, and never half of one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pyxglm.tokenization import XGLMTokenizer, XGLMTokenizerFast

SPM = "sentencepiece.bpe.model"


def test_files_and_their_order(documents: Path, tmp_path: Path) -> None:
    shutil.copy(documents / "small.model", tmp_path / SPM)
    tokenizer = XGLMTokenizerFast.from_pretrained(tmp_path)
    tokenizer.add_tokens(["<x>"])
    assert tokenizer.can_save_slow_tokenizer
    both = tokenizer.save_pretrained(tmp_path / "both", filename_prefix="pre")
    first = ["tokenizer_config.json", "special_tokens_map.json"]
    slow = [SPM, "added_tokens.json"]
    assert [Path(name).name for name in both] == [
        f"pre-{name}" for name in (*first, *slow, "tokenizer.json")
    ]
    assert all(Path(name).is_file() for name in both)
    alone = tokenizer.save_pretrained(tmp_path / "alone", legacy_format=False)
    assert [Path(name).name for name in alone] == [*first, "tokenizer.json"]
    legacy = tokenizer.save_pretrained(tmp_path / "legacy", legacy_format=True)
    assert [Path(name).name for name in legacy] == [*first, *slow]
    clones = [XGLMTokenizerFast.from_pretrained(tmp_path / name) for name in ("alone", "legacy")]
    for clone in (*clones, XGLMTokenizer.from_pretrained(tmp_path / "legacy")):
        assert clone.encode("a<x> b") == tokenizer.encode("a<x> b")
    assert not clones[0].can_save_slow_tokenizer
    with pytest.raises(ValueError, match="needs the sentencepiece model, but vocab_file is not"):
        clones[0].save_vocabulary(tmp_path)
    with pytest.raises(ValueError, match="legacy_format=True needs the sentencepiece model"):
        clones[0].save_pretrained(tmp_path / "no", legacy_format=True)
    assert not (tmp_path / "no").exists()
    assert tokenizer.save_vocabulary(tmp_path / "alone") == (str(tmp_path / "alone" / SPM),)
    with pytest.raises(NotADirectoryError, match="is no directory"):
        tokenizer.save_vocabulary(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="push_to_hub"):
        tokenizer.save_pretrained(tmp_path, push_to_hub=True)
    (tmp_path / SPM).unlink()
    with pytest.raises(ValueError, match="which is gone"):
        tokenizer.save_vocabulary(tmp_path)


def test_what_is_opened(documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no tokenizer\.json and no sentencepiece"):
        XGLMTokenizerFast.from_pretrained(tmp_path)
    shutil.copy(documents / "small.model", tmp_path / SPM)
    shutil.copy(documents / "small-hub.json", tmp_path / "tokenizer.json")
    # tokenizer.json comes first: it keeps a space at the end, a converted model does not.
    assert len(XGLMTokenizerFast.from_pretrained(tmp_path).encode("a ")) == 4
    assert len(XGLMTokenizerFast.from_pretrained(tmp_path, from_slow=True).encode("a ")) == 3
    assert len(XGLMTokenizerFast.from_pretrained(tmp_path / "tokenizer.json").encode("a ")) == 4
    assert len(XGLMTokenizerFast.from_pretrained(tmp_path / SPM).encode("a ")) == 3

    asked: list[tuple[bool, tuple[str, ...]]] = []

    def locate(name: str, *, local_files_only: bool, filenames: Any, **_: Any) -> Path:
        asked.append((local_files_only, filenames))
        if local_files_only or SPM in filenames:
            raise FileNotFoundError(name)
        return tmp_path

    monkeypatch.setattr("pyxglm.checkpoint.locate", locate)
    tokenizer = XGLMTokenizerFast.from_pretrained("facebook/xglm-564M")
    assert tokenizer.model_max_length == 2048
    both = ("tokenizer.json", SPM)
    assert asked == [
        (True, both), (True, both[:1]), (True, both[1:]), (False, both), (False, both[:1])
    ]  # fmt: skip


def test_a_crash_leaves_whole_files(documents: Path, tmp_path: Path, monkeypatch: Any) -> None:
    tokenizer = XGLMTokenizerFast(documents / "small.model")
    tokenizer.save_pretrained(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()
    tokenizer.add_tokens(["<new>"])

    def failing(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", failing)
    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="full"):
        tokenizer.save_pretrained(tmp_path, legacy_format=False)
    assert (tmp_path / "tokenizer.json").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
