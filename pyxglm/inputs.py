"""The arguments of a forward pass: read, checked, and put into the decoder's terms.

Arguments and misuse are those of transformers 4.37's `XGLMModel.forward`.
Array-likes are accepted; nothing that the caller passes is changed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm.arguments import as_numbers, check_range, one_row, whole_numbers
from pyxglm.cache import KVCache
from pyxglm.config import XGLMConfig
from pyxglm.decoder import Encoder, Mask
from pyxglm.dtypes import Array
from pyxglm.ops.reference import POSITION_OFFSET

logger = logging.getLogger("pyxglm")


def token_ids(name: str, value: Any, vocab_size: int) -> Array:
    """Return ids of shape (..., T) as (B, T).

    Raises
    ------
    ValueError
        For a single number.
    IndexError
        For an id that the vocabulary does not have.
    """
    ids = whole_numbers(name, value)
    if ids.ndim == 0:
        raise ValueError(f"{name} is a single number, expected an array of shape (B, T)")
    ids_BT = ids if ids.ndim == 2 else ids.reshape(int(np.prod(ids.shape[:-1])), ids.shape[-1])
    check_range(name, ids_BT, 0, vocab_size - 1)
    return ids_BT.astype(np.int64, copy=False)


def embeddings(name: str, value: Any, width: int, dtype: Any) -> Array:
    """Return vectors of shape (B, T, width) in the arithmetic dtype."""
    array = as_numbers(name, value, dtype)
    if array.ndim != 3 or array.shape[2] != width:
        raise ValueError(f"{name} has shape {array.shape}, expected (B, T, {width})")
    return array


def positions(value: Any, B: int, T: int, P: int, rows: int) -> Array:
    """Return position ids (1 or B, T): P … P + T - 1 unless given; (T,) is enough for one row.

    The table has `rows` rows, of which position p reads row p + 2.
    """
    if value is None:
        most = rows - POSITION_OFFSET
        if most < P + T:
            raise IndexError(
                f"{P + T} tokens are given or remembered, expected at most {most}:"
                " there are no more positions"
            )
        return np.arange(P, P + T)[None]
    position_ids = one_row(whole_numbers("position_ids", value), B)
    if position_ids.shape not in ((1, T), (B, T)):
        shapes = f"({B}, {T})" if B == 1 else f"({B}, {T}) or (1, {T})"
        raise ValueError(f"position_ids has shape {position_ids.shape}, expected {shapes}")
    check_range("position_ids", position_ids, -POSITION_OFFSET, rows - 1 - POSITION_OFFSET)
    return position_ids.astype(np.int64, copy=False)


def self_mask(value: Any, B: int, T: int, S: int, dtype: Any) -> Mask:
    """Turn `attention_mask` into the decoder's terms.

    (B, S), over past and new tokens: joined with the causal rule; (S,) is enough
    for one row. (B, 1, T, S): replaces it. A key is visible where the mask is
    exactly 1, in the dtype of the arithmetic, as in transformers.
    """
    if value is None:
        return Mask()
    mask = one_row(as_numbers("attention_mask", value, dtype), B) == 1
    if mask.ndim == 4:
        if mask.shape != (B, 1, T, S):
            raise ValueError(
                f"Incorrect 4D attention_mask shape: {mask.shape}; expected: {(B, 1, T, S)}."
            )
        return Mask(visible_BTS=mask[:, 0])
    if mask.shape != (B, S):
        raise ValueError(
            f"attention_mask has shape {mask.shape}, expected ({B}, {S}),"
            f" one column for each of {S - T} past and {T} new tokens, or ({B}, 1, {T}, {S})"
        )
    return Mask(keys_BS=mask)


def encoder_states(
    states: Any, mask: Any, config: XGLMConfig, B: int, dtype: Any
) -> Encoder | None:
    """Turn `encoder_hidden_states` and `encoder_attention_mask` into the decoder's terms."""
    if states is None:
        return None
    if not config.add_cross_attention:
        raise ValueError(
            "encoder_hidden_states is given, expected none: the model has no cross-attention"
            " (add_cross_attention is false in its configuration)"
        )
    hidden_BED = embeddings("encoder_hidden_states", states, config.d_model, dtype)
    if len(hidden_BED) != B:
        raise ValueError(
            f"encoder_hidden_states has batch size {len(hidden_BED)}, expected {B} as the tokens"
        )
    keys_BE = None
    if mask is not None:
        keys_BE = as_numbers("encoder_attention_mask", mask, dtype) == 1
        if keys_BE.shape != hidden_BED.shape[:2]:
            raise ValueError(
                f"encoder_attention_mask has shape {keys_BE.shape},"
                f" expected {hidden_BED.shape[:2]} as encoder_hidden_states"
            )
    return Encoder(hidden_BED, Mask(causal=False, keys_BS=keys_BE))


def head_mask(name: str, value: Any, config: XGLMConfig, dtype: Any) -> Array | None:
    """Return a head mask (L, H) in the arithmetic dtype."""
    if value is None:
        return None
    mask_LH = as_numbers(name, value, dtype)
    L, H = config.num_layers, config.attention_heads
    if mask_LH.ndim == 0 or len(mask_LH) != L:
        layers = len(mask_LH) if mask_LH.ndim else 0
        raise ValueError(
            f"The `{name}` should be specified for {L} layers, but it is for {layers}."
        )
    if mask_LH.shape[1:] != (H,):
        raise ValueError(
            f"Head mask for a single layer should be of size {(H,)}, but is {mask_LH.shape[1:]}"
        )
    return mask_LH


def past(
    value: Any, heads_L: Sequence[int], config: XGLMConfig, B: int, dtype: Any, cross: bool
) -> list[tuple[Array, ...]]:
    """Check a ``past_key_values`` tuple: for every layer (k, v) or (k, v, cross k, cross v).

    `heads_L` are the heads of each layer; `cross` says that the cross entries
    will be read.
    """
    L, K = config.num_layers, config.d_model // config.attention_heads
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise TypeError(f"past_key_values is a {type(value).__name__}, expected a tuple or KVCache")
    if len(value) != L:
        raise ValueError(f"past_key_values has {len(value)} layers, expected {L}")
    checked: list[tuple[Array, ...]] = []
    for layer, entry in enumerate(value):
        where = f"past_key_values[{layer}]"
        if len(entry) not in ((4,) if cross else (2, 4)):
            raise ValueError(
                f"{where} has {len(entry)} arrays, expected"
                + (" 4, with the encoder's keys and values" if cross else " 2 or 4")
            )
        arrays = tuple(
            as_numbers(f"{where}[{i}]", array, dtype)
            for i, array in enumerate(entry if cross else entry[:2])
        )
        length = checked[0][0].shape[2] if checked else (*arrays[0].shape, 0, 0, 0)[2]
        for i, array in enumerate(arrays):
            H = heads_L[layer] if i < 2 else config.attention_heads
            S = length if i < 2 else (*arrays[2].shape, 0, 0, 0)[2]
            if array.shape != (B, H, S, K):
                raise ValueError(f"{where}[{i}] has shape {array.shape}, expected {(B, H, S, K)}")
        checked.append(arrays)
    return checked


def check_cache(
    cache: KVCache, heads_L: Sequence[int], config: XGLMConfig, B: int, dtype: Any
) -> None:
    """Refuse a `KVCache` that belongs to another model, batch or arithmetic."""
    if len(cache) != config.num_layers:
        raise ValueError(f"past_key_values has {len(cache)} layers, expected {config.num_layers}")
    K = config.d_model // config.attention_heads
    for layer, (keys, *_) in enumerate(cache if cache.length else ()):
        shape = (B, heads_L[layer], cache.length, K)
        if keys.shape != shape or keys.dtype != dtype:
            raise ValueError(
                f"past_key_values[{layer}] has shape {keys.shape} in {keys.dtype}, expected"
                f" {shape} in {np.dtype(dtype)}"
            )


def check_dropped(given: Any, config: XGLMConfig) -> None:
    """Refuse a `KVCache` where layers are left out: it holds as many tokens of each."""
    if isinstance(given, KVCache) and config.layerdrop:
        raise ValueError(
            "past_key_values is a KVCache, expected a tuple or None (in generate: use_cache=False):"
            f" training mode leaves out layers (layerdrop is {config.layerdrop})"
        )


def check_remembered(cache: KVCache | None, encoder: Encoder | None) -> None:
    """Refuse an encoder mask that does not fit the encoder's keys in the cache.

    Remembered keys are used in place of new ones (so in transformers), whatever
    the new states are.
    """
    remembered = None if cache is None or encoder is None else cache.cross(0)
    if remembered is None or encoder is None or encoder.mask.keys_BS is None:
        return
    E = remembered[0].shape[2]
    if encoder.mask.keys_BS.shape[1] != E:
        raise ValueError(
            f"encoder_attention_mask has {encoder.mask.keys_BS.shape[1]} columns, expected {E},"
            " one for each encoder token that past_key_values remembers"
        )


_warned: set[str] = set()


def warn_if_padding_and_no_attention_mask(ids_BT: Array, attention_mask: Any, pad: Any) -> None:
    """Warn, once a process, if the first or the last column holds the padding id."""
    if attention_mask is not None or pad is None or not ids_BT.size:
        return
    message = (
        "input_ids holds the padding id, but there is no attention_mask: padding is treated as text"
    )
    if (ids_BT[:, [-1, 0]] == pad).any() and message not in _warned:
        _warned.add(message)
        logger.warning(message)
