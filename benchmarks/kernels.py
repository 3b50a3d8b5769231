"""Time every kernel of this machine: what ``pyxglm check --bench`` shows, as a result file.

python benchmarks/kernels.py
"""

from __future__ import annotations

import os
import sys

import common

from pyxglm.check import bench, plan
from pyxglm.cli.check import ONE_THREAD
from pyxglm.cli.terminal import Output


def main() -> None:
    """Measure and write."""
    parser = common.parser("Time every kernel of this machine.", model=False)
    parser.add_argument("--op", metavar="PATTERN", help="only these operations")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        # NumPy's BLAS decides on its threads when it is loaded, and that has happened.
        os.environ.update(ONE_THREAD)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    wanted = plan.variants(plan.Filter(op=arguments.op))
    found = bench.run(wanted, Output())
    common.write(arguments, "kernels", {"environment": common.environment(), **found})


if __name__ == "__main__":
    main()
