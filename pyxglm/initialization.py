"""Random weights: what a model holds before anything has been learnt."""

from __future__ import annotations

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array, as_dtype, convert
from pyxglm.parameters import EMBEDDING, HEAD, parameter_shapes


def random_weights(
    config: XGLMConfig, seed: int, dtype: object, with_head: bool
) -> dict[str, Array]:
    """Draw initial weights as transformers' `_init_weights` does (from another generator)."""
    stored = as_dtype(dtype)
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in parameter_shapes(config).items():
        if name == HEAD and not with_head:
            continue
        if len(shape) == 2:
            array = _normal(shape, config.init_std, generator)
        else:
            array = np.full(shape, float("norm.weight" in name), np.float32)
        if name == EMBEDDING and config.pad_token_id is not None:
            array[config.pad_token_id] = 0
        weights[name] = convert(array, stored)
    return weights


def _normal(shape: tuple[int, ...], std: float, generator: np.random.Generator) -> Array:
    drawn: Array = generator.standard_normal(shape, np.float32) * np.float32(std)
    return drawn


def resized_rows(old_VD: Array, rows: int, std: float, generator: np.random.Generator) -> Array:
    """Return a matrix of `rows` rows that begins as the old one does."""
    kept = min(rows, len(old_VD))
    new_VD = np.empty((rows, old_VD.shape[1]), old_VD.dtype)
    new_VD[:kept] = old_VD[:kept]
    new_VD[kept:] = convert(_normal((rows - kept, old_VD.shape[1]), std, generator), old_VD.dtype)
    return new_VD
