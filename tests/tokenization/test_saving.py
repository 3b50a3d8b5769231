"""Saved tokenizers: damaged files, crashes, and where files come from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pyxglm.tokenization import AddedToken, XGLMTokenizer

CONFIG = "tokenizer_config.json"
MODEL = "sentencepiece.bpe.model"


@pytest.fixture
def saved(models: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    XGLMTokenizer(models / "small.model").save_pretrained(folder)
    return folder


def test_files_and_their_order(tokenizer: XGLMTokenizer, models: Path, tmp_path: Path) -> None:
    tokenizer.add_tokens([AddedToken("<x>", lstrip=True)])
    names = tokenizer.save_pretrained(tmp_path / "a" / "b", filename_prefix="pre")
    assert [Path(name).name for name in names] == [
        "pre-tokenizer_config.json",
        "pre-special_tokens_map.json",
        "pre-sentencepiece.bpe.model",
        "pre-added_tokens.json",
    ]
    assert all(Path(name).is_file() for name in names)
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(
        Path(name).name for name in names
    )
    assert Path(names[2]).read_bytes() == (models / "small.model").read_bytes()
    assert json.loads(Path(names[3]).read_bytes()) == {"<x>": 628}


def test_everything_comes_back(models: Path, tmp_path: Path) -> None:
    tokenizer = XGLMTokenizer(
        models / "small.model",
        padding_side="left",
        truncation_side="left",
        model_max_length=100,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
        model_input_names=["input_ids"],
        mask_token=AddedToken("<mask>", lstrip=True),
        sp_model_kwargs={"alpha": 0.25},
        chat_template="{{ messages }}",
        kept={"list": [1, None, "x"]},
    )
    tokenizer.add_tokens([AddedToken("<w>", single_word=True)])
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(tmp_path / "1")
    clone = XGLMTokenizer.from_pretrained(tmp_path / "1")
    clone.save_pretrained(tmp_path / "2")
    for name in (CONFIG, "special_tokens_map.json", "added_tokens.json", MODEL):
        if name != "special_tokens_map.json":  # tokens of a file are AddedTokens from then on
            assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert (clone.padding_side, clone.truncation_side) == ("right", "left")
    assert (clone.model_max_length, clone.model_input_names) == (100, ["input_ids"])
    assert clone.sp_model_kwargs == {"alpha": 0.25}
    assert clone.get_vocab() == tokenizer.get_vocab()
    assert clone.added_tokens_decoder == tokenizer.added_tokens_decoder
    assert clone.tokenize("a <mask> <w> b", split_special_tokens=False) == tokenizer.tokenize(
        "a <mask> <w> b", split_special_tokens=False
    )


def test_arguments_override_files(saved: Path) -> None:
    tokenizer = XGLMTokenizer.from_pretrained(saved, padding_side="left", bos_token="▁is")  # noqa: S106
    assert tokenizer.padding_side == "left"
    assert tokenizer.bos_token_id == tokenizer.convert_tokens_to_ids("▁is")
    (saved / CONFIG).unlink()  # as an older release wrote it: special_tokens_map.json counts
    (saved / "special_tokens_map.json").write_text('{"bos_token": "[BOS]"}', encoding="utf-8")
    assert XGLMTokenizer.from_pretrained(saved).bos_token == "[BOS]"  # noqa: S105
    tokenizer = XGLMTokenizer.from_pretrained(saved, bos_token="▁is")  # noqa: S106
    assert tokenizer.bos_token == "▁is"  # noqa: S105


def test_a_model_file_is_enough(models: Path, tmp_path: Path) -> None:
    assert XGLMTokenizer.from_pretrained(models / "small.model").encode("This") == (
        XGLMTokenizer(models / "small.model").encode("This")
    )
    shutil.copy(models / "small.model", tmp_path / MODEL)
    assert XGLMTokenizer.from_pretrained(str(tmp_path)).name_or_path == str(tmp_path)


def test_the_published_limit(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one repository whose length 4.37.2 knows by heart."""
    asked: dict[str, Any] = {}

    def locate(name: str, **options: Any) -> Path:
        asked.update(options, name=name)
        return saved

    monkeypatch.setattr("pyxglm.checkpoint.locate", locate)
    tokenizer = XGLMTokenizer.from_pretrained(
        "facebook/xglm-564M", revision="main", local_files_only=True
    )
    assert tokenizer.model_max_length == 2048
    assert asked == {
        "name": "facebook/xglm-564M",
        "revision": "main",
        "cache_dir": None,
        "local_files_only": True,
        "filenames": (MODEL,),
    }
    assert XGLMTokenizer.from_pretrained("some/other").model_max_length > 10**29


def test_what_is_missing(saved: Path, tmp_path: Path) -> None:
    (saved / MODEL).unlink()
    with pytest.raises(FileNotFoundError, match=r"sentencepiece\.bpe\.model: no such file"):
        XGLMTokenizer.from_pretrained(saved)
    with pytest.raises(FileNotFoundError, match="absent"):
        XGLMTokenizer.from_pretrained(tmp_path / "absent")
    with pytest.raises(TypeError, match="expected a path or a hub id"):
        XGLMTokenizer.from_pretrained(None)  # type: ignore[arg-type]


def test_saving_over_the_source(saved: Path) -> None:
    before = (saved / MODEL).stat()
    tokenizer = XGLMTokenizer.from_pretrained(saved)
    tokenizer.save_pretrained(saved)
    after = (saved / MODEL).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert XGLMTokenizer.from_pretrained(saved).get_vocab() == tokenizer.get_vocab()


def test_a_crash_leaves_whole_files(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = XGLMTokenizer.from_pretrained(saved, model_max_length=5)
    tokenizer.add_tokens(["<new>"])
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    real = os.replace
    for files in range(3):
        left = [files]

        def failing(source: Any, target: Any, left: list[int] = left) -> None:
            if not left[0]:
                raise OSError("the disk is full")
            left[0] -= 1
            real(source, target)

        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="full"):
            tokenizer.save_pretrained(saved)
        found = {path.name: path.read_bytes() for path in saved.iterdir()}
        assert found.keys() <= {*before, "added_tokens.json"}  # no temporary file stays
        assert found[CONFIG] == before[CONFIG]
        assert "<new>" not in XGLMTokenizer.from_pretrained(saved).get_vocab()


def test_refusals(tokenizer: XGLMTokenizer, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="is a file, expected a directory"):
        tokenizer.save_pretrained(saved / CONFIG)
    with pytest.raises(NotADirectoryError, match="is no directory"):
        tokenizer.save_vocabulary(tmp_path / "absent")
    for options in ({"legacy_format": False}, {"push_to_hub": True}):
        with pytest.raises(ValueError, match="not available"):
            tokenizer.save_pretrained(tmp_path, **options)
    tokenizer.init_kwargs["odd"] = object()
    with pytest.raises(ValueError, match="an argument cannot be written"):
        tokenizer.save_pretrained(tmp_path / "odd")


def entry(**changes: Any) -> dict[str, Any]:
    return {"content": "<x>", "special": False, **changes}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (CONFIG, "{", "not JSON"),
        (CONFIG, "[]", "expected a JSON object"),
        (CONFIG, '{"a": NaN}', "NaN"),
        (CONFIG, '{"a": 1, "a": 2}', "twice"),
        (CONFIG, {"model_max_length": "9"}, "model_max_length is '9', expected int"),
        (CONFIG, {"model_max_length": True}, "model_max_length is 'True'"),
        (CONFIG, {"padding_side": 3}, "padding_side is '3', expected str"),
        (CONFIG, {"bos_token": 3}, "bos_token is '3', expected str"),
        (CONFIG, {"bos_token": {"content": 3, "__type": "AddedToken"}}, 'a string "content"'),
        (CONFIG, {"additional_special_tokens": "<x>"}, "expected list"),
        (CONFIG, {"sp_model_kwargs": {"model_file": "x"}}, "unknown option 'model_file'"),
        (CONFIG, {"sp_model_kwargs": 3}, "sp_model_kwargs is '3', expected dict"),
        (CONFIG, {"added_tokens_decoder": [1]}, "added_tokens_decoder is '.1.', expected dict"),
        (CONFIG, {"added_tokens_decoder": {"x": entry()}}, "the id 'x', expected a whole number"),
        (CONFIG, {"added_tokens_decoder": {"-1": entry()}}, "the id '-1'"),
        (CONFIG, {"added_tokens_decoder": {"9" * 30: entry()}}, "the id '999"),
        (
            CONFIG,
            {"added_tokens_decoder": {"5": "x"}},
            'expected an object with a string "content"',
        ),
        (
            CONFIG,
            {"added_tokens_decoder": {"5": entry(lstrip=3)}},
            "lstrip is '3', expected a bool",
        ),
        ("special_tokens_map.json", {"bos_token": 3}, 'a string "content"'),
        ("special_tokens_map.json", {"additional_special_tokens": "<x>"}, "expected a list"),
        ("added_tokens.json", {"<x>": "five"}, "the id 'five'"),
        ("added_tokens.json", {"<x>": True}, "the id 'True'"),
        ("tokenizer.json", {"added_tokens": 5}, "added_tokens is '5', expected a list"),
        ("tokenizer.json", {"added_tokens": [5]}, 'a string "content"'),
        ("tokenizer.json", {"added_tokens": [entry()]}, "the id 'None'"),
    ],
)
def test_damaged_files(models: Path, tmp_path: Path, name: str, content: Any, message: str) -> None:
    shutil.copy(models / "small.model", tmp_path / MODEL)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        XGLMTokenizer.from_pretrained(tmp_path)
    assert name in str(caught.value)


def test_a_file_cannot_name_another(saved: Path, models: Path) -> None:
    config = json.loads((saved / CONFIG).read_bytes())
    config["vocab_file"] = str(models / "large.model")
    config["init_inputs"] = [str(models / "large.model")]
    (saved / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    (saved / "special_tokens_map.json").write_text(
        json.dumps({"vocab_file": "x"}), encoding="utf-8"
    )
    assert len(XGLMTokenizer.from_pretrained(saved).sp_model) == 620


def test_another_class_is_said(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = json.loads((saved / CONFIG).read_bytes())
    config["tokenizer_class"] = "GPT2Tokenizer"
    (saved / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    XGLMTokenizer.from_pretrained(saved)
    assert "is of 'GPT2Tokenizer', not of XGLMTokenizer" in caplog.text
