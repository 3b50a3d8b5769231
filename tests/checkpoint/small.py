"""A checkpoint of a few hundred bytes, to be saved often."""

import numpy as np

from pyxglm.checkpoint import shards
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import convert
from pyxglm.parameters import parameter_shapes

CONFIG = XGLMConfig(
    vocab_size=5, d_model=4, ffn_dim=3, num_layers=1, attention_heads=1, max_position_embeddings=4
)
SIZE = 2 * sum(int(np.prod(shape)) for shape in parameter_shapes(CONFIG).values())


def limit_for(count):
    """Return the smallest max_shard_size that gives `count` shards of float16."""
    arrays = {name: np.zeros(shape, "f2") for name, shape in parameter_shapes(CONFIG).items()}
    return next(n for n in range(1, SIZE + 1) if len(shards.split(arrays, n)) == count)


THREE, TWO = limit_for(3), limit_for(2)


def weights(seed=0, dtype="float16"):
    rng = np.random.default_rng(seed)
    return {
        name: convert(rng.standard_normal(shape).astype("<f4"), dtype)
        for name, shape in parameter_shapes(CONFIG).items()
    }


def same(found, expected):
    return found.keys() == expected.keys() and all(
        found[name].tobytes() == expected[name].tobytes() for name in expected
    )


def listing(directory):
    return sorted(path.name for path in directory.iterdir())
