"""How long a text becomes, and what stands at its beginning and its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.processors.words import suppressed


def no_end_before(ids_BS: Array, scores_BV: Array, length: int, eos_ids: Sequence[int]) -> Array:
    """Remove the ids that end a row while it has fewer than `length` tokens.

    For `min_length` the prompt counts; for `min_new_tokens`, `length` is that
    and the prompt's.

    Examples
    --------
    >>> no_end_before(np.array([[5, 6]]), np.zeros((1, 3)), 3, [2]).tolist()
    [[0.0, 0.0, -inf]]
    >>> no_end_before(np.array([[5, 6, 7]]), np.zeros((1, 3)), 3, [2]).tolist()
    [[0.0, 0.0, 0.0]]
    """
    return suppressed(scores_BV, eos_ids) if ids_BS.shape[1] < length else scores_BV


def forced(ids_BS: Array, scores_BV: Array, length: int, ids: Sequence[int]) -> Array:
    """Leave only some tokens, with the score 0, when a row has `length` tokens.

    `forced_bos_token_id` after 1, `forced_eos_token_id` after all but the last,
    `forced_decoder_ids` after as many as each of them says.

    Examples
    --------
    >>> forced(np.array([[5]]), np.ones((1, 3)), 1, [2]).tolist()
    [[-inf, -inf, 0.0]]
    """
    if ids_BS.shape[1] != length:
        return scores_BV
    forced_BV: Array = np.full_like(scores_BV, -np.inf)
    forced_BV[:, list(ids)] = 0
    return forced_BV


def exponential_decay(
    ids_BS: Array, scores_BV: Array, start: int, factor: float, eos_ids: Sequence[int]
) -> Array:
    r"""Make the end more likely with every token beyond `start`.

    .. math:: s'_e = s_e + |s_e| (f^{S - \text{start}} - 1) \quad\text{if}\; S > \text{start}

    for the ids e that end a row of S tokens so far. One that was removed stays so.

    Examples
    --------
    >>> exponential_decay(np.zeros((1, 5), int), np.array([[0.0, -2.0]]), 3, 1.5, [1]).tolist()
    [[0.0, 0.5]]
    """
    beyond = ids_BS.shape[1] - start
    if beyond <= 0:
        return scores_BV
    raised_BV: Array = scores_BV.copy()
    ends_BE = scores_BV[:, list(eos_ids)]
    size_BE = np.where(np.isneginf(ends_BE), 0, np.abs(ends_BE))
    with np.errstate(over="ignore"):
        growth = min(np.float64(factor) ** beyond, np.finfo(scores_BV.dtype).max)
        raised_BV[:, list(eos_ids)] = ends_BE + size_BE * (growth - 1)
    return raised_BV
