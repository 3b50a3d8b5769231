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

from collections.abc import Sequence

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.native_arrays import BYTES
from pyxglm.ops.native_calls import Call, is_step, memory_of, run, steps_of, witnessed
from pyxglm.ops.native_library import ffi, lib

__all__ = ["Program", "witnessed"]


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
        self._hidden_B1D, self._last_B1D = embed.outputs[0], rest[-1].outputs[0]
        self._held = [*calls]
        self._steps = steps_of(rest)
        appends = [call for call in rest if call.op == "cache_append"]
        self.rooms: list[tuple[Array, ...]] = [call.outputs for call in appends]
        self.length = int(appends[0].args.start) + 1
        self._room = int(appends[0].args.S)
        # A mask with room, in place of those that have a column for each token so far.
        self._keys_BS = np.ones((len(mask_BS), self._room), np.uint8)
        self._keys_BS[:, : self.length] = mask_BS[:, : self.length] == 1
        for call in rest:
            if call.op == "attention":
                sequences = call.held[0]
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
        written = {id(memory_of(calls[0].outputs[0]))}
        for call in calls[1:]:
            if not (is_step(call) and call.repeatable):
                return None
            if not all(id(memory_of(array)) in written for array in call.inputs):
                return None
            written.update(id(memory_of(array)) for array in call.outputs)
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
        run(self._steps)
        last_B1D: Array = self._last_B1D
        return last_B1D
