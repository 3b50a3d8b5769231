"""What an earlier call remembers, and how much of it is of use to this one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.cache import KVCache
from pyxglm.dtypes import Array
from pyxglm.generation.prompts import Prompts
from pyxglm.inputs import check_cache
from pyxglm.parameters import layer_heads
from pyxglm.pretrained import XGLMPreTrainedModel


def remembered(model: Any, prompts: Prompts, past: Any, room: int) -> tuple[Any, KVCache | None]:
    """Return what the model need not compute: of the first columns, or of every prompt's beginning.

    Parameters
    ----------
    model
        The model.
    prompts
        The batch.
    past
        `past_key_values`: a `KVCache`, the tuple of tuples of transformers
        (copied), or None. A `KVCache` that knows its tokens is cropped to those
        with which the prompts begin; one of a single row may be of the
        beginning that several prompts have in common, and then is only read.
    room
        Tokens that will be added to a copied tuple.

    Returns
    -------
    cache, prefix
        At most one of them: a cache of the first columns of the batch, or of
        the first tokens of every prompt.

    Raises
    ------
    ValueError
        If the cache has other rows or layers than expected, or holds as many
        columns as the prompts have.
    """
    if past is None or not isinstance(model, XGLMPreTrainedModel):
        return past, None
    B, T = prompts.ids_BT.shape
    if isinstance(past, KVCache):
        cache = past
    else:
        cache = KVCache.from_past(past, T + room - past[0][0].shape[2])
    if cache.length == 0:
        return cache, None
    rows = len(cache[0][0])
    if rows not in (1, B):
        raise ValueError(f"past_key_values has {rows} rows, expected {B}, one for each prompt")
    check_cache(cache, layer_heads(model.config), model.config, rows, cache[0][0].dtype)
    tokens = cache.tokens
    if rows < B:
        if tokens is None or not tokens[1].all():
            raise ValueError(
                f"past_key_values has 1 row, expected {B}, one for each prompt: it may be the"
                " common beginning of them all only if generate has filled it, without padding"
            )
        return None, _beginning(cache, tokens[0][0], prompts)
    if tokens is not None:
        # Padding is the same whatever id stands there.
        same = [
            part[:, :T] == own[:, : cache.length] for part, own in zip(tokens, prompts, strict=True)
        ]
        alike_BS = same[1] & (same[0] | (tokens[1][:, :T] == 0))
        cache.crop(min(_true_from_the_start(alike_BS.all(axis=0)), T - 1))
    elif cache.length >= T:
        raise ValueError(
            f"past_key_values holds {cache.length} tokens, expected fewer than the {T} of the"
            " prompts: crop it"
        )
    return cache, None


def _beginning(cache: KVCache, ids_S: Array, prompts: Prompts) -> KVCache | None:
    """Return a cache of the tokens that all prompts begin with; None if there are none."""
    common = len(ids_S)
    for ids_T, mask_T in zip(*prompts, strict=True):
        real = ids_T[mask_T == 1]
        shorter = min(common, len(real) - 1)
        common = _true_from_the_start(ids_S[:shorter] == real[:shorter])
    if common == 0:
        return None
    beginning = cache.gathered([0])
    beginning.crop(common)
    return beginning


def _true_from_the_start(alike_S: Array) -> int:
    """Return how many are true before the first that is not.

    >>> _true_from_the_start(np.array([True, True, False, True]))
    2
    """
    return int(np.logical_and.accumulate(alike_S).sum())
