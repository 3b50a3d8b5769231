"""from_pretrained and save_pretrained: what a model is survives being written and opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, config, encoder_states, lm

import pyxglm
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16, convert
from pyxglm.modeling import XGLMForCausalLM, XGLMModel


def same(one: Any, other: Any) -> None:
    state, wanted = one.state_dict(), other.state_dict()
    assert list(state) == list(wanted)
    for name, array in wanted.items():
        assert state[name].dtype == array.dtype
        assert state[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", [XGLMForCausalLM, XGLMModel])
def test_round_trip(kind: Any, tied: bool, dtype: str, tmp_path: Path) -> None:
    model = kind(config(tie_word_embeddings=tied), seed=2, dtype=dtype)
    before = json.loads(model.config.to_json_string())
    model.save_pretrained(tmp_path / "new")
    assert json.loads(model.config.to_json_string()) == before  # saving changes no model
    fields = json.loads((tmp_path / "new" / "config.json").read_text())
    assert fields["torch_dtype"] == dtype
    assert fields["architectures"] == [kind.__name__]
    again = kind.from_pretrained(tmp_path / "new")
    same(again, model)
    assert again.dtype == (bfloat16 if dtype == "bfloat16" else dtype)
    assert np.array_equal(again(IDS)[0], model(IDS)[0])
    assert again.name_or_path == str(tmp_path / "new")


def test_either_class_opens_what_the_other_has_saved(tmp_path: Path) -> None:
    model = lm()
    model.save_pretrained(tmp_path / "lm")
    inner = XGLMModel.from_pretrained(tmp_path / "lm")
    assert np.array_equal(inner(IDS)[0], model.model(IDS)[0])
    inner.save_pretrained(tmp_path / "bare")
    same(XGLMForCausalLM.from_pretrained(tmp_path / "bare"), model)


def test_an_untied_head_that_is_not_there_is_missed_only_by_who_needs_it(tmp_path: Path) -> None:
    bare(tie_word_embeddings=False).save_pretrained(tmp_path)
    XGLMModel.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"lm_head\.weight"):
        XGLMForCausalLM.from_pretrained(tmp_path)


def test_changed_models(tmp_path: Path) -> None:
    model = lm(add_cross_attention=True, dtype="float16")
    model.prune_heads({1: [0]})
    model.resize_token_embeddings(31)
    model.save_pretrained(tmp_path)
    again = XGLMForCausalLM.from_pretrained(tmp_path)
    same(again, model)
    assert again.config.pruned_heads == {1: [0]}
    states = encoder_states()
    wanted = model(IDS, encoder_hidden_states=states).logits
    assert np.array_equal(again(IDS, encoder_hidden_states=states).logits, wanted)


@pytest.mark.parametrize("keyword", ["dtype", "torch_dtype"])
def test_another_storage(keyword: str, tmp_path: Path) -> None:
    model = lm(dtype="float16")
    model.save_pretrained(tmp_path)
    for wanted in ("float32", "bfloat16", "torch.float16", np.float32):
        found = XGLMForCausalLM.from_pretrained(tmp_path, **{keyword: wanted})
        for mine, theirs in zip(found.parameters(), model.parameters(), strict=True):
            assert mine.tobytes() == convert(theirs, wanted).tobytes()
    assert XGLMForCausalLM.from_pretrained(tmp_path, **{keyword: "auto"}).dtype == np.float16
    with pytest.raises(ValueError, match="^dtype is 'int8', expected one of"):
        XGLMForCausalLM.from_pretrained(tmp_path, **{keyword: "int8"})


def test_settings_and_overrides(tmp_path: Path) -> None:
    lm().save_pretrained(tmp_path)
    model = XGLMForCausalLM.from_pretrained(
        str(tmp_path), compute="float64", loss_type="hf-4.37", use_cache=False
    )
    output = model(IDS)
    assert output.logits.dtype == np.float64
    assert output.past_key_values is None
    assert model.loss_type == "hf-4.37"
    own = XGLMConfig.from_pretrained(tmp_path, activation_function="relu")
    changed = XGLMForCausalLM.from_pretrained(tmp_path, config=own)
    assert apart(changed(IDS).logits, output.logits) > 1e-3
    with pytest.raises(TypeError, match="'use_cache' is given, expected nothing beside a config"):
        XGLMForCausalLM.from_pretrained(tmp_path, config=own, use_cache=False)
    with pytest.raises(TypeError, match="'colour' is given, expected a field of XGLMConfig"):
        XGLMForCausalLM.from_pretrained(tmp_path, colour="red")


def test_loading_info(tmp_path: Path) -> None:
    lm().save_pretrained(tmp_path)
    model, info = XGLMForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(model, XGLMForCausalLM)
    assert info == {
        "missing_keys": [], "unexpected_keys": [], "mismatched_keys": [], "error_msgs": []
    }  # fmt: skip


def test_saving_onto_the_files_that_the_model_is_mapped_from(tmp_path: Path) -> None:
    lm().save_pretrained(tmp_path)
    model = XGLMForCausalLM.from_pretrained(tmp_path)
    wanted = model(IDS).logits
    model.resize_token_embeddings(30)
    model.save_pretrained(tmp_path)
    assert np.array_equal(model(IDS).logits[..., :23], wanted)
    same(XGLMForCausalLM.from_pretrained(tmp_path), model)


@pytest.mark.parametrize("kind", ["", "TF", "Flax"])
def test_what_cannot_be_written_is_noticed_before_anything_is(kind: str, tmp_path: Path) -> None:
    """The weights do not change where what lies beside them cannot be written."""
    model = getattr(pyxglm, f"{kind}XGLMForCausalLM")(config())
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = getattr(pyxglm, f"{kind}XGLMForCausalLM")(config(), seed=9)
    other.config.note = object()
    with pytest.raises((TypeError, ValueError), match="object"):
        other.save_pretrained(tmp_path)
    del other.config.note
    other.generation_config.constraints = [object()]
    with pytest.raises(ValueError, match="constraints"):
        other.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    other.generation_config.constraints = None
    other.save_pretrained(tmp_path)
    assert sum(before[path.name] != path.read_bytes() for path in tmp_path.iterdir()) == 1


def test_mapped_weights_cannot_be_written_to(tmp_path: Path) -> None:
    lm().save_pretrained(tmp_path)
    model = XGLMForCausalLM.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        model.get_input_embeddings().weight[0] = 1


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        XGLMForCausalLM.from_pretrained(tmp_path)
    config().save_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        XGLMForCausalLM.from_pretrained(tmp_path)
