"""Small models and inputs for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.modeling import XGLMForCausalLM, XGLMModel

#: Every size another number, so that no two axes can be confused.
SIZES: dict[str, Any] = {
    "vocab_size": 23,
    "d_model": 12,
    "num_layers": 3,
    "ffn_dim": 17,
    "attention_heads": 2,
    "max_position_embeddings": 40,
    "init_std": 0.3,  # large enough that layers and heads matter
}

IDS = np.array([[2, 5, 7, 9, 4], [2, 11, 3, 8, 20]])


def config(**fields: Any) -> XGLMConfig:
    return XGLMConfig(**{**SIZES, **fields})


def lm(seed: int = 1, compute: str = "float32", dtype: str = "float32", **fields: Any):
    """Return a language model whose biases and norms are random too, as trained ones are."""
    return with_biases(XGLMForCausalLM(config(**fields), seed=seed, compute=compute, dtype=dtype))


def bare(seed: int = 1, compute: str = "float32", **fields: Any) -> XGLMModel:
    return with_biases(XGLMModel(config(**fields), seed=seed, compute=compute))


def with_biases(model: Any) -> Any:
    generator = np.random.default_rng(7)
    for array in model.parameters():
        if array.ndim == 1 and array.dtype.kind == "f":
            array += generator.normal(0, 0.1, array.shape).astype(array.dtype)
    return model


def apart(a: Array, b: Array) -> float:
    """Return max |a - b| / max |b|, of arrays of one shape."""
    assert np.shape(a) == np.shape(b)
    return float(np.abs(np.asarray(a, np.float64) - b).max() / np.abs(b).max())


def encoder_states(B: int = 2, E: int = 6) -> Array:
    return np.random.default_rng(8).standard_normal((B, E, SIZES["d_model"])).astype(np.float32)
