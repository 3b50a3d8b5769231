"""Where the beams have come from: kept as steps, put together when a text is complete.

At every step most beams continue another row's text. Copying what is known of
their tokens each time would cost more the longer the texts are; following the
steps back costs as much once, and only for texts that are kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyxglm.dtypes import Array


class _Step(NamedTuple):
    parents_R: Array
    origins_R: Array
    log_probs_R: Array


class History:
    """The steps so far.

    Examples
    --------
    >>> history = History()
    >>> history.add(np.array([0, 0]), np.array([0, 0]), np.array([-1.0, -2.0]))
    >>> history.add(np.array([1, 0]), np.array([1, 0]), np.array([-3.0, -4.0]))
    >>> history.of(0)
    (array([0, 1]), array([-2., -3.]))
    >>> history.keep(np.array([1]))
    >>> history.of(0)
    (array([0, 0]), array([-1., -4.]))
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, parents_R: Array, origins_R: Array, log_probs_R: Array) -> None:
        """Add a step: the row that each row continues, and what `Hypothesis` keeps of it."""
        self._steps.append(_Step(parents_R, origins_R, log_probs_R))

    def keep(self, rows_R: Array) -> None:
        """Know that row r is now what row ``rows_R[r]`` was."""
        self._steps[-1] = _Step(*(column[rows_R] for column in self._steps[-1]))

    def of(self, row: int) -> tuple[Array, Array]:
        """Return origins and log-probabilities of a row's tokens."""
        origins, log_probs = [], []
        for step in reversed(self._steps):
            origins.append(step.origins_R[row])
            log_probs.append(step.log_probs_R[row])
            row = step.parents_R[row]
        return np.array(origins[::-1], np.int64), np.array(log_probs[::-1])


class Lines(NamedTuple):
    """A group's beams so far: their ids, and the history; there their rows begin at `first`."""

    ids_GS: Array
    first: int
    history: History

    def of(self, beam: int) -> tuple[Array, Array, Array]:
        """Return a beam's ids, and origins and log-probabilities of those generated."""
        return (self.ids_GS[beam].copy(), *self.history.of(self.first + beam))
