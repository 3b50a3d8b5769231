"""Labels into losses and log-probabilities: which label judges which position, and if it fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.arguments import as_integers, check_range, one_row, whole_numbers
from pyxglm.dtypes import Array
from pyxglm.ops.reference import IGNORE_INDEX, causal_lm_loss, causal_lm_loss_hf_437

LOSS_TYPES = ("standard", "hf-4.37")

#: Positions whose hidden states go through the head at a time.
_POSITIONS = 512


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


def checked_labels(labels: Any, shape: tuple[int, ...], V: int) -> Array:
    """Return labels as integers of a shape, of which all but the first of a row judge something.

    Raises
    ------
    ValueError, TypeError, IndexError
        If the labels have another shape, are no whole numbers, or are neither
        -100 nor ids.
    """
    labels_BT = one_row(whole_numbers("labels", labels), shape[0])
    if labels_BT.shape != shape:
        raise ValueError(f"labels has shape {labels_BT.shape}, expected {shape}")
    judged = labels_BT[:, 1:]  # nothing is asked to predict the first
    ids = np.where(judged == IGNORE_INDEX, 0, judged)
    check_range("labels[:, 1:]", ids, 0, V - 1)
    return as_integers("labels", labels_BT)


def language_model_loss(logits_BTV: Array, labels: Any, kind: str, pad_token_id: int | None) -> Any:
    """Return the loss in nats, a scalar, or None without labels.

    Raises
    ------
    ValueError, TypeError, IndexError
        As `checked_labels`; TypeError too if ``"hf-4.37"`` lacks a padding id.
    """
    if labels is None:
        return None
    labels_BT = checked_labels(labels, logits_BTV.shape[:2], logits_BTV.shape[2])
    if kind == "standard":
        return causal_lm_loss(logits_BTV, labels_BT)
    return causal_lm_loss_hf_437(logits_BTV, labels_BT, _padding(pad_token_id))


def shifted_targets(
    labels: Any, shape: tuple[int, ...], V: int, kind: str, pad_token_id: int | None
) -> Array:
    """Return which id is to be predicted at each position (B, T), -100 where none is.

    Raises
    ------
    ValueError, TypeError, IndexError
        As `language_model_loss`.
    """
    labels_BT = checked_labels(labels, shape, V)
    last = IGNORE_INDEX if kind == "standard" else _padding(pad_token_id)
    targets_BT = np.full_like(labels_BT, last)
    targets_BT[:, :-1] = labels_BT[:, 1:]
    return targets_BT


def loss_without_logits(
    hidden_BTD: Array, head_VD: Array, labels: Any, kind: str, pad_token_id: int | None, ops: Any
) -> Any:
    """Return `language_model_loss` of the logits that hidden states have, without storing them."""
    if labels is None:
        return None
    targets_BT = shifted_targets(labels, hidden_BTD.shape[:2], len(head_VD), kind, pad_token_id)
    log_probs_BT = token_log_probs(hidden_BTD, head_VD, targets_BT, ops)
    counted = targets_BT != IGNORE_INDEX
    if not counted.any():
        return hidden_BTD.dtype.type(np.nan)
    return -log_probs_BT[counted].mean()


def token_log_probs(hidden_BTD: Array, head_VD: Array, targets_BT: Array, ops: Any) -> Array:
    """Return the log-probability (B, T) of each position's target; 0 where that is -100.

    Only positions with a target go through the head.
    """
    D = hidden_BTD.shape[-1]
    hidden_ND, targets_N = hidden_BTD.reshape(-1, D), targets_BT.reshape(-1)
    log_probs_N = np.zeros(targets_N.size, hidden_BTD.dtype)
    counted = np.flatnonzero(targets_N != IGNORE_INDEX)
    for start in range(0, counted.size, _POSITIONS):
        some = counted[start : start + _POSITIONS]
        log_probs_N[some], _ = ops.head_log_probs(hidden_ND[some], head_VD, targets_N[some])
    return log_probs_N.reshape(targets_BT.shape)


def _padding(pad_token_id: int | None) -> int:
    if pad_token_id is None:
        raise TypeError("config: pad_token_id is None, expected an id for loss_type 'hf-4.37'")
    return pad_token_id
