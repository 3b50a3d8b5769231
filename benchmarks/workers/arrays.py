"""A checkpoint's arrays in float32, as the writers of other formats want them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from checkpoint import WEIGHTS
from safetensors.numpy import load_file

#: Rows of XGLM's table of positions that stand before the first position's.
OFFSET = 2


def weights_of(path: str) -> dict[str, Any]:
    """Return all parameters by name."""
    return {name: one.astype(np.float32) for name, one in load_file(Path(path) / WEIGHTS).items()}


def below_each_other(weights: dict[str, Any], names: list[str], part: str) -> Any:
    """Return the rows of several linear layers of the same input, or their biases."""
    return np.concatenate([weights[f"{name}.{part}"] for name in names])


def queries_keys_values(layer: str) -> list[str]:
    """Return the names of the three linear layers that other runtimes have in one."""
    return [f"{layer}.self_attn.{one}_proj" for one in "qkv"]


def positions(P: int, D: int) -> Any:
    """Return XGLM's table of positions (P, D): all sines, then all cosines."""
    half = D // 2
    frequencies = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
    angles = np.arange(OFFSET, OFFSET + P)[:, None] * frequencies
    table = np.zeros((P, D), np.float32)
    table[:, :half], table[:, half : 2 * half] = np.sin(angles), np.cos(angles)
    return table
