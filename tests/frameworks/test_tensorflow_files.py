"""TensorFlow's classes open what is there, and write what those of transformers open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks.harness import case_named, weights_of

from pyxglm import TFXGLMForCausalLM, TFXGLMModel, XGLMConfig, XGLMForCausalLM, XGLMModel
from pyxglm.parameters import EMBEDDING, HEAD

IDS = np.array([[5, 9, 7]])


def build(name: str = "head_of_its_own") -> TFXGLMForCausalLM:
    case = case_named("tf", name)
    return TFXGLMForCausalLM.from_weights(XGLMConfig(**case["config"]), weights_of(case))


@pytest.mark.parametrize("safe_serialization", [False, True])
def test_a_round_trip_keeps_the_head(tmp_path: Path, safe_serialization: bool) -> None:
    model = build()
    model.generation_config.max_new_tokens = 7
    model.save_pretrained(tmp_path, safe_serialization=safe_serialization)
    name = "model.safetensors" if safe_serialization else "tf_model.h5"
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "generation_config.json", name,
    }  # fmt: skip
    fields = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert fields["architectures"] == ["XGLMForCausalLM"]
    again = TFXGLMForCausalLM.from_pretrained(tmp_path)
    assert again.config.tie_word_embeddings
    assert again.generation_config.max_new_tokens == 7
    assert np.array_equal(again(IDS).logits, model(IDS).logits)
    for key, array in model.state_dict().items():
        assert np.array_equal(again.state_dict()[key], array), key


def test_the_torch_class_ties_the_head_of_such_a_file(tmp_path: Path) -> None:
    model = build()
    model.save_pretrained(tmp_path)
    theirs = XGLMForCausalLM.from_pretrained(tmp_path, from_tf=True)
    assert HEAD not in theirs._parameters
    assert not np.array_equal(theirs(IDS).logits, model(IDS).logits)
    hidden = TFXGLMModel.from_pretrained(tmp_path)(IDS)[0]
    assert np.array_equal(theirs.model(IDS)[0], hidden)


def test_torch_files_open_and_the_embedding_becomes_the_head(tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "checkpoints"
    for name, more in [
        ("safetensors-float32", {}), ("bin-float32", {}), ("bin-float32", {"from_pt": True}),
        ("safetensors-sharded-float16", {"from_pt": True}), ("bin-sharded-bfloat16", {}),
    ]:  # fmt: skip
        theirs = XGLMForCausalLM.from_pretrained(golden / name)
        model = TFXGLMForCausalLM.from_pretrained(golden / name, **more)
        assert model.dtype == theirs.dtype
        assert model.lm_head.weight is model.get_input_embeddings().weight
        assert np.array_equal(model(IDS).logits, theirs(IDS).logits)
    half = TFXGLMForCausalLM.from_pretrained(golden / "safetensors-float32", dtype="float16")
    assert half.lm_head.weight is half.get_input_embeddings().weight
    model.save_pretrained(tmp_path, safe_serialization=True)  # the embedding is not written twice
    assert HEAD not in XGLMForCausalLM.from_pretrained(tmp_path)._parameters
    assert TFXGLMForCausalLM.from_pretrained(tmp_path).state_dict().keys() == {
        *theirs.state_dict(), HEAD
    }  # fmt: skip


def test_which_file_is_preferred(tmp_path: Path) -> None:
    weights = weights_of(case_named("tf", "lm"))
    config = XGLMConfig(**case_named("tf", "lm")["config"])
    models = []
    for factor in (1.0, 1.5):
        scaled = {n: w * np.float32(factor) if n == EMBEDDING else w for n, w in weights.items()}
        models.append(TFXGLMForCausalLM.from_weights(config, scaled))
    models[0].save_pretrained(tmp_path)
    models[1].save_pretrained(tmp_path, safe_serialization=True)

    def scale(**more: Any) -> float:
        found = TFXGLMForCausalLM.from_pretrained(tmp_path, **more)
        return float(found.state_dict()[EMBEDDING][5, 5] / weights[EMBEDDING][5, 5])

    assert scale() == scale(from_pt=True) == 1.5
    assert scale(from_tf=True) == 1.0
    with pytest.raises(ValueError, match="from_tf and from_pt are both given"):
        scale(from_tf=True, from_pt=True)
    (tmp_path / "model.safetensors").unlink()
    assert scale() == 1.0
    with pytest.raises(FileNotFoundError, match=r"looked for pytorch_model.bin, .*safetensors"):
        scale(from_pt=True)


def test_shards_and_bare_models(tmp_path: Path) -> None:
    whole, bare = tmp_path / "whole", tmp_path / "bare"
    model = build()
    model.save_pretrained(whole, max_shard_size=6000)
    assert (whole / "tf_model.h5.index.json").is_file()
    assert np.array_equal(TFXGLMForCausalLM.from_pretrained(whole)(IDS).logits, model(IDS).logits)
    small = TFXGLMModel.from_pretrained(whole, compat="4.37")
    assert small.compat == "4.37"
    small.save_pretrained(bare)
    again = TFXGLMModel.from_pretrained(bare)
    assert np.array_equal(again(IDS)[0], XGLMModel.from_pretrained(whole, from_tf=True)(IDS)[0])


def test_a_setting_of_another_class_is_refused(tmp_path: Path) -> None:
    build().save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="'loss_type' is no setting of TFXGLMModel"):
        TFXGLMModel.from_pretrained(tmp_path, loss_type="standard")
    with pytest.raises(TypeError, match="'compat' is no setting of XGLMForCausalLM"):
        XGLMForCausalLM.from_pretrained(tmp_path, compat="4.37")
    with pytest.raises(ValueError, match="compat is '4.30'"):
        TFXGLMForCausalLM.from_pretrained(tmp_path, compat="4.30")
