"""The rules of the house: sizes, imports, forbidden names, examples that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pyxglm

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    p for folder in ("pyxglm", "tests", "benchmarks") for p in (ROOT / folder).rglob("*.py")
)

#: The longest file, and the two that a reader of the model opens.
MOST_LINES = 350
MOST_LINES_TO_READ = 700

#: All that may stand at the top of the repository, besides files with a dot.
TOP_LEVEL = {
    "LICENSE", "README.md", "benchmarks", "build_ext.py", "csrc", "pyproject.toml", "pyxglm",
    "tests",
}  # fmt: skip

#: Modules that need more than the package's dependencies: tools, run by hand.
TOOLS = {"torch", "transformers"}


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def modules():
    """Every module of the package that can be imported without a tool."""
    found = [pyxglm.__name__]
    found += [info.name for info in pkgutil.walk_packages(pyxglm.__path__, "pyxglm.")]
    python = [name for name in found if source(name).exists()]  # and not the C extension
    return [name for name in python if not TOOLS & imported(source(name))]


def source(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_every_module_is_found():
    packages = {path.parent for path in (ROOT / "pyxglm").rglob("*.py")}
    assert [str(folder) for folder in packages if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_file_fits_in_a_head(path):
    assert lines(path) <= MOST_LINES


def test_the_model_can_be_read_in_one_sitting(capsys):
    counts = {name: lines(ROOT / "pyxglm" / name) for name in ("ops/reference.py", "decoder.py")}
    with capsys.disabled():
        print(f"\nlines to read: {counts}, together {sum(counts.values())}")
    assert sum(counts.values()) <= MOST_LINES_TO_READ


def test_the_top_level_is_fixed():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        entries = {line.split("/")[0] for line in listed.stdout.splitlines()}
    else:  # not a clone: an unpacked archive, in which something may have been built
        entries = {path.name for path in ROOT.iterdir()} - {"build", "dist", "pyxglm.egg-info"}
    assert {entry for entry in entries if not entry.startswith(".")} <= TOP_LEVEL


def child(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_importing_the_package_loads_numpy_and_the_standard_library():
    code = (
        "import sys, numpy; before = set(sys.modules);"
        " import pyxglm; {}print(*(set(sys.modules) - before))"
    )
    loaded = child(code.format(""))
    assert {name.split(".")[0] for name in loaded.split()} <= {"pyxglm", *sys.stdlib_module_names}
    # The same for the classes that most programs begin with.
    loaded = child(code.format("pyxglm.XGLMForCausalLM, pyxglm.XGLMConfig; "))
    others = {name.split(".")[0] for name in loaded.split()} - set(sys.stdlib_module_names)
    assert others <= {"pyxglm", "numpy"}


def test_the_public_names_exist():
    assert set(pyxglm.__all__) <= set(dir(pyxglm))
    for name in pyxglm.__all__:
        assert getattr(pyxglm, name) is not None


def test_nothing_unpickles():
    """A .bin file is read by a machine of the package's own: pickle would run its code."""
    words = re.compile(r"\b(pickle\s*\.\s*loads?|Unpickler|_pickle|cPickle|marshal\.load)")
    for path in (ROOT / "pyxglm").rglob("*.py"):
        assert not words.search(path.read_text()), path
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "_pickle"):
                assert not {"load", "loads", "Unpickler"} & {alias.name for alias in node.names}


def test_the_package_never_imports_a_tool():
    """Only the training script may use torch, and nothing imports that."""
    tools = [path for path in (ROOT / "pyxglm").rglob("*.py") if TOOLS & imported(path)]
    assert all(path.is_relative_to(ROOT / "pyxglm" / "tiny") for path in tools)
    stems = {path.stem for path in tools}
    for path in (ROOT / "pyxglm").rglob("*.py"):
        if path not in tools:
            text = path.read_text()
            assert not [stem for stem in stems if re.search(rf"import .*\b{stem}\b", text)], path


@pytest.mark.parametrize("name", modules())
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert results.failed == 0


def test_every_operation_of_the_reference_has_an_example():
    from pyxglm.ops import reference

    public = [
        value
        for name, value in vars(reference).items()
        if callable(value) and not name.startswith("_") and value.__module__ == reference.__name__
    ]
    assert len(public) >= 15
    without = [function.__name__ for function in public if ">>>" not in (function.__doc__ or "")]
    assert without == []


def test_nothing_is_skipped_or_left_to_do():
    this = Path(__file__)
    forbidden = re.compile(
        r"\b(TODO|FIXME|XXX|pytest\.skip|mark\.skip|skipif|importorskip|xfail)\b"
    )
    for path in SOURCES:
        if path != this:
            found = forbidden.search(path.read_text())
            assert found is None, f"{path}: {found and found.group()}"
