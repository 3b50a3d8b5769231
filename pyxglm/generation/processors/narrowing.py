"""Which tokens a draw may give, and how likely: only sampling uses these.

Removed tokens get the score minus infinity: probability zero. In transformers
4.37 these are the "warpers" of `generation/logits_process.py`. At least `keep`
tokens stay: 1, or in a beam search one more than there are ids that end a text.
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.processors.values import log_softmax, softmax


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


def top_k(scores_BV: Array, k: int, keep: int = 1) -> Array:
    r"""Keep the `k` best tokens of each row, and all that tie with the last of them.

    .. math:: s'_v = s_v \;\text{if}\; s_v \ge s_{(k)} \;\text{else}\; -\infty

    where :math:`s_{(k)}` is the k-th largest score.

    Parameters
    ----------
    scores_BV
        Scores of the next token.
    k
        At least 1; with as many or more than there are tokens nothing is removed.
    keep
        `k` is no less than this.

    Returns
    -------
    scores_BV
        A new array.

    Examples
    --------
    >>> top_k(np.array([[3.0, 1.0, 2.0, 2.0]]), 2).tolist()
    [[3.0, -inf, 2.0, 2.0]]
    """
    if max(k, keep) >= scores_BV.shape[-1]:
        same_BV: Array = scores_BV.copy()
        return same_BV
    kept_BV: Array = np.where(_below_best(scores_BV, max(k, keep)), -np.inf, scores_BV)
    return kept_BV.astype(scores_BV.dtype, copy=False)


def top_p(scores_BV: Array, p: float, keep: int = 1) -> Array:
    r"""Keep the smallest set of best tokens that holds a probability of `p`.

    With the scores in ascending order :math:`s_1 \le \dots \le s_V`, token i
    is removed if

    .. math:: \sum_{j \le i} \mathrm{softmax}(s)_j \le 1 - p

    and the `keep` best ones always stay. Equal scores count in the order of
    their ids.

    Parameters
    ----------
    scores_BV
        Scores of the next token.
    p
        The probability to keep, above 0 and at most 1.
    keep
        See this module's text.

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
    removed_BV[:, -keep:] = False
    return _removed_in_order(scores_BV, order_BV, removed_BV)


def min_p(scores_BV: Array, p: float, keep: int = 1) -> Array:
    r"""Keep the tokens at least `p` times as probable as the best one.

    .. math:: s'_v = s_v \;\text{if}\; \mathrm{softmax}(s)_v \ge
        p \max_u \mathrm{softmax}(s)_u \;\text{else}\; -\infty

    References
    ----------
    Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and
    Coherent LLM Outputs" (2024).

    Examples
    --------
    >>> np.isfinite(min_p(np.log(np.array([[0.5, 0.2, 0.3]])), 0.5)).tolist()
    [[True, False, True]]
    """
    p_BV = softmax(scores_BV)
    return _unlikely_removed(scores_BV, p_BV < p * p_BV.max(axis=-1, keepdims=True), keep)


def typical_p(scores_BV: Array, p: float, keep: int = 1) -> Array:
    r"""Keep the tokens whose surprise is nearest to what is to be expected.

    In the order of :math:`|{-\log p_v} - H|`, with the entropy
    :math:`H = -\sum_v p_v \log p_v`, the first ones that together reach a
    probability of `p`, and all that are as near as the last of them.

    References
    ----------
    Meister et al., "Locally Typical Sampling" (2022).

    Examples
    --------
    >>> scores_BV = np.log(np.array([[0.6, 0.2, 0.1, 0.1]]))
    >>> np.isfinite(typical_p(scores_BV, 0.15)).tolist()  # H is 1.09, -log 0.2 is 1.61
    [[False, True, False, False]]
    """
    log_p_BV = log_softmax(scores_BV)
    entropy_B1 = _entropy(log_p_BV)
    with np.errstate(invalid="ignore"):
        distance_BV = np.abs(-log_p_BV - entropy_B1)
    order_BV = np.argsort(distance_BV, axis=-1, kind="stable")
    sorted_BV = np.take_along_axis(distance_BV, order_BV, axis=-1)
    ordered_BV = np.take_along_axis(scores_BV, order_BV, axis=-1)
    cumulative_BV = np.cumsum(softmax(ordered_BV), axis=-1)
    last_B1 = (cumulative_BV < p).sum(axis=-1, keepdims=True)
    last_B1 = np.minimum(last_B1, scores_BV.shape[-1] - 1)
    removed_BV = sorted_BV > np.take_along_axis(sorted_BV, last_B1, axis=-1)
    removed_BV[:, :keep] = False
    return _removed_in_order(scores_BV, order_BV, removed_BV)


def epsilon_cutoff(scores_BV: Array, epsilon: float, keep: int = 1) -> Array:
    r"""Remove tokens less probable than `epsilon`.

    .. math:: s'_v = s_v \;\text{if}\; \mathrm{softmax}(s)_v \ge \epsilon
        \;\text{else}\; -\infty

    References
    ----------
    Hewitt et al., "Truncation Sampling as Language Model Desmoothing" (2022).

    Examples
    --------
    >>> np.isfinite(epsilon_cutoff(np.log(np.array([[0.7, 0.2, 0.1]])), 0.15)).tolist()
    [[True, True, False]]
    """
    return _unlikely_removed(scores_BV, softmax(scores_BV) < epsilon, keep)


def eta_cutoff(scores_BV: Array, epsilon: float, keep: int = 1) -> Array:
    r"""Remove tokens less probable than a limit that sinks with the entropy.

    .. math:: \eta = \min(\epsilon, \sqrt{\epsilon}\, e^{-H}), \qquad
        s'_v = s_v \;\text{if}\; \mathrm{softmax}(s)_v \ge \eta \;\text{else}\; -\infty

    References
    ----------
    Hewitt et al., "Truncation Sampling as Language Model Desmoothing" (2022).

    Examples
    --------
    >>> np.isfinite(eta_cutoff(np.log(np.array([[0.7, 0.2, 0.1]])), 0.15)).tolist()
    [[True, True, False]]
    >>> np.isfinite(eta_cutoff(np.log(np.full((1, 5), 0.2)), 0.5)).tolist()  # sqrt(1/2) / 5
    [[True, True, True, True, True]]
    """
    entropy_B1 = _entropy(log_softmax(scores_BV))
    eta_B1 = np.minimum(epsilon, np.sqrt(epsilon) * np.exp(-entropy_B1))
    return _unlikely_removed(scores_BV, softmax(scores_BV) < eta_B1, keep)


def _entropy(log_p_BV: Array) -> Array:
    """Return the entropy of each row (B, 1), in nats; 0 log 0 is 0."""
    possible_BV = log_p_BV > -np.inf
    terms_BV = np.where(possible_BV, np.exp(log_p_BV) * np.where(possible_BV, log_p_BV, 0), 0)
    entropy_B1: Array = -terms_BV.sum(axis=-1, keepdims=True)
    return entropy_B1


def _below_best(scores_BV: Array, k: int) -> Array:
    """Tell which scores are below the k-th largest of their row."""
    V = scores_BV.shape[-1]
    k = min(k, V)
    kth_B1 = np.partition(scores_BV, V - k, axis=-1)[:, V - k, None]
    below_BV: Array = scores_BV < kth_B1
    return below_BV


def _unlikely_removed(scores_BV: Array, unlikely_BV: Array, keep: int) -> Array:
    """Remove tokens, but none of the `keep` best of a row."""
    removed_BV = unlikely_BV & _below_best(scores_BV, keep)
    kept_BV: Array = np.where(removed_BV, -np.inf, scores_BV).astype(scores_BV.dtype, copy=False)
    return kept_BV


def _removed_in_order(scores_BV: Array, order_BV: Array, removed_BV: Array) -> Array:
    """Remove the tokens ``order_BV[removed_BV]``."""
    marks_BV = np.empty_like(removed_BV)
    np.put_along_axis(marks_BV, order_BV, removed_BV, axis=-1)
    kept_BV: Array = np.where(marks_BV, -np.inf, scores_BV).astype(scores_BV.dtype, copy=False)
    return kept_BV
