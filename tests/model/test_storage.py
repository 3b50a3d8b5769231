"""half, float, to and their kind: they change how weights are stored, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, lm

from pyxglm.dtypes import bfloat16, convert
from pyxglm.modeling import XGLMForCausalLM

METHODS = {"half": "float16", "bfloat16": "bfloat16", "float": "float32", "double": "float64"}


@pytest.mark.parametrize("make", [lm, bare])
@pytest.mark.parametrize("method", METHODS)
def test_storage_by_name(method: str, make: Any) -> None:
    model, wanted = make(), make()
    assert getattr(model, method)() is model
    for mine, theirs in zip(model.parameters(), wanted.parameters(), strict=True):
        assert mine.tobytes() == convert(theirs, METHODS[method]).tobytes()
        assert mine.dtype == model.dtype
    # Arithmetic is float32 all the same: the outputs are those of the rounded weights.
    output = model(IDS)
    assert output[0].dtype == np.float32
    rounded = type(model).from_weights(
        model.config, {name: convert(a, "float32") for name, a in model.state_dict().items()}
    )
    assert apart(rounded(IDS)[0], output[0]) <= 1e-6
    spent = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}[METHODS[method]]
    assert model.get_memory_footprint() == spent * model.num_parameters()


@pytest.mark.parametrize(
    "given", ["float16", "torch.float16", np.float16, np.dtype("f2"), np.half(1).dtype]
)
def test_storage_by_any_name_of_a_dtype(given: Any) -> None:
    for model in (lm().to(given), lm().to(dtype=given), lm().astype(given)):
        assert model.dtype == np.float16
    assert lm().astype(bfloat16).dtype == bfloat16


def test_what_was_rounded_stays_rounded() -> None:
    model = lm()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    model.half().float()
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name].astype("f2").astype("f4"))
    assert model.cpu() is model
    with pytest.raises(ValueError, match="^dtype is 'cpu', expected one of float32"):
        model.astype("cpu")


def test_the_inner_model_is_stored_as_the_whole() -> None:
    model = lm()
    assert model.model.half().dtype == model.dtype == np.float16
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_auto_is_what_the_configuration_says(tmp_path: Path) -> None:
    model = lm(dtype="float16")
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    for word, stored in (('"float32"', np.float32), ('"bfloat16"', bfloat16), ("null", np.float16)):
        path.write_text(
            path.read_text().replace('"torch_dtype": "float16"', f'"torch_dtype": {word}')
        )
        for keyword in ("dtype", "torch_dtype"):
            found = XGLMForCausalLM.from_pretrained(tmp_path, **{keyword: "auto"})
            assert found.dtype == stored
        assert XGLMForCausalLM.from_pretrained(tmp_path).dtype == np.float16
        model.config.save_pretrained(tmp_path)
        model.save_pretrained(tmp_path)


def test_options_of_saving(tmp_path: Path) -> None:
    model = lm()
    model.save_pretrained(tmp_path / "none", is_main_process=False)
    assert not (tmp_path / "none").exists()
    doubled = {name: array * 2 for name, array in model.state_dict().items()}
    model.save_pretrained(tmp_path / "given", True, doubled, safe_serialization=True)
    again = XGLMForCausalLM.from_pretrained(tmp_path / "given")
    for name, array in again.state_dict().items():
        assert np.array_equal(array, doubled[name])
    narrow = {name: array.astype("f2") for name, array in model.state_dict().items()}
    model.save_pretrained(tmp_path / "narrow", state_dict=narrow)
    assert XGLMForCausalLM.from_pretrained(tmp_path / "narrow", dtype="auto").dtype == np.float16
    del doubled["model.layer_norm.bias"]
    with pytest.raises(ValueError, match=r"^weights: model\.layer_norm\.bias is missing"):
        model.save_pretrained(tmp_path / "less", state_dict=doubled)
    with pytest.raises(ValueError, match="^safe_serialization is False, expected True"):
        model.save_pretrained(tmp_path / "pickled", safe_serialization=False)
    with pytest.raises(ValueError, match="^push_to_hub is True, expected False"):
        model.save_pretrained(tmp_path / "pushed", push_to_hub=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "narrow"]


def test_what_needs_nothing_here_is_accepted_when_opening(tmp_path: Path) -> None:
    lm().save_pretrained(tmp_path)
    for given in (
        {"low_cpu_mem_usage": True}, {"device_map": "auto"}, {"device_map": {"": "cpu"}},
        {"attn_implementation": "eager"},
    ):  # fmt: skip
        assert XGLMForCausalLM.from_pretrained(tmp_path, **given).device == "cpu"
    for device in ("cuda", {"": 0}, {"model": "cpu"}):
        with pytest.raises(ValueError, match="^device_map is .*, expected 'cpu' or 'auto'"):
            XGLMForCausalLM.from_pretrained(tmp_path, device_map=device)
    with pytest.raises(ValueError, match="^attn_implementation is 'sdpa', expected 'eager'"):
        XGLMForCausalLM.from_pretrained(tmp_path, attn_implementation="sdpa")
