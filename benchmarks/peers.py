"""Time pyxglm beside other runtimes: the same weights, the same jobs, in turns, in one run.

python benchmarks/peers.py --torch-python path/to/venv/bin/python

Each runtime is a process of its own (`workers/`). One whose interpreter is not given, or
that cannot start, is reported as absent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import common
from rows import COLD, ROWS
from runtimes import Absent, cold, in_turns, peaks, started

from pyxglm.bench import machine
from pyxglm.ops.cpus import default_threads


class Peer(NamedTuple):
    """A runtime that pyxglm is set beside."""

    script: str
    option: str  # of this program, that names the interpreter of its virtual environment
    words: tuple[str, ...] = ()


#: A further runtime is a line here and a file in `workers/`.
PEERS = {
    "torch float32": Peer("torch_worker.py", "torch", ("float32",)),
}


def main() -> None:
    """Measure and write."""
    parser = common.parser("Time pyxglm beside other runtimes.")
    parser.add_argument("-t", "--threads", type=int, default=default_threads())
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW")
    for option in dict.fromkeys(peer.option for peer in PEERS.values()):
        parser.add_argument(
            f"--{option}-python",
            metavar="PATH",
            help=f"interpreter of an environment with {option}",
        )
    arguments = parser.parse_args()
    model = common.checkpoint(arguments)

    limits = machine.Measured([arguments.threads])
    starts: dict[str, Any] = {"pyxglm": {"script": "pyxglm_worker.py"}}
    for name, peer in PEERS.items():
        python = getattr(arguments, f"{peer.option}_python")
        settings = {"script": peer.script, "options": peer.words, "python": python}
        starts[name] = settings if python else None
    same = {"model": model, "threads": arguments.threads}
    workers = {
        name: started(**start, **same)
        if start
        else Absent(f"no --{PEERS[name].option}-python was given")
        for name, start in starts.items()
    }
    for name, worker in workers.items():
        print(f"{name:<18}{worker.about.get('absent') or worker.about['name']}")
    limits.try_again()
    timed = in_turns(workers, {name: ROWS[name].job for name in arguments.rows}, arguments.rounds)
    limits.try_again()
    for worker in workers.values():
        worker.close()
    cold_starts, memory = {}, {}
    for name, worker in workers.items():
        if isinstance(worker, Absent):
            cold_starts[name], memory[name] = {"error": worker.why}, []
        else:
            cold_starts[name] = cold(arguments.rounds, **starts[name], **same)
            memory[name] = peaks(**starts[name], **same)
    found = {
        "environment": common.environment(),
        "limits": {"read": limits.read, "fma": limits.fma},
        "threads": arguments.threads,
        "runtimes": [{"runtime": name, **worker.about} for name, worker in workers.items()],
        "rows": [
            {"name": name, "title": ROWS[name].title, "tokens": ROWS[name].job.tokens,
             "runtimes": by_runtime}
            for name, by_runtime in timed.items()
        ],
        "cold": {"title": COLD.title, "runtimes": cold_starts},
        "memory": memory,
    }  # fmt: skip
    common.write(arguments, "peers", found)


if __name__ == "__main__":
    main()
