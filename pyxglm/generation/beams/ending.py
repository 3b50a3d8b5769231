"""From the texts that a beam search has kept to its result: rows of ids, scores, origins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.hypotheses import Hypothesis


def sequences(texts: Sequence[Hypothesis], pad: int, eos_ids: Sequence[int]) -> Array:
    """Put texts into rows (R, S).

    A text that ended gets the first of the end tokens, whichever ended it: so
    do transformers' beams, which do not remember. What is left of a row is `pad`.

    Examples
    --------
    >>> none = np.zeros(0)
    >>> texts = [
    ...     Hypothesis(-0.5, np.array([2, 7]), none, none, ended=True),
    ...     Hypothesis(-1.5, np.array([2, 7, 8, 9]), none, none, ended=False),
    ... ]
    >>> sequences(texts, pad=1, eos_ids=(5, 6)).tolist()
    [[2, 7, 5, 1], [2, 7, 8, 9]]
    """
    width = max(len(text.ids_S) + text.ended for text in texts)
    ids_RS = np.full((len(texts), width), pad, np.int64)
    for row, text in enumerate(texts):
        length = len(text.ids_S)
        ids_RS[row, :length] = text.ids_S
        if text.ended:
            ids_RS[row, length] = eos_ids[0]
    return ids_RS


def as_rows(parts: Sequence[Array], width: int, filling: float) -> Array:
    """Put arrays of unequal length into rows of a width, filled up on the right.

    >>> as_rows([np.array([3, 4]), np.array([5])], 3, -1).tolist()
    [[3, 4, -1], [5, -1, -1]]
    """
    filled_RS = np.full((len(parts), width), filling, parts[0].dtype)
    for row, part in enumerate(parts):
        filled_RS[row, : len(part)] = part
    return filled_RS
