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
        ("num_beams", 0, "num_beams is 0, expected 1 or more"),
        ("repetition_penalty", -1.2, "repetition_penalty is -1.2, expected a finite number abo"),
        ("diversity_penalty", -1, "diversity_penalty is -1, expected a finite number, 0 or more"),
        ("length_penalty", float("inf"), "length_penalty is inf, expected a finite number"),
        ("min_p", 1.5, "min_p is 1.5, expected from 0 to 1"),
        ("epsilon_cutoff", 1, "epsilon_cutoff is 1, expected 0 or more and below 1"),
        ("early_stopping", "soon", "early_stopping is 'soon', expected True, False or 'never'"),
        ("newline", "tab", "newline is 'tab', expected 'space' or 'eos'"),
        ("bad_words_ids", [[5], []], "bad_words_ids[1] is an empty list, expected ids or None"),
        ("force_words_ids", [[5], [[6], []]], "force_words_ids[1][1] is an empty list, expected"),
        ("suppress_tokens", [5, -1], "suppress_tokens[1] is -1, expected 0 or more"),
        ("sequence_bias", {}, "sequence_bias is empty, expected ids and numbers, or None"),
        ("sequence_bias", {(5, -6): 1.0}, "sequence_bias[0][1] is -6, expected 0 or more"),
        ("forced_decoder_ids", [[1, -5]], "forced_decoder_ids[0][1] is -5, expected 0 or more"),
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
        ("max_length", 2.5),
        ("do_sample", 1),
        ("do_sample", None),
        ("use_cache", 0),
        ("bos_token_id", 1.5),
        ("eos_token_id", "2"),
        ("return_dict_in_generate", 1),
        ("bad_words_ids", 5),
        ("bad_words_ids", [5]),
        ("sequence_bias", [[5, 1.0]]),
        ("sequence_bias", {(5,): "1"}),
        ("forced_decoder_ids", [5]),
        ("exponential_decay_length_penalty", 1.1),
        ("stop_strings", [""]),
        ("stop_strings", [5]),
        ("seed", 1.5),
    ],
)
def test_impossible_types(name, value):
    with pytest.raises(TypeError, match=f"^{name}( |\\[)"):
        GenerationConfig(**{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_beam_groups": 2, "diversity_penalty": 1.0}, "num_beams is 1, expected a multiple"),
        ({"num_beams": 4, "num_beam_groups": 3}, "num_beams is 4, expected a multiple of num_bea"),
        ({"num_beams": 4, "num_beam_groups": 2}, "diversity_penalty is 0.0, expected more: the 2"),
        ({"num_beams": 4, "diversity_penalty": 0.5}, "diversity_penalty is 0.5, expected 0.0: it"),
        (
            {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0, "do_sample": True},
            "do_sample is True, expected False: groups of beams are not drawn",
        ),
        ({"force_words_ids": [[5]]}, "num_beams is 1, expected 2 or more: force_words_ids need a"),
        (
            {"force_words_ids": [[5]], "num_beams": 2, "do_sample": True},
            "do_sample is True, expected False: force_words_ids need a beam search",
        ),
        ({"penalty_alpha": 0.6, "do_sample": True}, "do_sample is True, expected False: penalty_"),
        ({"penalty_alpha": 0.6, "num_beams": 2}, "num_beams is 2, expected 1: penalty_alpha asks"),
        ({"penalty_alpha": 0.6, "top_k": 1}, "top_k is 1, expected 2 or more: penalty_alpha asks"),
        ({"penalty_alpha": 0.6, "use_cache": False}, "use_cache is False, expected True: penalty"),
        ({"prompt_lookup_num_tokens": 3, "num_beams": 2}, "num_beams is 2, expected 1: prompt_lo"),
        ({"num_return_sequences": 2}, "num_return_sequences is 2, expected 1: without do_sample"),
        (
            {"num_return_sequences": 3, "num_beams": 2},
            "num_return_sequences is 3, expected at most num_beams, which is 2",
        ),
        (
            {"min_new_tokens": 5, "max_new_tokens": 4},
            "min_new_tokens is 5, expected at most max_new_tokens, which is 4",
        ),
    ],
)
def test_contradictions(settings, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        GenerationConfig(**settings)
    assert str(caught.value).startswith(message)


def test_a_null_is_the_default(tmp_path):
    """Unless it turns something off; transformers 4.37.2 generates the same with either."""
    off = {
        "min_length", "temperature", "top_k", "top_p", "typical_p", "epsilon_cutoff",
        "eta_cutoff", "repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size", "pad_token_id", "bos_token_id", "eos_token_id",
    }  # fmt: skip
    nulls = dict.fromkeys(GenerationConfig().to_dict().keys() - off - {"do_sample"})
    (tmp_path / "generation_config.json").write_text(json.dumps(nulls))
    read = GenerationConfig.from_pretrained(tmp_path)
    assert read == GenerationConfig()
    assert read.generation_kwargs == {}
    assert read.generation_kwargs is not GenerationConfig.from_dict(nulls).generation_kwargs
    for name in off:
        assert getattr(GenerationConfig.from_dict({name: None}), name) is None


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


def test_update_changes_all_or_nothing():
    settings = GenerationConfig(top_k=4)
    assert settings.update(top_k=5, num_beams=None, attention_mask=7) == {"attention_mask": 7}
    assert (settings.top_k, settings.num_beams) == (5, 1)
    with pytest.raises(ValueError, match="^top_p is 2, expected above 0"):
        settings.update(top_k=6, top_p=2)
    assert settings == GenerationConfig(top_k=5)


def test_eos_ids():
    assert GenerationConfig().eos_ids == (2,)
    assert GenerationConfig(eos_token_id=[4, 5]).eos_ids == (4, 5)


def test_special_ids_of_a_model():
    config = SimpleNamespace(bos_token_id=5, pad_token_id=None, eos_token_id=[7])
    settings = GenerationConfig.from_model_config(config)
    assert (settings.bos_token_id, settings.pad_token_id, settings.eos_token_id) == (5, None, [7])
