"""Cases as files, for the driver in C (`csrc/check`): sanitizers, and other machines.

A file is one case: the eight bytes ``PYXGLM01``, then records one behind the
other, all numbers little-endian,

    char name[24]     a member of the kernel's struct, ended by zeros
    char kind[8]      what it is, ended by zeros: see below
    int64 bytes       length of what follows
    ... bytes, and zeros up to a multiple of 8

    kind      content                           of
    op        the operation's name              (the first record; name: stored dtype)
    number    one int64                         a member that is a number; rows of tables
    real      one float64                       a member that is a float
    array     elements as stored                a member that is an input
    output    one int64: length in floats       a member that is a result
    places    int64s: where in it results are   the same
    expected  float64s: the reference's         the same, in the order of places
    bound     float64s: error allowed           the same
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pyxglm.check import head_cases
from pyxglm.check.bounds import Truth, truth
from pyxglm.check.plan import DTYPES, Filter, cases
from pyxglm.check.problems import Problem, problem

MAGIC = b"PYXGLM01"


def write_cases(directory: str | Path, wanted: Filter, seed: int, count: int) -> int:
    """Write `count` cases of every pattern, operation and dtype; return how many files.

    They are for all instruction sets: `wanted` names none.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for op, dtypes in DTYPES.items():
        for dtype in dtypes:
            if wanted.wants(op, dtype, ""):
                for index, (given, known) in enumerate(_problems(op, dtype, seed, count)):
                    path = folder / f"{op}-{dtype}-{index:04}.case"
                    path.write_bytes(MAGIC + b"".join(_records(given, known)))
                    written += 1
    return written


def _problems(
    op: str, dtype: str, seed: int, count: int
) -> Iterator[tuple[Problem, dict[str, list[Truth]]]]:
    if op in head_cases.HEADS:
        for of_head, _ in head_cases.cases(op, dtype, seed, count):
            yield head_cases.laid_out(of_head)
        return
    for case, rng in cases(op, dtype, seed, count):
        yield problem(case, rng), truth(case)


def _records(given: Problem, known: dict[str, list[Truth]]) -> Iterator[bytes]:
    case = given.case
    yield _record(case.dtype, "op", case.op.encode())
    numbers = dict(given.numbers)
    if case.op == "embed":  # the entry point wants to know how many rows the tables have
        numbers["V"], numbers["P"] = (len(case.arguments[k]) for k in ("embed_VD", "table_PD"))
    for name, value in numbers.items():
        kind, stored = ("real", "<f8") if isinstance(value, float) else ("number", "<i8")
        yield _record(name, kind, np.array(value, stored).tobytes())
    for name, array in given.inputs.items():
        yield _record(name, "array", array.tobytes())
    for name, output in given.outputs.items():
        yield _record(name, "output", np.array(output.length, "<i8").tobytes())
        yield _record(name, "places", _joined(output.places, "<i8"))
        yield _record(name, "expected", _joined([one.expected for one in known[name]], "<f8"))
        yield _record(name, "bound", _joined([one.bound for one in known[name]], "<f8"))


def _record(name: str, kind: str, content: bytes) -> bytes:
    head = name.encode().ljust(24, b"\0") + kind.encode().ljust(8, b"\0")
    length = len(content).to_bytes(8, "little")
    return head + length + content + bytes(-len(content) % 8)


def _joined(arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]], dtype: str) -> bytes:
    return b"".join(array.astype(dtype).tobytes() for array in arrays)
