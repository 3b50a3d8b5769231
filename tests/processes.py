"""Run Python code in a process of its own, with the package that is being tested."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pyxglm


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, in which the same package is found; an empty string unsets."""
    place = str(Path(pyxglm.__file__).parents[1])
    merged = {**os.environ, "PYTHONPATH": place, **changes}
    return {name: value for name, value in merged.items() if value}


def python(code: str, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run code (indented as in the test) to its end.

    Not from here: ``-c`` looks in the current directory first, where the package's source may
    lie without what was built from it.
    """
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=tempfile.gettempdir(),
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=100,
    )


def read_some(process: subprocess.Popen[bytes], least: int) -> bytes:
    """Read at least so many bytes of what a process writes."""
    data = b""
    assert process.stdout is not None
    while len(data) < least:
        piece = process.stdout.read1()  # type: ignore[attr-defined]
        assert piece, "the output ended early"
        data += piece
    return data
