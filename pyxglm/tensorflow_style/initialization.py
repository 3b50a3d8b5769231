"""Fresh weights of TensorFlow's classes, whose head is not the embedding."""

from __future__ import annotations

import math

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array, as_dtype, convert
from pyxglm.initialization import random_weights
from pyxglm.parameters import EMBEDDING, HEAD, parameter_shapes


def fresh_weights(
    config: XGLMConfig, seed: int, dtype: object, *, with_head: bool, compat: str | None
) -> dict[str, Array]:
    """Draw initial weights.

    By default those of `pyxglm.initialization.random_weights`, and a head from
    a normal distribution of deviation `init_std`, cut off at twice that. With
    ``compat="4.37"`` those of transformers 4.37: the same head, layers from a
    uniform distribution (Glorot and Bengio 2010, eq. 16), and the embedding
    from a cut-off normal one whose deviation is the *padding id*, an argument
    in the wrong place (without a padding id: D ** -0.5). No row of it is zero.
    """
    untied = parameter_shapes(config) | {HEAD: (config.vocab_size, config.d_model)}
    shapes = {name: shape for name, shape in untied.items() if name != HEAD or with_head}
    weights = random_weights(config, seed, dtype, with_head)
    generator = np.random.default_rng([seed, 1])  # besides the one of random_weights
    for name, shape in shapes.items():
        if len(shape) != 2 or (compat is None and name != HEAD):
            continue
        if name == EMBEDDING:
            pad = config.pad_token_id
            drawn = truncated_normal(shape, config.d_model**-0.5 if pad is None else pad, generator)
        elif name == HEAD:
            drawn = truncated_normal(shape, config.init_std, generator)
        else:
            limit = math.sqrt(6 / sum(shape))
            drawn = generator.uniform(-limit, limit, shape)
        weights[name] = convert(drawn.astype(np.float32, copy=False), as_dtype(dtype))
    return weights


def truncated_normal(shape: tuple[int, ...], std: float, generator: np.random.Generator) -> Array:
    """Draw from N(0, std), numbers beyond twice `std` again."""
    drawn: Array = generator.standard_normal(shape, np.float32)
    while (beyond := np.abs(drawn) > 2).any():
        drawn[beyond] = generator.standard_normal(int(beyond.sum()), np.float32)
    drawn *= np.float32(std)
    return drawn
