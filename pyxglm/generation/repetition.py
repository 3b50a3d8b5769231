"""Decoding one token after another: the first step is recorded, the others repeat it."""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np

from pyxglm import decoder
from pyxglm.cache import KVCache
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.modeling import XGLMModel
from pyxglm.ops import recording
from pyxglm.parameters import EMBEDDING


class Repetition:
    """The decoding step of one generation.

    Where a backend can record what the decoder does for a token, the model is
    run once as always, and from then on the recording, as long as parameters
    and cache are those that it was made with.
    """

    def __init__(self) -> None:
        self._program: Any = None
        self._parameters: list[Array] = []

    def step(self, model: XGLMModel, **inputs: Any) -> tuple[Array, Any]:
        """Compute one token of every row; return the hidden states (B, 1, D) and the cache.

        Parameters are `XGLMModel.forward`'s. What is returned may be written
        over by the next step.
        """
        cache = inputs["past_key_values"]
        recorder = recording(model.backend)
        if recorder is None or not isinstance(cache, KVCache):
            outputs = model(**inputs, return_dict=True)
            return outputs.last_hidden_state, outputs.past_key_values
        if self._fits(model, cache):
            positions_B1 = np.asarray(inputs["position_ids"])
            table_PD = model._positions.up_to(int(positions_B1.max()))
            hidden_B1D = decoder.embed(
                inputs["input_ids"], positions_B1, model._parameters[EMBEDDING], table_PD,
                model.config, model._ops, COMPUTE[model.compute],
            )  # fmt: skip
            with cache.in_use:
                hidden_B1D = self._program.repeat(hidden_B1D)
                cache.commit(1)
            return hidden_B1D, cache
        with recorder.witnessed() as calls:
            outputs = model(**inputs, return_dict=True)
        self._program = recorder.Program.of(calls, np.asarray(inputs["attention_mask"]))
        self._parameters = list(model._parameters.values())
        return outputs.last_hidden_state, outputs.past_key_values

    def forget(self) -> None:
        """Drop the recording: rows will have another mask than it was made with."""
        self._program = None

    def _fits(self, model: XGLMModel, cache: KVCache) -> bool:
        """Whether the recording is of this model, these parameters and this state of the cache."""
        program = self._program
        if program is None or not program.has_room or program.length != cache.length:
            return False
        now = list(model._parameters.values())
        same = len(now) == len(self._parameters) and all(map(is_, now, self._parameters))
        rooms = [room for layer in range(len(cache)) for room in cache.room(layer)]
        recorded = [room for pair in program.rooms for room in pair]
        return same and len(rooms) == len(recorded) and all(map(is_, rooms, recorded))
