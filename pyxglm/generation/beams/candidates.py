"""The candidates of a step: the best continuations of a prompt's beams, or a draw among all.

A prompt's beams compete with each other: all their continuations stand in one
list, and the best ones become the next beams. Those that end are taken out, so
more are looked at than there are beams: one for each end token and beam.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyxglm.dtypes import Array

#: Sums in a heap, whose largest is found first, to tell which can be among the best.
_HEAP = 64


class Candidates(NamedTuple):
    """Continuations, best first.

    Attributes
    ----------
    totals_C
        Sums of log-probabilities, the new token's included.
    beams_C
        Which of the prompt's beams each continues.
    ids_C
        With which token.
    """

    totals_C: Array
    beams_C: Array
    ids_C: Array


def enough(beams: int, eos_ids: tuple[int, ...]) -> int:
    """Return how many candidates leave `beams` that do not end, however many do.

    As in transformers at least twice as many as beams.

    >>> enough(4, ()), enough(4, (2,)), enough(4, (2, 5))
    (8, 8, 12)
    """
    return max(2, 1 + len(eos_ids)) * beams


def best(totals_GV: Array, count: int) -> Candidates:
    """Return the best continuations; of equals, the lower beam, then the lower id.

    Parameters
    ----------
    totals_GV
        For each of a prompt's beams, the sums with each token.
    count
        How many; all, if there are fewer.

    Examples
    --------
    >>> best(np.array([[-3.0, -1.0, -2.0], [-2.0, -9.0, -4.0]]), 3)
    Candidates(totals_C=array([-1., -2., -2.]), beams_C=array([0, 0, 1]), ids_C=array([1, 2, 0]))
    """
    totals_X = totals_GV.ravel()
    found_C = np.flatnonzero(totals_X >= _bound(totals_X, count))
    if len(found_C) < count:
        found_C = np.concatenate([found_C, _impossible(totals_X, count - len(found_C))])
    return _sorted(totals_GV, np.sort(found_C), count)


def drawn(totals_GV: Array, count: int, random: np.random.Generator) -> Candidates:
    r"""Draw continuations without replacement, by the softmax of all sums.

    Drawing one after the other, each by the probabilities of those that are
    left, is the same as adding independent standard Gumbel numbers
    :math:`-\log(-\log u)` to the scores and taking the largest: Vieira,
    "Gumbel-max trick and weighted reservoir sampling" (2014); Kool et al.,
    "Stochastic Beams and Where to Find Them" (2019).

    What has probability zero is only taken when there is nothing else.

    Parameters
    ----------
    totals_GV, count
        As for `best`.
    random
        The source of the Gumbel numbers, one for each continuation that is
        possible.

    Examples
    --------
    >>> totals_GV = np.log([[0.5, 0.0, 0.25, 0.25]], where=[[True, False, True, True]],
    ...                    out=np.full((1, 4), -np.inf))
    >>> drawn(totals_GV, 3, np.random.default_rng(0)).ids_C
    array([0, 2, 3])
    """
    totals_X = totals_GV.ravel()
    possible_A = np.flatnonzero(totals_X > -np.inf)
    keys_A = totals_X[possible_A].astype(np.float64) + random.gumbel(size=len(possible_A))
    found_C = possible_A[np.argsort(-keys_A, kind="stable")[:count]]
    if len(found_C) < count:
        found_C = np.concatenate([found_C, _impossible(totals_X, count - len(found_C))])
    return _sorted(totals_GV, np.sort(found_C), count)


def _bound(totals_X: Array, count: int) -> float:
    """Return a finite number that at least `count` sums reach and few others do.

    Dealt out to heaps, the largest sums of the heaps are sums, too: the
    count-th largest of them is reached by as many sums. It is found sooner
    than the count-th largest sum. If there are too few heaps, or too many
    without a possible sum, it is the lowest number.
    """
    whole = len(totals_X) // _HEAP * _HEAP
    largest_X = totals_X[:whole].reshape(_HEAP, -1).max(axis=0)
    lowest = float(np.finfo(totals_X.dtype).min)
    if len(largest_X) < count:
        return lowest
    place = len(largest_X) - count
    return max(lowest, float(np.partition(largest_X, place)[place]))


def _impossible(totals_X: Array, count: int) -> Array:
    """Return the places of the first sums that are minus infinity."""
    return np.flatnonzero(totals_X == -np.inf)[:count]


def _sorted(totals_GV: Array, found_C: Array, count: int) -> Candidates:
    """Return the first candidates, given by their places in the flattened sums, best first."""
    totals_C = totals_GV.ravel()[found_C]
    order_C = np.argsort(-totals_C, kind="stable")[:count]
    beams_C, ids_C = np.divmod(found_C[order_C], totals_GV.shape[1])
    return Candidates(totals_C[order_C], beams_C, ids_C)


def split(found: Candidates, beams: int, eos_ids: tuple[int, ...]) -> tuple[Array, Array]:
    """Return which candidates end, and which become the next beams.

    A candidate that ends counts only among the `beams` best: transformers'
    rule, which fairseq's search has too. The next beams are the best of the
    others.

    Raises
    ------
    ValueError
        If there are too few others, because the vocabulary is too small.

    Examples
    --------
    >>> found = Candidates(-np.arange(6.0), np.zeros(6, int), np.array([7, 2, 5, 2, 8, 9]))
    >>> split(found, 3, (2,))
    (array([1]), array([0, 2, 4]))
    """
    ends_C = np.isin(found.ids_C, eos_ids)
    going = np.flatnonzero(~ends_C)[:beams]
    if len(going) < beams:
        raise ValueError(
            f"only {len(going)} of {len(found.ids_C)} continuations do not end, expected {beams}"
            " (num_beams or fewer): the vocabulary is too small for so many beams"
        )
    return np.flatnonzero(ends_C[:beams]), going
