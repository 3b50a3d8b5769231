"""Speculation: tokens proposed cheaply, checked by the model all at once.

A pass over k + 1 tokens costs little more than one over a single token, because
reading the weights is what takes the time. So k tokens are proposed, by a
smaller model or by looking up what followed the last tokens before, and the
model says what it would have chosen after each of them. Up to the first
difference its choices are the text, which is therefore the same as without
proposals: also when drawing, since each token is drawn with the same number.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.one_by_one import choose, keep_log_probs
from pyxglm.generation.outputs import Kept
from pyxglm.generation.plan import Plan
from pyxglm.generation.scores import OneRow
from pyxglm.generation.stepper import Stepper

#: Tokens at the end of the text that are looked up: two, else the last one.
_LOOKED_UP = 2

_ROW = np.array([0])
_LIVE = np.array([True])


class Proposer(Protocol):
    """Where proposals come from."""

    def propose(self, ids_S: Array, most: int) -> Array:
        """Return at most `most` tokens that may follow."""

    def learn(self, proposed: int, right: int) -> None:
        """Know how many of the proposed tokens were right."""


def assisted(plan: Plan) -> Iterator[Array]:
    """Run the steps; yield the id (1,) of each."""
    stepper = plan.new_stepper()
    proposer = proposer_of(plan)
    chosen = 0
    while True:
        S = stepper.length
        proposed = proposer.propose(stepper.ids[0].copy(), plan.steps - chosen - 1)
        if len(proposed):
            stepper.append(proposed[None])
        scores = stepper.scores_after(len(proposed) + 1)
        right = 0
        while True:
            row = OneRow(scores, right)
            ids_1S = stepper.ids[:, : S + right]
            ids_1 = choose(plan, row, ids_1S, _LIVE, _ROW)
            keep_log_probs(plan, row, ids_1, _LIVE, _ROW)
            chosen += 1
            yield ids_1
            same = right < len(proposed) and ids_1[0] == proposed[right]
            text_1S = np.concatenate([ids_1S, ids_1[:, None]], axis=1)
            ended = bool(plan.stopping(text_1S, plan.kept.scores or None).any())
            ended = ended or chosen == plan.steps
            if ended or not same:
                break
            right += 1
        stepper.crop(S + right)
        stepper.append(ids_1)
        _split(stepper.hidden_states, len(proposed), right, -2)
        _split(stepper.attentions, len(proposed), right, -2, keys=S)
        if ended:
            return
        proposer.learn(len(proposed), right)


def proposer_of(plan: Plan) -> Proposer:
    """Return what the settings ask for."""
    if plan.extras.assistant_model is not None:
        return Assistant(plan)
    return Lookup(int(plan.settings.prompt_lookup_num_tokens or 0))


class Lookup:
    """Proposes what followed the last tokens where they stood for the first time.

    Saxena, "Prompt Lookup Decoding" (2023).

    Examples
    --------
    >>> Lookup(3).propose(np.array([5, 6, 7, 8, 9, 5, 6]), 10).tolist()
    [7, 8, 9]
    """

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    def propose(self, ids_S: Array, most: int) -> Array:
        """Return at most `most` tokens that may follow."""
        for n in range(min(_LOOKED_UP, len(ids_S) - 1), 0, -1):
            windows = np.lib.stride_tricks.sliding_window_view(ids_S[:-1], n)
            places = np.flatnonzero((windows == ids_S[-n:]).all(axis=-1))
            if places.size:
                start = int(places[0]) + n
                found: Array = ids_S[start : start + min(self._tokens, most)]
                return found
        return ids_S[:0]

    def learn(self, proposed: int, right: int) -> None:
        """Stay as it is."""


class Assistant:
    """Proposes what a smaller model would choose, with the same processors and random numbers.

    Leviathan et al., "Fast Inference from Transformers via Speculative
    Decoding" (2023), without their correction of rejected draws: here a
    proposal stands if the model's own draw is the same token.
    """

    def __init__(self, plan: Plan) -> None:
        settings, model = plan.settings, plan.extras.assistant_model
        self._plan = replace(plan, model=model, kept=Kept(), random_B=list(plan.random_B))
        self._plan.settings = settings.updated(return_dict_in_generate=False)
        self._random = plan.random_B[0]
        self._stepper = Stepper(model, *plan.prompts, steps=plan.steps)
        self._tokens = settings.num_assistant_tokens
        self._adapts = settings.num_assistant_tokens_schedule == "heuristic"

    def propose(self, ids_S: Array, most: int) -> Array:
        """Return at most `most` tokens that may follow."""
        stepper = self._stepper
        held_S = stepper.ids[0]
        shorter = min(len(held_S), len(ids_S))
        differs = np.flatnonzero(held_S[:shorter] != ids_S[:shorter])
        common = int(differs[0]) if differs.size else shorter
        stepper.crop(common)
        if len(ids_S) > common:
            stepper.append(ids_S[None, common:])
        elif stepper.done == common:
            stepper.forget_last()
        self._plan.random_B[0] = copy.deepcopy(self._random)
        for _ in range(min(self._tokens, most)):
            ids_1 = choose(self._plan, stepper.scores(), stepper.ids, _LIVE, _ROW)
            stepper.append(ids_1)
            if ids_1[0] in self._plan.settings.eos_ids:
                break
        proposed: Array = stepper.ids[0, len(ids_S) :].copy()
        return proposed

    def learn(self, proposed: int, right: int) -> None:
        """Propose two more when all were right, else one fewer."""
        if self._adapts and proposed:
            self._tokens = self._tokens + 2 if right == proposed else max(1, self._tokens - 1)


def _split(kept: list[Any], proposed: int, right: int, axis: int, keys: int | None = None) -> None:
    """Make of what the last call told one entry for each token that was chosen from it."""
    if not kept or not proposed:
        return
    layers = kept.pop()
    columns = layers[0].shape[axis] - proposed
    bounds = [(0, columns), *((columns + i, columns + i + 1) for i in range(right))]
    for index, (begin, end) in enumerate(bounds):
        some = [array[..., begin:end, :] for array in layers]
        if keys is not None:
            some = [array[..., : keys + index] for array in some]
        kept.append(tuple(some))
