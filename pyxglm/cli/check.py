"""``pyxglm check``: verify the C kernels, and time them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

from pyxglm.cli.anew import BLAS_THREADS, anew
from pyxglm.cli.arguments import Parser, UsageError, check_path
from pyxglm.cli.terminal import Output

EXAMPLES = """\
  pyxglm check
  pyxglm check --op 'lin*' --isa avx512 --cases 50
  pyxglm check --seed 2027 --json
  pyxglm check --bench --dtype float16
"""

#: What the C library is built to be compared with runs on one thread.
ONE_THREAD = dict.fromkeys(BLAS_THREADS, "1")


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "check [options]",
        "Verify every C kernel that this machine can run against the float64 reference, on"
        "\nrandom and adversarial inputs; with --bench, then time them. No model is needed."
        "\nShown is the largest error as a fraction of a derived bound. Exit code 1 if"
        "\nanything is wrong.",
        EXAMPLES,
    )
    parser.add_argument("--op", metavar="PATTERN", help="only these operations ('lin*')")
    parser.add_argument("--isa", metavar="PATTERN", help="only these instruction sets")
    parser.add_argument("--dtype", metavar="PATTERN", help="only these stored dtypes")
    parser.add_argument(
        "--cases",
        type=int,
        default=6,
        metavar="N",
        help="cases of each kind of numbers for each kernel (default: 6)",
    )
    parser.add_argument("--seed", type=int, metavar="S", help="same seed, same cases")
    parser.add_argument("--bench", action="store_true", help="time the kernels, too")
    parser.add_argument("--json", action="store_true", help="one JSON object when it is done")
    parser.add_argument(
        "--write-cases",
        metavar="DIR",
        help="write the cases to files for the standalone driver (csrc/check) instead",
    )
    return parser


def run(words: list[str], output: Output) -> int:
    """Check what the arguments ask for; return the exit code."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return 0
    check_path(arguments.write_cases, "--write-cases", "directory")
    if arguments.cases < 1:
        raise UsageError(f"--cases is {arguments.cases}, expected 1 or more")
    if arguments.seed is None:
        arguments.seed = int.from_bytes(os.urandom(4), "little")
    if arguments.seed < 0:
        raise UsageError(f"--seed is {arguments.seed}, expected 0 or more")
    if arguments.bench and any(os.environ.get(name) != "1" for name in ONE_THREAD):
        again = words if "--seed" in words else [*words, "--seed", str(arguments.seed)]
        return anew(["check", *again], ONE_THREAD)
    return _checked(arguments, output)


def _checked(arguments: argparse.Namespace, output: Output) -> int:
    from pyxglm.check import native, plan, report

    wanted_names = plan.Filter(arguments.op, arguments.isa, arguments.dtype)
    plan.check_names(wanted_names)
    if arguments.write_cases is not None:
        from pyxglm.check.files import write_cases

        if arguments.isa is not None:
            raise UsageError("--isa is given with --write-cases, whose cases are for all of them")
        count = write_cases(arguments.write_cases, wanted_names, arguments.seed, arguments.cases)
        if not count:
            raise UsageError("no case is wanted by --op and --dtype")
        output.write(f"{count} cases (seed {arguments.seed}) in {arguments.write_cases}\n")
        return 0
    wanted = plan.variants(wanted_names)
    if not wanted:
        raise UsageError("no kernel of this machine is wanted by --op, --isa and --dtype")

    cannot = plan.unavailable()
    if not arguments.json:
        output.write(f"{report.processor()}, seed {arguments.seed}\n")
        if cannot:
            output.write(f"this machine cannot run: {', '.join(cannot)}\n")
        output.write("\n")
    begun = time.monotonic()
    found = plan.check_all(wanted, arguments.seed, arguments.cases, _progress(arguments.json))
    _progress(arguments.json)(None)
    wrong = [variant for variant, outcome in found.items() if outcome.complaints]
    record: dict[str, Any] = {
        "cpu": report.processor(),
        "seed": arguments.seed,
        "cases": arguments.cases,
        "unavailable": cannot,
        "right": not wrong,
        "kernels": report.as_records(found),
    }
    if not arguments.json:
        output.write(report.verified(found, native.levels()) + "\n\n")
        if wrong:
            output.write(report.complaints(found) + "\n\n")
        seconds = time.monotonic() - begun
        output.write(
            f"{len(found)} kernels, {len(wrong)} wrong; {seconds:.0f} s"
            f" (largest error as a fraction of its bound; . = served by a level before it)\n"
        )
    if arguments.bench and not wrong:
        from pyxglm.check import bench

        record["bench"] = bench.run(wanted, None if arguments.json else output)
    if arguments.json:
        output.write_json(record)
    return 1 if wrong else 0


def _progress(quiet: bool) -> Any:
    """Return what shows, on a terminal, which kernel is being checked."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return lambda variant: None
    return lambda variant: print(f"\r\x1b[K{variant or ''}", end="", file=sys.stderr, flush=True)
