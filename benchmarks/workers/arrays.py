"""A checkpoint's arrays in float32, as the writers of other formats want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from checkpoint import WEIGHTS
from safetensors.numpy import load_file

from pyxglm.ops.reference import POSITION_OFFSET, sinusoidal_positions


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
    """Return XGLM's table of positions (P, D), without the rows before the first position's."""
    return sinusoidal_positions(P + POSITION_OFFSET, D)[POSITION_OFFSET:]
