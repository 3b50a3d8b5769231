"""Verify a kernel on a case: right numbers, in the right places, whatever the circumstances.

A kernel is called

- on everything at once, and compared with the float64 reference;
- on ranges in any order, which must write each its own and give the same bits;
- on related cases (`invariance`), which must give the same bits;
- in place, where its contract allows that;
- through the library's entry point on several threads.

Every call works on guarded memory: what is written outside the results, or into
an input, is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from pyxglm.check.bounds import Truth, truth
from pyxglm.check.cases import Case
from pyxglm.check.guard import Arena, bits_differ
from pyxglm.check.invariance import Results, relatives
from pyxglm.check.native import threads
from pyxglm.check.problems import Problem, problem
from pyxglm.dtypes import Array

#: Thread counts that the entry points are tried with.
THREADS = (1, 2, 3)

#: Inputs that may be the output as well.
_ALIASES = {
    "linear": "residual",
    "linear_coarse": "residual",
    "embed": "",
    "layer_norm": "",
    "attention": "",
}


class Kernel(Protocol):
    """What is verified: a kernel, or something that pretends to be one."""

    def tasks(self, given: Problem, inputs: dict[str, Array]) -> int:
        """Return the end of the largest range."""

    def __call__(
        self,
        given: Problem,
        inputs: dict[str, Array],
        outputs: dict[str, Array],
        begin: int,
        end: int,
    ) -> None:
        """Compute the range [begin, end)."""


@dataclass
class Outcome:
    """What was found: complaints, and the largest error as a fraction of its bound."""

    complaints: list[str] = field(default_factory=list)
    worst: float = 0.0
    worst_case: str = ""

    def add(self, case: Case, complaint: str) -> None:
        """Note a complaint about a case."""
        self.complaints.append(f"{case}: {complaint}")


def verify(kernel: Kernel, case: Case, rng: np.random.Generator, outcome: Outcome) -> None:
    """Verify a kernel on a case; what is found goes into `outcome`."""
    given = problem(case, rng)
    whole = Arena(given, rng)
    tasks = kernel.tasks(given, whole.inputs)
    kernel(given, whole.inputs, whole.outputs, 0, tasks)
    results = whole.results()

    def note(where: str, complaints: list[str]) -> None:
        for complaint in complaints:
            outcome.add(case, f"{where}{complaint}")

    note("", whole.damage())
    worst = outcome.worst
    note("", list(_errors(results, truth(case), outcome)))
    if outcome.worst > worst:
        outcome.worst_case = str(case)
    note("in ranges: ", list(_ranges(kernel, given, tasks, results, rng)))
    for relative in relatives(case, rng):
        other = Arena(problem(relative.case, rng), rng)
        end = kernel.tasks(other.problem, other.inputs)
        kernel(other.problem, other.inputs, other.outputs, 0, end)
        found = list(_differences(relative.own(other.results()), relative.part(results)))
        note(f"{relative.what}: ", other.damage() + found)
    alias = _ALIASES.get(case.op, "x")
    if alias and alias in given.inputs:
        arena = Arena(given, rng, aliased=alias)
        kernel(given, arena.inputs, arena.outputs, 0, tasks)
        note("in place: ", arena.damage() + list(_differences(arena.results(), results)))
    run: Any = getattr(kernel, "run", None)
    if run is not None:
        for count in THREADS:
            arena = Arena(given, rng)
            with threads(count):
                run(given, arena.inputs, arena.outputs)
            found = arena.damage() + list(_differences(arena.results(), results))
            note(f"{count} threads: ", found)


def _errors(results: Results, truths: dict[str, list[Truth]], outcome: Outcome) -> Iterator[str]:
    """Compare results with the reference."""
    for name, known in truths.items():
        for result, (expected, bound) in zip(results[name], known, strict=True):
            finite = np.isfinite(expected)
            with np.errstate(invalid="ignore", divide="ignore"):
                error = np.abs(result.astype(np.float64) - expected)
                right = np.where(finite, (error <= bound) | np.isinf(bound), ~np.isfinite(result))
                share = (error / bound)[finite & np.isfinite(bound) & (bound > 0)]
            worst = np.nan_to_num(share, nan=np.inf).max(initial=0)
            outcome.worst = max(outcome.worst, float(worst))
            if not right.all():
                at = tuple(np.argwhere(~right)[0].tolist())
                wanted = f"{expected[at]:.9g} within {bound[at]:.3g}"
                yield (
                    f"{(~right).sum()} of {right.size} elements of {name} are wrong, first at"
                    f" {at}: {result[at]:.9g}, expected"
                    f" {wanted if finite[at] else 'infinity or NaN'}"
                )


def _ranges(
    kernel: Kernel, given: Problem, tasks: int, results: Results, rng: np.random.Generator
) -> Iterator[str]:
    """Compute in ranges: each must write what is its own, once."""
    arena = Arena(given, rng)
    cuts = np.unique(rng.integers(0, tasks + 1, 3))
    if any(output.tasks is None for output in given.outputs.values()):
        cuts = np.arange(tasks)  # only the library knows which task writes what: each goes alone
    edges = [0, *cuts.tolist(), tasks]
    pieces = [(a, b) for a, b in pairwise(edges) if a < b or rng.random() < 0.3]
    before = {name: arena.written(name) for name in given.outputs}
    for at in rng.permutation(len(pieces)).tolist():
        begin, end = pieces[at]
        fresh = Arena(given, rng)
        kernel(given, fresh.inputs, fresh.outputs, begin, end)
        kernel(given, arena.inputs, arena.outputs, begin, end)
        for name, output in given.outputs.items():
            written = fresh.written(name)
            if (written & before[name]).any():
                yield f"[{begin}, {end}) of {tasks} wrote a part of {name} that another had written"
            before[name] |= written
            if output.tasks is not None:
                of_range = np.zeros(output.length, bool)
                of_range[output.places[0].reshape(-1)] = (output.tasks >= begin) & (
                    output.tasks < end
                )
                if (written != of_range).any():
                    yield f"[{begin}, {end}) of {tasks} did not write its own part of {name}"
    yield from arena.damage()
    yield from _differences(arena.results(), results)


def _differences(found: Results, wanted: Results) -> Iterator[str]:
    """Compare bits."""
    for name, arrays in wanted.items():
        for result, expected in zip(found[name], arrays, strict=True):
            differ = bits_differ(result, expected)
            if differ.any():
                at = tuple(np.argwhere(differ)[0].tolist())
                yield (
                    f"{differ.sum()} of {differ.size} elements of {name} differ in a bit, first at"
                    f" {at}: {result[at]:.9g}, not {expected[at]:.9g}"
                )
