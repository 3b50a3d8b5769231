"""The machine: its name, its limits, and what was built for it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyxglm
from pyxglm.ops import available_backends

#: What compilers leave in a library to tell which they were.
_COMPILERS = re.compile(rb"(?:GCC: \([^)]*\) [\d.]+|clang version [\d.]+)")


class Measured:
    """How fast this machine reads and multiplies: the best of all attempts so far.

    Memory for an attempt is taken and given back, so that it is not counted as a
    model's. Without C kernels nothing can be measured, and nothing is known.

    Parameters
    ----------
    threads
        Numbers of threads that will be asked for.
    """

    def __init__(self, threads: Iterable[int] = ()) -> None:
        self._threads = tuple(threads)
        self.read: dict[int, float] = {}
        self.fma: dict[int, dict[str, float]] = {}

    def try_again(self) -> None:
        """Measure once more, if that is possible here."""
        if "c" not in available_backends():
            return
        from pyxglm.check import native
        from pyxglm.check.limits import Limits

        isas = {isa: level for isa, level in native.levels().items() if level is not None}
        found = Limits(isas, self._threads)
        for count, rate in found.read.items():
            self.read[count] = max(rate, self.read.get(count, 0))
        for count, rates in found.fma.items():
            best = self.fma.setdefault(count, {})
            for isa, rate in rates.items():
                best[isa] = max(rate, best.get(isa, 0))

    def rates(self, threads: int, isa: str | None) -> tuple[float, float] | None:
        """Return bytes and operations a second; None if they were not measured.

        For an instruction set that has no peak of its own, the best of all; so for
        None: NumPy chooses its own.
        """
        if threads not in self.read:
            return None
        peaks = self.fma[threads]
        multiply = peaks[isa] if isa in peaks else max(peaks.values())
        return self.read[threads], multiply


#: Files that hold what was measured, not what measures: to write them changes no software.
RESULTS = ("benchmarks/results", "benchmarks/plots")


def commit(root: Path = Path(pyxglm.__file__).parents[1]) -> str:
    """Return the commit that is running, with ``-dirty`` if changed; or ``"unknown"``.

    Results of benchmarks may have changed: the second of two runs is of the same commit as
    the first.
    """
    if not (root / ".git").exists():  # installed: a repository around it is another's
        return "unknown"
    besides = [f":(exclude){path}" for path in RESULTS]
    try:
        name = _git(root, "rev-parse", "--short", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *besides)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}-dirty" if changed else name


def _git(root: Path, *words: str) -> str:
    """Return what git says of a repository."""
    command = ["git", "-C", str(root), *words]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return found.stdout.strip()


def compiler() -> str | None:
    """Return which compiler built the C kernels, if the library still tells."""
    library = find_spec("pyxglm.ops._kernels")
    if library is None or library.origin is None:
        return None
    found = _COMPILERS.search(Path(library.origin).read_bytes())
    return found[0].decode() if found else "unknown"


def description() -> dict[str, Any]:
    """Return what a reader of results must know of the machine and the software."""
    import numpy as np

    from pyxglm.check.report import processor
    from pyxglm.ops.cpus import allowed_cpus

    found: dict[str, Any] = {
        "cpu": processor(),
        "cpus": allowed_cpus(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "memory": _memory(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyxglm": pyxglm.__version__,
        "commit": commit(),
        "compiler": compiler(),
        "isa": None,
    }
    if "c" in available_backends():
        from pyxglm.ops.native_library import isa

        found["isa"] = isa()
    return found


def _memory() -> int | None:
    """Return the bytes of memory that the machine has, if the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
