"""The methods of a configuration that programs call: dicts, files, changes from text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyxglm import XGLMForCausalLM, XGLMModel, bfloat16
from pyxglm.config import XGLMConfig


def test_arguments_that_are_no_fields_are_given_back(tmp_path: Path) -> None:
    XGLMConfig(d_model=64).save_pretrained(tmp_path)
    given: dict[str, Any] = {"num_layers": 3, "colour": "red", "return_unused_kwargs": True}
    for config, unused in (
        XGLMConfig.from_pretrained(tmp_path, **given),
        XGLMConfig.from_dict({"d_model": 64}, **given),
    ):
        assert config == XGLMConfig(d_model=64, num_layers=3)
        assert unused == {"colour": "red"}


@pytest.mark.parametrize("use_diff", [True, False])
def test_one_json_file(use_diff: bool, tmp_path: Path) -> None:
    config, path = XGLMConfig(d_model=64, note="語"), tmp_path / "any.json"
    config.to_json_file(path, use_diff=use_diff)
    assert path.read_text(encoding="utf-8") == config.to_json_string(use_diff)
    assert XGLMConfig.from_json_file(path) == config
    fields = config.to_dict() if not use_diff else config.to_diff_dict()
    assert json.loads(path.read_text(encoding="utf-8")) == fields
    assert ("return_dict" in fields) != use_diff
    before = path.read_bytes()
    config.note = {1, 2}
    with pytest.raises(TypeError, match="set"):
        config.to_json_file(str(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["any.json"]


def test_changes_from_text() -> None:
    config = XGLMConfig(note="a", pad_token_id=None)
    config.update_from_string("d_model=64,dropout=0.5,use_cache=No,activation_function=relu,note=b")
    assert config == XGLMConfig(
        d_model=64, dropout=0.5, use_cache=False, activation_function="relu", note="b",
        pad_token_id=None,
    )  # fmt: skip
    config.update_from_string("hidden_size=32,return_dict=0,use_cache=TRUE")
    assert (config.d_model, config.use_return_dict, config.use_cache) == (32, False, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour=red", "'colour=red' is given, expected the name of a number, string or true"),
        ("d_model", "'d_model' is given"),
        ("", "'' is given"),
        ("=3", "'=3' is given"),
        ("pad_token_id=1", "'pad_token_id=1' is given"),  # None: of no kind
        ("to_dict=1", "'to_dict=1' is given"),
        ("model_type=gpt2", "'model_type=gpt2' is given"),
        ("dropout=0.5,d_model=wide", "d_model is 'wide', expected a whole number"),
        ("dropout=half", "dropout is 'half', expected a number"),
        ("dropout=0.5,use_cache=maybe", "use_cache is 'maybe', expected true or false"),
    ],
)
def test_text_that_is_no_change(text: str, says: str) -> None:
    config = XGLMConfig(pad_token_id=None)
    with pytest.raises(ValueError, match=f"^update_from_string: {says}"):
        config.update_from_string(text)
    with pytest.raises(ValueError, match="^config: attention_heads is 0"):
        config.update_from_string("dropout=0.5,attention_heads=0")
    assert config == XGLMConfig(pad_token_id=None)


@pytest.mark.parametrize("given", [np.float16, np.dtype("f2"), "float16"])
def test_a_dtype_is_written_by_its_name(given: Any) -> None:
    config = XGLMConfig(torch_dtype=given)
    assert json.loads(config.to_json_string())["torch_dtype"] == "float16"
    assert XGLMConfig(torch_dtype=bfloat16).to_dict()["torch_dtype"] == "bfloat16"
    for value in (3, ["float16"], {}, 10**5000):
        with pytest.raises(ValueError, match="^config: torch_dtype is .{1,99}, expected "):
            XGLMConfig(torch_dtype=value)


def test_the_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for fields, says in (
        ({"model_type": "gpt2", "n_embd": 768}, "model_type is 'gpt2': a checkpoint of another"),
        ({"architectures": ["GPT2LMHeadModel"]}, "architectures are .*GPT2LMHeadModel.*: a checkp"),
    ):
        path.write_text(json.dumps(fields))
        for kind in (XGLMConfig, XGLMModel, XGLMForCausalLM):
            with pytest.raises(ValueError, match=rf"config\.json: {says}"):
                kind.from_pretrained(tmp_path)
    path.write_text(json.dumps({"architectures": ["XGLMForCausalLM"], "num_layers": 3}))
    assert XGLMConfig.from_pretrained(tmp_path).num_layers == 3
    path.write_text(json.dumps({"model_type": "xglm", "architectures": ["MyOwn"]}))
    assert XGLMConfig.from_pretrained(tmp_path).architectures == ["MyOwn"]


def test_nothing_is_uploaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^push_to_hub is True, expected False"):
        XGLMConfig().save_pretrained(tmp_path / "new", push_to_hub=True)
    assert not (tmp_path / "new").exists()
