"""Time whole models: decoding, prompts, scoring, a cold start, long contexts, threads, memory.

python benchmarks/model.py
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, NamedTuple

import common
from contexts import contexts
from readings import Readings
from rows import COLD, ROWS, SCALED
from runtimes import cold, in_turns, peaks, started

from pyxglm import XGLMForCausalLM
from pyxglm.bench import machine, work
from pyxglm.bench.grid import Job
from pyxglm.bench.session import model_type
from pyxglm.dtypes import dtype_name
from pyxglm.ops.cpus import default_threads

SCRIPT = "pyxglm_worker.py"


class Otherwise(NamedTuple):
    """A row that is measured in another way, too: what that is called, and a worker's option."""

    beside: str
    title: str
    option: str


#: Their limit is that of the rows beside them: all weights read, at the peak of float32.
OTHERWISE = {
    "decode_b1, shortlist": Otherwise(
        "decode_b1", "decode, batch 1, by a shortlist", "shortlist=1"
    ),
    "prompt_512_last, compute bfloat16": Otherwise(
        "prompt_512_last", 'prompt 512, last, compute="bfloat16"', "compute=bfloat16"
    ),
}


class Bench:
    """A model to be measured, and the machine's limits."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.path, self.rounds = common.checkpoint(arguments), arguments.rounds
        self.threads = arguments.threads or default_threads()
        counts = {2**power for power in range(11) if 2**power < self.threads}
        self.counts = sorted({*counts, self.threads})
        self.limits = machine.Measured(self.counts)
        self.limits.try_again()
        self.model = XGLMForCausalLM.from_pretrained(self.path)
        self.stored = work.weight_bytes(dict(self.model.named_parameters()))
        self.isa = common.environment()["isa"]
        self._timed: list[tuple[dict[str, Any], Job, int]] = []

    def description(self) -> dict[str, Any]:
        """Return what the model is."""
        model, count = self.model, self.model.num_parameters()
        return {
            "type": model_type(model.config, count, dtype_name(model.dtype)),
            "parameters": count,
            "bytes": model.get_memory_footprint(),
            "weight_bytes": self.stored,
            "cache_bytes_per_token": work.one_pass(model.config, 0, 1, 1, 0, 1).cache_bytes,
            "threads": self.threads,
        }

    def note(self, record: dict[str, Any], job: Job, threads: int) -> None:
        """Remember that a record tells how long a job took."""
        if "median_ns" in record:
            self._timed.append((record, job, threads))

    def fill_in(self) -> None:
        """Give every record ``of_limit``: the least time of its job by the time it took.

        Memory is read at the rate that was found between the very turns. Multiplying is as
        fast in one minute as in another, if the threads of an attempt begin at once: the best
        of the run counts, and this comes last.
        """
        self.limits.try_again()
        for record, job, threads in self._timed:
            rates = self.limits.rates(threads, self.isa)
            least = rates and work.least_seconds(
                self.model.config, self.stored, job, record["read"], rates[1]
            )
            record["of_limit"] = None if least is None else 1e9 * least / record["median_ns"]

    def turns(
        self, jobs: dict[str, Job], threads: list[int], options: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Let one worker for each number of threads do every job.

        Beside what `in_turns` returns, ``read`` is the median of the bytes a second that as
        many threads could read between the turns.
        """
        workers = {
            f"{count} threads": started(SCRIPT, self.path, count, options) for count in threads
        }
        found: dict[str, Any] = {}
        for name, job in jobs.items():
            readings = Readings(threads)
            found |= in_turns(workers, {name: job}, self.rounds, readings.take)
            for count, one in zip(threads, found[name].values(), strict=True):
                one["read"] = readings.median(count)
            self.limits.try_again()
        for worker in workers.values():
            worker.close()
        return found


def rows(bench: Bench, wanted: list[str]) -> list[dict[str, Any]]:
    """Measure the rows of the table."""
    found: dict[str, Any] = {}
    for name in wanted:
        found |= bench.turns({name: ROWS[name].job}, [bench.threads])
        for other, one in OTHERWISE.items():
            if one.beside == name:  # in the same minute
                found |= bench.turns({other: ROWS[name].job}, [bench.threads], (one.option,))
    records = []
    for name, by_worker in found.items():
        (measured,) = by_worker.values()
        title, job = ROWS[OTHERWISE[name].beside if name in OTHERWISE else name]
        title = OTHERWISE[name].title if name in OTHERWISE else title
        records.append({"name": name, "title": title, "tokens": job.tokens, **measured})
        bench.note(records[-1], job, bench.threads)
    return records


def behind(bench: Bench) -> dict[str, Any]:
    """Measure a token's time behind longer and longer contexts."""
    per_token = bench.description()["cache_bytes_per_token"]
    found = contexts(bench.model, bench.threads, per_token)
    for one in found["tokens"]:
        one["read"] = found["read"]
        bench.note(one, Job("generate", 0, 1, 1, one["depth"]), bench.threads)
    return found


def scaling(bench: Bench) -> list[dict[str, Any]]:
    """Measure on one, two, four … threads."""
    found = bench.turns({name: ROWS[name].job for name in SCALED}, bench.counts)
    records = []
    for name, by_worker in found.items():
        for count, one in zip(bench.counts, by_worker.values(), strict=True):
            records.append({"name": name, "title": ROWS[name].title, "threads": count, **one})
            bench.note(records[-1], ROWS[name].job, count)
    return records


def main() -> None:
    """Measure and write."""
    parser = common.parser("Time whole models.")
    parser.add_argument("-t", "--threads", type=int, help="threads (default: all CPUs)")
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), metavar="ROW")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    start = partial(started, SCRIPT, bench.path, bench.threads)
    found = {
        "environment": common.environment(),
        "model": bench.description(),
        "rows": rows(bench, arguments.rows),
        "cold": {"title": COLD.title, **cold({"pyxglm": start}, bench.rounds)["pyxglm"]},
        "contexts": behind(bench),
        "threads": scaling(bench),
        "memory": peaks(start),
    }
    bench.fill_in()
    found["limits"] = {"read": bench.limits.read, "fma": bench.limits.fma}
    common.write(arguments, "model", found)


if __name__ == "__main__":
    main()
