"""How much memory a model will need, said before it is run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array

#: Bytes of a number in arithmetic and cache (float32).
_NUMBER = 4

#: Arrays of a size that the NumPy backend holds at once, at its fullest moments.
#: Counted by tracemalloc, as are all the numbers here; a test counts again.
_SCORES_AT_ONCE = 3.1  # (H, T, T): scores, masked, softmax
_WIDTHS_AT_ONCE = 8  # (T, D): residual, normed, queries, keys, values …
_INNER_AT_ONCE = {"gelu": 21.5, "gelu_python": 21.5, "relu": 2}  # (T, F): erf is float64
_INNER_OTHERWISE = 4.5

#: The same for the C backend, which stores no scores, and applies the activations
#: that have a kernel in place.
_C_WIDTHS_AT_ONCE = 5.1
_C_FUSED = (None, "linear", "relu", "silu", "swish")  # and every GELU but "gelu_10"

#: A narrow matrix is widened by blocks: room for one, and its result.
_BLOCKS = 5 * 2**20


class Memory(NamedTuple):
    """Bytes, for one text at a time.

    `weights` are mapped: they come into memory as they are read, are shared
    by all processes that use the file, and can be dropped and read again.
    `cache` holds the keys and values of the text so far. `working` is what a
    forward pass over a prompt takes for a moment; in NumPy it grows with the
    square of the prompt's length. Texts in a batch multiply cache and working memory.
    """

    weights: int
    cache_per_token: int
    cache_full: int
    working_128: int
    working_full: int


def memory_needed(config: XGLMConfig, weights: Iterable[Array], backend: str) -> Memory:
    """Return what a model with these weights will need on a backend."""
    positions = config.max_position_embeddings
    per_token = 2 * config.num_layers * config.d_model * _NUMBER
    return Memory(
        weights=sum(array.nbytes for array in weights),
        cache_per_token=per_token,
        cache_full=per_token * positions,
        working_128=working(config, min(128, positions), backend),
        working_full=working(config, positions, backend),
    )


def working(config: XGLMConfig, T: int, backend: str) -> int:
    r"""Return about how many bytes a pass over a prompt of T tokens takes besides weights.

    In NumPy,

    .. math:: 4 \max(3.1 H T^2 + 8 T D,\; a T F + 8 T D) + 8 V + 5 \cdot 2^{20}

    where a is 21.5 for the exact GELU, 2 for ReLU, 4.5 for other activations. In C,

    .. math:: 4 (\max(a T F, T D) + 5.1 T D) + 8 V

    where a is 1 for activations that have a kernel, and 4.5 for others.
    """
    D, F, H = config.d_model, config.ffn_dim, config.attention_heads
    name, outputs = config.activation_function, 2 * config.vocab_size
    if backend == "c":
        fused = name in _C_FUSED or (name.startswith("gelu") and name != "gelu_10")
        inner = (1 if fused else _INNER_OTHERWISE) * T * F
        return int(_NUMBER * (max(inner, T * D) + _C_WIDTHS_AT_ONCE * T * D + outputs))
    attention = _SCORES_AT_ONCE * H * T * T
    inner = _INNER_AT_ONCE.get(name, _INNER_OTHERWISE) * T * F
    passing = max(attention, inner) + _WIDTHS_AT_ONCE * T * D
    return int(_NUMBER * (passing + outputs)) + _BLOCKS
