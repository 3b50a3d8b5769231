"""Time pyxglm beside other runtimes: the same weights, the same jobs, in turns.

python benchmarks/peers.py --torch-python path/to/venv/bin/python --onnx-python …

Each runtime is a process of its own (`workers/`). One after the other is set beside
pyxglm, and the two take turns at every job: memory holds two models, not all. One whose
interpreter is not given, that cannot start, or that computes something else is reported as
absent. The result is written after each row.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import common
from rows import COLD, FEW, ROWS, SLOW
from runtimes import cold, in_turns, peaks, started
from sameness import COARSE, EXACT, HALF, refusal

from pyxglm.bench import machine
from pyxglm.ops.cpus import default_threads


class Peer(NamedTuple):
    """A runtime that pyxglm is set beside."""

    script: str
    option: str  # of this program, that names the interpreter of its virtual environment
    words: tuple[str, ...] = ()
    beside: str = "pyxglm"  # which of `OWN`
    tolerance: float = EXACT


#: pyxglm as it is, and in its coarser mode, which stands beside others that are as coarse.
OWN = {"pyxglm": (), "pyxglm bfloat16": ("compute=bfloat16",)}

#: A further runtime is a line here and a file in `workers/`.
PEERS = {
    "torch float32": Peer("torch_worker.py", "torch", ("float32",)),
    "ONNX Runtime": Peer("onnx_worker.py", "onnx"),
    "CTranslate2": Peer("ctranslate2_worker.py", "ctranslate2"),
    "OpenVINO": Peer("openvino_worker.py", "openvino"),
    "llama.cpp F16, as GPT-2": Peer("llama_cpp_worker.py", "llama-cpp", tolerance=HALF),
    "torch bfloat16": Peer("torch_worker.py", "torch", ("bfloat16",), "pyxglm bfloat16", COARSE),
}

#: What is measured beside the rows, by the names that ``--rows`` has for it.
MORE = ("cold", "memory")


class Results:
    """What has been found so far, in its file."""

    def __init__(self, arguments: argparse.Namespace, model: Path) -> None:
        self.arguments = arguments
        self.limits = machine.Measured([arguments.threads])
        self.found: dict[str, Any] = {
            "environment": common.environment(),
            "limits": {},
            "model": model.name,
            "threads": arguments.threads,
            "runtimes": [],
            "rows": [],
            "cold": {"title": COLD.title, "pairs": {}},
            "memory": {},
        }
        if arguments.resume:
            self.found = self._earlier()
            for name, kept in self.found["limits"].items():
                getattr(self.limits, name).update({int(key): kept[key] for key in kept})

    def _earlier(self) -> dict[str, Any]:
        """Return what is in the file, if it was found here and now but for the time."""
        path = common.path_of(self.arguments, "peers", self.found["environment"])
        try:
            earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SystemExit(f"{path}: there is no such file, expected one to continue") from None
        for key, now, then in (
            *((key, self.found[key], earlier[key]) for key in ("model", "threads")),
            *((key, now, earlier["environment"].get(key)) for key, now in
              self.found["environment"].items() if key != "date"),
        ):  # fmt: skip
            if now != then:
                raise SystemExit(f"{path}: {key} is {then}, expected {now} to continue")
        return earlier

    def look_at_limits(self) -> None:
        """Measure the machine's limits once more."""
        self.limits.try_again()
        self.found["limits"] = {"read": self.limits.read, "fma": self.limits.fma}

    def runtime(self, name: str, about: dict[str, Any]) -> None:
        """Note what a runtime is, or why it is absent."""
        known = {one["runtime"]: one for one in self.found["runtimes"]}
        known[name] = {"runtime": name, **about}
        order = [one for peer, about in PEERS.items() for one in (about.beside, peer)]
        self.found["runtimes"] = sorted(known.values(), key=lambda one: order.index(one["runtime"]))
        self.write()

    def row(self, name: str, peer: str, pair: dict[str, Any]) -> None:
        """Note a row of a pair."""
        rows = {row["name"]: row for row in self.found["rows"]}
        row = ROWS[name]
        rows.setdefault(
            name, {"name": name, "title": row.title, "tokens": row.job.tokens, "pairs": {}}
        )["pairs"][peer] = pair
        self.found["rows"] = [rows[one] for one in ROWS if one in rows]
        self.write()

    def write(self, *, tell: bool = False) -> None:
        """Write the file."""
        common.write(self.arguments, "peers", self.found, tell=tell)


def beside(results: Results, name: str, python: str, model: Path) -> None:
    """Measure one runtime beside pyxglm."""
    peer, arguments = PEERS[name], results.arguments
    same = {"model": model, "threads": arguments.threads}
    starts = {
        peer.beside: partial(started, "pyxglm_worker.py", options=OWN[peer.beside], **same),
        name: partial(started, peer.script, options=peer.words, python=python, **same),
    }
    workers = {one: start() for one, start in starts.items()}
    abouts = {one: worker.about for one, worker in workers.items()}
    abouts[name]["beside"] = peer.beside
    if not any("absent" in about for about in abouts.values()):
        why = refusal(workers[name], workers[peer.beside], model, peer.tolerance)
        if why:
            abouts[name] = {"absent": why}
    present = not any("absent" in about for about in abouts.values())
    for one, about in abouts.items():
        print(f"{one:<26}{about.get('absent') or about['name']}", flush=True)
        results.runtime(one, about)
    for row in ROWS:
        if present and row in arguments.rows:
            rounds = min(arguments.rounds, FEW) if row in SLOW else arguments.rounds
            results.row(row, name, in_turns(workers, {row: ROWS[row].job}, rounds)[row])
    for worker in workers.values():
        worker.close()
    if present and "cold" in arguments.rows:
        results.found["cold"]["pairs"][name] = cold(starts, arguments.rounds)
        results.write()
    if present and "memory" in arguments.rows:
        for one, start in starts.items():
            if one == name or one not in results.found["memory"]:
                results.found["memory"][one] = peaks(start)
                results.write()


def main() -> None:
    """Measure and write."""
    parser = common.parser("Time pyxglm beside other runtimes.")
    parser.add_argument("-t", "--threads", type=int, default=default_threads())
    choices = {"rows": (*ROWS, *MORE), "peers": tuple(PEERS)}
    for name, every in choices.items():
        parser.add_argument(
            f"--{name}",
            nargs="*",
            choices=every,
            default=every,
            metavar=name[:-1].upper(),
            help=f"of {', '.join(map(repr, every))} (default: all)",
        )
    parser.add_argument(
        "--continue",
        action="store_true",
        dest="resume",
        help="keep what is in the file of an earlier run, and add to it",
    )
    for option in dict.fromkeys(peer.option for peer in PEERS.values()):
        parser.add_argument(
            f"--{option}-python",
            metavar="PATH",
            help=f"interpreter of an environment with {option}",
        )
    arguments = parser.parse_args()
    model = common.checkpoint(arguments)
    results = Results(arguments, model)
    for name in arguments.peers:
        option = PEERS[name].option
        python = getattr(arguments, f"{option.replace('-', '_')}_python")
        if python:
            results.look_at_limits()
            beside(results, name, python, model)
        elif name not in {one["runtime"] for one in results.found["runtimes"]}:
            results.runtime(name, {"absent": f"no --{option}-python was given"})
    results.look_at_limits()
    results.write(tell=True)


if __name__ == "__main__":
    main()
