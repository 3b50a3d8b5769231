"""Beam search: the best continuations of each prompt, side by side.

Every step continues all beams of a prompt with all tokens, and the sums of the
tokens' log-probabilities decide which go on. `candidates` finds them,
`hypotheses` keeps the texts that end and knows when no better one can come. In
a beam search that draws, the candidates are drawn; in a constrained one,
`forcing` has a word in the choice; groups of beams choose one after the other,
and each is kept away from the tokens of those before (`groups`).

R rows are the beams of all prompts that are still computed: W beams of each of
P prompts. A prompt with nothing left to find is not computed any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.constraints import constraints_of
from pyxglm.generation.beams.ending import as_rows, sequences
from pyxglm.generation.beams.forcing import Next
from pyxglm.generation.beams.group import Group
from pyxglm.generation.beams.groups import away_from
from pyxglm.generation.beams.history import History, Lines
from pyxglm.generation.beams.hypotheses import Hypothesis, Rules, best
from pyxglm.generation.beams.progress import ConstraintListState
from pyxglm.generation.one_by_one import keep_scores, last_steps
from pyxglm.generation.outputs import GenerateBeamDecoderOnlyOutput
from pyxglm.generation.plan import Plan

#: What all but one of a prompt's equal beams begin with, so that they are not chosen.
_UNLIKELY = -1e9


def beam_search(plan: Plan) -> GenerateBeamDecoderOnlyOutput:
    """Search for the best continuations of a plan's prompts.

    Returns
    -------
    output
        ``num_return_sequences`` texts for each prompt, its best first.
        ``beam_indices`` are as wide as ``sequences``, as transformers has
        them, and always name rows of the batch of all beams, in groups too.
        What the plan's stepper and `Kept` hold is not put in.

    Raises
    ------
    ValueError
        If no token can follow a prompt, or scores are no numbers.
    """
    search = _Search(plan)
    while not search.over:
        search.step()
    return search.result()


class _Search:
    """A beam search between two steps."""

    def __init__(self, plan: Plan) -> None:
        s = self._settings = plan.settings
        self._plan, self._stepper = plan, plan.new_stepper()
        B = len(plan.prompts.ids_BT)
        self._beams, self._size = s.num_beams, s.num_beams // s.num_beam_groups
        self._groups_BG = [_groups(plan, prompt) for prompt in range(B)]
        self._present_P = np.arange(B)
        self._last_B = last_steps(plan)[:: self._beams]
        self._totals_PW = np.zeros((B, self._beams), np.float32)
        if not s.do_sample:
            self._totals_PW[:, np.arange(self._beams) % self._size > 0] = _UNLIKELY
        self._history = History()

    @property
    def over(self) -> bool:
        """Whether there is nothing left to find."""
        return not any(self._goes_on(prompt) for prompt in self._present_P.tolist())

    def _goes_on(self, prompt: int) -> bool:
        return not all(group.done for group in self._groups_BG[prompt])

    def step(self) -> None:
        """Continue all beams by a token."""
        plan, ids_RS = self._plan, self._stepper.ids
        scores = self._stepper.scores()
        if self._settings.return_dict_in_generate and self._settings.output_logits:
            plan.kept.logits.append(scores.all())
        log_probs_RV = scores.all_log_probs()
        P, V = len(self._present_P), log_probs_RV.shape[1]
        self._totals_PW = self._totals_PW.astype(log_probs_RV.dtype, copy=False)
        next_ = Next(self._totals_PW.copy(), *np.zeros((2, P, self._beams), np.int64))
        several = self._settings.num_beam_groups > 1
        kept_RV = np.empty_like(log_probs_RV) if several else None
        guided_RV = plan.processors.guided(ids_RS, log_probs_RV) if several else log_probs_RV
        for number in range(self._settings.num_beam_groups):
            columns = self._columns(number)
            rows_R = np.arange(P * self._beams).reshape(P, -1)[:, columns].ravel()
            before_PE = next_.ids_G[:, : columns.start]
            scores_RV = self._processed(ids_RS, guided_RV, rows_R, before_PE)
            if kept_RV is not None:
                kept_RV[rows_R] = scores_RV
            totals_PGV = scores_RV.reshape(P, -1, V) + self._totals_PW[:, columns, None]
            for place, group, rows in self._present(number):
                found = group.choose(totals_PGV[place], log_probs_RV[rows], self._lines(rows))
                next_.totals_G[place, columns] = found.totals_G
                next_.beams_G[place, columns] = rows.start + found.beams_G
                next_.ids_G[place, columns] = found.ids_G
        keep_scores(plan, scores_RV if kept_RV is None else kept_RV)
        self._go_on(next_, log_probs_RV)

    def _columns(self, number: int) -> slice:
        """Return which of a prompt's beams are those of a group."""
        return slice(number * self._size, (number + 1) * self._size)

    def _present(self, number: int) -> Iterator[tuple[int, Group, slice]]:
        """Yield the groups of a number: the place of the prompt, the group, its rows."""
        for place, prompt in enumerate(self._present_P.tolist()):
            start = place * self._beams + number * self._size
            yield place, self._groups_BG[prompt][number], slice(start, start + self._size)

    def _processed(self, ids_RS: Array, scores_RV: Array, rows_R: Array, before_PE: Array) -> Array:
        """Return the scores that a group of beams chooses by."""
        plan, s = self._plan, self._settings
        if s.num_beam_groups == 1:
            scores_RV = plan.processors(ids_RS, scores_RV)
        else:
            scores_RV = plan.processors(
                ids_RS[rows_R], scores_RV[rows_R], rows_R,
                lambda scores_RV: away_from(before_PE, scores_RV, s.diversity_penalty),
            )  # fmt: skip
        return plan.narrowing(ids_RS, scores_RV) if s.do_sample else scores_RV

    def _lines(self, rows: slice) -> Lines:
        return Lines(self._stepper.ids[rows], rows.start, self._history)

    def _go_on(self, next_: Next, log_probs_RV: Array) -> None:
        """Make the chosen beams the present ones, and drop prompts that are done."""
        sources_R, ids_R = next_.beams_G.ravel(), next_.ids_G.ravel()
        origins_PW = self._present_P[:, None] * self._beams + next_.beams_G % self._beams
        self._history.add(sources_R, origins_PW.ravel(), log_probs_RV[sources_R, ids_R])
        self._totals_PW = next_.totals_G
        self._reorder(sources_R)
        self._stepper.append(ids_R)
        self._stop()
        going_P = np.array([self._goes_on(prompt) for prompt in self._present_P.tolist()])
        if not going_P.all() and going_P.any() and not self._plan.needs_all_rows:
            kept_R = np.flatnonzero(np.repeat(going_P, self._beams))
            self._present_P, self._totals_PW = self._present_P[going_P], self._totals_PW[going_P]
            self._history.keep(kept_R)
            self._reorder(kept_R)

    def _reorder(self, rows_R: Array) -> None:
        self._stepper.reorder(rows_R)
        self._plan.processors.reorder(rows_R)

    def _stop(self) -> None:
        """Keep the beams that are long enough, or that a rule of the caller's ends."""
        kept = self._plan.kept.scores
        ids_RS = self._stepper.ids
        stopped_R = self._plan.stopping.besides_eos(ids_RS, tuple(kept) if kept else None)
        for number in range(self._settings.num_beam_groups):
            for place, group, rows in self._present(number):
                totals_G = self._totals_PW[place, self._columns(number)]
                if stopped_R[rows].any():
                    group.cut(stopped_R[rows], totals_G, self._lines(rows))
                if len(self._history) == self._last_B[self._present_P[place]]:
                    group.finish(totals_G, self._lines(rows))

    def result(self) -> GenerateBeamDecoderOnlyOutput:
        """Return the best texts of each prompt."""
        plan, s = self._plan, self._settings
        texts = [
            text
            for groups in self._groups_BG
            for text in best(
                [text for group in groups for text in group.kept.texts], s.num_return_sequences
            )
        ]
        ids_RS = sequences(texts, plan.pad, s.eos_ids)
        width = ids_RS.shape[1]
        log_probs_RN = None
        if s.output_log_probs:
            new = width - plan.prompts.ids_BT.shape[1]
            log_probs_RN = as_rows([text.log_probs_T for text in texts], new, 0)
        return GenerateBeamDecoderOnlyOutput(
            sequences=ids_RS,
            sequences_scores=_scores(texts, self._totals_PW.dtype),
            beam_indices=as_rows([text.origins_T for text in texts], width, -1),
            log_probs=log_probs_RN,
        )


def _scores(texts: list[Hypothesis], dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):  # a penalty may make them infinite
        return np.array([text.score for text in texts]).astype(dtype)


def _groups(plan: Plan, prompt: int) -> list[Group]:
    """Return the groups of a prompt's beams."""
    s = plan.settings
    size = s.num_beams // s.num_beam_groups
    longest = int(last_steps(plan)[prompt * s.num_beams])
    rules = Rules(s.length_penalty, s.early_stopping, longest)
    constraints = constraints_of(s.constraints, s.force_words_ids)
    states = None
    if constraints:
        ids_T = plan.prompts.ids_BT[prompt]
        if s.ignore_padding:
            ids_T = ids_T[plan.prompts.mask_BT[prompt].argmax() :]
        states = [ConstraintListState(constraints, ids_T.tolist()) for _ in range(size)]
    first = prompt * s.num_beams
    return [
        Group(
            f"prompt {prompt}", size, first + number * size, rules, s.eos_ids, plan.pad,
            plan.random_B[first] if s.do_sample else None, states, s.num_return_sequences,
        )
        for number in range(s.num_beam_groups)
    ]  # fmt: skip
