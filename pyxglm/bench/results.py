"""What was measured of one job, with names and schema as llama-bench's where it has them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyxglm.bench.grid import Job
from pyxglm.bench.jobs import Sample


@dataclass(frozen=True)
class Setting:
    """With what a job is done: model, backend, instruction set, threads, arithmetic, shortlist."""

    model_filename: Path
    model_type: str
    model_size: int
    model_n_params: int
    backend: str
    isa: str | None
    threads: int
    compute: str
    shortlist: bool

    @property
    def runs_on(self) -> str:
        """The column ``backend``: ``c avx512 shortlist``, ``numpy``, ``c amx bfloat16``."""
        words = [self.backend, self.isa or ""]
        words += [self.compute] if self.compute != "float32" else []
        words += ["shortlist"] if self.shortlist else []
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Result:
    """A job, its samples, and what the machine would need at the least.

    `least_seconds`, the `rates` (bytes and operations a second) that it was computed
    with, and `peak_anonymous` are None where they are not known.
    """

    setting: Setting
    job: Job
    samples: Sequence[Sample]
    least_seconds: float | None
    rates: tuple[float, float] | None
    peak_anonymous: int | None
    test_time: str = field(default_factory=lambda: now())

    @property
    def samples_ns(self) -> list[int]:
        """Nanoseconds of each repetition."""
        return [sample.ns for sample in self.samples]

    @property
    def samples_ts(self) -> list[float]:
        """Tokens a second of each repetition; none for a cold start, which is no throughput."""
        if self.job.kind == "cold":
            return []
        return [1e9 * self.job.tokens / ns for ns in self.samples_ns]

    @property
    def first_token_ns(self) -> int | None:
        """The median time to the first token."""
        known = [one.first_token_ns for one in self.samples if one.first_token_ns is not None]
        return round(statistics.median(known)) if known else None

    @property
    def of_limit(self) -> float | None:
        """The least time as a fraction of the mean time."""
        if self.least_seconds is None:
            return None
        return self.least_seconds * 1e9 / statistics.fmean(self.samples_ns)

    def record(self, machine: dict[str, Any]) -> dict[str, Any]:
        """Return everything, for the formats that programs read."""
        setting, job = self.setting, self.job
        rates = self.samples_ts
        return {
            "build_commit": machine["commit"],
            "build_version": machine["pyxglm"],
            "build_compiler": machine["compiler"],
            "cpu_info": machine["cpu"],
            "backends": setting.backend,
            "isa": setting.isa,
            "compute": setting.compute,
            "shortlist": setting.shortlist,
            "model_filename": str(setting.model_filename),
            "model_type": setting.model_type,
            "model_size": setting.model_size,
            "model_n_params": setting.model_n_params,
            "n_threads": setting.threads,
            "test": job.name,
            "n_prompt": job.prompt,
            "n_gen": job.generate,
            "n_depth": job.depth,
            "n_sequences": job.batch,
            "all_logits": job.all_logits or job.kind == "score",
            "labels": job.kind == "score",
            "cold": job.kind == "cold",
            "test_time": self.test_time,
            "avg_ns": round(statistics.fmean(self.samples_ns)),
            "stddev_ns": round(deviation(self.samples_ns)),
            "avg_ts": statistics.fmean(rates) if rates else None,
            "stddev_ts": deviation(rates) if rates else None,
            "first_token_ns": self.first_token_ns,
            "peak_anonymous": self.peak_anonymous,
            "limit_ns": None if self.least_seconds is None else round(1e9 * self.least_seconds),
            "limit_read": None if self.rates is None else self.rates[0],
            "limit_fma": None if self.rates is None else self.rates[1],
            "of_limit": self.of_limit,
            "samples_ns": self.samples_ns,
            "samples_ts": rates,
        }


def deviation(numbers: Sequence[float]) -> float:
    """Return the sample's standard deviation: 0 of a single number, as llama-bench says.

    >>> deviation([1.0, 3.0]), deviation([7.0])
    (1.4142135623730951, 0.0)
    """
    return statistics.stdev(numbers) if len(numbers) > 1 else 0.0


def now() -> str:
    """Return the time as llama-bench writes it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
