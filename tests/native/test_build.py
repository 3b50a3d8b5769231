"""Installing: with a compiler, without one, and without C on purpose."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from processes import environment

ROOT = Path(__file__).parents[2]

#: Builds a distribution as pip does, and prints its name.
HOOK = "import sys, setuptools.build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that a build needs, and of the package what has to do with C."""
    place = tmp_path / "project"
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "csrc", place / "csrc", ignore=ignore)
    shutil.copytree(ROOT / "pyxglm" / "ops", place / "pyxglm" / "ops", ignore=ignore)
    for name in ("pyproject.toml", "build_ext.py", "LICENSE", "pyxglm/__init__.py"):
        shutil.copy(ROOT / name, place / name)
    shutil.copy(ROOT / "pyxglm" / "_version.py", place / "pyxglm")
    (place / "README.md").write_text("A package.\n")
    return place


def build(project: Path, what: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HOOK, f"build_{what}", str(project.parent)],
        cwd=project,
        env=environment(PYTHONPATH="", **changes),
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_without_c_on_purpose(project: Path) -> None:
    found = build(project, "wheel", PYXGLM_PURE="1", CC="/no/such/cc")
    name = found.stdout.split()[-1]
    assert re.fullmatch(r"pyxglm-[\d.]+-py3-none-any\.whl", name), found.stderr
    names = zipfile.ZipFile(project.parent / name).namelist()
    assert "pyxglm/ops/reference.py" in names
    assert not [n for n in names if "_kernels" in n or n.startswith("csrc")]


def test_without_a_compiler_the_build_stops_with_one_sentence(project: Path) -> None:
    found = build(project, "wheel", CC="/no/such/cc")
    assert found.returncode != 0
    assert found.stderr.splitlines()[-1] == (
        "error: pyxglm's C kernels cannot be built because the C compiler '/no/such/cc' was not "
        "found: install it (on Debian: apt install gcc), or set PYXGLM_PURE=1 to install without C."
    )


def test_without_python_headers_the_build_stops_with_one_sentence(project: Path) -> None:
    script = project / "build_ext.py"
    text = script.read_text()
    assert '"Python.h"' in text
    script.write_text(text.replace('"Python.h"', '"NoSuchPython.h"'))
    found = build(project, "wheel")
    assert found.returncode != 0
    last = found.stderr.splitlines()[-1]
    assert last.startswith("error: pyxglm's C kernels cannot be built because ")
    assert last.endswith(
        "NoSuchPython.h was not found: install it (on Debian: apt install python3-dev), "
        "or set PYXGLM_PURE=1 to install without C."
    )


def test_the_wheel_of_a_cpython_serves_later_ones(project: Path) -> None:
    # One file is enough to see the names; compiling all of them takes long.
    for path in project.glob("csrc/**/*.c"):
        path.write_text("")
    found = build(project, "wheel", CFLAGS="-O0")
    name = found.stdout.split()[-1]
    assert re.fullmatch(r"pyxglm-[\d.]+-cp310-abi3-linux_\w+\.whl", name), found.stderr
    names = zipfile.ZipFile(project.parent / name).namelist()
    assert [n for n in names if "_kernels" in n] == ["pyxglm/ops/_kernels.abi3.so"]


def test_a_source_distribution_has_every_c_file(project: Path) -> None:
    found = build(project, "sdist")
    name = found.stdout.split()[-1]
    with tarfile.open(project.parent / name) as archive:
        inside = {member.name.split("/", 1)[-1] for member in archive if member.isfile()}
    sources = {p.relative_to(project).as_posix() for p in project.glob("csrc/**/*") if p.is_file()}
    assert sources | {"build_ext.py", "pyproject.toml", "README.md"} <= inside, found.stderr


def test_without_kernels_the_package_computes_in_numpy(project: Path) -> None:
    # The whole package, but not its extension.
    ignore = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "pyxglm", project / "pyxglm", ignore=ignore, dirs_exist_ok=True)
    code = """
import pyxglm
from pyxglm.ops import available_backends
print(available_backends())
config = pyxglm.XGLMConfig(vocab_size=9, d_model=8, ffn_dim=8, num_layers=1, attention_heads=2)
print(pyxglm.XGLMForCausalLM(config)([[3, 4]]).logits.shape)
for refused in (lambda: pyxglm.XGLMForCausalLM(config, backend="c"), lambda: pyxglm.use_isa):
    try:
        refused()
    except (ValueError, ImportError) as error:
        print(type(error).__name__, error)
"""
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=environment(PYTHONPATH=str(project), PYXGLM_BACKEND=""),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    lines = found.stdout.splitlines()
    assert lines[:3] == [
        "('numpy',)",
        "(1, 2, 9)",
        "ValueError backend is 'c', expected one of: numpy",
    ]
    assert lines[3].startswith("ImportError pyxglm's C kernels cannot be loaded (")
