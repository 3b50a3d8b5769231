"""What the benchmarks share: where results go, and what stands in each of them.

A result is one JSON file, ``benchmarks/results/<machine>/<what>.json``. Beside what was
measured it holds the machine, the software and the limits, so that it can be read alone.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from pyxglm import tiny
from pyxglm.bench import machine, shapes
from pyxglm.cli.terminal import say

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PLOTS = HERE / "plots"


def parser(description: str, *, model: bool = True) -> argparse.ArgumentParser:
    """Return a parser of the arguments that most of the benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--machine", metavar="NAME", help="name of the machine in the results")
    if model:
        parser.add_argument("-r", "--rounds", type=int, default=5, help="of each job (default: 5)")
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--shape", default="564M", choices=shapes.SHAPES)
        group.add_argument("--tiny", action="store_true", help="the bundled model: to try this out")
        parser.add_argument("--dtype", default="float16", choices=shapes.DTYPES)
    return parser


def checkpoint(arguments: argparse.Namespace) -> Path:
    """Return the directory of the model that is to be measured."""
    if arguments.tiny:
        return tiny.PATH
    return shapes.checkpoint_of(arguments.shape, arguments.dtype, say)


def environment() -> dict[str, Any]:
    """Return the machine and the software."""
    return {**machine.description(), "date": time.strftime("%Y-%m-%d", time.gmtime())}


def machine_name(found: dict[str, Any]) -> str:
    """Return a machine's name for files: its processor, CPUs and instruction set.

    >>> machine_name({"cpu": "Intel(R) Xeon(R) CPU @ 2.00GHz", "cpus": 2, "isa": "amx"})
    'intel-xeon-cpu-2-00ghz-2-amx'
    """
    words = f"{found['cpu']} {found['cpus']} {found['isa'] or 'numpy'}".lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", words)).strip("-")


def path_of(arguments: argparse.Namespace, what: str, about: dict[str, Any]) -> Path:
    """Return the path of a result that was found in an `environment`."""
    folder: Path = arguments.results / (arguments.machine or machine_name(about))
    return folder / f"{what}.json"


def write(
    arguments: argparse.Namespace, what: str, found: dict[str, Any], *, tell: bool = True
) -> Path:
    """Write a result, as a whole or not at all, and return its path."""
    path = path_of(arguments, what, found["environment"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    if tell:
        print(f"\nwritten: {path}")
    return path


def machines(results: Path) -> dict[str, dict[str, Any]]:
    """Return all results by machine and by what was measured."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(results.glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(path.parent.name, {})[path.stem] = content
    return found
