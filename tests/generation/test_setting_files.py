"""GenerationConfig as a dict, as text, in files, and from a model's configuration."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pyxglm import XGLMConfig
from pyxglm.generation import GenerationConfig

#: What a config.json of before there were files of settings may hold.
OLD = {
    "num_beams": 4, "max_length": 12, "no_repeat_ngram_size": 2, "length_penalty": None,
    "early_stopping": True, "decoder_start_token_id": 2, "output_attentions": 1, "use_cache": 1,
}  # fmt: skip


def test_a_model_s_configuration_may_hold_settings():
    others = {"seed": 42, "newline": "\n", "min_p": "x", "task_specific_params": {"a": 1}}
    settings = GenerationConfig.from_model_config(XGLMConfig(**OLD, **others, eos_token_id=7))
    assert settings == GenerationConfig(
        num_beams=4, max_length=12, no_repeat_ngram_size=2, early_stopping=True,
        decoder_start_token_id=2, output_attentions=True, eos_token_id=7,
    )  # fmt: skip
    assert settings.extra == {}


def test_a_model_s_configuration_that_asks_for_the_impossible(tmp_path):
    config = XGLMConfig(num_beams="4")
    with pytest.raises(ValueError, match=r"^config: num_beams is '4', expected an integer$"):
        GenerationConfig.from_model_config(config)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        GenerationConfig.of_checkpoint(tmp_path, config)
    assert str(caught.value) == f"{tmp_path}/config.json: num_beams is '4', expected an integer"
    GenerationConfig(num_beams=3).save_pretrained(tmp_path)
    assert GenerationConfig.of_checkpoint(tmp_path, config).num_beams == 3


def test_dicts_are_copies_and_only_of_what_differs():
    settings = GenerationConfig(top_k=4, bad_words_ids=[[5]], extra={"a": {"b": 1}})
    assert settings.to_diff_dict() == {
        "top_k": 4, "bad_words_ids": [[5]], "a": {"b": 1},
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    values = settings.to_dict()
    assert (values["max_length"], values["top_k"], values["a"]) == (20, 4, {"b": 1})
    values["bad_words_ids"].append([6])
    values["a"]["b"] = 2
    assert settings.to_dict() == {**settings.to_dict(), "bad_words_ids": [[5]], "a": {"b": 1}}


def test_text():
    settings = GenerationConfig(top_k=4, extra={"transformers_version": "4.37.2", "a": 1})
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    text = settings.to_json_string()
    assert text.endswith("}\n")
    assert json.loads(text) == {"top_k": 4, **ids, "transformers_version": "4.37.2", "a": 1}
    assert json.loads(settings.to_json_string(ignore_metadata=True)) == {"top_k": 4, **ids, "a": 1}
    assert json.loads(settings.to_json_string(use_diff=False)) == settings.to_dict()
    assert repr(settings) == (
        "GenerationConfig(top_k=4, extra={'transformers_version': '4.37.2', 'a': 1})"
    )


def test_where_settings_came_from_does_not_make_them_others():
    read = GenerationConfig(top_k=4, extra={"_from_model_config": True, "_commit_hash": "a"})
    assert read == GenerationConfig(top_k=4)
    assert read != GenerationConfig(top_k=4, extra={"a": 1})
    assert read != GenerationConfig(top_k=5)
    assert read != {"top_k": 4}


@pytest.mark.parametrize("read", [GenerationConfig.from_dict, GenerationConfig.from_pretrained])
def test_overrides_when_reading(tmp_path, read):
    values = {"top_k": 4, "a": 1}
    (tmp_path / "generation_config.json").write_text(json.dumps(values))
    given = values if read == GenerationConfig.from_dict else tmp_path
    assert read(given, top_k=5) == GenerationConfig(top_k=5, extra={"a": 1})
    expected = (GenerationConfig(top_k=4, top_p=0.5, extra={"a": 1}), {"use_auth": 3})
    assert read(given, top_p=0.5, use_auth=3, return_unused_kwargs=True) == expected
    with pytest.raises(TypeError, match="no setting 'topp', did you mean 'top_p'"):
        read(given, topp=0.5)
    with pytest.raises(ValueError, match=r"^top_p is 5, expected above 0 and at most 1$"):
        read(given, top_p=5)


def test_files_of_other_names(tmp_path):
    settings = GenerationConfig(top_k=4)
    settings.save_pretrained(save_directory=tmp_path, config_file_name="short.json")
    assert GenerationConfig.from_pretrained(tmp_path, "short.json") == settings
    settings.to_json_file(tmp_path / "other.json", use_diff=False)
    assert json.loads((tmp_path / "other.json").read_text()) == settings.to_dict()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "short.json"]
    with pytest.raises(ValueError, match="^push_to_hub is True, expected False"):
        settings.save_pretrained(tmp_path, push_to_hub=True)


def test_what_could_not_be_read_again_is_not_saved(tmp_path):
    settings = GenerationConfig()
    settings.temperature = -3
    with pytest.raises(ValueError, match="^temperature is -3, expected a finite number above 0"):
        settings.save_pretrained(tmp_path)
    strange = GenerationConfig(extra={"a": object()})
    with pytest.raises(TypeError, match="^a setting holds a object, expected what JSON has a word"):
        strange.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_cache_of_the_hub(tmp_path, monkeypatch):
    folder = tmp_path / "models--facebook--xglm-564M"
    snapshot = folder / "snapshots" / ("0" * 40)
    GenerationConfig(top_k=4).save_pretrained(snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    read = GenerationConfig.from_pretrained(
        "facebook/xglm-564M", cache_dir=tmp_path, local_files_only=True, top_p=0.5
    )
    assert read == GenerationConfig(top_k=4, top_p=0.5)


def test_file_of_an_official_checkpoint(tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text(
        '{"_from_model_config": true, "bos_token_id": 0, "decoder_start_token_id": 2,'
        ' "eos_token_id": 2, "pad_token_id": 1, "transformers_version": "4.27.0.dev0"}'
    )
    settings = GenerationConfig.from_pretrained(tmp_path)
    assert settings == GenerationConfig(
        decoder_start_token_id=2,
        extra={"_from_model_config": True, "transformers_version": "4.27.0.dev0"},
    )
    settings.save_pretrained(tmp_path / "copy")
    assert GenerationConfig.from_pretrained(str(tmp_path / "copy")) == settings
    saved = json.loads((tmp_path / "copy" / "generation_config.json").read_text())
    assert saved == json.loads(path.read_text())


def test_numpy_numbers_are_saved_as_numbers(tmp_path):
    GenerationConfig(top_k=np.int64(4), top_p=np.float32(0.5)).save_pretrained(tmp_path)
    settings = GenerationConfig.from_pretrained(tmp_path)
    assert (settings.top_k, settings.top_p) == (4, 0.5)


def test_sequences_of_ids_come_back_from_a_file(tmp_path):
    settings = GenerationConfig(sequence_bias={(5, np.int64(6)): -1.5}, bad_words_ids=[[7]])
    settings.save_pretrained(tmp_path)
    again = GenerationConfig.from_pretrained(tmp_path)
    assert again.sequence_bias == [[[5, 6], -1.5]]
    assert again.bad_words_ids == [[7]]


def test_objects_are_not_saved(tmp_path):
    settings = GenerationConfig(num_beams=2, constraints=[object()])
    with pytest.raises(ValueError, match="^constraints are objects, expected None in settings"):
        settings.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    ['{"top_p": 3}', '{"top_k": "x"}', '{"num_beams": 0}', '{"a": NaN}', '{"a":1,"a":2}', "[]", ""],
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
