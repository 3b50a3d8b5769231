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

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.constraints import constraints_of
from pyxglm.generation.beams.ending import rows, sequences
from pyxglm.generation.beams.forcing import Next
from pyxglm.generation.beams.group import Group, Lines
from pyxglm.generation.beams.groups import away_from
from pyxglm.generation.beams.hypotheses import Rules, best
from pyxglm.generation.beams.progress import ConstraintListState
from pyxglm.generation.outputs import GenerateBeamDecoderOnlyOutput, collected
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
        self._length = 0
        self._totals_PW = np.zeros((B, self._beams), np.float32)
        if not s.do_sample:
            self._totals_PW[:, np.arange(self._beams) % self._size > 0] = _UNLIKELY
        self._origins_RN = np.zeros((B * self._beams, 0), np.int64)
        self._log_probs_RN = np.zeros((B * self._beams, 0), np.float32)

    @property
    def over(self) -> bool:
        """Whether the texts are long enough, or there is nothing left to find."""
        return self._length == self._plan.steps or not any(
            self._goes_on(prompt) for prompt in self._present_P
        )

    def _goes_on(self, prompt: int) -> bool:
        return not all(group.done for group in self._groups_BG[prompt])

    def step(self) -> None:
        """Continue all beams by a token."""
        plan, ids_RS = self._plan, self._stepper.ids_BS
        scores = self._stepper.scores()
        if self._settings.output_logits:
            plan.kept.logits.append(scores.all())
        log_probs_RV = scores.all_log_probs()
        P, V = len(self._present_P), log_probs_RV.shape[1]
        self._totals_PW = self._totals_PW.astype(log_probs_RV.dtype, copy=False)
        next_ = Next(self._totals_PW.copy(), *np.zeros((2, P, self._beams), np.int64))
        processed_RV = log_probs_RV
        if self._settings.num_beam_groups > 1:
            processed_RV = np.empty_like(log_probs_RV)
        for group in range(self._settings.num_beam_groups):
            columns = slice(group * self._size, (group + 1) * self._size)
            rows_PG = np.arange(P * self._beams).reshape(P, -1)[:, columns]
            before_PE = next_.ids_G[:, : columns.start]
            some_RV = self._processed(ids_RS, log_probs_RV, rows_PG.ravel(), before_PE)
            if self._settings.num_beam_groups > 1:
                processed_RV[rows_PG.ravel()] = some_RV
            else:
                processed_RV = some_RV
            totals_PGV = some_RV.reshape(P, -1, V) + self._totals_PW[:, columns, None]
            for place, prompt in enumerate(self._present_P):
                rows_G = rows_PG[place]
                lines = self._lines(ids_RS, rows_G)
                chosen = self._groups_BG[prompt][group].choose(
                    totals_PGV[place], log_probs_RV[rows_G], lines
                )
                next_.totals_G[place, columns] = chosen.totals_G
                next_.beams_G[place, columns] = rows_G[chosen.beams_G]
                next_.ids_G[place, columns] = chosen.ids_G
        if self._settings.output_scores:
            plan.kept.scores.append(processed_RV)
        self._go_on(next_, log_probs_RV)

    def _processed(
        self, ids_RS: Array, log_probs_RV: Array, rows_R: Array, before_PE: Array
    ) -> Array:
        """Return the scores that a group of beams chooses by."""
        plan, s = self._plan, self._settings
        if s.num_beam_groups == 1:
            scores_RV = plan.processors(ids_RS, log_probs_RV)
        else:
            scores_RV = plan.processors(
                ids_RS[rows_R], log_probs_RV[rows_R], rows_R,
                lambda scores_RV: away_from(before_PE, scores_RV, s.diversity_penalty),
            )  # fmt: skip
        return plan.narrowing(ids_RS, scores_RV) if s.do_sample else scores_RV

    def _lines(self, ids_RS: Array, rows_G: Array) -> Lines:
        return Lines(ids_RS[rows_G], self._origins_RN[rows_G], self._log_probs_RN[rows_G])

    def _go_on(self, next_: Next, log_probs_RV: Array) -> None:
        """Make the chosen beams the present ones, and drop prompts that are done."""
        plan, stepper, W = self._plan, self._stepper, self._beams
        sources_R, ids_R = next_.beams_G.ravel(), next_.ids_G.ravel()
        first_P = self._present_P[:, None] * W
        origins_R = (first_P + next_.beams_G % W).ravel()
        self._origins_RN = np.column_stack([self._origins_RN[sources_R], origins_R])
        self._log_probs_RN = np.column_stack(
            [self._log_probs_RN[sources_R], log_probs_RV[sources_R, ids_R]]
        )
        self._totals_PW, self._length = next_.totals_G, self._length + 1
        ids_RS = np.column_stack([stepper.ids_BS[sources_R], ids_R])
        self._stop(ids_RS)
        if self.over:
            self._finish(ids_RS)
            return
        keeps_P = np.array([self._goes_on(prompt) for prompt in self._present_P])
        if not keeps_P.all() and not plan.needs_all_rows:
            kept_R = np.repeat(keeps_P, W)
            sources_R, ids_R = sources_R[kept_R], ids_R[kept_R]
            self._origins_RN = self._origins_RN[kept_R]
            self._log_probs_RN = self._log_probs_RN[kept_R]
            self._present_P, self._totals_PW = self._present_P[keeps_P], self._totals_PW[keeps_P]
        stepper.reorder(sources_R)
        plan.processors.reorder(sources_R)
        stepper.append(ids_R)

    def _stop(self, ids_RS: Array) -> None:
        """Keep the beams that have ended for another reason than an end token."""
        kept = self._plan.kept.scores
        stopped_R = self._plan.stopping.besides_eos(ids_RS, tuple(kept) if kept else None)
        if stopped_R.any():
            for group, totals_G, rows_G in self._present(ids_RS):
                if not group.done:
                    group.cut(stopped_R[rows_G], totals_G, self._lines(ids_RS, rows_G))

    def _finish(self, ids_RS: Array) -> None:
        """Keep the beams that have not ended when the search has."""
        for group, totals_G, rows_G in self._present(ids_RS):
            group.finish(totals_G, self._lines(ids_RS, rows_G))

    def _present(self, ids_RS: Array) -> list[tuple[Group, Array, Array]]:
        """Return the groups that are computed, with their sums (views) and rows."""
        found = []
        for place, prompt in enumerate(self._present_P):
            for number, group in enumerate(self._groups_BG[prompt]):
                columns = slice(number * self._size, (number + 1) * self._size)
                rows_G = np.arange(place * self._beams, (place + 1) * self._beams)[columns]
                found.append((group, self._totals_PW[place, columns], rows_G))
        return found

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
        parts: dict[str, Any] = collected(plan)
        if s.output_log_probs:
            new = width - plan.prompts.ids_BT.shape[1]
            parts["log_probs"] = rows([text.log_probs_T for text in texts], new, 0)
        return GenerateBeamDecoderOnlyOutput(
            sequences=ids_RS,
            sequences_scores=np.array([text.score for text in texts]),
            beam_indices=rows([text.origins_T for text in texts], width, -1),
            **parts,
        )


def _groups(plan: Plan, prompt: int) -> list[Group]:
    """Return the groups of a prompt's beams."""
    s = plan.settings
    size = s.num_beams // s.num_beam_groups
    rules = Rules(s.length_penalty, s.early_stopping, plan.steps)
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
