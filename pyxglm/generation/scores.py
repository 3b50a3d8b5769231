"""The scores of the next token: as few of them as a step needs.

A greedy step needs the best score of a row, a draw among the k best those. With
256,008 tokens it pays not to store the others: the output head can tell the
best without (`ops.head`), and with the same bits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyxglm.cache import KVCache
from pyxglm.dtypes import Array
from pyxglm.generation.processors.values import log_softmax
from pyxglm.generation.repetition import Repetition
from pyxglm.inputs import positions as checked_positions
from pyxglm.inputs import token_ids
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.ops.shortlist import Shortlist
from pyxglm.packing import decode_packed, join
from pyxglm.pretrained import XGLMPreTrainedModel


class AllScores:
    """The scores of the next token of every row, as a model returned them."""

    def __init__(self, logits_BTV: Array) -> None:
        self._scores_BV = logits_BTV[:, -1]
        self._told: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self._scores_BV)

    def all(self) -> Array:
        """Return the scores (B, V) of all tokens."""
        return self._scores_BV

    def all_log_probs(self) -> Array:
        """Return the log-probabilities (B, V) of all tokens, in nats."""
        return log_softmax(self._scores_BV)

    def best(self, k: int) -> tuple[Array, Array] | None:
        """Return None: all scores are there, so nothing is saved by having fewer."""
        return None

    def log_probs(self, ids_B: Array) -> Array:
        """Return the log-probability of one token of each row, in nats."""
        log_probs_BV = log_softmax(self._scores_BV)
        found_B: Array = np.take_along_axis(log_probs_BV, ids_B[:, None], axis=-1)[:, 0]
        return found_B

    @property
    def hidden(self) -> Array | None:
        """The hidden states (B, D) that the scores are of, if they are known."""
        return None

    def some(self, rows_R: Array) -> AllScores:
        """Return the scores of some rows, in that order; they stay what they are."""
        return AllScores(self._scores_BV[rows_R][:, None])

    def told(self, what: Any, compute: Callable[[], Any]) -> Any:
        """Return what was computed under a name before; else compute it, and remember it."""
        if what not in self._told:
            self._told[what] = compute()
        return self._told[what]

    def repeated(self, copies: int) -> AllScores:
        """Return the scores of each row so many times, one behind the other."""
        return self.some(np.repeat(np.arange(len(self)), copies))


class HiddenScores(AllScores):
    """The scores of the next token of every row, still to be computed from hidden states."""

    def __init__(
        self, hidden_BTD: Array, head_VD: Array, ops: Any, shortlist: Shortlist | None = None
    ) -> None:
        self._hidden_BD = np.ascontiguousarray(hidden_BTD[:, -1])
        self._head_VD, self._ops, self._shortlist = head_VD, ops, shortlist
        self._told = {}

    def __len__(self) -> int:
        return len(self._hidden_BD)

    def all(self) -> Array:
        """Return the scores (B, V) of all tokens."""
        with np.errstate(all="ignore"):
            scores_BV: Array = self._ops.linear(self._hidden_BD, self._head_VD)
        return scores_BV

    def all_log_probs(self) -> Array:
        """Return the log-probabilities (B, V) of all tokens, in nats."""
        with np.errstate(all="ignore"):
            log_probs_BV: Array = self._ops.log_softmax(self.all())
        return log_probs_BV

    def best(self, k: int) -> tuple[Array, Array] | None:
        """Return the k best scores and their ids (B, k), best first; None if there are no k."""
        if k > len(self._head_VD):
            return None
        with np.errstate(all="ignore"):
            states_BD, head_VD, shortlist = self._hidden_BD, self._head_VD, self._shortlist
            if shortlist is None:
                found: tuple[Array, Array] = self._ops.head_top(states_BD, head_VD, k)
            else:
                found = self._ops.head_top_by_shortlist(states_BD, head_VD, k, shortlist)
        return found

    def log_probs(self, ids_B: Array) -> Array:
        """Return the log-probability of one token of each row, in nats."""
        with np.errstate(all="ignore"):
            found_B, _ = self._ops.head_log_probs(self._hidden_BD, self._head_VD, ids_B)
        log_probs_B: Array = found_B
        return log_probs_B

    @property
    def hidden(self) -> Array | None:
        """The hidden states (B, D) that the scores are of."""
        return self._hidden_BD

    def some(self, rows_R: Array) -> AllScores:
        """Return the scores of some rows, in that order; they stay what they are."""
        states_RTD = self._hidden_BD[rows_R][:, None]
        return HiddenScores(states_RTD, self._head_VD, self._ops, self._shortlist)


class OneRow(AllScores):
    """One row of some scores; what is computed of them is computed once, for all rows."""

    def __init__(self, scores: AllScores, row: int) -> None:
        self._scores, self._row = scores, slice(row, row + 1)

    def __len__(self) -> int:
        return 1

    def all(self) -> Array:
        """Return the scores (1, V) of all tokens."""
        every_BV: Array = self._scores.told("all", self._scores.all)
        return every_BV[self._row]

    def best(self, k: int) -> tuple[Array, Array] | None:
        """Return the k best scores and their ids (1, k), best first; None as of all rows."""
        found = self._scores.told(k, lambda: self._scores.best(k))
        return None if found is None else (found[0][self._row], found[1][self._row])

    def log_probs(self, ids_B: Array) -> Array:
        """Return the log-probability of one token, in nats."""
        found_B = self._scores.log_probs(np.repeat(ids_B, len(self._scores)))
        return found_B[self._row]


class Answer(NamedTuple):
    """What a model says about the columns that it was given.

    `hidden_states` and `attentions` are there if they were asked for, one array
    for each layer, as the model's own output has them.
    """

    scores: AllScores
    past: Any
    hidden_states: Any = None
    attentions: Any = None


def ask(
    model: Any,
    repetition: Repetition,
    *,
    columns: int | None = None,
    hidden_states: bool = False,
    attentions: bool = False,
    prefix: KVCache | None = None,
    **inputs: Any,
) -> Answer:
    """Call a model; return the scores of the next token, and its past.

    The scores must be used before the model is asked again with the same `repetition`.

    `XGLMForCausalLM` computes hidden states only. A class made from it that has
    a `forward` of its own is called like any other model: it may change logits.
    So is a model in training mode, in which no step is like another.

    Parameters
    ----------
    model, repetition
        The model, and what it repeats its steps with.
    columns
        None: the scores after the last column, of every row. Else there is one
        row, and the scores are those after each of so many last columns.
    hidden_states, attentions
        Ask for these too; then padding is computed, as transformers does.
    prefix
        What the model remembers of the tokens with which every row begins. Its
        own models use it, at the first call.
    **inputs
        ``input_ids, attention_mask, position_ids, past_key_values, use_cache``,
        and perhaps ``encoder_hidden_states, encoder_attention_mask``.

    Raises
    ------
    TypeError
        If the model returns no logits.
    """
    kind = type(model)
    wanted = {"output_hidden_states": hidden_states, "output_attentions": attentions}
    wanted = {name: True for name, value in wanted.items() if value}
    own = isinstance(model, XGLMForCausalLM) and (kind.forward, kind.__call__) == _OWN
    if own and not model.model.training:
        if columns is None and not wanted:
            states_BTD, past = _last_states(model.model, repetition, prefix, **inputs)
            return Answer(_hidden_scores(model, states_BTD), past)
        outputs = model.model(**inputs, **wanted, return_dict=True)
        states_BTD = outputs.last_hidden_state
        scores: AllScores = _hidden_scores(model, _rows(states_BTD, columns))
    else:
        outputs = model(
            **inputs, **wanted, return_dict=True, **_last_logits_only(model, columns or 1)
        )
        if getattr(outputs, "logits", None) is None:
            raise TypeError(
                f"{kind.__name__} returned no logits, expected a model with an output head"
                " such as XGLMForCausalLM"
            )
        scores = AllScores(_rows(outputs.logits, columns))
    return Answer(
        scores,
        outputs.past_key_values,
        outputs.hidden_states if hidden_states else None,
        outputs.attentions if attentions else None,
    )


#: How `XGLMForCausalLM` is called.
_OWN = (XGLMForCausalLM.forward, XGLMForCausalLM.__call__)


def _hidden_scores(model: XGLMForCausalLM, states_BTD: Array) -> HiddenScores:
    return HiddenScores(states_BTD, model._head(), model._ops, model.shortlist)


def _rows(states_BTX: Array, columns: int | None) -> Array:
    """Make rows of the last columns of a single row."""
    return states_BTX if columns is None else states_BTX[0, -columns:, None]


def _last_states(
    model: XGLMModel, repetition: Repetition, prefix: KVCache | None, **inputs: Any
) -> tuple[Array, Any]:
    """Return the hidden states (B, 1, D) of the last column, and the past.

    A batch with padding among its new tokens is packed, so that none is computed;
    but not if there is an encoder, whose states stand in a batch too.
    """
    ids_BT, mask_BS = inputs["input_ids"], inputs["attention_mask"]
    if ids_BT.shape[1] == 1 < mask_BS.shape[1]:
        return repetition.step(model, **inputs)
    real_BT = mask_BS == 1
    plain = real_BT.shape != ids_BT.shape or not real_BT[:, -1].all()
    if plain or (real_BT.all() and prefix is None) or "encoder_hidden_states" in inputs:
        outputs = model(**inputs, return_dict=True)
        return outputs.last_hidden_state[:, -1:], outputs.past_key_values
    B, T = ids_BT.shape
    token_ids("input_ids", ids_BT, len(model.embed_tokens.weight))
    rows = model._positions.rows(T)
    positions_BT = checked_positions(inputs["position_ids"], B, T, 0, rows)
    batch = inputs["past_key_values"]
    known = 0 if prefix is None else prefix.length
    lengths = (real_BT.sum(axis=-1) - known).tolist()
    caches = None if batch is None else [_begun(batch, prefix, length) for length in lengths]
    new_BT = real_BT & (np.cumsum(real_BT, axis=-1) > known)
    hidden_ND = decode_packed(model, ids_BT[new_BT], positions_BT[new_BT], lengths, caches)
    if caches is not None:
        join(caches, real_BT, batch)
    return hidden_ND[np.cumsum(lengths) - 1][:, None], batch


def _begun(batch: KVCache, prefix: KVCache | None, tokens: int) -> KVCache:
    """Return a text's cache: what it begins with, and room for its other tokens."""
    if prefix is None:
        return KVCache(len(batch), tokens)
    return KVCache.from_past(prefix.to_tuple(), tokens)


def new_cache(model: Any, tokens: int) -> KVCache | None:
    """Return a cache to be filled in place, if the model has such a thing."""
    if not isinstance(model, XGLMPreTrainedModel):
        return None
    return KVCache(model.config.num_layers, tokens)


def _last_logits_only(model: Any, columns: int) -> dict[str, int]:
    """Return the argument that keeps a model from computing logits nobody reads."""
    call = getattr(model, "forward", model)
    takes = "logits_to_keep" in inspect.signature(call).parameters
    return {"logits_to_keep": columns} if takes else {}
