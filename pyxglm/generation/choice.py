"""From the scores of the next token to the token: the best one, or a draw.

A draw is the inverse of the cumulative distribution at a uniform number.
Probabilities are float64 whatever the model computes in, so that rounding
cannot take the last token of a large vocabulary out of reach.

A draw is among the candidates that top-k leaves, in the order of their ids. They
are the same, to the bit, whether they were found among all scores or the model
told the best ones only.

Every row has a random generator of its own, made from the seed and the row's
number. What a row draws therefore depends on neither its neighbours nor how
long they went on, and row 0 of a batch draws what a single prompt would.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.processors.order import Narrowing
from pyxglm.generation.processors.values import softmax


def generators(seed: int, rows: Iterable[int]) -> list[np.random.Generator]:
    """Return one random generator (PCG64) for each row, given the rows' numbers.

    Row r's is seeded by ``SeedSequence(seed, spawn_key=(r,))``: independent
    streams, the same on every machine and every run.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}, expected an integer")
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more")
    return [
        np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(int(seed), spawn_key=(int(row),)))
        )
        for row in rows
    ]


def checked(scores_BV: Array, rows_B: Array) -> Array:
    """Return `scores_BV` if every row in `rows_B` has a best score.

    Raises
    ------
    ValueError
        If a score is NaN or plus infinity, or all are minus infinity: then
        neither a best token nor a distribution exists, and any choice would
        hide a broken checkpoint or processor.
    """
    best_B = scores_BV.max(axis=-1)  # NaN if any is NaN
    for row in np.flatnonzero(rows_B & ~np.isfinite(best_B)):
        raise ValueError(
            f"the scores of row {row} have the maximum {best_B[row]}, expected a finite number:"
            " the model or a logits processor is broken"
        )
    return scores_BV


def greedy(scores_BV: Array) -> Array:
    """Return the id of the best score of each row, the lowest id among equals.

    >>> greedy(np.array([[0.0, 2.0, 2.0], [5.0, 1.0, 0.0]])).tolist()
    [1, 0]
    """
    ids_B: Array = scores_BV.argmax(axis=-1)
    return ids_B


def draw(scores_BV: Array, uniform_B: Array) -> Array:
    r"""Return the ids that uniform numbers in [0, 1) mean.

    .. math:: \mathrm{id} = \min\{v : \sum_{w \le v} p_w > u \sum_w p_w\}

    The sum on the right is 1 up to rounding; with it a u just below 1 still
    finds a token. The strict inequality never gives a token of probability 0.

    Parameters
    ----------
    scores_BV
        Scores; the probabilities are their softmax, in float64.
    uniform_B
        One number in [0, 1) for each row.

    Examples
    --------
    >>> scores_BV = np.log(np.array([[0.25, 0.5, 0.25]] * 3))
    >>> draw(scores_BV, np.array([0.2, 0.25, 0.999])).tolist()
    [0, 1, 2]
    """
    cumulative_BV = np.cumsum(softmax(scores_BV.astype(np.float64)), axis=-1)
    target_B1 = (uniform_B * cumulative_BV[:, -1])[:, None]
    ids_B: Array = (cumulative_BV > target_B1).argmax(axis=-1)
    return ids_B


def candidates(scores_V: Array, narrowing: Narrowing) -> tuple[Array, Array]:
    """Return the tokens that temperature and top-k leave: scores (1, K) and ascending ids (K)."""
    narrowed_1V = narrowing.candidates(_below_best(scores_V))
    ids_K = np.flatnonzero(narrowed_1V[0] > -np.inf)
    return narrowed_1V[:, ids_K], ids_K


def candidates_of_best(
    scores_K: Array, ids_K: Array, narrowing: Narrowing
) -> tuple[Array, Array] | None:
    """Return the same `candidates`, given only the best scores, best first: one more than top-k.

    None if they are too few to tell, because the last two are equal: then there
    may be more that are as good.
    """
    below_1K = _below_best(scores_K)
    alike = narrowing.candidates(below_1K[:, -2:])
    if alike[0, 0] == alike[0, 1]:
        return None
    order_K = np.argsort(ids_K[:-1])
    return narrowing.candidates(below_1K[:, order_K]), ids_K[order_K]


def draw_among(scores_1K: Array, ids_K: Array, narrowing: Narrowing, uniform: float) -> int:
    """Return the id of the candidate that the narrowing leaves and a uniform number means."""
    return int(ids_K[draw(narrowing.of_candidates(scores_1K), np.array([uniform]))[0]])


def _below_best(scores_V: Array) -> Array:
    """Return how far scores are from the best, (1, V): only differences matter to a distribution.

    With the best score at 0, dividing by a small temperature cannot overflow to
    plus infinity.
    """
    scores_1V = scores_V[None].astype(np.float64)
    with np.errstate(over="ignore"):
        below_1V: Array = scores_1V - scores_1V.max()
    return below_1V
