"""Greedy search and sampling: one token a step, the best one or a draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.choice import (
    candidates,
    candidates_of_best,
    checked,
    draw_among,
    greedy,
)
from pyxglm.generation.plan import Plan
from pyxglm.generation.scores import AllScores

#: Draws among more tokens than this begin with the scores of all: finding so many
#: best ones would take longer.
MOST_BEST = 128


def one_by_one(plan: Plan) -> Iterator[Array]:
    """Run the steps; yield the ids (B,) of each, `pad` for rows that have ended.

    Rows that have ended are dropped from the batch, unless somebody who looks
    at all rows would miss them.
    """
    stepper = plan.new_stepper()
    last_B = last_steps(plan)
    unfinished_B = np.ones(len(last_B), dtype=bool)
    rows_R = np.arange(len(last_B))  # those that the stepper has
    for step in range(plan.steps):
        scores = stepper.scores()
        live_R = unfinished_B[rows_R]
        next_R = choose(plan, scores, stepper.ids, live_R, rows_R)
        next_R = np.where(live_R, next_R, plan.pad)
        keep_log_probs(plan, scores, next_R, live_R, rows_R)
        next_B = np.full(len(last_B), plan.pad, np.int64)
        next_B[rows_R] = next_R
        yield next_B
        stepper.append(next_R)
        ended_R = plan.stopping(stepper.ids, plan.kept.scores or None)
        unfinished_B[rows_R] &= ~ended_R
        unfinished_B &= last_B > step + 1
        if not unfinished_B.any():
            return
        live_R = unfinished_B[rows_R]
        # Dropping rows copies what the others remember: not for one of many.
        if 8 * (~live_R).sum() >= len(rows_R) and not plan.needs_all_rows and stepper.can_reorder:
            stepper.reorder(np.flatnonzero(live_R))
            plan.processors.reorder(np.flatnonzero(live_R))
            rows_R = rows_R[live_R]


def last_steps(plan: Plan) -> Array:
    """Return the most steps of each row (B,).

    With `ignore_padding`, `max_length` counts a row's own tokens.
    """
    settings, (ids_BT, mask_BT) = plan.settings, plan.prompts
    last_B = np.full(len(ids_BT), plan.steps)
    if settings.ignore_padding and settings.max_new_tokens is None:
        last_B = settings.max_length - (ids_BT.shape[1] - mask_BT.argmax(axis=-1))
    return np.repeat(last_B, plan.copies)


def choose(plan: Plan, scores: AllScores, ids_BS: Array, live_B: Array, rows_B: Array) -> Array:
    """Choose the next token of every row.

    `live_B` says which rows have not ended; only these draw. `rows_B` are their
    numbers in the whole batch.
    """
    settings = plan.settings
    enough = _enough(plan)
    best = scores.best(enough) if enough else None
    if best is not None:
        checked(best[0], live_B)
        if not settings.do_sample:
            return best[1][:, 0]
    scores_BV = None if best is not None else processed(plan, scores, ids_BS, live_B)
    if scores_BV is not None and not settings.do_sample:
        keep_scores(plan, scores_BV)
        return greedy(scores_BV)
    if scores_BV is not None and _wants_scores(plan):
        keep_scores(plan, plan.narrowing(ids_BS, scores_BV))
    next_B = np.zeros(len(ids_BS), np.int64)
    for row in np.flatnonzero(live_B):
        found = None
        if best is not None:
            found = candidates_of_best(best[0][row], best[1][row], plan.narrowing)
        if found is None:
            scores_BV = scores.all() if scores_BV is None else scores_BV
            found = candidates(scores_BV[row], plan.narrowing)
        uniform = plan.random_B[rows_B[row]].random()
        next_B[row] = draw_among(*found, plan.narrowing, uniform)
    return next_B


def processed(plan: Plan, scores: AllScores, ids_BS: Array, live_B: Array) -> Array:
    """Return the scores of all tokens after the logits processors."""
    scores_BV = scores.all()
    if plan.settings.return_dict_in_generate and plan.settings.output_logits:
        plan.kept.logits.append(scores_BV)
    return checked(plan.processors(ids_BS, scores_BV), live_B)


def keep_log_probs(
    plan: Plan, scores: AllScores, next_R: Array, live_R: Array, rows_R: Array
) -> None:
    """Keep the model's log-probabilities of the chosen tokens, if they are asked for."""
    if plan.settings.return_dict_in_generate and plan.settings.output_log_probs:
        found_B = np.zeros(len(plan.random_B), np.float64)
        found_B[rows_R] = np.where(live_R, scores.log_probs(next_R), 0)
        plan.kept.log_probs.append(found_B)


def _wants_scores(plan: Plan) -> bool:
    return bool(plan.settings.return_dict_in_generate and plan.settings.output_scores)


def keep_scores(plan: Plan, scores_BV: Array) -> None:
    """Keep the scores of a step, if they are asked for."""
    if _wants_scores(plan):
        plan.kept.scores.append(scores_BV)


def _enough(plan: Plan) -> int:
    """Return how many of the best scores of a row decide; 0 if all are needed.

    For a draw one more than it is among: if that ties with the last, it counts.
    """
    settings = plan.settings
    shown = settings.output_scores or settings.output_logits
    if plan.processors or (settings.return_dict_in_generate and shown):
        return 0
    if not settings.do_sample:
        return 1
    k = settings.top_k or 0
    return k + 1 if 0 < k <= MOST_BEST else 0
