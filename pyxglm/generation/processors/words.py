"""Words: sequences of tokens that are wanted, unwanted, or the only ones allowed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.callbacks import allowed_by

#: Sequences of ids, and what is added to the score of the last when the others precede it.
Bias = Sequence[tuple[tuple[int, ...], float]]


def sequence_bias(ids_BS: Array, scores_BV: Array, bias: Bias) -> Array:
    r"""Add to the score of a token that would complete a sequence.

    .. math:: s'_v = s_v + \sum_{(q, b)\,:\; q_n = v,\; q_1 \dots q_{n-1}
        \text{ end the row}} b

    A sequence of one token always counts, and of several equal ones of a
    single token the last. As in transformers, a longer one counts only in a
    row that has as many tokens.

    Examples
    --------
    >>> bias = [((1,), 5.0), ((7, 0), -2.0)]
    >>> sequence_bias(np.array([[3, 7], [7, 3]]), np.zeros((2, 3)), bias).tolist()
    [[-2.0, 5.0, 0.0], [0.0, 5.0, 0.0]]
    """
    S = ids_BS.shape[1]
    added_BV = np.zeros_like(scores_BV)
    for sequence, value in bias:
        if len(sequence) == 1:
            added_BV[:, sequence[0]] = value
    for sequence, value in bias:
        if 1 < len(sequence) <= S:
            begun_B = (ids_BS[:, S - len(sequence) + 1 :] == sequence[:-1]).all(axis=-1)
            added_BV[begun_B, sequence[-1]] += value
    biased_BV: Array = scores_BV + added_BV
    return biased_BV


def suppressed(scores_BV: Array, ids: Sequence[int]) -> Array:
    """Remove tokens.

    Examples
    --------
    >>> suppressed(np.zeros((1, 3)), [0, 2]).tolist()
    [[-inf, 0.0, -inf]]
    """
    kept_BV: Array = scores_BV.copy()
    kept_BV[:, list(ids)] = -np.inf
    return kept_BV


def only_allowed(
    ids_BS: Array, scores_BV: Array, allowed: Callable[[int, Array], Any], prompts_B: Array
) -> Array:
    """Remove all tokens but those that a function allows: `prefix_allowed_tokens_fn`.

    The function gets the number of the prompt, and the row's ids so far.

    Raises
    ------
    TypeError, ValueError
        If it allows none, or returns anything but ids.

    Examples
    --------
    >>> odd = lambda prompt, ids: [1, 3]
    >>> only_allowed(np.array([[0]]), np.zeros((1, 4)), odd, np.array([0])).tolist()
    [[-inf, 0.0, -inf, 0.0]]
    """
    kept_BV: Array = np.full_like(scores_BV, -np.inf)
    for row, prompt in enumerate(prompts_B):
        found = allowed_by(allowed, int(prompt), ids_BS[row], scores_BV.shape[1])
        kept_BV[row, found] = scores_BV[row, found]
    return kept_BV
