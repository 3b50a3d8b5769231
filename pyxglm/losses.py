"""The loss of a call with labels: which of the two, and whether the labels fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.inputs import as_integers, check_range
from pyxglm.ops.reference import IGNORE_INDEX, causal_lm_loss, causal_lm_loss_hf_437

LOSS_TYPES = ("standard", "hf-4.37")


def check_loss_type(name: str) -> str:
    """Return the name of a loss, or refuse it.

    Raises
    ------
    ValueError
        If it is not one of `LOSS_TYPES`.
    """
    if name not in LOSS_TYPES:
        raise ValueError(f"loss_type is {name!r}, expected one of {', '.join(LOSS_TYPES)}")
    return name


def language_model_loss(logits_BTV: Array, labels: Any, kind: str, pad_token_id: int | None) -> Any:
    """Return the loss in nats, a scalar, or None without labels.

    Raises
    ------
    ValueError, TypeError, IndexError
        If the labels have another shape, are no whole numbers, or are neither
        -100 nor ids; TypeError too if ``"hf-4.37"`` lacks a padding id.
    """
    if labels is None:
        return None
    labels_BT = as_integers("labels", labels)
    if labels_BT.shape != logits_BTV.shape[:2]:
        raise ValueError(f"labels has shape {labels_BT.shape}, expected {logits_BTV.shape[:2]}")
    judged = labels_BT[:, 1:]  # nothing is asked to predict the first
    ids = np.where(judged == IGNORE_INDEX, 0, judged)
    check_range("labels[:, 1:]", ids, 0, logits_BTV.shape[2] - 1)
    if kind == "standard":
        return causal_lm_loss(logits_BTV, labels_BT)
    if pad_token_id is None:
        raise TypeError("config: pad_token_id is None, expected an id for loss_type 'hf-4.37'")
    return causal_lm_loss_hf_437(logits_BTV, labels_BT, pad_token_id)
