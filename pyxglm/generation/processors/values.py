"""Scores as numbers: probabilities, their logarithms, and what is no number."""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array


def softmax(scores_BV: Array) -> Array:
    r"""Turn scores into probabilities.

    .. math:: p_v = e^{s_v - m} / \sum_u e^{s_u - m}, \qquad m = \max_v s_v

    Examples
    --------
    >>> softmax(np.array([[0.0, np.log(3.0), -np.inf]])).round(12).tolist()
    [[0.25, 0.75, 0.0]]
    """
    with np.errstate(over="ignore"):  # so far below the best that the difference is infinite
        weights_BV = np.exp(scores_BV - scores_BV.max(axis=-1, keepdims=True))
    probabilities_BV: Array = weights_BV / weights_BV.sum(axis=-1, keepdims=True)
    return probabilities_BV


def log_softmax(scores_BV: Array) -> Array:
    r"""Turn scores into log-probabilities: `renormalize_logits`.

    .. math:: s'_v = (s_v - m) - \log \sum_u e^{s_u - m}, \qquad m = \max_v s_v

    Examples
    --------
    >>> np.exp(log_softmax(np.array([[5.0, 5.0, -np.inf]]))).tolist()
    [[0.5, 0.5, 0.0]]
    """
    with np.errstate(all="ignore"):  # NaN stays NaN, for those who look for it
        below_BV = scores_BV - scores_BV.max(axis=-1, keepdims=True)
        log_probs_BV: Array = below_BV - np.log(np.exp(below_BV).sum(axis=-1, keepdims=True))
    return log_probs_BV


def without_invalid(scores_BV: Array) -> Array:
    """Make numbers of what is none: `remove_invalid_values`.

    NaN becomes 0, plus and minus infinity the largest and the smallest number
    of the type. (Tokens that were removed can then be chosen again, if all are.)

    Examples
    --------
    >>> without_invalid(np.array([[np.nan, np.inf, -np.inf, 2.0]], np.float16)).tolist()
    [[0.0, 65504.0, -65504.0, 2.0]]
    """
    numbers_BV: Array = np.nan_to_num(scores_BV)
    return numbers_BV
