"""Classifier-free guidance: away from what the model would say without the prompt."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.processors.values import log_softmax
from pyxglm.generation.stepper import Stepper


def guided(log_p_BV: Array, without_BV: Array, scale: float) -> Array:
    r"""Move log-probabilities away from those of another prompt.

    .. math:: s'_v = \gamma (\log p_v - \log q_v) + \log q_v

    References
    ----------
    Sanchez et al., "Stay on topic with Classifier-Free Guidance" (2023).

    Examples
    --------
    >>> guided(np.array([[-1.0, -2.0]]), np.array([[-2.0, -1.0]]), 2.0).tolist()
    [[0.0, -3.0]]
    """
    guided_BV: Array = scale * (log_p_BV - without_BV) + without_BV
    return guided_BV


class Guidance:
    """`guidance_scale`: the same continuation behind a negative prompt, in step with the text.

    Parameters
    ----------
    model
        The model that generates.
    scale
        Gamma of `guided`.
    ids_BN, mask_BN
        The negative prompts, one for each row; by default (as in transformers)
        the last token of each prompt.
    prompt_length
        Tokens of the prompts: what follows them stands behind the negative ones too.
    count_real
        Count the positions of a negative prompt over its real tokens, as
        everywhere else; transformers counts its padding too.
    **options
        For the `Stepper`.
    """

    def __init__(
        self,
        model: Any,
        scale: float,
        ids_BN: Array,
        mask_BN: Array,
        prompt_length: int,
        count_real: bool,
        **options: Any,
    ) -> None:
        self._scale, self._prompt_length = scale, prompt_length
        positions_BN = None
        if not count_real:
            positions_BN = np.broadcast_to(np.arange(ids_BN.shape[1]), ids_BN.shape)
        self._negative_length = ids_BN.shape[1]
        self._stepper = Stepper(model, ids_BN, mask_BN, positions_BT=positions_BN, **options)

    def __call__(self, ids_BS: Array, scores_BV: Array) -> Array:
        """Return the guided scores of rows whose ids are `ids_BS`."""
        new_BT = ids_BS[:, self._prompt_length :]
        stepper, start = self._stepper, self._negative_length
        held_BT = stepper.ids[:, start:]
        common = min(new_BT.shape[1], held_BT.shape[1])
        same = (new_BT[:, :common] == held_BT[:, :common]).all(axis=0)
        common = common if same.all() else int(same.argmin())
        if held_BT.shape[1] > common:
            stepper.crop(start + common)
        if new_BT.shape[1] > common:
            stepper.append(new_BT[:, common:])
        if stepper.done == stepper.length:  # asked again of the same text
            stepper.forget_last()
        without_BV = log_softmax(stepper.scores().all())
        return guided(log_softmax(scores_BV), without_BV, self._scale)

    def reorder(self, rows_B: Any) -> None:
        """Make row b a copy of row ``rows_B[b]``."""
        self._stepper.reorder(rows_B)
