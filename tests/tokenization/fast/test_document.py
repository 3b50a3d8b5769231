"""Damaged and odd tokenizer.json files: one clear ValueError each, that names the file."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mutation import tokenizer_seeds

from pyxglm.tokenization import XGLMTokenizerFast
from pyxglm.tokenization.fast.backend import Backend, library, refusals

HUB, SAVED, BYTE_LEVEL, PIECES, WORDS = tokenizer_seeds.seeds()


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of a document: the last of `path` is the value, the others lead to it."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-2]:
            place = place[key]
        place[path[-2]] = path[-1]

    return change


def write(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", [HUB, SAVED, BYTE_LEVEL, PIECES, WORDS])
def test_sound_documents_open(seed: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = XGLMTokenizerFast(tokenizer_file=write(tmp_path, seed))
    assert len(tokenizer.encode("ab!", add_special_tokens=False)) > 0
    again = tokenizer.save_pretrained(tmp_path / "again")
    clone = XGLMTokenizerFast.from_pretrained(tmp_path / "again")
    assert clone("ab ab!").data == tokenizer("ab ab!").data
    assert clone.special_tokens_map == tokenizer.special_tokens_map
    saved = json.loads(Path(again[0]).read_bytes())["tokenizer_class"]
    xglm = seed in (HUB, SAVED)
    assert saved == ("XGLMTokenizer" if xglm else "PreTrainedTokenizerFast")


CHARSMAP = ("normalizer", "normalizers", 0, "precompiled_charsmap")
SPECIAL = ("post_processor", "special_tokens", "</s>")


@pytest.mark.parametrize(
    ("seed", "change", "message"),
    [
        (HUB, put("model", None), "model is 'None', expected an object"),
        (HUB, put("model", "type", "Bigram"), "the model's type is 'Bigram', expected Unigram"),
        (HUB, put("model", "vocab", 5), "the model's vocab is missing"),
        (HUB, put("model", "vocab", []), "the model's vocab is empty"),
        (HUB, put("model", "unk_id", 99), "the library tokenizers refuses it"),
        (HUB, put("model", "vocab", 5, [5, "x"]), "the library tokenizers refuses it"),
        (HUB, put("pre_tokenizer", {"type": "Nonsense"}), "the library tokenizers refuses it"),
        (HUB, put(*CHARSMAP, "AAAA"), "says that its trie has"),
        (HUB, put(*CHARSMAP, "not base64"), "expected base64"),
        (HUB, put(*CHARSMAP, None), "expected base64"),
        (HUB, put("normalizer", {"type": "Precompiled"}), "precompiled_charsmap is 'None'"),
        (HUB, put("normalizer", "normalizers", 1, "content", "x" * 600), "of 600 characters"),
        (HUB, put("added_tokens", 5), "added_tokens is '5', expected a list of objects"),
        (HUB, put("added_tokens", 0, "id", -1), "the id of added token '<s>' is '-1'"),
        (HUB, put("added_tokens", 0, "id", 7), "has the id 7, but would get 0"),
        (HUB, put("added_tokens", 0, "content", "<new>"), "'<new>' has the id 0, but would get 15"),
        (HUB, put(*SPECIAL, "ids", [3]), "gives '</s>' the id '3', but the vocabulary 2"),
        (HUB, put(*SPECIAL, "ids", []), "gives '</s>' the id '', but the vocabulary 2"),
        (HUB, put("post_processor", "special_tokens", {}), "its special_tokens lack it"),
        (
            HUB,
            put("post_processor", "single", 1, "Sequence", "id", "B"),
            "puts a text B into its single layout",
        ),
        (BYTE_LEVEL, put("model", "vocab", "a", 2**40), "the id of 'a' is '1099511627776'"),
        (BYTE_LEVEL, put("model", "merges", ["a z"]), "the library tokenizers refuses it"),
        (
            BYTE_LEVEL,
            put("model", "continuing_subword_prefix", "##"),
            "the merge 'a b' has a second half without",
        ),
        (PIECES, put("post_processor", "sep", ["[SEP]", 9]), "gives '.SEP.' the id '9'"),
    ],
)
def test_damaged_documents(
    seed: dict[str, Any],
    change: Callable[[dict[str, Any]], None],
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    document = copy.deepcopy(seed)
    change(document)
    path = write(tmp_path, document)
    for place in (path, tmp_path):
        with pytest.raises(ValueError, match=message) as caught:
            XGLMTokenizerFast.from_pretrained(place)
        assert type(caught.value) is ValueError
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    assert "panicked" not in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": NaN}', '{"a": 1, "a": 2}', "[" * 5000])
def test_what_is_no_document(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        XGLMTokenizerFast.from_pretrained(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="not a regular file"):
        XGLMTokenizerFast(tokenizer_file=path)


class Panic(BaseException):
    """What the library raises where it breaks down is no Exception either."""


def test_a_panic_is_a_refusal() -> None:
    expected = "^here: the library tokenizers refuses it: 'a.*b'$"
    with pytest.raises(ValueError, match=expected), refusals("here"):
        raise Panic("a\nb")
    document = copy.deepcopy(HUB)
    put(*CHARSMAP, base64.b64encode(b"\x04\0\0\0abcd\xff").decode())(document)
    with pytest.raises(ValueError, match="^here: the library tokenizers refuses it: '"):
        Backend.from_document(document, "here")
    for stop in (KeyboardInterrupt, SystemExit, MemoryError):
        with pytest.raises(stop), refusals("here"):
            raise stop


def test_a_generic_file_keeps_its_own_tokens(tmp_path: Path) -> None:
    """Nothing of XGLM is put into another model's vocabulary, unless it is asked for."""
    path = write(tmp_path, BYTE_LEVEL)
    tokenizer = XGLMTokenizerFast(tokenizer_file=path)
    assert len(tokenizer) == 10
    assert tokenizer.vocab_size == 9
    assert tokenizer.special_tokens_map == {"pad_token": "<pad>"}
    assert tokenizer.bos_token is None is tokenizer.eos_token_id
    assert tokenizer.convert_tokens_to_ids("nowhere") is None
    assert tokenizer.build_inputs_with_special_tokens([5]) == [0, 5]
    assert tokenizer.build_inputs_with_special_tokens([5], [6]) == [5, 6]
    assert tokenizer("ab ab").input_ids == [0, 5, 6]
    assert tokenizer("ab", "ab", return_token_type_ids=True).token_type_ids == [0, 1]
    assert tokenizer.decode([0, 5, 6], skip_special_tokens=True) == "ab ab"
    given = XGLMTokenizerFast(tokenizer_file=path, eos_token="<|endoftext|>", sep_token="<s>")  # noqa: S106
    assert given.eos_token_id == 0
    assert given.sep_token_id == 10
    assert len(given) == 11
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<|endoftext|>"}')
    assert XGLMTokenizerFast.from_pretrained(tmp_path).bos_token_id == 0
    theirs = library().Tokenizer.from_file(str(path))
    assert tokenizer.encode("ab <new> a!\n") == theirs.encode("ab <new> a!\n").ids[:9]
