"""GenerationConfig: every impossible setting is refused by name."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pyxglm.generation import GenerationConfig


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 0, "temperature is 0, expected a finite number above 0"),
        ("temperature", -1.5, "temperature is -1.5, expected a finite number above 0"),
        ("temperature", float("nan"), "temperature is nan, expected a finite number above 0"),
        ("temperature", float("inf"), "temperature is inf, expected a finite number above 0"),
        ("top_k", -1, "top_k is -1, expected 0 or more"),
        ("top_p", 0, "top_p is 0, expected above 0 and at most 1"),
        ("top_p", 1.01, "top_p is 1.01, expected above 0 and at most 1"),
        ("top_p", float("nan"), "top_p is nan, expected above 0 and at most 1"),
        ("max_new_tokens", 0, "max_new_tokens is 0, expected 1 or more"),
        ("max_length", 0, "max_length is 0, expected 1 or more"),
        ("eos_token_id", -2, "eos_token_id is -2, expected 0 or more"),
        ("eos_token_id", [], "eos_token_id is an empty list, expected ids or None"),
        ("eos_token_id", [2, -1], "eos_token_id[1] is -1, expected 0 or more"),
        ("pad_token_id", -1, "pad_token_id is -1, expected 0 or more"),
        ("num_beams", 4, "num_beams is 4, expected 1:"),
        ("repetition_penalty", 1.2, "repetition_penalty is 1.2, expected 1.0:"),
        ("return_dict_in_generate", True, "return_dict_in_generate is True, expected False:"),
    ],
)
def test_impossible_values(name, value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        GenerationConfig().updated(**{name: value})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "1"),
        ("temperature", True),
        ("top_k", 2.0),
        ("top_k", True),
        ("top_p", [0.5]),
        ("max_new_tokens", "5"),
        ("max_length", None),
        ("do_sample", 1),
        ("use_cache", None),
        ("bos_token_id", 1.5),
        ("eos_token_id", "2"),
    ],
)
def test_impossible_types(name, value):
    with pytest.raises(TypeError, match=f"^{name} is "):
        GenerationConfig(**{name: value})


@pytest.mark.parametrize("value", [None, 0])
def test_top_k_can_be_off(value):
    assert GenerationConfig(top_k=value).top_k == value


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(TypeError, match="no setting 'temprature', did you mean 'temperature'"):
        GenerationConfig().updated(temprature=1)
    with pytest.raises(TypeError, match="no setting 'xyz', expected max_length, "):
        GenerationConfig().updated(xyz=1)


def test_assigned_attributes_are_checked_when_used():
    settings = GenerationConfig()
    settings.temperature = -3
    with pytest.raises(ValueError, match="temperature is -3"):
        settings.updated(max_new_tokens=3)


def test_updated_leaves_the_original():
    settings = GenerationConfig(extra={"transformers_version": "4.37.2"})
    changed = settings.updated(max_new_tokens=np.int64(7), eos_token_id=None)
    assert (settings.max_new_tokens, settings.eos_token_id) == (None, 2)
    assert (changed.max_new_tokens, changed.eos_ids) == (7, ())
    assert changed.extra == {"transformers_version": "4.37.2"}


def test_eos_ids():
    assert GenerationConfig().eos_ids == (2,)
    assert GenerationConfig(eos_token_id=[4, 5]).eos_ids == (4, 5)


def test_special_ids_of_a_model():
    config = SimpleNamespace(bos_token_id=5, pad_token_id=None, eos_token_id=[7])
    settings = GenerationConfig.from_model_config(config)
    assert (settings.bos_token_id, settings.pad_token_id, settings.eos_token_id) == (5, None, [7])


def test_file_of_an_official_checkpoint(tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text(
        '{"_from_model_config": true, "bos_token_id": 0, "decoder_start_token_id": 2,'
        ' "eos_token_id": 2, "pad_token_id": 1, "transformers_version": "4.27.0.dev0"}'
    )
    settings = GenerationConfig.from_pretrained(tmp_path)
    assert settings == GenerationConfig(
        extra={
            "_from_model_config": True,
            "decoder_start_token_id": 2,
            "transformers_version": "4.27.0.dev0",
        }
    )
    settings.save_pretrained(tmp_path / "copy")
    assert GenerationConfig.from_pretrained(str(tmp_path / "copy")) == settings
    saved = json.loads((tmp_path / "copy" / "generation_config.json").read_text())
    assert saved["decoder_start_token_id"] == 2


def test_numpy_numbers_are_saved_as_numbers(tmp_path):
    GenerationConfig(top_k=np.int64(4), top_p=np.float32(0.5)).save_pretrained(tmp_path)
    settings = GenerationConfig.from_pretrained(tmp_path)
    assert (settings.top_k, settings.top_p) == (4, 0.5)


@pytest.mark.parametrize(
    "text",
    ['{"top_p": 3}', '{"top_k": "x"}', '{"num_beams": 5}', '{"a": NaN}', '{"a":1,"a":2}', "[]", ""],
)
def test_files_are_named_once_in_their_errors(tmp_path, text):
    path = tmp_path / "generation_config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="generation_config.json: ") as caught:
        GenerationConfig.from_pretrained(tmp_path)
    assert str(caught.value).count("generation_config.json") == 1


def test_an_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        GenerationConfig.from_pretrained(tmp_path)
