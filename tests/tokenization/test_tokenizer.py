"""XGLMTokenizer where a recording cannot look: arguments, messages, copies, sampling, time."""

from __future__ import annotations

import copy
import doctest
import importlib
import logging
import pickle
import pkgutil
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
from counting import lines_run

import pyxglm.tokenization
from pyxglm.tokenization import AddedToken, XGLMTokenizer

ROOT = Path(__file__).parents[2]


def test_published_ids_of_the_fixed_tokens(shared: XGLMTokenizer) -> None:
    """The table that XGLM's checkpoints were trained with: fairseq's symbols, pieces, fillers."""
    pieces = len(shared.sp_model)
    assert shared.convert_ids_to_tokens([0, 1, 2, 3]) == ["<s>", "<pad>", "</s>", "<unk>"]
    assert shared.convert_ids_to_tokens(4) == shared.sp_model.IdToPiece(3)
    assert shared.convert_ids_to_tokens(pieces) == shared.sp_model.IdToPiece(pieces - 1)
    assert shared.convert_tokens_to_ids("<madeupword0>") == pieces + 1
    assert shared.vocab_size == len(shared) == pieces + 8


def test_a_special_string_in_a_text_is_the_token(shared: XGLMTokenizer) -> None:
    assert shared.encode("a</s>b").count(2) == 2
    assert shared.encode("a</s>b", split_special_tokens=True).count(2) == 1
    assert 2 not in shared.encode("＜/s＞", add_special_tokens=False)


def test_callers_objects_stay_as_they_are(models: Path) -> None:
    special = ["<x>"]
    token = AddedToken("<y>")
    options: dict[str, Any] = {"alpha": 0.5}
    tokenizer = XGLMTokenizer(
        models / "small.model",
        additional_special_tokens=special,
        bos_token=token,
        sp_model_kwargs=options,
    )
    tokenizer.add_tokens([token], special_tokens=True)
    tokenizer.add_special_tokens({"mask_token": token})
    assert special == ["<x>"]
    assert token == AddedToken("<y>")
    assert options == {"alpha": 0.5}
    encoded = {"input_ids": [2, 5]}
    tokenizer.pad(encoded, padding="max_length", max_length=5)
    array = {"input_ids": np.array([[2, 5]])}
    tokenizer.pad(array, pad_to_multiple_of=4)
    assert encoded == {"input_ids": [2, 5]}
    assert array["input_ids"].tolist() == [[2, 5]]
    ids = [5, 6, 7]
    tokenizer.prepare_for_model(ids, max_length=2, truncation=True)
    assert ids == [5, 6, 7]
    tokenizer.get_added_vocab().clear()
    assert tokenizer.get_added_vocab()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"padding_side": "top"}, ValueError, "padding_side is 'top', expected 'right' or 'left'"),
        ({"truncation_side": 3}, ValueError, "truncation_side is '3'"),
        ({"model_max_length": "512"}, TypeError, "model_max_length is '512', expected an int"),
        ({"model_max_length": 0}, ValueError, "model_max_length is 0"),
        ({"bos_token": 5}, TypeError, "bos_token: '5' is int, expected a str or AddedToken"),
        ({"pad_token": "\ud800"}, ValueError, "pad_token holds half of a surrogate pair"),
        ({"additional_special_tokens": "<x>"}, TypeError, "additional_special_tokens is '<x>'"),
        ({"additional_special_tokens": [5]}, TypeError, "additional_special_tokens: '5' is int"),
        ({"sp_model_kwargs": {"nonsense": 1}}, TypeError, "unknown option 'nonsense'"),
        ({"sp_model_kwargs": {"model_file": "x"}}, TypeError, "unknown option 'model_file'"),
        ({"sp_model_kwargs": {"alpha": "x"}}, TypeError, "alpha is 'x', expected float"),
        ({"sp_model_kwargs": {"alpha": float("nan")}}, ValueError, "alpha is nan"),
        ({"sp_model_kwargs": {"nbest_size": True}}, TypeError, "nbest_size is 'True'"),
        (
            {"sp_model_kwargs": {"enable_sampling": True, "nbest_size": 1}},
            ValueError,
            "or 2 to 512",
        ),
        ({"sp_model_kwargs": [1]}, TypeError, "expected a dict"),
        ({"split_special_tokens": "no"}, TypeError, "split_special_tokens is 'no'"),
        ({"model_input_names": "input_ids"}, TypeError, "model_input_names is 'input_ids'"),
        ({"added_tokens_decoder": {-1: "x"}}, ValueError, "added_tokens_decoder: id -1"),
        ({"added_tokens_decoder": {"5": "x"}}, TypeError, "the id '5' is no int"),
    ],
)
def test_arguments(
    models: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        XGLMTokenizer(models / "small.model", **arguments)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None,), {}, "the text is None"),
        ((b"bytes",), {}, "expected a str, a list of str"),
        (([b"bytes"],), {}, "expected a str, a list of str"),
        (([5, 6],), {}, "`encode` takes ids"),
        ((["a", None],), {}, "the text is 'None'"),
        ((["a", "b"],), {"text_pair": ["c"]}, "2 texts, but 1 second texts"),
        ((["a", ["b", "c", "d"]],), {}, "item 1 of the batch is a list of 3"),
        (([],), {}, "the batch is empty"),
        (("a\ud800b",), {}, r"half of a surrogate pair, U\+D800, at position 1"),
        (("a",), {"padding": "yes"}, "padding is 'yes', expected True, False, 'longest'"),
        (("a",), {"truncation": 1}, "truncation is '1', expected True, False, 'longest_first'"),
        (("a",), {"max_length": -1}, "max_length is -1"),
        (("a",), {"stride": -1}, "stride is -1"),
        (("a",), {"pad_to_multiple_of": 0}, "pad_to_multiple_of is 0"),
        (("a",), {"padding_side": "up"}, "padding_side is 'up'"),
        (("a",), {"return_tensors": "pt"}, "asks for torch tensors"),
        (("a",), {"return_tensors": "tf"}, "asks for TensorFlow tensors"),
        (("a",), {"return_tensors": "jax"}, "asks for JAX tensors"),
        (("a",), {"return_tensors": "cp"}, "return_tensors='cp', expected 'np'"),
        (("a",), {"return_overflowing_tokens": True}, "needs max_length"),
    ],
)
def test_refused_calls(
    shared: XGLMTokenizer, arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        shared(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_other_refusals(shared: XGLMTokenizer) -> None:
    with pytest.raises(TypeError, match="the text is NoneType, expected str"):
        shared.tokenize(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max_length is '2.5', expected an int"):
        shared("a", max_length=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="but its pair one str"):
        shared(["a"], "b")
    with pytest.raises(ValueError, match="return_offsets_mapping needs a text"):
        shared.encode_plus([5, 6], return_offsets_mapping=True)
    with pytest.raises(IndexError, match="the id 888 is outside the vocabulary of 888 tokens"):
        shared.decode([888])
    with pytest.raises(IndexError, match="the id -1 is outside"):
        shared.convert_ids_to_tokens([-1])
    with pytest.raises(ValueError, match=r"the id '2\.5' is no whole number"):
        shared.decode([2.5])
    with pytest.raises(ValueError, match="truncation_strategy is 'x'"):
        shared.truncate_sequences([1, 2], None, 1, "x")


def test_unset_roles(tokenizer: XGLMTokenizer, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer.unk_token = "nowhere"  # noqa: S105
    with pytest.raises(ValueError, match="unk_token is 'nowhere', which is not in the vocabulary"):
        tokenizer.encode("☃")
    tokenizer.pad_token = None
    with pytest.raises(ValueError, match="pad_token is not set"):
        tokenizer(["a", "b c"], padding=True)
    assert tokenizer.mask_token is None
    assert not caplog.records
    tokenizer.verbose = True
    assert tokenizer.mask_token is None
    assert caplog.messages == ["Using mask_token, but it is not set yet."]


def test_warnings_come_once(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = XGLMTokenizer(models / "small.model", model_max_length=3)
    tokenizer.encode("This is a long text", verbose=False)
    assert not caplog.records
    for _ in range(3):
        tokenizer.encode("This is a long text")
    assert len(caplog.records) == 1
    assert caplog.records[0].name.startswith("pyxglm")
    assert "longer than the specified maximum" in caplog.messages[0]
    for _ in range(2):
        tokenizer.encode("This is", max_length=2)
    assert "Truncation was not explicitly activated" in caplog.messages[1]
    tokenizer.model_max_length = 10**30
    assert tokenizer.encode("This", padding="max_length") == tokenizer.encode("This")
    assert "Default to no padding" in caplog.messages[2]
    assert len(tokenizer.encode("This is a", truncation=True)) > 3
    assert "Default to no truncation" in caplog.messages[3]
    tokenizer.encode("This", nonsense=1)
    assert "{'nonsense': 1} not recognized" in caplog.messages[4]
    tokenizer.encode("This", max_length=1, truncation="only_first")
    assert (caplog.records[5].levelno, len(caplog.records)) == (logging.ERROR, 6)


def test_python_warnings(shared: XGLMTokenizer) -> None:
    with pytest.warns(UserWarning, match="`max_length` is ignored"):
        shared("a", padding=True, max_length=4)
    with pytest.warns(FutureWarning, match="pad_to_max_length"):
        assert len(shared.encode("a", pad_to_max_length=True, max_length=4)) == 4
    with pytest.warns(FutureWarning, match="truncation_strategy"):
        shared("a", truncation_strategy="only_first", max_length=2, padding=True)


def test_sampling(models: Path) -> None:
    """Samples spell the text, differ, and repeat with the library's seed."""
    path = models / "large.model"
    options = {"enable_sampling": True, "nbest_size": -1, "alpha": 0.1}
    tokenizer = XGLMTokenizer(path, sp_model_kwargs=options)
    best = XGLMTokenizer(path)
    text = "The capital of Japan is Tokyo"

    def draw() -> list[tuple[int, ...]]:
        sentencepiece.set_random_generator_seed(7)
        return [tuple(tokenizer.encode(text)) for _ in range(20)]

    samples = draw()
    assert len(set(samples)) > 5
    assert {tokenizer.decode(sample[1:]) for sample in samples} == {text}
    sharp = XGLMTokenizer(path, sp_model_kwargs={**options, "alpha": 1000.0})
    assert {tuple(sharp.encode(text)) for _ in range(5)} == {tuple(best.encode(text))}
    assert tokenizer.sp_model_kwargs == options
    clone = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    assert len({tuple(clone.encode(text)) for _ in range(20)}) > 5


def test_pickle_needs_no_file(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.model"
    path.write_bytes((models / "small.model").read_bytes())
    tokenizer = XGLMTokenizer(path, padding_side="left")
    tokenizer.add_tokens(["<new>"])
    data = pickle.dumps(tokenizer)
    path.unlink()
    clone = pickle.loads(data)  # noqa: S301
    assert clone("a <new> b").data == tokenizer("a <new> b").data
    assert (clone.padding_side, len(clone)) == ("left", len(tokenizer))
    (saved,) = clone.save_vocabulary(tmp_path)
    assert XGLMTokenizer(saved).encode("This is") == tokenizer.encode("This is")
    clone.add_tokens(["<other>"])
    assert len(clone) == len(tokenizer) + 1


def test_copy_is_apart(tokenizer: XGLMTokenizer) -> None:
    clone = copy.deepcopy(tokenizer)
    clone.add_tokens(["This"])
    clone.pad_token = clone.eos_token
    assert tokenizer.tokenize("This is") != clone.tokenize("This is")
    assert tokenizer.pad_token_id == 1


def test_added_token() -> None:
    token = AddedToken("<x>", rstrip=True)
    assert token == AddedToken("<x>", rstrip=True)
    assert token != AddedToken("<x>")
    assert token != "<x>"  # noqa: S105
    assert str(token) == "<x>"
    assert AddedToken("</s>", special=True).normalized is False
    assert AddedToken("</s>", special=True, normalized=True).normalized is True
    assert len({token, AddedToken("<x>", rstrip=True)}) == 1
    assert pickle.loads(pickle.dumps(token)) == token  # noqa: S301
    with pytest.raises(TypeError, match="content is int"):
        AddedToken(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lstrip is '1', expected a bool"):
        AddedToken("x", lstrip=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        AddedToken("\udfff")


def test_time_is_linear(shared: XGLMTokenizer) -> None:
    """Four times the text takes four times as many steps; long ones and many short ones."""
    chance = random.Random(1)  # noqa: S311
    words = ["The", "dog", "東京", "</s>", "ﬁ", "กำ", "\n", "xyzzy", "<s"]
    text = " ".join(chance.choices(words, k=500))

    def work(size: int) -> None:
        shared.decode(shared.encode(text * size, verbose=False))
        shared([text[:200]] * (10 * size), padding=True)

    assert 1000 < lines_run(work, 4) <= 4 * lines_run(work, 1)


def test_many_added_tokens(models: Path) -> None:
    def added(count: int) -> XGLMTokenizer:
        tokenizer = XGLMTokenizer(models / "small.model")
        names = [f"<extra{i}>" for i in range(count)]
        assert tokenizer.add_tokens(names, special_tokens=True) == count
        assert len(tokenizer) == tokenizer.vocab_size + count
        last = tokenizer.vocab_size + count - 1
        assert tokenizer.encode(names[-1]) == [2, last]
        return tokenizer

    assert lines_run(added, 400) <= 4 * lines_run(added, 100)


def test_importing_is_cheap() -> None:
    """Only building a tokenizer loads sentencepiece."""
    code = (
        "import sys, pyxglm.tokenization as t\n"
        "assert 'sentencepiece' not in sys.modules\n"
        f"t.XGLMTokenizer({str(ROOT / 'nowhere')!r})"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "FileNotFoundError" in run.stderr


def test_examples_in_docstrings() -> None:
    attempted = 0
    for module in pkgutil.iter_modules(pyxglm.tokenization.__path__):
        result = doctest.testmod(importlib.import_module(f"pyxglm.tokenization.{module.name}"))
        assert result.failed == 0
        attempted += result.attempted
    assert attempted > 8
