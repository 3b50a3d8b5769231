"""`pyxglm convert`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
import resource
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyxglm import XGLMForCausalLM

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_checkpoint_of_fairseq(pyxglm, tmp_path):
    source = GOLDEN / "fairseq" / "namespace-mevo"
    result = pyxglm("convert", source, tmp_path / "new", "--dtype", "float32")
    assert result.code == 0
    assert result.out == f"{tmp_path / 'new' / 'model.safetensors'}\n"
    model = XGLMForCausalLM.from_pretrained(tmp_path / "new")
    assert model.config.activation_function == "relu"
    assert model.config.torch_dtype == "float32"
    told = result.err.splitlines()
    assert [int(line.split()[1]) for line in told] == sorted({int(x.split()[1]) for x in told})
    assert told[-1].startswith("pyxglm: 100 % done, checking model.")


def test_what_is_converted_generates_the_same(pyxglm, checkpoint, tmp_path):
    done = pyxglm("convert", checkpoint, tmp_path / "new", "--max-shard-size", "10KB")
    assert done.code == 0
    assert len(done.out.splitlines()) > 1
    words = ("generate", "-n", "5", "the cat")
    assert pyxglm(*words, "-m", tmp_path / "new").out == pyxglm(*words, "-m", checkpoint).out


def test_the_file_alone_may_be_named(pyxglm, tmp_path):
    result = pyxglm("convert", GOLDEN / "fairseq" / "dicts" / "model.pt", tmp_path / "new")
    assert result.code == 0


def test_where_the_shell_stands(pyxglm, tmp_path, monkeypatch):
    """The directory stays the one that the shell is in."""
    monkeypatch.chdir(tmp_path)
    result = pyxglm("convert", GOLDEN / "fairseq" / "dicts", ".")
    assert result.code == 0
    assert result.out == f"{tmp_path / 'model.safetensors'}\n"
    assert Path("config.json").exists()


def test_a_full_disk(pyxglm, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        result = pyxglm("convert", GOLDEN / "fairseq" / "dicts", tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert last == f"pyxglm: {tmp_path / 'new' / 'model.safetensors'}: File too large"
    assert not [*tmp_path.iterdir()]


def test_progress_on_a_terminal(pyxglm, tmp_path, monkeypatch):
    written = []
    terminal = SimpleNamespace(isatty=lambda: True, write=written.append, flush=lambda: None)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert pyxglm("convert", GOLDEN / "fairseq" / "dicts", tmp_path / "new").code == 0
    shown = "".join(written)
    assert "\n" not in shown
    assert shown.startswith("\r\x1b[K")
    assert "\r\x1b[K100% checking model.layer_norm.bias" in shown
    assert shown.endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "0 arguments are given, expected SRC and DST"),
        (["a"], "1 arguments are given, expected SRC and DST"),
        (["a", "b", "c"], "3 arguments are given"),
        (["./absent", "b"], "'./absent': there is no such directory"),
        ([str(GOLDEN / "fairseq" / "dicts"), ""], "DST is '', expected the name of a directory"),
        (["", "b"], "'' is neither a directory nor a hub id"),
        (["a", "b", "--cache-dir", ""], "--cache-dir is '', expected the name of a directory"),
        (["a", "b", "--dtype", "int8"], "argument --dtype: invalid choice: 'int8'"),
        (["a", "b", "--max-shard-size", "x"], "max_shard_size is 'x', expected a positive"),
    ],
)
def test_bad_usage(pyxglm, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = pyxglm("convert", *words)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(f"pyxglm: {message}")
    assert result.err.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_another_model_and_a_full_destination(pyxglm, tmp_path):
    source = tmp_path / "gpt2"
    shutil.copytree(GOLDEN / "checkpoints" / "bin-float16", source)
    fields = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    (source / "config.json").write_text(json.dumps(fields))
    result = pyxglm("convert", source, tmp_path / "new")
    assert result.code == 2
    assert (
        "model_type is 'gpt2', architectures are ['GPT2LMHeadModel']: a checkpoint of" in result.err
    )
    result = pyxglm("convert", GOLDEN / "fairseq" / "dicts", source)
    assert result.code == 2
    assert "is not empty, expected a directory that is new or empty" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["gpt2"]
