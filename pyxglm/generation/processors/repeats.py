"""Against repetition: tokens and n-grams that are there already, in the text or in its prompt.

The whole row counts as text: the prompt, and in transformers also its padding.
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array


def repetition_penalty(ids_BS: Array, scores_BV: Array, penalty: float) -> Array:
    r"""Make the tokens of a row less likely (above 1) or more likely (below 1) to come again.

    .. math:: s'_v = s_v \theta \;\text{if}\; s_v < 0 \;\text{else}\; s_v / \theta

    for every id v that is in the row, once, however often it is there. (With
    the prompt's ids instead of the row's, and 1 / penalty, it is transformers'
    encoder form: tokens that are *not* in the prompt become less likely.)

    References
    ----------
    Keskar et al., "CTRL" (2019).

    Examples
    --------
    >>> repetition_penalty(np.array([[0, 2, 2]]), np.array([[2.0, 2.0, -2.0]]), 2.0).tolist()
    [[1.0, 2.0, -4.0]]
    """
    there_BS = np.take_along_axis(scores_BV, ids_BS, axis=-1)
    with np.errstate(over="ignore"):
        there_BS = np.where(there_BS < 0, there_BS * penalty, there_BS / penalty)
    penalised_BV: Array = scores_BV.copy()
    np.put_along_axis(penalised_BV, ids_BS, there_BS.astype(scores_BV.dtype), axis=-1)
    return penalised_BV


def no_repeat_ngram(ids_BS: Array, scores_BV: Array, n: int) -> Array:
    """Remove the tokens that would complete an n-gram which is in the row already.

    Examples
    --------
    >>> no_repeat_ngram(np.array([[7, 1, 2, 7]]), np.zeros((1, 4)), 2).tolist()
    [[0.0, -inf, 0.0, 0.0]]
    """
    return no_ngram_of(ids_BS, ids_BS, scores_BV, n)


def no_ngram_of(texts_BS: Array, ids_BS: Array, scores_BV: Array, n: int) -> Array:
    """Remove the tokens that would complete an n-gram of a text, each row's own.

    Examples
    --------
    >>> no_ngram_of(np.array([[3, 1, 2]]), np.array([[0, 3, 1]]), np.zeros((1, 4)), 3).tolist()
    [[0.0, 0.0, -inf, 0.0]]
    """
    kept_BV: Array = scores_BV.copy()
    S = ids_BS.shape[1]
    if n - 1 > S:
        return kept_BV
    for text, ids, scores_V in zip(texts_BS, ids_BS, kept_BV, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(text, n) if n <= len(text) else None
        if windows is not None:
            begun = (windows[:, :-1] == ids[S - (n - 1) :]).all(axis=-1)
            scores_V[windows[begun, -1]] = -np.inf
    return kept_BV
