"""Runtimes as processes that take turns: starting them, asking them, medians.

What the processes do and say is in `workers/protocol.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rows import COLD, MEMORY

import pyxglm
from pyxglm.bench import shapes
from pyxglm.bench.grid import Job

WORKERS = Path(__file__).resolve().parent / "workers"

#: Seconds between two jobs: threads of the last one stop looking for work.
PAUSE = 0.2


class WorkerError(Exception):
    """A runtime that cannot be started, or has ended; the message is what it said last."""


class Worker:
    """A runtime in a process of its own, with its model open.

    Parameters
    ----------
    script, python
        File in `workers/`; the interpreter of the runtime's virtual environment.
    model, threads, options
        The checkpoint's directory; number of threads; further words for the runtime.

    Attributes
    ----------
    about
        What the worker says of itself: ``name``, ``weights``, ``weight_bytes``.

    Raises
    ------
    WorkerError
        If it cannot be started.
    """

    def __init__(
        self,
        script: str,
        model: Path,
        threads: int,
        options: Iterable[str] = (),
        python: str = sys.executable,
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # until close
        command = [python, str(WORKERS / script), str(model), str(threads), *options]
        count = str(threads)
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(pyxglm.__file__).parents[1]),
            "OMP_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count,
            "MKL_NUM_THREADS": count,
            "PYXGLM_NUM_THREADS": count,
            "HF_HUB_OFFLINE": "1",
            "PYXGLM_CONVERTED": str(shapes.cache() / "converted"),
        }
        # A checkout's modules are compiled once, as an installed package's are: else a cold start
        # would compile some 80 of them.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            self._errors.close()
            raise WorkerError(f"{python}: {error.strerror}") from None
        self._ended: str | None = None
        self.about = self._answer()

    def ask(self, job: Job, *, memory: bool = False) -> dict[str, Any]:
        """Let the runtime do a job; return its answer, ``{"error": why}`` if that failed."""
        return self._told({**asdict(job), "memory": memory})

    def say(self, prompts: list[list[int]]) -> dict[str, Any]:
        """Return what the model says behind prompts: ``ids``, ``logits``, ``loss``; or error."""
        return self._told({"prompts": prompts})

    def _told(self, what: dict[str, Any]) -> dict[str, Any]:
        if self._ended is not None:
            return {"error": self._ended}
        with contextlib.suppress(BrokenPipeError):  # it has ended: said below
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        try:
            return self._answer()
        except WorkerError as error:
            self._ended = str(error)
            return {"error": self._ended}

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        self.close()
        raise WorkerError(f"ended with code {code}: {said[-1] if said else 'it said nothing'}")

    def close(self) -> None:
        """End the process, unless it has ended."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class Absent:
    """A runtime that is not there, and why; it answers every job so."""

    def __init__(self, why: str) -> None:
        self.why = why
        self.about = {"absent": why}

    def ask(self, job: Job, *, memory: bool = False) -> dict[str, Any]:
        """Say why nothing is measured."""
        return {"error": self.why}

    def say(self, prompts: list[list[int]]) -> dict[str, Any]:
        """Say why nothing is known."""
        return {"error": self.why}

    def close(self) -> None:
        """Do nothing."""


class Fresh:
    """A runtime that is started anew for each job: the clock runs from the process's start."""

    def __init__(self, start: Callable[[], Worker | Absent]) -> None:
        self.start = start

    def ask(self, job: Job, *, memory: bool = False) -> dict[str, Any]:
        """Start the runtime, let it do a job, and end it."""
        begun = time.perf_counter_ns()
        process = self.start()
        answer = process.ask(job, memory=memory)
        took = time.perf_counter_ns() - begun
        process.close()
        return answer if "error" in answer else {**answer, "ns": took}


def started(script: str, *arguments: Any, **keywords: Any) -> Worker | Absent:
    """Return a worker, or what says why there is none."""
    try:
        return Worker(script, *arguments, **keywords)
    except WorkerError as error:
        return Absent(str(error))


def in_turns(
    workers: dict[str, Any],
    jobs: dict[str, Job],
    rounds: int,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Let every worker do every job, in turns: A B A B …, after a first turn that does not count.

    `between` is called after each turn that counts.

    Returns
    -------
    dict
        By job and worker: ``samples_ns``, ``median_ns``, ``tokens_per_second``; or ``error``.
    """
    found: dict[str, Any] = {}
    for name, job in jobs.items():
        answers: dict[str, list[dict[str, Any]]] = {worker: [] for worker in workers}
        for turn in range(rounds + 1):
            for worker, process in workers.items():
                failed = answers[worker] and "error" in answers[worker][-1]
                if not failed:
                    answers[worker].append(process.ask(job))
                    time.sleep(PAUSE if isinstance(process, Worker) else 0)
            if turn:
                between()
        found[name] = {worker: summary(job, given) for worker, given in answers.items()}
        for worker, one in found[name].items():
            said = one.get("error") or (
                f"{one['median_ns'] / 1e9:.3f} s, {one['tokens_per_second']:.1f} tokens/s"
            )
            print(f"{name:<34}{worker:<26}{said}", flush=True)
    return found


def summary(job: Job, answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of what a worker answered, the first time left out."""
    if "error" in answers[-1]:
        return {"error": answers[-1]["error"]}
    samples = [answer["ns"] for answer in answers[1:]]
    median = statistics.median(samples)
    return {
        "samples_ns": samples,
        "median_ns": median,
        "tokens_per_second": 1e9 * job.tokens / median,
    }


def cold(starts: dict[str, Callable[[], Worker | Absent]], rounds: int) -> dict[str, Any]:
    """Return the median time from the start of each runtime's process to its first token."""
    fresh = {name: Fresh(start) for name, start in starts.items()}
    (found,) = in_turns(fresh, {"cold": COLD.job}, rounds).values()
    told = ("samples_ns", "median_ns", "error")
    return {name: {key: one[key] for key in told if key in one} for name, one in found.items()}


def peaks(start: Callable[[], Worker | Absent]) -> list[dict[str, Any]]:
    """Return the peaks of anonymous memory, each of a process that has done nothing else."""
    records = []
    for name, row in MEMORY.items():
        answer = Fresh(start).ask(row.job, memory=True)
        found = {key: answer[key] for key in ("peak_anonymous", "error") if key in answer}
        records.append({"name": name, "title": row.title, **found})
    return records
