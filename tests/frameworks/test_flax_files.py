"""Flax's classes open what is there, and write what those of transformers open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frameworks.flax_models import build
from frameworks.harness import case_named

from pyxglm import (
    FlaxXGLMForCausalLM,
    FlaxXGLMModel,
    TFXGLMForCausalLM,
    XGLMConfig,
    XGLMForCausalLM,
    XGLMModel,
)
from pyxglm.checkpoint.names import paths

IDS = np.array([[5, 9, 7]])
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("safe_serialization", [False, True])
@pytest.mark.parametrize("name", ["lm", "untied", "bare"])
def test_a_round_trip(tmp_path: Path, name: str, safe_serialization: bool) -> None:
    model = build(case_named("flax", name))
    model.save_pretrained(tmp_path, safe_serialization=safe_serialization)
    files = {"config.json", "model.safetensors" if safe_serialization else "flax_model.msgpack"}
    if model.can_generate():
        files.add("generation_config.json")
    assert {path.name for path in tmp_path.iterdir()} == files
    fields = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert fields["architectures"] == [type(model).__name__.removeprefix("Flax")]
    again = type(model).from_pretrained(tmp_path)
    assert np.array_equal(again(IDS)[0], model(IDS)[0])
    found, wanted = paths(again.params), paths(model.params)
    assert found.keys() == wanted.keys()
    for path, array in wanted.items():
        assert np.array_equal(found[path], array), path
        assert not found[path].flags.writeable


def test_parameters_to_write_may_be_given(tmp_path: Path) -> None:
    model, other = build(case_named("flax", "lm")), build(case_named("flax", "lm"))
    other.params = FlaxXGLMForCausalLM(other.config, seed=8).params
    model.save_pretrained(tmp_path, params=model.to_fp16(other.params))
    fields = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert fields["torch_dtype"] == "float16"
    again = FlaxXGLMForCausalLM.from_pretrained(tmp_path, "float32")
    assert again.params["model"]["layer_norm"]["scale"].dtype == np.float16
    wanted = other(IDS, params=other.to_fp16(other.params)).logits
    assert np.array_equal(again(IDS).logits, wanted)
    model.generation_config.max_new_tokens = 7
    model.save_pretrained(tmp_path, max_shard_size=6000)
    assert (tmp_path / "flax_model.msgpack.index.json").is_file()
    again = FlaxXGLMForCausalLM.from_pretrained(tmp_path)
    assert again.generation_config.max_new_tokens == 7
    assert np.array_equal(again(IDS).logits, model(IDS).logits)


def test_a_model_without_parameters_gives_them_apart(tmp_path: Path) -> None:
    whole = build(case_named("flax", "lm"))
    whole.save_pretrained(tmp_path)
    model, params = FlaxXGLMForCausalLM.from_pretrained(tmp_path, _do_init=False, compat="4.37")
    assert model.compat == "4.37"
    with pytest.raises(ValueError, match="_do_init=False"):
        model(IDS)
    assert np.allclose(model(IDS, params=params).logits, whole(IDS).logits, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("safetensors-float32", {}),
        ("bin-float32", {}),
        ("bin-float16", {"from_pt": True}),
        ("safetensors-sharded-bfloat16", {"from_pt": True}),
        ("untied", {}),
    ],
)
def test_torch_files_open(name: str, more: dict[str, Any]) -> None:
    theirs = XGLMForCausalLM.from_pretrained(GOLDEN / "checkpoints" / name)
    model = FlaxXGLMForCausalLM.from_pretrained(GOLDEN / "checkpoints" / name, **more)
    assert ("lm_head" in model.params) == (name == "untied")
    theirs.set_position_table(model._positions.up_to(30))
    assert np.array_equal(model(IDS).logits, theirs(IDS).logits)
    bare = FlaxXGLMModel.from_pretrained(GOLDEN / "checkpoints" / name)
    assert np.array_equal(bare(IDS)[0], theirs.model(IDS)[0])


def test_torch_weights_are_not_copied() -> None:
    model = FlaxXGLMForCausalLM.from_pretrained(GOLDEN / "checkpoints" / "safetensors-float32")
    model(IDS)
    kernel = model.params["model"]["layers"]["0"]["fc1"]["kernel"]
    assert model._bound is not None
    computing = model._bound[1]._parameters["model.layers.0.fc1.weight"]
    assert np.shares_memory(kernel, computing)
    assert np.array_equal(kernel.T, computing)


def test_other_classes_open_what_flax_wrote(tmp_path: Path) -> None:
    model = build(case_named("flax", "lm"))
    model.save_pretrained(tmp_path)
    table = model._positions.up_to(30)
    for kind in (XGLMForCausalLM, TFXGLMForCausalLM):
        other: Any = kind.from_pretrained(tmp_path, from_flax=True)
        other.set_position_table(table)
        assert np.array_equal(other(IDS).logits, model(IDS).logits)
    assert XGLMModel.from_pretrained(tmp_path)(IDS)[0].shape == (1, 3, 16)


def test_which_file_is_preferred(tmp_path: Path) -> None:
    config = XGLMConfig(**case_named("flax", "lm")["config"])
    models = [FlaxXGLMForCausalLM(config, seed=seed) for seed in (1, 2)]
    models[0].save_pretrained(tmp_path)
    models[1].save_pretrained(tmp_path, safe_serialization=True)
    logits = [model(IDS).logits for model in models]

    def found(**more: Any) -> Any:
        return FlaxXGLMForCausalLM.from_pretrained(tmp_path, **more)(IDS).logits

    assert np.array_equal(found(), logits[0])
    assert np.array_equal(found(from_pt=True), logits[1])
    (tmp_path / "flax_model.msgpack").unlink()
    assert np.array_equal(found(), logits[1])
    with pytest.raises(FileNotFoundError, match=r"looked for flax_model.msgpack"):
        found(from_flax=True)
    with pytest.raises(TypeError, match="'d_model' is given, expected nothing beside a config"):
        found(config=config, d_model=16)


def test_a_model_of_the_hub_is_found_by_either_framework_files(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--some--model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    model = build(case_named("flax", "lm"))
    place = {"cache_dir": tmp_path, "local_files_only": True}
    for name, form in (("flax_model.msgpack", "flax"), ("tf_model.h5", "tf")):
        snapshot = repository / "snapshots" / commit
        kind: Any = FlaxXGLMForCausalLM if form == "flax" else TFXGLMForCausalLM
        if form == "tf":
            kind.from_pretrained(snapshot).save_pretrained(snapshot)
            (snapshot / "flax_model.msgpack").unlink()
        else:
            model.save_pretrained(snapshot)
        assert (snapshot / name).is_file()
        found = kind.from_pretrained("some/model", **place)
        assert np.allclose(found(IDS).logits, model(IDS).logits, atol=1e-5)
        other = {"from_tf": True} if form == "flax" else {"from_flax": True}
        with pytest.raises(FileNotFoundError, match="is incomplete in the cache"):
            kind.from_pretrained("some/model", **place, **other)
