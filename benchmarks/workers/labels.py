"""The loss of texts from all their logits, for runtimes that return nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Positions at a time: their logits stay in the cache.
CHUNK = 16


def loss_of(logits_BTV: Any, ids_BT: Any) -> float:
    """Return the mean surprisal of all tokens but the first of each text."""
    surprisal, count = 0.0, ids_BT[:, 1:].size
    for logits_TV, ids_T in zip(logits_BTV, ids_BT, strict=True):
        for begin in range(0, len(ids_T) - 1, CHUNK):
            labels = ids_T[begin + 1 : begin + 1 + CHUNK, None]
            part = logits_TV[begin : begin + len(labels)]
            most = part.max(axis=-1, keepdims=True)
            sums = np.exp(part - most).sum(axis=-1, keepdims=True)
            chosen = np.take_along_axis(part, labels, axis=-1)
            surprisal += float((np.log(sums) + most - chosen).sum(dtype=np.float64))
    return surprisal / count
