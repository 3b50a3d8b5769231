"""Configurations both ways, tables of published checkpoints, numbers of parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden.compare import FOLDER

import pyxglm
from pyxglm import XGLMConfig, XGLMForCausalLM, XGLMModel, XGLMTokenizer, archive

API = json.loads((FOLDER / "api.json").read_text(encoding="utf-8"))
CONFIGS = API["configs"]


def built(recorded: dict[str, Any]) -> XGLMConfig:
    return XGLMConfig(**recorded["fields"], pruned_heads=recorded["pruned_heads"])


@pytest.mark.parametrize("name", CONFIGS)
def test_what_transformers_writes_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(CONFIGS[name]["theirs"], encoding="utf-8")
    read = XGLMConfig.from_pretrained(tmp_path)
    assert read == built(CONFIGS[name])
    # and written again as it was, but for the version of the library.
    fields = json.loads(CONFIGS[name]["theirs"])
    assert fields.pop("transformers_version") == "4.37.2"
    assert json.loads(read.to_json_string()) == fields


@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_written_transformers_reads(name: str) -> None:
    recorded = CONFIGS[name]
    config = built(recorded)
    assert config.to_json_string() == recorded["ours"]  # the text that the oracle was given
    found = json.loads(json.dumps(config.to_dict()))
    for key, value in recorded["read"].items():
        assert found[config.attribute_map.get(key, key)] == value, key
    assert len(recorded["read"]) >= 28


@pytest.mark.parametrize("name", API["archives"])
def test_the_tables_of_published_checkpoints(name: str) -> None:
    assert getattr(archive, name) == API["archives"][name]
    if name.startswith(("XGLM_", "TF_")):
        assert getattr(pyxglm, name) is getattr(archive, name)


def test_the_tokenizer_has_its_tables() -> None:
    tables = API["archives"]
    assert XGLMTokenizer.vocab_files_names == tables["VOCAB_FILES_NAMES"]
    assert XGLMTokenizer.pretrained_vocab_files_map == tables["PRETRAINED_VOCAB_FILES_MAP"]
    assert XGLMTokenizer.max_model_input_sizes == tables["PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES"]


@pytest.mark.parametrize("wanted", API["num_parameters"])
def test_the_number_of_parameters(wanted: dict[str, Any]) -> None:
    kind = {"XGLMModel": XGLMModel, "XGLMForCausalLM": XGLMForCausalLM}[wanted["kind"]]
    model = kind(XGLMConfig(**wanted["config"]))
    found = model.num_parameters(wanted["only_trainable"], wanted["exclude_embeddings"])
    assert found == wanted["count"]
