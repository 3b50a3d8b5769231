"""The scores of the next token: as few of them as a step needs.

A greedy step needs the best score of a row, a draw among the k best those. With
256,008 tokens it pays not to store the others: the output head can tell the
best without (`ops.head`), and with the same bits.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from pyxglm.cache import KVCache
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.generation.repetition import Repetition
from pyxglm.inputs import encoder_states, token_ids
from pyxglm.inputs import positions as checked_positions
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.packing import decode_packed, join
from pyxglm.pretrained import XGLMPreTrainedModel


class AllScores:
    """The scores of the next token of every row, as a model returned them."""

    def __init__(self, logits_BTV: Array) -> None:
        self._scores_BV = logits_BTV[:, -1]

    def all(self) -> Array:
        """Return the scores (B, V) of all tokens."""
        return self._scores_BV

    def best(self, k: int) -> tuple[Array, Array] | None:
        """Return None: all scores are there, so nothing is saved by having fewer."""
        return None


class HiddenScores(AllScores):
    """The scores of the next token of every row, still to be computed from hidden states."""

    def __init__(self, hidden_BTD: Array, head_VD: Array, ops: Any) -> None:
        self._hidden_BD = np.ascontiguousarray(hidden_BTD[:, -1])
        self._head_VD, self._ops = head_VD, ops

    def all(self) -> Array:
        """Return the scores (B, V) of all tokens."""
        with np.errstate(all="ignore"):
            scores_BV: Array = self._ops.linear(self._hidden_BD, self._head_VD)
        return scores_BV

    def best(self, k: int) -> tuple[Array, Array] | None:
        """Return the k best scores and their ids (B, k), best first; None if there are no k."""
        if k > len(self._head_VD):
            return None
        with np.errstate(all="ignore"):
            scores_BK, ids_BK = self._ops.head_top(self._hidden_BD, self._head_VD, k)
        return scores_BK, ids_BK


def ask(model: Any, repetition: Repetition, **inputs: Any) -> tuple[AllScores, Any]:
    """Call a model; return the scores of the next token, and its past.

    The scores must be used before the model is asked again with the same `repetition`.

    `XGLMForCausalLM` computes hidden states only. A class made from it that has
    a `forward` of its own is called like any other model: it may change logits.
    So is a model in training mode, in which no step is like another.

    Raises
    ------
    TypeError
        If the model returns no logits.
    """
    kind = type(model)
    own = (XGLMForCausalLM.forward, XGLMForCausalLM.__call__)
    plain = isinstance(model, XGLMForCausalLM) and (kind.forward, kind.__call__) == own
    if plain and not model.model.training:
        last_B1D, past = _last_states(model.model, repetition, **inputs)
        return HiddenScores(last_B1D, model._head(), model._ops), past
    outputs = model(**inputs, return_dict=True, **_last_logits_only(model))
    if getattr(outputs, "logits", None) is None:
        raise TypeError(
            f"{kind.__name__} returned no logits, expected a model with an output head"
            " such as XGLMForCausalLM"
        )
    return AllScores(outputs.logits), outputs.past_key_values


def _last_states(model: XGLMModel, repetition: Repetition, **inputs: Any) -> tuple[Array, Any]:
    """Return the hidden states (B, 1, D) of the last column, and the past.

    A batch with padding among its new tokens is packed, so that none is computed;
    but not if there is an encoder, whose states stand in a batch too.
    """
    ids_BT, mask_BS = inputs["input_ids"], inputs["attention_mask"]
    if ids_BT.shape[1] == 1 < mask_BS.shape[1]:
        return repetition.step(model, **inputs)
    real_BT = mask_BS == 1
    padded = real_BT.shape == ids_BT.shape and not real_BT.all() and bool(real_BT[:, -1].all())
    if not padded or "encoder_hidden_states" in inputs:
        outputs = model(**inputs, return_dict=True)
        return outputs.last_hidden_state[:, -1:], outputs.past_key_values
    B, T = ids_BT.shape
    token_ids("input_ids", ids_BT, len(model.embed_tokens.weight))
    rows = model._positions.rows(T)
    positions_BT = checked_positions(inputs["position_ids"], B, T, 0, rows)
    batch = inputs["past_key_values"]
    lengths = real_BT.sum(axis=-1).tolist()
    caches = None if batch is None else [KVCache(len(batch), length) for length in lengths]
    hidden_ND = decode_packed(model, ids_BT[real_BT], positions_BT[real_BT], lengths, caches)
    if caches is not None:
        join(caches, real_BT, batch)
    return hidden_ND[np.cumsum(lengths) - 1][:, None], batch


def encoder_inputs(model: Any, states: Any, mask: Any, B: int) -> dict[str, Any]:
    """Return the arguments that give a model an encoder's states; none if there are none.

    Raises
    ------
    TypeError, ValueError
        If one of this package's models cannot take them, or a mask comes alone.
    """
    if states is None:
        if mask is not None:
            raise ValueError(
                "encoder_attention_mask is given, expected none: there are no encoder_hidden_states"
            )
        return {}
    if isinstance(model, XGLMPreTrainedModel):
        encoder_states(states, mask, model.config, B, COMPUTE[model.compute])
    return {"encoder_hidden_states": states, "encoder_attention_mask": mask}


def new_cache(model: Any, tokens: int) -> KVCache | None:
    """Return a cache to be filled in place, if the model has such a thing."""
    if not isinstance(model, XGLMPreTrainedModel):
        return None
    return KVCache(model.config.num_layers, tokens)


def _last_logits_only(model: Any) -> dict[str, int]:
    """Return the argument that keeps a model from computing logits nobody reads."""
    call = getattr(model, "forward", model)
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(call).parameters else {}
