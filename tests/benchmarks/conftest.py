"""The scripts in ``benchmarks/``, imported as they import each other."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

#: All but those that draw, which need more than the tests do.
SCRIPTS = (
    "common", "rows", "runtimes", "sameness", "pairs", "contexts", "kernels", "model", "peers",
    "generation", "readme",
)  # fmt: skip

#: What workers share.
SHARED = ("protocol", "strategies", "checkpoint", "converted", "stepping", "labels", "arrays")


def loaded(folder, names):
    """Import modules of a folder, alone with their short names.

    The tests' own folders have some of these, too.
    """
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        return {name: importlib.import_module(name) for name in names}.__getitem__
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)


@pytest.fixture(scope="session")
def script():
    """Return a script by its name."""
    return loaded(FOLDER, SCRIPTS)


@pytest.fixture(scope="session")
def shared():
    """Return a module that workers share by its name."""
    return loaded(FOLDER / "workers", SHARED)
