"""Which kernels are checked, and what a check of all of them finds."""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pyxglm.check import head, native
from pyxglm.check.cases import KERNEL_DTYPES, OPS, Case, draw
from pyxglm.check.head_cases import HEADS
from pyxglm.check.patterns import PATTERNS
from pyxglm.check.verify import Kernel, Outcome, verify


@dataclass(frozen=True)
class Variant:
    """A kernel of its own: an operation, a stored dtype, an instruction set."""

    op: str
    dtype: str
    isa: str
    level: int

    def __str__(self) -> str:
        return f"{self.op} {self.dtype} {self.isa}"


@dataclass(frozen=True)
class Filter:
    """What is wanted: patterns as a shell's (``lin*``); None is everything."""

    op: str | None = None
    isa: str | None = None
    dtype: str | None = None

    def wants(self, op: str, dtype: str, isa: str) -> bool:
        """Tell whether a variant is wanted."""
        return all(
            pattern is None or fnmatch.fnmatchcase(name, pattern)
            for pattern, name in ((self.op, op), (self.dtype, dtype), (self.isa, isa))
        )


#: The dtypes of weights that each operation is checked with.
DTYPES = {op: spec.dtypes for op, spec in OPS.items()} | dict.fromkeys(HEADS, KERNEL_DTYPES)


def check_names(wanted: Filter) -> None:
    """Refuse a pattern that matches no name at all.

    The kernels need not be built for it, unless an instruction set is wanted.

    Raises
    ------
    ValueError
        The message lists the names.
    """
    names = {
        "op": list(DTYPES),
        "isa": list(native.levels()) if wanted.isa is not None else [],
        "dtype": list(dict.fromkeys(dtype for each in DTYPES.values() for dtype in each)),
    }
    for option, known in names.items():
        pattern = getattr(wanted, option)
        if pattern is not None and not fnmatch.filter(known, pattern):
            raise ValueError(f"--{option} is {pattern!r}, expected one of: {', '.join(known)}")


def variants(wanted: Filter) -> list[Variant]:
    """Return the kernels of this machine that a filter wants."""
    return [
        Variant(op, dtype, isa, level)
        for op in DTYPES
        for dtype in DTYPES[op]
        for isa, level in native.levels().items()
        if level is not None
        and wanted.wants(op, dtype, isa)
        # The head is made of kernels of other operations: it is another where its product is.
        and native.has_variant(HEADS.get(op, op), dtype, level)
    ]


def unavailable() -> list[str]:
    """Return the instruction sets that this machine, or this build, cannot run."""
    return [isa for isa, level in native.levels().items() if level is None]


def cases(op: str, dtype: str, seed: int, count: int) -> Iterator[tuple[Case, np.random.Generator]]:
    """Yield `count` cases of every pattern, the same for every instruction set.

    With each comes the generator to verify it with.
    """
    for pattern in PATTERNS:
        name = zlib.crc32(f"{op} {dtype} {pattern}".encode())
        for index in range(count):
            rng = np.random.default_rng([seed, name, index])
            yield draw(op, rng, pattern, dtype), rng


def check(kernel: Kernel, op: str, dtype: str, seed: int, count: int) -> Outcome:
    """Check a kernel on `count` cases of every pattern."""
    outcome = Outcome()
    for case, rng in cases(op, dtype, seed, count):
        try:
            verify(kernel, case, rng, outcome)
        except RuntimeError as error:  # a failed entry point, scratch memory overrun
            outcome.add(case, str(error))
    return outcome


def check_all(
    wanted: list[Variant], seed: int, count: int, progress: Callable[[Variant], None]
) -> dict[Variant, Outcome]:
    """Check kernels one by one; `progress` is told of each before it begins."""
    found = {}
    for variant in wanted:
        progress(variant)
        if variant.op in HEADS:
            found[variant] = head.check(variant.op, variant.dtype, variant.level, seed, count)
            continue
        kernel = native.NativeKernel(variant.op, variant.dtype, variant.level)
        found[variant] = check(kernel, variant.op, variant.dtype, seed, count)
    return found
