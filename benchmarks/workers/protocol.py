"""How a runtime is measured: a process of its own that does one job at a time.

The process is started as ``python <runtime>_worker.py MODEL THREADS [OPTION ...]``. It
opens the model, writes one line of JSON that says what it is, and then for each line
it reads, a job, writes one line with what it measured. It ends with its input. So
several runtimes can keep their models in memory and take turns.

A job has the fields of `pyxglm.bench.grid.Job` (whose kinds are joined by those of
`strategies.STRATEGIES`), and ``memory``: watch how much memory
is taken, and never mind the time. An answer has ``ns``, ``first_token_ns`` and
``peak_anonymous``, or ``error``. A line with ``prompts`` alone asks what the model says
behind them, and the answer has the fields of `Said`: so it is known that the same is
computed before any time is believed.

A further runtime is one more file like `onnx_worker.py`, and a line in `peers.py`.
Nothing but the standard library may be imported here, and of pyxglm only what needs
nothing else: runtimes live in virtual environments of their own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from pyxglm.bench.grid import Job
from pyxglm.bench.memory import PeakMemory


class Measured(NamedTuple):
    """Nanoseconds that a job took, and until its first token, if it chose one."""

    ns: int
    first_token_ns: int | None


#: Tokens that are chosen behind the prompts of the question what the model says.
SAID = 4

#: Of the logits, this many are told, evenly spread over the vocabulary.
TOLD = 1000


class Said(NamedTuple):
    """What a model says behind prompts of one length."""

    ids: list[list[int]]  # the next `SAID` tokens of each, chosen greedily, one at a time
    logits: list[list[float]]  # behind each
    loss: float | None  # of the prompts; None if the runtime cannot score


class Runtime(NamedTuple):
    """A runtime with its model open."""

    name: str  # with its version
    weights: str  # dtype in memory
    weight_bytes: int  # that a generated token reads
    run: Callable[[Job], Measured]
    say: Callable[[list[list[int]]], Said]


def serve(opened: Callable[[str, int, list[str]], Runtime]) -> None:
    """Open the model that the command line names and do jobs until there are no more."""
    # Libraries may print what they like: it goes where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    model, threads, *options = sys.argv[1:]
    runtime = opened(model, int(threads), options)
    answer({"name": runtime.name, "weights": runtime.weights, "weight_bytes": runtime.weight_bytes})
    for line in sys.stdin:
        given = json.loads(line)
        try:
            answer(said(runtime, **given) if "prompts" in given else done(runtime, **given))
        except (ValueError, TypeError, RuntimeError, MemoryError) as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def said(runtime: Runtime, prompts: list[list[int]]) -> dict[str, Any]:
    """Return what the model says, with some of the logits."""
    found = runtime.say(prompts)
    every = -(-len(found.logits[0]) // TOLD)
    return {**found._asdict(), "logits": [row[::every] for row in found.logits]}


def done(runtime: Runtime, *, memory: bool = False, **fields: Any) -> dict[str, Any]:
    """Do a job and return the answer."""
    job = Job(**fields)
    if not memory:
        return {**runtime.run(job)._asdict(), "peak_anonymous": None}
    with PeakMemory() as watched:
        runtime.run(job)
    return {"ns": None, "first_token_ns": None, "peak_anonymous": watched.peak}
