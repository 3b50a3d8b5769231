"""A small checkpoint with random weights and a trained tokenizer, for the command line."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import sentencepiece

import pyxglm
from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.cli import main
from pyxglm.generation import GenerationConfig

#: Where the package that is being tested lies.
PLACE = Path(pyxglm.__file__).parents[1]
SENTENCES = [
    "the cat sat on the mat and looked at the moon",
    "la capitale du Japon est Tokyo, n'est-ce pas ?",
    "das Meer ist blau und der Himmel ist es auch!",
    "москва стоит на реке, а река течёт на юг.",
    "東京は日本の首都です。",
    "one two three four five six seven eight nine ten",
] * 5


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A model of 2 layers in float16 that hardly ever ends its text."""
    directory = tmp_path_factory.mktemp("checkpoint")
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=proto,
        vocab_size=80,
        character_coverage=1.0,
        minloglevel=2,
    )
    (directory / "sentencepiece.bpe.model").write_bytes(proto.getvalue())
    config = XGLMConfig(
        vocab_size=88, d_model=32, ffn_dim=48, num_layers=2, attention_heads=4, init_std=0.3
    )
    XGLMForCausalLM(config, seed=5, dtype="float16").save_pretrained(directory)
    return directory


def variant(source: Path, directory: Path, **changes) -> Path:
    """A copy of a checkpoint with other settings of generation."""
    shutil.copytree(source, directory)
    GenerationConfig(**changes).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def endless(checkpoint, tmp_path_factory) -> Path:
    """The same model, whose texts never end."""
    return variant(checkpoint, tmp_path_factory.mktemp("endless") / "model", eos_token_id=None)


@pytest.fixture(scope="session")
def abrupt(checkpoint, tmp_path_factory) -> Path:
    """The same model, whose texts end with their first token."""
    target = tmp_path_factory.mktemp("abrupt") / "model"
    return variant(checkpoint, target, eos_token_id=list(range(88)))


@pytest.fixture
def with_settings(checkpoint, tmp_path):
    """Make a copy of the model with settings of its own in generation_config.json."""

    def make(**changes) -> Path:
        return variant(checkpoint, tmp_path / "with_settings", **changes)

    return make


@pytest.fixture
def pyxglm(capsys):
    """Run a command line in this process; return its code and what it wrote."""

    def run(*words: object) -> SimpleNamespace:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def process():
    """Run a command line in a process of its own."""

    def run(*words, environment=(), redirect="", text=True, **options):
        command = [sys.executable, "-m", "pyxglm", *words]
        if redirect:  # to redirect as only a shell can
            command = ["sh", "-c", f'exec "$@" {redirect}', "sh", *command]
        return subprocess.run(
            command,
            cwd=tempfile.gettempdir(),  # not where the source may lie, without what was built
            env=child_environment(environment),
            capture_output=True,
            text=text,
            check=False,
            timeout=60,
            **options,
        )

    return run


@pytest.fixture
def started():
    """Start a command line in a process of its own, with pipes of bytes."""
    running = []

    def start(*words, **others) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **others}
        command = [sys.executable, "-m", "pyxglm", *words]
        process = subprocess.Popen(
            command, cwd=tempfile.gettempdir(), env=child_environment(), **pipes
        )
        watchdog = threading.Timer(60, process.kill)  # or reading from it could last for ever
        watchdog.start()
        running.append((process, watchdog))
        return process

    yield start
    for process, watchdog in running:
        watchdog.cancel()
        process.kill()
        process.communicate()


def child_environment(changes=()) -> dict[str, str]:
    """The environment of a child that runs the package which is being tested."""
    unwanted = ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LC_CTYPE")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    return {**kept, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(PLACE), **dict(changes)}
