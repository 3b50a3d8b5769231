"""Cold start: a fresh process, from its start to the first token of a prompt.

The weights' file is in the page cache, unless it is too large for it: the start is
that of the program. `first_token` is what the fresh process runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyxglm
from pyxglm.bench.grid import Job

CODE = "from pyxglm.bench.cold import first_token; first_token()"


def run(directory: Path, job: Job, compute: str, environment: dict[str, str]) -> int:
    """Start a process and return the nanoseconds until it has printed its first token.

    Raises
    ------
    ChildProcessError
        If the process fails; the message is what it said last.
    """
    place = Path(pyxglm.__file__).parents[1]
    command = [sys.executable, "-c", CODE, str(directory.resolve()), str(job.prompt), compute]
    begun = time.perf_counter_ns()
    with subprocess.Popen(  # noqa: S603
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        answer = child.stdout.readline() if child.stdout is not None else ""
        took = time.perf_counter_ns() - begun
        complaints = child.communicate()[1].strip().splitlines()
    if child.returncode or not answer.strip().isdigit():
        said = complaints[-1] if complaints else f"exit code {child.returncode}"
        raise ChildProcessError(f"a cold start of {directory} failed: {said}")
    return took


def first_token() -> None:
    """Open a checkpoint, run a prompt through it, print the token that follows."""
    directory, prompt, compute = sys.argv[1:]
    from pyxglm.bench.jobs import chosen_tokens, tokens
    from pyxglm.modeling import XGLMForCausalLM

    model = XGLMForCausalLM.from_pretrained(directory, compute=compute)
    ids_B = next(chosen_tokens(model, tokens(model, 1, int(prompt)), 1))
    print(int(ids_B[0]), flush=True)  # noqa: T201
