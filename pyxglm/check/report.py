"""What a check found, as a table for people or as JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pyxglm.check.plan import Variant
from pyxglm.check.verify import Outcome

#: Complaints shown of one kernel; the rest are counted.
_MOST_SHOWN = 5


def table(rows: Sequence[Sequence[str]], left: int) -> str:
    """Align rows of words in columns, the first `left` of them to the left.

    >>> print(table([("op", "µs"), ("linear", "12")], left=1))
    op      µs
    linear  12
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(
            word.ljust(width) if column < left else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def verified(found: dict[Variant, Outcome], isas: Iterable[str]) -> str:
    """Return the table of kernels: the largest error of each as a fraction of its bound."""
    columns = [isa for isa in isas if any(variant.isa == isa for variant in found)]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for variant, outcome in found.items():
        word = "WRONG" if outcome.complaints else f"{outcome.worst:.2f}"
        cells.setdefault((variant.op, variant.dtype), {})[variant.isa] = word
    # A dot: no kernel of its own, that of the level before it serves.
    rows = [[op, dtype, *(row.get(isa, ".") for isa in columns)] for (op, dtype), row in
            cells.items()]  # fmt: skip
    return table([["op", "stored", *columns], *rows], left=2)


def complaints(found: dict[Variant, Outcome]) -> str:
    """Return what was wrong, the first few complaints of each kernel."""
    lines = []
    for variant, outcome in found.items():
        for complaint in outcome.complaints[:_MOST_SHOWN]:
            lines.append(f"{variant.isa}: {complaint}")
        if len(outcome.complaints) > _MOST_SHOWN:
            more = len(outcome.complaints) - _MOST_SHOWN
            lines.append(f"{variant.isa}: {variant.op} {variant.dtype}: {more} more")
    return "\n".join(lines)


def as_records(found: dict[Variant, Outcome]) -> list[dict[str, Any]]:
    """Return one record a kernel, for JSON."""
    return [
        {
            "op": variant.op,
            "dtype": variant.dtype,
            "isa": variant.isa,
            "right": not outcome.complaints,
            "worst": outcome.worst if outcome.worst < float("inf") else None,
            "worst_case": outcome.worst_case,
            "complaints": outcome.complaints,
        }
        for variant, outcome in found.items()
    ]


def processor() -> str:
    """Return the processor's name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
