r"""Contrastive search: likely tokens that do not repeat what the text already means.

Su et al., "A Contrastive Framework for Neural Text Generation" (2022). Of the k
likeliest tokens the one with the highest

.. math:: (1 - \alpha) \, p(v) - \alpha \max_{j} \cos(h_v, h_j)

is chosen, where h_v is the last hidden state that the token would have and h_j
are those of the text so far. So every candidate goes through the model: each
prompt has k rows, which differ in their last token only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.candidates import best
from pyxglm.generation.one_by_one import keep_log_probs, keep_scores, last_steps, processed
from pyxglm.generation.plan import Plan
from pyxglm.generation.processors.values import softmax
from pyxglm.generation.scores import AllScores, new_cache


def contrastive_search(plan: Plan) -> Iterator[Array]:
    """Run the steps; yield the ids (B,) of each, `pad` for rows that have ended.

    As in transformers the hidden states of padding count as the text's, unless
    ``ignore_padding``. With ``low_memory`` the candidates go through the model
    one after the other, in the memory of a single one, if the model has a
    `KVCache`.

    Raises
    ------
    ValueError
        If there is a cache of an earlier call: it holds no hidden states.
    """
    if plan.extras.past_key_values is not None:
        raise ValueError(
            "past_key_values is given, expected None: contrastive search needs the hidden states"
            " of the whole text"
        )
    return _steps(plan)


def _steps(plan: Plan) -> Iterator[Array]:
    s, B = plan.settings, len(plan.prompts.ids_BT)
    one_by_one = s.low_memory and new_cache(plan.model, 0) is not None
    tries = _OneByOne(plan) if one_by_one else _AtOnce(plan)
    seen_PSD = _directions(tries.hidden_PTD)
    counts_PS = plan.prompts.mask_BT == 1 if s.ignore_padding else np.ones(seen_PSD.shape[:2], bool)
    alpha, last_B = float(s.penalty_alpha or 0), last_steps(plan)
    unfinished_B, rows_P = np.ones(B, bool), np.arange(B)
    # The texts: with padding behind their ends, where the model goes on with candidates.
    ids_PS = plan.prompts.ids_BT
    for step in range(plan.steps):
        scores, live_P = tries.scores, unfinished_B[rows_P]
        scores_PV = processed(plan, scores, ids_PS, live_P)
        keep_scores(plan, scores_PV)
        p_PK, ids_PK = likeliest(softmax(scores_PV), s.top_k or 1)
        directions_PKD = _directions(tries.hidden_after(ids_PK))
        penalty_PK = similarity(directions_PKD, seen_PSD, counts_PS)
        choice_P = ((1 - alpha) * p_PK - alpha * penalty_PK).argmax(axis=-1)
        places_P = np.arange(len(rows_P))
        next_P = np.where(live_P, ids_PK[places_P, choice_P], plan.pad)
        keep_log_probs(plan, scores, next_P, live_P, rows_P)
        next_B = np.full(B, plan.pad, np.int64)
        next_B[rows_P] = next_P
        yield next_B
        tries.take(ids_PK, choice_P)
        ids_PS = np.column_stack([ids_PS, next_P])
        unfinished_B[rows_P] &= ~plan.stopping(ids_PS, plan.kept.scores or None)
        unfinished_B &= last_B > step + 1
        if not unfinished_B.any():
            break
        chosen_P1D = directions_PKD[places_P, choice_P][:, None]
        seen_PSD = np.concatenate([seen_PSD, chosen_P1D], axis=1)
        counts_PS = np.pad(counts_PS, ((0, 0), (0, 1)), constant_values=True)
        live_P = unfinished_B[rows_P]
        if not live_P.all() and not plan.needs_all_rows and tries.stepper.can_reorder:
            tries.keep(np.flatnonzero(live_P))
            plan.processors.reorder(np.flatnonzero(live_P))
            rows_P, ids_PS = rows_P[live_P], ids_PS[live_P]
            seen_PSD, counts_PS = seen_PSD[live_P], counts_PS[live_P]
    tries.end()


def likeliest(p_BV: Array, k: int) -> tuple[Array, Array]:
    """Return the k highest probabilities and their ids, highest first, the lower id among equals.

    All, if there are fewer.

    >>> likeliest(np.array([[0.1, 0.3, 0.2, 0.3]]), 3)
    (array([[0.3, 0.3, 0.2]]), array([[1, 3, 2]]))
    """
    found = [best(p_BV[row : row + 1], k) for row in range(len(p_BV))]
    return np.stack([one.totals_C for one in found]), np.stack([one.ids_C for one in found])


def similarity(directions_BKD: Array, seen_BSD: Array, counts_BS: Array) -> Array:
    """Return the largest cosine between each candidate and a text.

    Parameters
    ----------
    directions_BKD, seen_BSD
        Hidden states of length 1: the candidates', the text's.
    counts_BS
        Which of the text's count.

    Examples
    --------
    >>> similarity(np.array([[[1.0, 0.0]]]), np.array([[[0.6, 0.8], [1.0, 0.0]]]),
    ...            np.array([[True, False]]))
    array([[0.6]])
    """
    cosines_BKS = directions_BKD @ seen_BSD.transpose(0, 2, 1)
    largest_BK: Array = np.where(counts_BS[:, None], cosines_BKS, -np.inf).max(axis=-1)
    return largest_BK


def _directions(hidden_BTD: Array) -> Array:
    """Return hidden states divided by their lengths."""
    lengths_BT1 = np.sqrt(np.square(hidden_BTD).sum(axis=-1, keepdims=True))
    directions_BTD: Array = hidden_BTD / lengths_BT1
    return directions_BTD


class _Tries(ABC):
    """The texts, and what the model makes of each candidate for their next token.

    Attributes
    ----------
    scores
        Of the next token of each of P texts.
    hidden_PTD
        The last hidden states of the prompts.
    """

    def __init__(self, plan: Plan, copies: int) -> None:
        s = plan.settings
        self._copies = copies
        self.stepper = plan.new_stepper(copies=copies, hidden_states=True)
        scores = self.stepper.scores()
        self.hidden_PTD: Array = self.stepper.hidden_states[-1][-1][::copies]
        self.scores = scores.some(np.arange(0, len(scores), copies))
        wanted = s.return_dict_in_generate and s.output_hidden_states
        if not wanted and scores.hidden is not None:
            # The head's input is all that is needed from now on.
            self.stepper.collect(hidden_states=False)
        self._of_texts(slice(None, None, copies))

    def _hidden(self, scores: AllScores) -> Array:
        """Return the last hidden states (R, D) of the last column."""
        known = scores.hidden
        return self.stepper.hidden_states[-1][-1][:, -1] if known is None else known

    def _of_texts(self, rows: Any) -> None:
        """Leave of what the last call has collected the rows of the texts."""
        for collected in (self.stepper.hidden_states, self.stepper.attentions):
            if collected:
                collected[-1] = tuple(array[rows] for array in collected[-1])

    @abstractmethod
    def hidden_after(self, ids_PK: Array) -> Array:
        """Return the last hidden state (P, K, D) that each candidate would have."""

    @abstractmethod
    def take(self, ids_PK: Array, choice_P: Array) -> None:
        """Append the chosen candidates."""

    def keep(self, texts_P: Array) -> None:
        """Drop all other texts."""
        rows_PK = texts_P[:, None] * self._copies + np.arange(self._copies)
        self.stepper.reorder(rows_PK.ravel())
        self.scores = self.scores.some(texts_P)

    def end(self) -> None:
        """Leave a cache of one row for each text, without its last token."""
        self.stepper.reorder(np.arange(0, len(self.stepper.ids), self._copies))
        self.stepper.crop(self.stepper.length - 1)
        for collected in (self.stepper.hidden_states, self.stepper.attentions):
            del collected[-1:]


class _AtOnce(_Tries):
    """Each text has a row for every candidate, and they differ in the last column only."""

    def __init__(self, plan: Plan) -> None:
        vocab_size = getattr(getattr(plan.model, "config", None), "vocab_size", np.inf)
        super().__init__(plan, int(min(plan.settings.top_k or 1, vocab_size)))

    def hidden_after(self, ids_PK: Array) -> Array:
        """Return the last hidden state (P, K, D) that each candidate would have."""
        self.stepper.append(ids_PK.ravel())
        self._tried = self.stepper.scores()
        return self._hidden(self._tried).reshape(*ids_PK.shape, -1)

    def take(self, ids_PK: Array, choice_P: Array) -> None:
        """Go on with the chosen rows."""
        rows_P = np.arange(len(choice_P)) * self._copies + choice_P
        self.scores = self._tried.some(rows_P)
        self._of_texts(rows_P)
        self.stepper.reorder(np.repeat(rows_P, self._copies))


class _OneByOne(_Tries):
    """Each text has one row, in which the candidates are tried one after the other."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, 1)

    def hidden_after(self, ids_PK: Array) -> Array:
        """Return the last hidden state (P, K, D) that each candidate would have."""
        stepper, found = self.stepper, []
        for ids_P in ids_PK.T:
            stepper.append(ids_P)
            found.append(self._hidden(stepper.scores()).copy())
            stepper.crop(stepper.length - 1)
            for collected in (stepper.hidden_states, stepper.attentions):
                del collected[-1:]
        return np.stack(found, axis=1)

    def take(self, ids_PK: Array, choice_P: Array) -> None:
        """Try the chosen candidates again, and leave them there."""
        self.stepper.append(ids_PK[np.arange(len(choice_P)), choice_P])
        scores = self.stepper.scores()
        self.scores = scores.some(np.arange(len(scores)))
