"""Training windows: runs of documents cut to one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pyxglm.tiny.vocabulary import END

__all__ = ["pack"]


def pack(units: Sequence[np.ndarray], length: int, batch: int) -> Iterator[np.ndarray]:
    """Yield batches (B, length + 1) of windows.

    Every window begins as a prompt does, with ``</s>`` before a whole document, and goes on with
    whole units until it is full; what does not fit is dropped, so that nothing is padding.
    """
    windows: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    start = np.array([END], np.int32)
    filled = 1
    for unit in units:
        parts.append(unit)
        filled += len(unit)
        if filled > length:
            windows.append(np.concatenate([start, *parts])[: length + 1])
            parts, filled = [], 1
            if len(windows) == batch:
                yield np.stack(windows)
                windows = []
