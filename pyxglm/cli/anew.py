"""A command in a new process: NumPy's BLAS decides on its threads when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyxglm

#: What a BLAS reads when it is loaded.
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: This package, whatever lies in the directory that the process is started in.
CODE = (
    "import sys; sys.path[0] = sys.argv.pop(1);"
    " from pyxglm.cli import main; sys.exit(main(sys.argv[1:]))"
)


def anew(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command of this package with more in its environment; return its exit code."""
    place = str(Path(pyxglm.__file__).parents[1])
    command = [sys.executable, "-c", CODE, place, *words]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode  # noqa: S603
