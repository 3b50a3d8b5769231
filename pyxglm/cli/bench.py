"""``pyxglm bench``: how fast a model is on this machine."""

from __future__ import annotations

import argparse
import os
from typing import Any

from pyxglm.bench import grid
from pyxglm.cli.anew import BLAS_THREADS, anew
from pyxglm.cli.arguments import Parser, UsageError, add_model_options, where
from pyxglm.cli.terminal import Output, say

EXAMPLES = """\
  pyxglm bench
  pyxglm bench --shape 564M -p 512,2048 -n 128 -pg 512,128
  pyxglm bench --shape 564M -n 32 -p 0 -b 1,8 -d 0,512,1024 -t 1,2
  pyxglm bench -m facebook/xglm-564M -s 512 -b 4 --cold -o json
"""

#: The same names as in `pyxglm.bench.shapes`, which loads NumPy; a test compares them.
SHAPES = ("564M", "1.7B", "2.9B", "4.5B", "7.5B")
STORED = ("float16", "bfloat16", "float32")
COMPUTE = ("float32", "float64", "bfloat16")
LOGITS = ("last", "all")
FORMATS = ("md", "csv", "json", "jsonl")


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "bench [options]",
        "Measure how fast a model is: prompts (pp), generation (tg), both, scoring, a cold"
        "\nstart. Options that are lists (512,1024) make a grid, as in llama-bench.",
        EXAMPLES,
    )
    tests = parser.add_argument_group("tests (default: -p 512 -n 128)")
    tests.add_argument("-p", "--n-prompt", metavar="LIST", help="process prompts of so many tokens")
    tests.add_argument("-n", "--n-gen", metavar="LIST", help="generate so many tokens")
    tests.add_argument(
        "-pg", dest="both", metavar="N,M", action="append", default=[],
        help="process a prompt of N tokens, then generate M; may be given again",
    )  # fmt: skip
    tests.add_argument(
        "-s", "--score", metavar="LIST", help="score texts of so many tokens: labels given, loss"
    )
    tests.add_argument(
        "--cold",
        action="store_true",
        help=f"start a process, up to the first token of a prompt of {grid.COLD_PROMPT}",
    )
    tests.add_argument(
        "-b", "--batch", metavar="LIST", default="1", help="sequences side by side (default: 1)"
    )
    tests.add_argument(
        "-d", "--depth", metavar="LIST", default="0",
        help="tokens that are in the cache before -p or -n begins (default: 0)",
    )  # fmt: skip
    tests.add_argument(
        "--logits", metavar="LIST", default="last",
        help="logits of a prompt: last, all (default: last)",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument(
        "-r", "--repetitions", type=int, default=5, metavar="N", help="of each test (default: 5)"
    )
    how.add_argument(
        "--no-warmup", action="store_true", help="without a first repetition that does not count"
    )
    how.add_argument(
        "-t",
        "--threads",
        metavar="LIST",
        help="threads (default: PYXGLM_NUM_THREADS, or the CPUs that this process may use)",
    )
    how.add_argument("--backend", metavar="LIST", help="c, numpy (default: the best)")
    how.add_argument("--isa", metavar="LIST", help="instruction sets of c (default: the best)")
    how.add_argument(
        "--compute", metavar="LIST", default="float32",
        help=f"arithmetic: {', '.join(COMPUTE)} (default: float32)",
    )  # fmt: skip
    how.add_argument(
        "--shortlist", metavar="LIST", default="0",
        help="1: generate by a shortlist of the output head, 0: without (default: 0)",
    )  # fmt: skip
    how.add_argument(
        "-o", "--output", choices=FORMATS, default="md", help="format (default: md, a table)"
    )
    add_model_options(parser)
    random = parser.add_argument_group("random weights, written to a file once")
    random.add_argument("--shape", metavar="LIST", help=", ".join(SHAPES))
    random.add_argument("--dtype", metavar="LIST", help=f"{', '.join(STORED)} (default: float16)")
    return parser


def run(words: list[str], output: Output) -> int:
    """Measure what the arguments ask for; return the exit code."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return 0
    wanted = wanted_jobs(arguments)
    if arguments.repetitions < 1:
        raise UsageError(f"-r is {arguments.repetitions}, expected 1 or more")
    if arguments.shape is not None and arguments.model is not None:
        raise UsageError("--shape and -m are given, expected one of them")
    if arguments.dtype is not None and arguments.shape is None:
        raise UsageError("--dtype is given without --shape")
    models = shapes(arguments)
    compute = listed(arguments.compute, "--compute", COMPUTE)
    shortlist = [word == "1" for word in listed(arguments.shortlist, "--shortlist", ("0", "1"))]
    if arguments.cold and any(shortlist):
        raise UsageError("--cold is given with --shortlist 1: a process that ends makes none")

    from pyxglm.ops import available_backends, backend_name
    from pyxglm.ops.cpus import checked_threads, default_threads

    backends = listed(arguments.backend or backend_name(), "--backend", available_backends())
    threads = counts(arguments.threads, "-t", 1) or [default_threads()]
    for count in threads:
        checked_threads("-t", count)
    if arguments.isa is not None and "c" not in backends:
        raise UsageError(f"--isa is given for backend {backends[0]!r}, which has none")
    if "numpy" in backends:
        if len(threads) > 1:
            raise UsageError(
                "-t lists several numbers for backend 'numpy', expected one: its BLAS decides on"
                " threads when it is loaded"
            )
        chosen = {name: str(threads[0]) for name in BLAS_THREADS}
        if any(os.environ.get(name) != value for name, value in chosen.items()):
            return anew(["bench", *words], chosen)

    from pyxglm.bench.session import Session

    session = Session(
        isas=isas(arguments.isa, backends), threads=threads, compute=compute, shortlist=shortlist
    )
    if arguments.shape is None:
        session.add_model(*where(arguments))
    for shape, dtype in models:
        session.add_shape(shape, dtype, say)
    session.run(
        wanted,
        arguments.output,
        output.write,
        repetitions=arguments.repetitions,
        warm_up=not arguments.no_warmup,
    )
    return 0


def shapes(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """Return the sizes and stored dtypes of random models that are asked for."""
    if arguments.shape is None:
        return []
    found = listed(arguments.shape, "--shape", SHAPES)
    stored = listed(arguments.dtype or "float16", "--dtype", STORED)
    return [(shape, dtype) for shape in found for dtype in stored]


def wanted_jobs(arguments: argparse.Namespace) -> list[grid.Job]:
    """Return the tests that the arguments ask for."""
    prompts = counts(arguments.n_prompt, "-p", 0)
    generate = counts(arguments.n_gen, "-n", 0)
    score = counts(arguments.score, "-s", 0)
    depths = counts(arguments.depth, "-d", 0)
    both = []
    for text in arguments.both:
        pair = counts(text, "-pg", 1)
        if len(pair) != 2:
            raise UsageError(f"-pg is {text!a}, expected two numbers with a comma between")
        both.append((pair[0], pair[1]))
    if any(depths) and (both or score):
        raise UsageError("-d is given with -pg or -s, expected with -p and -n only")
    if not (both or score or arguments.cold or prompts or generate):
        prompts, generate = list(grid.DEFAULT_PROMPTS), list(grid.DEFAULT_GENERATE)
    elif any(depths) and not (prompts or generate):
        raise UsageError("-d is given without -p or -n")
    found = grid.jobs(
        prompts=prompts,
        generate=generate,
        both=both,
        score=score,
        cold=arguments.cold,
        batches=counts(arguments.batch, "-b", 1),
        depths=depths,
        all_logits=[name == "all" for name in listed(arguments.logits, "--logits", LOGITS)],
    )
    wanted = list(dict.fromkeys(found))
    if not wanted:
        raise UsageError("there is no test to run: all of -p, -n and -s are 0")
    return wanted


def counts(text: str | None, option: str, least: int) -> list[int]:
    """Return the numbers that an option lists; none if it is not given."""
    try:
        return [] if text is None else grid.numbers(text, least)
    except ValueError as error:
        raise UsageError(f"{option} is {error}") from None


def listed(text: str, option: str, known: Any) -> list[str]:
    """Return the names that an option lists."""
    try:
        return grid.names(text, known)
    except ValueError as error:
        raise UsageError(f"{option} is {error}") from None


def isas(text: str | None, backends: list[str]) -> list[tuple[str, str | None]]:
    """Return backends with instruction sets: NumPy has none of ours."""
    found: list[tuple[str, str | None]] = []
    for backend in backends:
        if backend != "c":
            found.append((backend, None))
            continue
        from pyxglm.ops.native_library import available_isas, isa

        chosen = [isa()] if text is None else listed(text, "--isa", available_isas())
        found += [(backend, name) for name in chosen]
    return found
