"""The README is true: its commands and its example run, and show what it shows."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import pyxglm
from pyxglm.cli import HELP

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [block for name, block in BLOCKS if name == language]


def run(command: list[str]) -> str:
    """Run a command as a reader would, with the package that is being tested."""
    place = str(Path(pyxglm.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": place, "LC_ALL": "C.UTF-8", "COLUMNS": "80"}
    result = subprocess.run(
        command,
        cwd=tempfile.gettempdir(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert result.stderr == ""
    return result.stdout


def test_the_python_examples():
    examples, shown = blocks("python"), blocks("text")
    assert len(examples) == len(shown) >= 2
    assert all(len([line for line in code.splitlines() if line]) <= 6 for code in examples)
    assert run([sys.executable, "-c", "".join(examples)]) == "".join(shown)


def consoles() -> list[tuple[str, str]]:
    """Each command that is shown with its output."""
    return [tuple(block.removeprefix("$ ").split("\n", 1)) for block in blocks("console")]


@pytest.mark.parametrize(("command", "shown"), consoles())
def test_the_commands_show_what_they_print(command, shown):
    program, *words = shlex.split(command)
    assert program == "pyxglm"
    assert run([sys.executable, "-m", "pyxglm", *words]) == shown


def test_the_help_is_shown():
    assert ("pyxglm --help", HELP) in consoles()


def test_the_set_up_is_two_commands_in_a_virtual_environment():
    """.ci/run finds these lines in the README and runs them."""
    assert blocks("sh") == [
        "python3 -m venv .venv && . .venv/bin/activate\n",
        'pip install . && pyxglm generate "La capitale du Japon est"\n'
        'pip install ".[test]" && pytest\n',
    ]
    script = (ROOT / ".ci" / "run").read_text()
    for pattern in re.findall(r"\$\(readme '(.*)'\)", script):
        assert len(re.findall(f"^{pattern}$", TEXT, re.MULTILINE)) == 1


def test_it_says_what_it_is_in_three_lines():
    title, what, rest = TEXT.split("\n\n", 2)
    assert title == "# pyxglm"
    assert len(what.splitlines()) == 3
    assert rest.startswith("```sh\n")


def test_every_path_exists():
    paths = re.findall(r"`((?:pyxglm|tests|benchmarks|\.ci)/[\w./-]*)`", TEXT)
    paths += re.findall(r"(?:python|pytest) ((?:tests|benchmarks)/\S+?)`", TEXT)
    paths += re.findall(r"\]\(([^)#]+)\)", TEXT)  # links
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_room_of_the_package_is_on_the_map():
    rooms = [path.parent for path in (ROOT / "pyxglm").glob("*/__init__.py")]
    assert len(rooms) >= 6
    assert [room.name for room in rooms if f"`pyxglm/{room.name}/" not in TEXT] == []


def test_the_bounds_are_those_of_the_tests():
    from parity.harness import TOLERANCES

    assert TOLERANCES == {"float32": 2e-5, "float64": 1e-10}
    assert re.search(r"^\| outputs against transformers .* \| 2e-5 \|", TEXT, re.MULTILINE)
    assert re.search(r"^\| the same in float64, .* \| 1e-10 \|", TEXT, re.MULTILINE)


def test_the_modules_it_runs_exist():
    modules = re.findall(r"python -m ([\w.]+)", TEXT)
    assert modules
    for module in modules:
        assert importlib.util.find_spec(module) is not None
