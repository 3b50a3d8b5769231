"""One call of a Flax model, in the decoder's terms: mask, positions, cache, randomness."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pyxglm.arguments import as_integers, as_numbers
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.flax_style.as_it_was import AsItWas
from pyxglm.flax_style.cache import ClampedCache, StaticCache
from pyxglm.flax_style.randomness import generator_of
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.ops.dropout import DropoutOps, dropped_layers


class FlaxDecoder(XGLMModel):
    """The decoder with dropout as Flax has it."""

    drops_attention = True

    def _operations(self, rng: Any) -> tuple[Any, frozenset[int]]:
        if rng is None:
            return self._ops, frozenset()
        config = self.config
        if not self.drops_attention:
            config = copy.copy(config)
            config.attention_dropout = 0.0
        return DropoutOps(self._ops, config, rng, as_flax=True), dropped_layers(config, rng)


class Call:
    """The inputs of one call, read and checked.

    Parameters
    ----------
    owner
        The Flax model: its configuration, `compat`, and the dtypes.
    input_ids, attention_mask, position_ids, past_key_values
        As the caller gave them.

    Raises
    ------
    ValueError, TypeError
        If one has another shape or kind than expected, or the cache is full.
    """

    def __init__(
        self, owner: Any, input_ids: Any, attention_mask: Any, position_ids: Any,
        past_key_values: Any,
    ) -> None:  # fmt: skip
        self.owner, self.as_it_was = owner, owner.compat is not None
        self.ids_BT = as_integers("input_ids", input_ids)
        if self.ids_BT.ndim != 2:
            raise ValueError(f"input_ids has shape {self.ids_BT.shape}, expected (B, T)")
        B, T = self.ids_BT.shape
        self.cache: StaticCache | None = None
        if past_key_values is not None:
            kind = ClampedCache if self.as_it_was else StaticCache
            dtype = COMPUTE[owner.compute]
            self.cache = kind(past_key_values, owner.config, B, dtype, owner._prefix)
        self.past = 0 if self.cache is None else self.cache.filled
        self.keys = T if self.cache is None else self.cache.max_length
        if self.past + T > self.keys and not self.as_it_was:
            raise ValueError(
                f"past_key_values holds {self.past} tokens and {T} are given, expected at most"
                f" {self.keys}, the max_length of init_cache"
            )
        self.mask_BS = self._mask(attention_mask)
        self.positions = self._positions(position_ids)

    def _mask(self, value: Any) -> Array | None:
        """Return what may be seen: where the mask, made whole numbers, is not 0."""
        if value is None:
            return None
        mask_BS: Array = np.trunc(as_numbers("attention_mask", value, np.float64)) != 0
        expected = (len(self.ids_BT), self.keys)
        if mask_BS.shape != expected and not (self.as_it_was and mask_BS.ndim == 2):
            room = "" if self.cache is None else ", all the room in the cache"
            raise ValueError(f"attention_mask has shape {mask_BS.shape}, expected {expected}{room}")
        return mask_BS

    def _positions(self, value: Any) -> Any:
        if value is None or not self.as_it_was:
            return value
        B, T = self.ids_BT.shape
        positions = as_integers("position_ids", value)
        if positions.shape not in ((1, T), (B, T)):
            raise ValueError(f"position_ids has shape {positions.shape}, expected ({B}, {T})")
        return positions

    def run(self, model: XGLMForCausalLM, train: bool, dropout_rng: Any, **given: Any) -> Any:
        """Run the decoder of `model`; return its results, in the dtypes and sizes of Flax.

        Raises
        ------
        ValueError, TypeError, IndexError
            As `pyxglm.XGLMModel.forward`; if there is nothing to draw from.
        """
        random = self._random(dropout_rng) if train else None
        decoder: Any = model.model
        if random is not None or self.as_it_was:
            decoder = FlaxDecoder._sharing(model)
            decoder.drops_attention = not self.as_it_was
        mask, positions, past = self.mask_BS, self.positions, self.past
        B, T = self.ids_BT.shape
        if self.as_it_was:
            decoder._ops = self._ops_as_they_were(decoder)
            past = 0 if self.cache is None else self.cache.length
            # In their place; these only have the right shapes.
            mask, positions = np.ones((B, past + T)), None
        result = decoder.forward(
            input_ids=self.ids_BT,
            attention_mask=None if mask is None else mask[:, : past + T],
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=self.cache is not None,
            return_dict=True,
            rng=random,
            **given,
        )
        return self._finished(result)

    def _random(self, dropout_rng: Any) -> np.random.Generator | None:
        """Return what to draw from, if there is anything to draw."""
        config = self.owner.config
        if self.as_it_was and config.layerdrop:
            raise ValueError(
                f"config: layerdrop is {config.layerdrop}, expected 0 for train=True with"
                " compat='4.37': Flax's LayerDrop never worked there"
            )
        if self.cache is not None and config.layerdrop:
            raise ValueError(
                f"past_key_values is given, expected none for train=True: layerdrop is"
                f" {config.layerdrop}, and layers that are left out remember nothing"
            )
        if dropout_rng is not None:
            return generator_of("dropout_rng", dropout_rng)
        rates = ["dropout", "activation_dropout"]
        if not self.as_it_was:
            rates += ["attention_dropout", "layerdrop"]
        for name in rates:
            if rate := getattr(config, name):
                raise ValueError(f"dropout_rng is None, expected a key: train=True, {name}={rate}")
        return None

    def _ops_as_they_were(self, decoder: XGLMModel) -> AsItWas:
        B, T = self.ids_BT.shape
        config = decoder.config
        mask = np.ones((B, T), bool) if self.mask_BS is None else self.mask_BS
        positions = np.arange(T)[None] if self.positions is None else self.positions
        table_PD = decoder._positions.up_to(config.max_position_embeddings - 1)
        room = None if self.cache is None else self.keys
        return AsItWas(
            decoder._ops, config, mask, np.broadcast_to(positions, (B, T)), table_PD, self.past,
            room,
        )  # fmt: skip

    def _finished(self, result: Any) -> Any:
        """Round results to the dtype, and give attention weights all the room in the cache."""
        dtype = self.owner._result_dtype
        with np.errstate(over="ignore"):
            result.last_hidden_state = result.last_hidden_state.astype(dtype, copy=False)
            if result.hidden_states is not None:  # those between blocks are never rounded
                result.hidden_states = (*result.hidden_states[:-1], result.last_hidden_state)
            for name in ("attentions", "cross_attentions"):
                if (weights := getattr(result, name)) is not None:
                    rounded = tuple(array.astype(dtype, copy=False) for array in weights)
                    setattr(result, name, rounded)
        if result.attentions is not None and self.cache is not None:
            result.attentions = tuple(self._widened(array) for array in result.attentions)
        if self.cache is not None:
            result.past_key_values = self.cache.to_tree(dtype)
        return result

    def _widened(self, weights_BHTS: Array) -> Array:
        unfilled = self.keys - weights_BHTS.shape[-1]
        return np.pad(weights_BHTS, ((0, 0), (0, 0), (0, 0), (0, unfilled)))
