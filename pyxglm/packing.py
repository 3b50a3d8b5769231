"""Texts of unequal length, packed: their tokens one behind the other, and no padding computed.

The decoder stays as it is. It sees one row of N tokens; what knows where a text
ends is the attention that it is given and the cache, one of each text.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from pyxglm import decoder, pages
from pyxglm.cache import KVCache
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.ops import in_a_row
from pyxglm.parameters import EMBEDDING


def decode_packed(
    model: Any,
    ids_N: Array,
    positions_N: Array,
    lengths: Sequence[int],
    caches: Sequence[KVCache] | None = None,
) -> Array:
    """Compute the hidden states (N, D) of texts that stand one behind the other.

    Parameters
    ----------
    model
        An `XGLMModel`.
    ids_N, positions_N
        The new tokens of all texts and their positions, which have been checked.
    lengths
        How many of them belong to each text; they add up to N.
    caches
        For each text, what it remembers; appended to. None: nothing before, and
        nothing kept.
    """
    bounds = list(pairwise(accumulate(lengths, initial=0)))
    table_PD = model._positions.up_to(int(positions_N.max(initial=0)))
    for cache in caches or ():
        cache.begin()
    # To the decoder it is what it gets keys and values from, to hand them to the attention.
    remembered: Any = None if caches is None else PackedCache(caches, bounds)
    run = decoder.Pass(model.config, PackedOps(model._ops, bounds), decoder.Mask(), remembered)
    with np.errstate(all="ignore"):
        hidden_1ND = decoder.embed(
            ids_N[None], positions_N[None], model._parameters[EMBEDDING], table_PD,
            model.config, model._ops, COMPUTE[model.compute],
        )  # fmt: skip
        with in_a_row(model._ops, hidden_1ND):
            hidden_ND: Array = decoder.decode(hidden_1ND, model._parameters.tree["model"], run)[0]
    for cache, length in zip(caches or (), lengths, strict=caches is not None):
        cache.commit(length)
    return hidden_ND


class PackedOps:
    """The operations of a backend, of which `attention` keeps packed texts apart."""

    def __init__(self, ops: Any, bounds: Sequence[tuple[int, int]]) -> None:
        self._ops, self._bounds = ops, bounds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def attention(
        self, q_1HNK: Array, k_1HNK: Any, v_1HNK: Any, **others: Any
    ) -> tuple[Array, Array | None]:
        """Attend in each text. Keys and values are packed too, or a list with each text's own."""
        if len(self._bounds) == 1:  # nothing to keep apart, and nothing to copy
            (k_1HNK, v_1HNK) = (kv[0] if isinstance(kv, list) else kv for kv in (k_1HNK, v_1HNK))
            out_BHTK, _ = self._ops.attention(q_1HNK, k_1HNK, v_1HNK, **others)
            return out_BHTK, None
        _, H, N, K = q_1HNK.shape
        out_1HNK = pages.empty((1, N, H, K), q_1HNK.dtype).swapaxes(1, 2)
        for text, (begin, end) in enumerate(self._bounds):
            new = (slice(None), slice(None), slice(begin, end))
            k_BHSK, v_BHSK = (
                kv[text] if isinstance(kv, list) else kv[new] for kv in (k_1HNK, v_1HNK)
            )
            self._ops.attention(q_1HNK[new], k_BHSK, v_BHSK, **others, out_BHTK=out_1HNK[new])
        return out_1HNK, None


class PackedCache:
    """A cache of each text, to which packed keys and values are appended."""

    def __init__(self, caches: Sequence[KVCache], bounds: Sequence[tuple[int, int]]) -> None:
        self._caches, self._bounds = caches, bounds

    def append(
        self, layer: int, k_1HNK: Array, v_1HNK: Array, ops: Any
    ) -> tuple[list[Array], list[Array]]:
        """Store a layer's new keys and values; return all of each text."""
        found = [
            cache.append(layer, k_1HNK[:, :, begin:end], v_1HNK[:, :, begin:end], ops)
            for cache, (begin, end) in zip(self._caches, self._bounds, strict=True)
        ]
        return [k_BHSK for k_BHSK, _ in found], [v_BHSK for _, v_BHSK in found]


def join(caches: Sequence[KVCache], real_BT: Array, batch: KVCache) -> None:
    """Fill the empty cache of a padded batch from those of its texts, which are emptied.

    `real_BT` is True where a text has a token. Padding remembers zeros, which
    nothing attends to.
    """
    B, T = real_BT.shape
    batch.begin()
    for layer in range(len(batch)):
        padded: list[Array] = []
        for part in (0, 1):
            of_texts = [cache[layer][part] for cache in caches]
            _, H, _, K = of_texts[0].shape
            room_BHTK = np.zeros((B, H, T, K), of_texts[0].dtype)
            for b, one in enumerate(of_texts):
                room_BHTK[b][:, real_BT[b]] = one[0]
            padded.append(room_BHTK)
        batch.append(layer, padded[0], padded[1])
        for cache in caches:
            cache.forget(layer)
    batch.commit(T)
