"""What the tests of the bundled model share: the corpus is built once."""

from __future__ import annotations

import pytest

from pyxglm.tiny.corpus.stream import build
from pyxglm.tiny.prompts import read


@pytest.fixture(scope="session")
def corpus():
    return build()


@pytest.fixture(scope="session")
def prompts():
    return read()
