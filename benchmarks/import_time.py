"""How long ``import pyxglm`` takes beyond ``import numpy``: ``python benchmarks/import_time.py``.

Each import is timed in a fresh process by Python's own clock, many times, the
two in turn; printed are the medians and their difference. The aim is a
difference of at most 30 ms; the exit code says whether it was met.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 21
AIM_MS = 30.0

CODE = "from time import perf_counter as now; begun = now(); import {}; print(now() - begun)"


def milliseconds(modules: str) -> float:
    """Time an import in a fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", CODE.format(modules)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return 1000 * float(result.stdout)


def main() -> int:
    """Measure and print."""
    milliseconds("numpy, pyxglm")  # compile and cache everything once
    pairs = [(milliseconds("numpy"), milliseconds("numpy, pyxglm")) for _ in range(RUNS)]
    numpy_ms, both_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    added = both_ms - numpy_ms
    print(f"import numpy          {numpy_ms:7.1f} ms")
    print(f"import numpy, pyxglm  {both_ms:7.1f} ms")
    print(f"added by pyxglm       {added:7.1f} ms (aim: at most {AIM_MS:.0f}; median of {RUNS})")
    return 0 if added <= AIM_MS else 1


if __name__ == "__main__":
    sys.exit(main())
