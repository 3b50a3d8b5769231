"""Logits processors: functions from scores to scores, one per idea.

They change which tokens a draw may give, so only sampling uses them. Removed
tokens get the score minus infinity: probability zero. In transformers 4.37
these are the warpers of `generation/logits_process.py`, applied in the order of
`_get_logits_warper`: first `narrow`, then `nucleus`.
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.settings import GenerationConfig


def temperature(scores_BV: Array, temperature: float) -> Array:
    r"""Sharpen (below 1) or flatten (above 1) the distribution.

    .. math:: s'_v = s_v / \tau

    Parameters
    ----------
    scores_BV
        Scores of the next token.
    temperature
        :math:`\tau > 0`. Towards 0 the draw becomes the greedy choice.

    Returns
    -------
    scores_BV
        The divided scores.

    Examples
    --------
    >>> temperature(np.array([[0.0, -1.0, -4.0]]), 0.5).tolist()
    [[0.0, -2.0, -8.0]]
    """
    with np.errstate(over="ignore"):  # a tiny temperature: minus infinity is the right limit
        divided_BV: Array = scores_BV / temperature
    return divided_BV


def top_k(scores_BV: Array, k: int) -> Array:
    r"""Keep the `k` best tokens of each row, and all that tie with the last of them.

    .. math:: s'_v = s_v \;\text{if}\; s_v \ge s_{(k)} \;\text{else}\; -\infty

    where :math:`s_{(k)}` is the k-th largest score.

    Parameters
    ----------
    scores_BV
        Scores of the next token.
    k
        At least 1; with as many or more than there are tokens nothing is removed.

    Returns
    -------
    scores_BV
        A new array.

    Examples
    --------
    >>> top_k(np.array([[3.0, 1.0, 2.0, 2.0]]), 2).tolist()
    [[3.0, -inf, 2.0, 2.0]]
    """
    V = scores_BV.shape[-1]
    if k >= V:
        same_BV: Array = scores_BV.copy()
        return same_BV
    kth_B1 = np.partition(scores_BV, V - k, axis=-1)[:, V - k, None]
    kept_BV: Array = np.where(scores_BV < kth_B1, -np.inf, scores_BV)
    return kept_BV


def top_p(scores_BV: Array, p: float) -> Array:
    r"""Keep the smallest set of best tokens that holds a probability of `p`.

    With the scores in ascending order :math:`s_1 \le \dots \le s_V`, token i
    is removed if

    .. math:: \sum_{j \le i} \mathrm{softmax}(s)_j \le 1 - p

    and the best one always stays. Equal scores count in the order of their ids.

    Parameters
    ----------
    scores_BV
        Scores of the next token.
    p
        The probability to keep, above 0 and at most 1.

    Returns
    -------
    scores_BV
        A new array.

    References
    ----------
    Holtzman et al., "The Curious Case of Neural Text Degeneration" (2020).

    Examples
    --------
    >>> scores_BV = np.log(np.array([[0.5, 0.125, 0.25, 0.125]]))
    >>> np.isfinite(top_p(scores_BV, 0.7)).tolist()
    [[True, False, True, False]]
    """
    order_BV = np.argsort(scores_BV, axis=-1, kind="stable")
    ascending_BV = np.take_along_axis(scores_BV, order_BV, axis=-1)
    cumulative_BV = np.cumsum(softmax(ascending_BV), axis=-1)
    removed_BV = cumulative_BV <= 1 - p
    removed_BV[:, -1] = False
    filtered_BV: Array = scores_BV.copy()
    np.put_along_axis(filtered_BV, order_BV, np.where(removed_BV, -np.inf, ascending_BV), axis=-1)
    return filtered_BV


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


def narrow(scores_BV: Array, settings: GenerationConfig) -> Array:
    """Apply what `settings` ask for of temperature, then top-k."""
    if settings.temperature is not None and settings.temperature != 1:
        scores_BV = temperature(scores_BV, settings.temperature)
    if settings.top_k:
        scores_BV = top_k(scores_BV, settings.top_k)
    return scores_BV


def nucleus(scores_BV: Array, settings: GenerationConfig) -> Array:
    """Apply top-p if `settings` ask for it."""
    if settings.top_p is not None and settings.top_p < 1:
        scores_BV = top_p(scores_BV, settings.top_p)
    return scores_BV
