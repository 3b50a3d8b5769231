"""Flax's static cache: nested dicts of arrays of a fixed length, and an index into them.

::

    {"model": {"layers": {"0": {"self_attn": {
        "cached_key": (B, M, H, K), "cached_value": (B, M, H, K), "cache_index": int32}}}}}

M is the ``max_length`` that `init_cache` was told; the index counts the tokens
stored, P. A call leaves the cache that it is given as it is, and returns another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyxglm.arguments import as_numbers
from pyxglm.cache import KVCache
from pyxglm.checkpoint.names import paths, tree_of
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.flax_style.trees import as_array, read_only
from pyxglm.ops import reference

_LEAVES = ("cached_key", "cached_value", "cache_index")


def empty_cache(
    config: XGLMConfig, batch_size: int, max_length: int, dtype: Any, prefix: str
) -> dict[str, Any]:
    """Return a cache of zeros; `prefix` is the path to ``layers``."""
    H = config.attention_heads
    zeros = np.zeros((batch_size, max_length, H, config.d_model // H), dtype)
    leaves: dict[str, Any] = {}
    for layer in range(config.num_layers):
        place = _place(prefix, layer)
        leaves[f"{place}cached_key"] = leaves[f"{place}cached_value"] = read_only(zeros)
        leaves[f"{place}cache_index"] = _index(0)
    return tree_of(leaves)


def _place(prefix: str, layer: int) -> str:
    return f"{prefix}layers/{layer}/self_attn/"


def _index(tokens: int) -> Array:
    return read_only(np.asarray(tokens, np.int32))


class StaticCache(KVCache):
    """The cache of one call: a copy of the arrays given, to be appended to.

    Parameters
    ----------
    tree
        What `init_cache` or an earlier call has returned.
    config, B, dtype
        What it must fit: the model, the batch, and the dtype to compute in.
    prefix
        The path to ``layers``.

    Raises
    ------
    TypeError, ValueError
        If it is none, or belongs to another model or batch.
    """

    def __init__(self, tree: Any, config: XGLMConfig, B: int, dtype: Any, prefix: str) -> None:
        if not isinstance(tree, Mapping):
            raise TypeError(
                f"past_key_values is a {type(tree).__name__}, expected nested dicts: init_cache"
                " makes them"
            )
        leaves = {path: as_array(leaf) for path, leaf in paths(tree).items()}
        L, H = config.num_layers, config.attention_heads
        wanted = [f"{_place(prefix, layer)}{leaf}" for layer in range(L) for leaf in _LEAVES]
        for path in wanted:
            if path not in leaves:
                raise ValueError(f"past_key_values has no {path!r}, expected {L} layers with it")
        places = [_place(prefix, layer) for layer in range(L)]
        M = (*leaves[wanted[0]].shape, 0, 0)[1]
        self._prefix, self.filled = prefix, int(leaves[wanted[2]])
        super().__init__(L, M)
        for layer, place in enumerate(places):
            for leaf in _LEAVES[:2]:
                shape = leaves[place + leaf].shape
                expected = (B, M, H, config.d_model // H)
                if shape != expected:
                    raise ValueError(
                        f"past_key_values: {place}{leaf} has shape {shape}, expected {expected}"
                    )
            if int(leaves[f"{place}cache_index"]) != self.filled:
                raise ValueError(
                    f"past_key_values: {place}cache_index is {leaves[place + 'cache_index']},"
                    f" expected {self.filled} as in the first layer"
                )
            # A copy in any case, for it will be written to.
            key, value = (
                np.array(as_numbers(leaf, leaves[place + leaf], dtype).swapaxes(1, 2), order="C")
                for leaf in _LEAVES[:2]
            )
            self._layers[layer] = (key, value)
        self.length = self.filled

    @property
    def max_length(self) -> int:
        """The number of tokens there is room for, M."""
        return self._capacity

    def begin(self) -> None:
        """Start a forward pass; the room stays, filled with zeros or not."""
        self._new_cross.clear()

    def commit(self, tokens: int) -> None:
        """End a forward pass: count the `tokens` rows that it has appended."""
        super().commit(tokens)
        self.filled = self.length

    def to_tree(self, dtype: Any) -> dict[str, Any]:
        """Return the cache as nested dicts again; arrays are views if the dtype allows it."""
        leaves: dict[str, Any] = {}
        for layer in range(len(self)):
            place = _place(self._prefix, layer)
            for leaf, room_BHMK in zip(_LEAVES, self.room(layer), strict=False):
                with np.errstate(over="ignore"):
                    array = room_BHMK.swapaxes(1, 2).astype(dtype, copy=False)
                leaves[place + leaf] = read_only(array)
            leaves[f"{place}cache_index"] = _index(self.filled)
        return tree_of(leaves)


class ClampedCache(StaticCache):
    """The cache as 4.37 fills it: what does not fit is written over the last tokens.

    Attention gets all of the room, and must see to it what is filled.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.length = min(self.filled, self.max_length)

    def append(
        self, layer: int, k_BHTK: Array, v_BHTK: Array, ops: Any = reference
    ) -> tuple[Array, Array]:
        """Store a layer's T new keys and values, the last where there is room for T at least."""
        T = k_BHTK.shape[2]
        if self.max_length < T:
            raise ValueError(
                f"{T} tokens are given, expected at most {self.max_length}, the cache's max_length"
            )
        k_BHMK, v_BHMK = self.room(layer)
        start = min(self.filled, self.max_length - T)
        ops.cache_append(k_BHMK, v_BHMK, k_BHTK, v_BHTK, start)
        return k_BHMK, v_BHMK

    def commit(self, tokens: int) -> None:
        """End a forward pass: count the `tokens` rows, whether or not they fitted."""
        self.filled += tokens
        self.length = min(self.filled, self.max_length)
