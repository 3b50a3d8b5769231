"""The scripts in ``benchmarks/``, imported as they import each other."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

#: All but those that draw, which need more than the tests do.
SCRIPTS = ("common", "rows", "runtimes", "kernels", "model", "peers", "generation", "readme")


@pytest.fixture(scope="session")
def script():
    """Return a script by its name.

    They are alone with their short names, some of which the tests' own folders have, too.
    """
    others = {name: sys.modules.pop(name) for name in SCRIPTS if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        loaded = {name: importlib.import_module(name) for name in SCRIPTS}
    finally:
        sys.path.remove(str(FOLDER))
        for name in SCRIPTS:
            sys.modules.pop(name, None)
        sys.modules.update(others)
    return loaded.__getitem__
