"""Time `generate` beside transformers on the bundled model, where overhead is what counts.

python benchmarks/generation.py --torch-python path/to/venv/bin/python

The same prompt and options for both (`workers/strategies.py`), one text at a time, in
turns; transformers' model is in eval mode, in float32.
"""

from __future__ import annotations

import common
from rows import GENERATION
from runtimes import Absent, in_turns, started

from pyxglm import tiny
from pyxglm.bench import machine
from pyxglm.ops.cpus import default_threads


def main() -> None:
    """Measure and write."""
    parser = common.parser("Time generate beside transformers.", model=False)
    counts = sorted({1, default_threads()})
    parser.add_argument("-r", "--rounds", type=int, default=5, help="of each job (default: 5)")
    parser.add_argument("-t", "--threads", type=int, nargs="+", default=counts, metavar="N")
    parser.add_argument("--rows", nargs="*", choices=GENERATION, default=list(GENERATION))
    parser.add_argument("--torch-python", metavar="PATH", help="interpreter that has transformers")
    arguments = parser.parse_args()

    limits = machine.Measured(arguments.threads)
    limits.try_again()
    jobs = {name: GENERATION[name].job for name in arguments.rows}
    runtimes, rows = [], []
    for threads in arguments.threads:
        same = {"model": tiny.PATH, "threads": threads}
        absent = Absent("no --torch-python was given")
        workers = {
            "pyxglm": started("pyxglm_worker.py", **same),
            "transformers": started("torch_worker.py", python=arguments.torch_python, **same)
            if arguments.torch_python
            else absent,
        }
        timed = in_turns(workers, jobs, arguments.rounds)
        for worker in workers.values():
            worker.close()
        runtimes = [{"runtime": name, **worker.about} for name, worker in workers.items()]
        rows += [
            {"name": name, "title": GENERATION[name].title, "threads": threads,
             "tokens": jobs[name].tokens, "runtimes": by_runtime}
            for name, by_runtime in timed.items()
        ]  # fmt: skip
    found = {
        "environment": common.environment(),
        "limits": {"read": limits.read, "fma": limits.fma},
        "runtimes": runtimes,
        "rows": rows,
    }
    common.write(arguments, "generation", found)


if __name__ == "__main__":
    main()
