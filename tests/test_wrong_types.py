"""Arguments of a wrong type: each is named, with what it is and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.small import IDS, config, lm
from test_place import MODELS, OTHERS

import pyxglm
from pyxglm import GenerationConfig, TextStreamer, XGLMTokenizer, XGLMTokenizerFast, tiny
from pyxglm.checkpoint import locate
from pyxglm.generation import text_pieces

ENCODE, DECODE = (
    f"expected an object with {method}, as XGLMTokenizer has it" for method in ("encode", "decode")
)
NAME = "facebook/xglm-564M"


def refusal(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(TypeError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (NAME, "a str"),
        (b"x", "a bytes"),
        (5, "a int without the method {}"),
        (XGLMTokenizer, "the class XGLMTokenizer"),
    ],
)
def test_a_tokenizer_of_generate(wrong: Any, what: str) -> None:
    for given, method, expected in (
        ({"inputs": "abc"}, "encode", ENCODE),
        ({"inputs": [2, 5], "stop_strings": "o"}, "decode", DECODE),
    ):
        said = refusal(lm().generate, **given, tokenizer=wrong, max_new_tokens=2)
        wanted = "expected an object of it" if isinstance(wrong, type) else expected
        assert said == f"tokenizer is {what.format(method)}, {wanted}"


def test_a_tokenizer_of_streamers() -> None:
    for make in (TextStreamer, pyxglm.TextIteratorStreamer, lambda t: next(text_pieces(t, []))):
        assert refusal(make, None) == f"tokenizer is None, {DECODE}"
        assert refusal(make, NAME) == f"tokenizer is a str, {DECODE}"


@pytest.mark.parametrize(
    ("wrong", "what"), [("x", "a str"), (5, "a int"), (pyxglm.XGLMModel, "the class XGLMModel")]
)
def test_an_assistant(wrong: Any, what: str) -> None:
    said = refusal(lm().generate, [[2, 5]], assistant_model=wrong)
    assert said == f"assistant_model is {what}, expected a model"


@pytest.mark.parametrize("name", ["XGLMModel", "XGLMForCausalLM", "TFXGLMForCausalLM"])
def test_weights(name: str, tmp_path: Path) -> None:
    kind = getattr(pyxglm, name)
    for wrong, what in ((None, "None"), ([1], "a list")):
        wanted = f"weights is {what}, expected a dict of arrays by name"
        assert refusal(kind.from_weights, config(), wrong) == wanted
        wanted = f"config is {what}, expected an XGLMConfig"
        assert refusal(kind.from_weights, wrong, {}) == wanted
    said = refusal(lm().save_pretrained, tmp_path, state_dict=[1])
    assert said == "state_dict is a list, expected a dict of arrays by name"


@pytest.mark.parametrize("kind", [XGLMTokenizer, XGLMTokenizerFast])
def test_ids_and_tokens(kind: Any) -> None:
    tokenizer = kind.from_pretrained(tiny.PATH)
    several = "expected an id, or a list of ids"
    assert refusal(tokenizer.decode, None) == f"token_ids is None, {several}"
    assert refusal(tokenizer.decode, 5.5) == f"token_ids is a float, {several}"
    assert refusal(tokenizer.convert_ids_to_tokens, None) == f"ids is None, {several}"
    assert refusal(tokenizer.batch_decode, [[5], None]) == f"token_ids is None, {several}"
    said = refusal(tokenizer.batch_decode, None)
    assert said == "sequences is None, expected a list of sequences of ids"
    said = refusal(tokenizer.convert_tokens_to_ids, 5)
    assert said == "tokens is a int, expected a token, or a list of tokens"
    texts = [tokenizer.decode(ids) for ids in (5, np.int64(5), np.array(5), [5], (5,), iter([5]))]
    assert len(set(texts)) == 1


@pytest.mark.parametrize("wrong", [None, 5, b"x"])
@pytest.mark.parametrize("name", [*MODELS, *OTHERS])
def test_where_to_read(name: str, wrong: Any) -> None:
    what = "None" if wrong is None else f"a {type(wrong).__name__}"
    said = refusal(getattr(pyxglm, name).from_pretrained, wrong)
    argument = "pretrained_model_name" + "_or_path" * (name != "GenerationConfig")
    assert said == f"{argument} is {what}, expected a path or a hub id"
    assert refusal(locate, wrong) == f"name_or_path is {what}, expected a path or a hub id"


@pytest.mark.parametrize("wrong", [None, 5])
@pytest.mark.parametrize("name", [*MODELS, *OTHERS])
def test_where_to_write(name: str, wrong: Any) -> None:
    kind = getattr(pyxglm, name)
    if name in MODELS:
        given = kind(config())
    elif name in ("XGLMConfig", "GenerationConfig"):
        given = kind()
    else:
        given = kind.from_pretrained(tiny.PATH)
    what = "None" if wrong is None else "a int"
    calls = [given.save_pretrained, *([given.save_vocabulary] if "Tokenizer" in name else [])]
    for call in calls:
        assert refusal(call, wrong) == f"save_directory is {what}, expected a path"


def test_what_is_right_is_none_of_this(tmp_path: Path) -> None:
    GenerationConfig().save_pretrained(str(tmp_path))
    assert GenerationConfig.from_pretrained(tmp_path).max_length == GenerationConfig().max_length
    tokenizer = XGLMTokenizer.from_pretrained(tiny.PATH)
    assert lm().generate(IDS[:1], tokenizer=tokenizer, max_new_tokens=1).shape == (1, 6)
