"""Calls of the library: made at once, or put off and then made in a row.

A kernel reads and writes more than the CPU's caches hold, and so pushes out of them what
Python needs to find its way to the next call: 0.1 ms instead of 0.02, several hundred
times in a forward pass, in which all threads wait. `in_a_row` lets Python go ahead
alone: operations check their arguments and make room for their results as always,
and C does the work when enough has been put off (`csrc/steps.c`). The next result of a size
takes the memory of a dropped one (`pages.Turns`), as if each call were made at once.

So an array that an operation returns may not be filled yet. Views of it can be taken,
and handed to the next operation. What reads it otherwise has to call `settle`
first; a copy that somebody forgot to settle before is found out, as an input that
no operation has computed.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from pyxglm import pages
from pyxglm.dtypes import Array
from pyxglm.ops.native_library import IN_USE, check, ffi, lib
from pyxglm.pages import Turns

_STEPS = ffi.typeof("pyxglm_step[]")

_KINDS = {
    "layer_norm": lib.PYXGLM_STEP_LAYER_NORM,
    "linear": lib.PYXGLM_STEP_LINEAR,
    "linear_coarse": lib.PYXGLM_STEP_LINEAR_COARSE,
    "multiply": lib.PYXGLM_STEP_MULTIPLY,
    "cache_append": lib.PYXGLM_STEP_CACHE_APPEND,
    "attention": lib.PYXGLM_STEP_ATTENTION,
}

#: Bytes of results that are put off before C computes them, which nothing interrupts: those
#: of two layers for 512 tokens of 564M, which take 0.1 s, and of all layers for 50.
PUT_OFF = 64 << 20


class Call(NamedTuple):
    """A call of the library, with all that must stay alive for it.

    Attributes
    ----------
    op
        The operation's name.
    args, code
        The arguments in C, and the stored dtype's number.
    inputs, outputs
        Activations that it reads, and those that it writes.
    held
        Whatever else the arguments point to.
    repeatable
        Whether they will mean the same once more: nothing was converted for this call alone.
    """

    op: str
    args: Any
    code: int
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    held: tuple[Any, ...]
    repeatable: bool


class _Here(threading.local):
    """What this thread does with its calls besides making them at once."""

    witness: list[Call] | None = None
    row: _Row | None = None


_here = _Here()


def issue(call: Call) -> None:
    """Make a call that a program can contain, now or with others."""
    witness(call)
    if _here.row is None:
        run(steps_of([call]))
    else:
        _here.row.put_off(call)


def empty(shape: tuple[int, ...]) -> Array:
    """Return an array for a result, of any content."""
    return pages.empty(shape) if _here.row is None else _here.row.memory.empty(shape)


def witness(call: Call) -> None:
    """Show a call to who collects them."""
    if _here.witness is not None:
        _here.witness.append(call)


def settle() -> None:
    """Make the calls that this thread has put off: what they return can be read then."""
    if _here.row is not None:
        _here.row.make()


def settled(array: Array) -> Array:
    """Take up what was computed outside of the library from settled arrays."""
    if _here.row is not None:
        _here.row.know(array)
    return array


@contextmanager
def in_a_row(hidden_BTD: Array) -> Iterator[None]:
    """Put off this thread's calls, and make them in a row; all are made at the end.

    Parameters
    ----------
    hidden_BTD
        What the first of them reads.

    Raises
    ------
    RuntimeError
        If an operation is given something that neither this is nor any operation
        has computed: it may be a copy of a result that was not there yet.
    """
    before, row = _here.row, _Row(hidden_BTD)
    _here.row = row
    try:
        yield
        row.make()
    finally:  # after an error, what has been put off is dropped
        _here.row = before
        row.memory.close()


@contextmanager
def witnessed() -> Iterator[list[Call]]:
    """Collect the calls that this thread makes."""
    calls: list[Call] = []
    before, _here.witness = _here.witness, calls
    try:
        yield calls
    finally:
        _here.witness = before


class _Row:
    """Calls that are put off, and whose results may be read by others.

    It does not hold on to results: what the decoder drops makes room for another.
    """

    def __init__(self, hidden_BTD: Array) -> None:
        self.memory = Turns()
        self._calls: list[Call] = []
        self._held: list[Array] = []
        self._bytes = 0
        self._known: dict[int, weakref.ref[Array]] = {}
        self.know(hidden_BTD)

    def know(self, array: Array) -> None:
        memory = memory_of(array)
        self._known[id(memory)] = weakref.ref(memory)

    def put_off(self, call: Call) -> None:
        for array in call.inputs:
            memory = memory_of(array)
            if not self.memory.has(memory):
                known = self._known.get(id(memory))
                if array.size and (known is None or known() is not memory):
                    raise RuntimeError(
                        f"{call.op}: an input was computed outside of the library while calls "
                        "of it were put off; call settle() before that"
                    )
                self._held.append(memory)
        for array in call.outputs:
            memory = memory_of(array)
            if not self.memory.has(memory):
                self.know(memory)
                self._held.append(memory)
        self._calls.append(Call(call.op, call.args, call.code, (), (), call.held, False))
        self._bytes += call.outputs[0].nbytes
        if self._bytes >= PUT_OFF:
            self.make()

    def make(self) -> None:
        calls, self._calls, self._bytes = self._calls, [], 0
        if calls:
            run(steps_of(calls))
        self._held.clear()


def steps_of(calls: Sequence[Call]) -> Any:
    """Return the program of some calls, which must stay alive with it."""
    return ffi.new(
        _STEPS, [(_KINDS[call.op], call.code, ffi.cast("void *", call.args)) for call in calls]
    )


def run(steps: Any) -> None:
    """Make the calls of a program."""
    check(lib.pyxglm_run_steps(steps, len(steps), IN_USE))


def is_step(call: Call) -> bool:
    """Whether a program can contain a call."""
    return call.op in _KINDS


def memory_of(array: Any) -> Any:
    """Return the array at the end of a chain of views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
