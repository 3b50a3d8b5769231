"""The loss of labels in the shapes of TensorFlow's classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.losses import language_model_loss, shifted_targets
from pyxglm.ops.reference import IGNORE_INDEX, log_softmax


def shaped_loss(logits_BTV: Array, labels: Any, kind: str, config: XGLMConfig) -> Array | None:
    """Return the loss in nats: the mean, of shape (1,), or that of each target.

    With ``tf_legacy_loss`` in the configuration there is no mean: the losses of
    all targets that count, (n,), row after row.

    Parameters
    ----------
    logits_BTV, labels
        The logits at t are judged by the label at t + 1, -100 counts nothing.
    kind
        ``"hf-4.37"``: the padding id is expected after the last token, and
        counts. ``"standard"``: it does not.
    config
        For the padding id and `tf_legacy_loss`.

    Raises
    ------
    ValueError, TypeError, IndexError
        As `pyxglm.losses.language_model_loss`.
    """
    if labels is None:
        return None
    if not getattr(config, "tf_legacy_loss", False):
        mean = language_model_loss(logits_BTV, labels, kind, config.pad_token_id)
        return np.reshape(mean, (1,))
    B, T, V = logits_BTV.shape
    targets_BT = shifted_targets(labels, (B, T), V, kind, config.pad_token_id)
    counted = targets_BT != IGNORE_INDEX
    chosen_NV, targets_N = logits_BTV[counted], targets_BT[counted]
    losses_N: Array = -log_softmax(chosen_NV)[np.arange(len(targets_N)), targets_N]
    return losses_N
