"""A decoding step recorded once, and repeated without Python between its operations.

Decoding reads the weights once a token and waits for memory while it does.
While Python finds its way from one operation to the next, memory stands idle: a
seventh of the time, with 564M parameters. So the calls that the decoder makes
for one token are remembered, and for the next ones C makes them again
(`csrc/steps.c`): the same kernels on the same memory, and the same bits.

The decoder does not know. It is run as always while a witness looks on, and the
witness gives up if it sees anything but the library's own operations, each of
which reads what an earlier one has written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.native_arrays import BYTES
from pyxglm.ops.native_library import IN_USE, Call, check, ffi, lib, witness

_KINDS = {
    "layer_norm": lib.PYXGLM_STEP_LAYER_NORM,
    "linear": lib.PYXGLM_STEP_LINEAR,
    "linear_coarse": lib.PYXGLM_STEP_LINEAR_COARSE,
    "multiply": lib.PYXGLM_STEP_MULTIPLY,
    "cache_append": lib.PYXGLM_STEP_CACHE_APPEND,
    "attention": lib.PYXGLM_STEP_ATTENTION,
}

_STEPS = ffi.typeof("pyxglm_step[]")


@contextmanager
def witnessed() -> Iterator[list[Call]]:
    """Collect the calls that this thread makes of the library."""
    calls: list[Call] = []
    before, witness.calls = witness.calls, calls
    try:
        yield calls
    finally:
        witness.calls = before


class Program:
    """The calls of one decoding step, for one token in each row of a batch.

    Attributes
    ----------
    rooms
        The memory of the cache, (k_BHSK, v_BHSK) of every layer.
    length
        Tokens in the cache after the last step.
    """

    def __init__(self, calls: Sequence[Call], mask_BS: Array) -> None:
        embed, *rest = calls
        self._hidden_B1D, self._last_B1D = embed.output, rest[-1].output
        self._held = [*calls]
        self._steps = ffi.new(
            _STEPS,
            [(_KINDS[call.op], call.code, ffi.cast("void *", call.args)) for call in rest],
        )
        appends = [call for call in rest if call.op == "cache_append"]
        self.rooms: list[tuple[Array, Array]] = [call.output for call in appends]
        self.length = int(appends[0].args.start) + 1
        self._room = int(appends[0].args.S)
        # A mask with room, in place of those that have a column for each token so far.
        self._keys_BS = np.ones((len(mask_BS), self._room), np.uint8)
        self._keys_BS[:, : self.length] = mask_BS[:, : self.length] == 1
        for call in rest:
            if call.op == "attention":
                sequences, _ = call.held
                call.args.keys = ffi.from_buffer(BYTES, self._keys_BS)
                for b in range(len(self._keys_BS)):
                    sequences[b].keys = b * self._room

    @classmethod
    def of(cls, calls: Sequence[Call], mask_BS: Array) -> Program | None:
        """Make a program of a step's calls, or None if they cannot be repeated.

        Parameters
        ----------
        calls
            What `witnessed` has collected.
        mask_BS
            The mask of the step, which another token extends by a 1.
        """
        if len(calls) < 2 or calls[0].op != "embed" or calls[-1].op == "cache_append":
            return None
        written = {id(_memory(calls[0].output))}
        for call in calls[1:]:
            if call.op not in _KINDS or not call.repeatable:
                return None
            if not all(id(_memory(array)) in written for array in call.inputs):
                return None
            outputs = call.output if call.op == "cache_append" else (call.output,)
            written.update(id(_memory(array)) for array in outputs)
        appends = [call.args for call in calls if call.op == "cache_append"]
        attentions = [call for call in calls if call.op == "attention"]
        same = {(int(args.start), int(args.S), int(args.T)) for args in appends}
        if len(same) != 1 or same.pop()[2] != 1 or len(attentions) != len(appends):
            return None
        return cls(calls, mask_BS) if all(call.held[1] is not None for call in attentions) else None

    @property
    def has_room(self) -> bool:
        """Whether the cache has room for another token."""
        return self.length < self._room

    def repeat(self, hidden_B1D: Array) -> Array:
        """Run the step for the next token of every row.

        Parameters
        ----------
        hidden_B1D
            The token's first hidden state, from `embed`.

        Returns
        -------
        hidden_B1D
            The last hidden state; the next repetition writes over it.
        """
        self._hidden_B1D[...] = hidden_B1D
        lib.pyxglm_next_token(self._steps, len(self._steps))
        self.length += 1
        check(lib.pyxglm_run_steps(self._steps, len(self._steps), IN_USE))
        last_B1D: Array = self._last_B1D
        return last_B1D


def _memory(array: Any) -> Any:
    """Return the array at the end of a chain of views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
