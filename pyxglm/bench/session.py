"""A run of ``pyxglm bench``: models opened, jobs repeated, results written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pyxglm import checkpoint
from pyxglm.bench import cold, jobs, machine, shapes, work
from pyxglm.bench.formats import Writer
from pyxglm.bench.grid import Job
from pyxglm.bench.jobs import Sample
from pyxglm.bench.memory import PeakMemory
from pyxglm.bench.results import Result, Setting
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import dtype_name
from pyxglm.modeling import XGLMForCausalLM


@dataclass(frozen=True)
class Plan:
    """A model that is open, and what it is to do with which setting."""

    model: XGLMForCausalLM
    setting: Setting
    job: Job


class Session:
    """Models and settings, to be combined with jobs.

    Parameters
    ----------
    isas
        Backends, each with an instruction set or None.
    threads, compute
        Numbers of threads; dtypes of arithmetic.
    shortlist
        Whether models generate by a shortlist of their output head.
    """

    def __init__(
        self,
        *,
        isas: Sequence[tuple[str, str | None]],
        threads: Sequence[int],
        compute: Sequence[str],
        shortlist: Sequence[bool] = (False,),
    ) -> None:
        self._isas, self._threads, self._compute = isas, threads, compute
        self._shortlist = shortlist
        self._models: list[tuple[XGLMForCausalLM, Path]] = []

    def add_model(self, name: Any, place: dict[str, Any]) -> None:
        """Open a checkpoint with every backend and arithmetic.

        Raises
        ------
        ValueError, FileNotFoundError
            If it cannot be opened so; the message says why.
        """
        directory = checkpoint.locate(name, **place)
        for backend in dict.fromkeys(backend for backend, _ in self._isas):
            for compute in self._compute:
                model = XGLMForCausalLM.from_pretrained(directory, backend=backend, compute=compute)
                if any(self._shortlist):  # whether it can have one, before anything is measured
                    model.make_shortlist()
                    model.drop_shortlist()
                self._models.append((model, directory))

    def add_shape(self, shape: str, dtype: str, tell: Callable[[str], None]) -> None:
        """Open a model of a published size with random weights, written if need be."""
        self.add_model(shapes.checkpoint_of(shape, dtype, tell), {})

    def run(
        self,
        wanted: Sequence[Job],
        kind: str,
        write: Callable[[str], None],
        *,
        repetitions: int,
        warm_up: bool,
    ) -> None:
        """Do every job with every setting and write the results.

        Parameters
        ----------
        wanted
            The jobs.
        kind
            One of `formats.FORMATS`.
        write
            Called with text as soon as there is some.
        repetitions, warm_up
            How often each job is done, and whether it is once before that.
        """
        plans = list(self._plans(wanted))
        for plan in plans:
            jobs.check_memory(plan.model, plan.job)
        described = machine.description()
        writer = Writer(kind, described, [(plan.setting, plan.job) for plan in plans])
        write(writer.begin())
        limits = machine.Measured(self._threads)
        for plan in plans:
            with chosen(plan.setting), listed(plan.model, plan.setting):
                write(writer.one(measured(plan, limits, repetitions, warm_up)))
        write(writer.end())

    def _plans(self, wanted: Sequence[Job]) -> Iterator[Plan]:
        for model, directory in self._models:
            for backend, isa in self._isas:
                if backend != model.backend:
                    continue
                for threads, shortlist in product(self._threads, self._shortlist):
                    setting = _setting(model, directory, isa, threads, shortlist)
                    for job in wanted:
                        yield Plan(model, setting, job)


def measured(plan: Plan, limits: machine.Measured, repetitions: int, warm_up: bool) -> Result:
    """Do a job repeatedly.

    Memory is watched while the clock does not run, in the repetition for warming up;
    without one, in the first.
    """
    model, setting, job = plan.model, plan.setting, plan.job
    limits.try_again()
    if job.kind == "cold":
        once = _cold(setting, job)
        if warm_up:
            once()
        return Result(setting, job, [once() for _ in range(repetitions)], None, None, None)
    with PeakMemory() as memory:
        first = jobs.run(model, job)
    samples = [] if warm_up else [first]
    samples += [jobs.run(model, job) for _ in range(repetitions - len(samples))]
    rates = limits.rates(setting.threads, setting.isa)
    least = None
    if rates is not None:
        stored = work.read_bytes(model, job)
        least = work.least_seconds(model.config, stored, job, *rates)
    return Result(setting, job, samples, least, rates, memory.peak)


def _cold(setting: Setting, job: Job) -> Callable[[], Sample]:
    environment = {
        "PYXGLM_BACKEND": setting.backend,
        "PYXGLM_NUM_THREADS": str(setting.threads),
        "PYXGLM_ISA": setting.isa or "",
    }

    def once() -> Sample:
        took = cold.run(setting.model_filename, job, setting.compute, environment)
        return Sample(took, took)

    return once


@contextmanager
def chosen(setting: Setting) -> Iterator[None]:
    """Let the C library have a setting's instruction set and threads for a while."""
    if setting.backend != "c":
        yield
        return
    from pyxglm.ops import native_library as library

    before = library.isa(), library.get_num_threads()
    library.use_isa(setting.isa or before[0])
    library.set_num_threads(setting.threads)
    try:
        yield
    finally:
        library.use_isa(before[0])
        library.set_num_threads(before[1])


@contextmanager
def listed(model: XGLMForCausalLM, setting: Setting) -> Iterator[None]:
    """Let a model have a shortlist for a while, if the setting says so."""
    if not setting.shortlist:
        yield
        return
    model.make_shortlist()
    try:
        yield
    finally:
        model.drop_shortlist()


def _setting(
    model: XGLMForCausalLM, directory: Path, isa: str | None, threads: int, shortlist: bool
) -> Setting:
    return Setting(
        model_filename=directory,
        model_type=model_type(model.config, model.num_parameters(), dtype_name(model.dtype)),
        model_size=model.get_memory_footprint(),
        model_n_params=model.num_parameters(),
        backend=model.backend,
        isa=isa,
        threads=threads,
        compute=model.compute,
        shortlist=shortlist,
    )


def model_type(config: XGLMConfig, parameters: int, dtype: str) -> str:
    """Return the name of a model's kind in the manner of llama-bench.

    >>> model_type(shapes.config_of("4.5B", "float16"), 4_552_511_488, "float16")
    'xglm 4.5B F16'
    >>> model_type(XGLMConfig(num_layers=6), 2_500_000, "float32")
    'xglm 2.5M F32'
    """
    measures = config.num_layers, config.d_model, config.ffn_dim
    named = [shape for shape, published in shapes.SHAPES.items() if published[:3] == measures]
    large = parameters >= 1e9
    count = f"{parameters / 1e9:.1f}B" if large else f"{parameters / 1e6:.1f}M"
    return f"xglm {named[0] if named else count} {shapes.DTYPES.get(dtype, dtype)}"
