"""Groups of beams that choose one after the other, each away from those before.

Vijayakumar et al., "Diverse Beam Search: Decoding Diverse Solutions from Neural
Sequence Models" (2016).
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array


def away_from(chosen_PE: Array, scores_RV: Array, penalty: float) -> Array:
    r"""Make tokens less likely that earlier groups have chosen at this step.

    .. math:: s'_v = s_v - \lambda \sum_{e} [\, c_e = v \,]

    (Hamming diversity: only the same token at the same step counts.)

    Parameters
    ----------
    chosen_PE
        For each prompt, the tokens c that the beams of earlier groups go on with.
    scores_RV
        Scores of a group's beams, prompt after prompt.
    penalty
        :math:`\lambda`, `diversity_penalty`.

    Examples
    --------
    >>> away_from(np.array([[2, 2, 0]]), np.zeros((1, 4)), 0.5).tolist()
    [[-0.5, 0.0, -1.0, 0.0]]
    """
    away_RV: Array = scores_RV.copy()
    for chosen_E, away_GV in zip(chosen_PE, np.split(away_RV, len(chosen_PE)), strict=True):
        ids_U, times_U = np.unique(chosen_E, return_counts=True)
        away_GV[:, ids_U] -= (penalty * times_U).astype(away_RV.dtype)
    return away_RV
