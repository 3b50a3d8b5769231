"""The recorded models, unpacked once."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden.record_tokenizer import unpack_models

from pyxglm.tokenization import XGLMTokenizer


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with small.model, large.model, bytes.model and identity.model."""
    folder = tmp_path_factory.mktemp("models")
    unpack_models(folder)
    return folder


@pytest.fixture(scope="session")
def shared(models: Path) -> XGLMTokenizer:
    """A tokenizer that no test may change."""
    return XGLMTokenizer(models / "large.model")


@pytest.fixture
def tokenizer(models: Path) -> XGLMTokenizer:
    """A tokenizer of the test's own."""
    return XGLMTokenizer(models / "small.model")
