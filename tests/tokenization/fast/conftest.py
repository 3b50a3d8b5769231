"""The recorded models with their documents, unpacked once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from golden.record_fast_tokenizer import results
from golden.record_tokenizer import unpack_models
from golden.tokenizer_documents import write_documents

from pyxglm.tokenization import XGLMTokenizerFast


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with NAME.model, NAME-hub.json and NAME-saved.json of each model, and bpe.json.

    A file of the hub's kind has no right strip; one of the saved kind is what
    transformers makes of the model.
    """
    folder = tmp_path_factory.mktemp("documents")
    unpack_models(folder)
    write_documents(folder)
    (folder / "bpe.json").write_text(json.dumps(results()["bpe"]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def shared_fast(documents: Path) -> XGLMTokenizerFast:
    """A tokenizer of the hub's kind that no test may change."""
    return XGLMTokenizerFast(tokenizer_file=documents / "large-hub.json")


@pytest.fixture
def fast(documents: Path) -> XGLMTokenizerFast:
    """A tokenizer of the test's own, converted from a model."""
    return XGLMTokenizerFast(documents / "small.model")
