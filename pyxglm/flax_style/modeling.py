"""FlaxXGLMModel and FlaxXGLMForCausalLM, as transformers 4.37 has them for Flax.

Arguments, results and defaults are those of `modeling_flax_xglm.py` there, on NumPy
arrays. Parameters stand outside the model (`trees`), the cache has a fixed length
(`cache`), and what is random is drawn from a key (`randomness`).

What 4.37 gets wrong is right here, unless ``compat="4.37"`` asks for it: with a
cache and without `position_ids` it counts positions from 0 again; a cache wants a
mask; what does not fit into the cache is written over its end; positions end at
``max_position_embeddings``; attention weights are never dropped in training; and
neither cross-attention nor LayerDrop works at all (both are refused).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm import decoder
from pyxglm.arguments import as_integers, as_numbers
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.flax_style.pretrained import FlaxXGLMPreTrainedModel
from pyxglm.flax_style.randomness import seed_of
from pyxglm.modeling import XGLMForCausalLM
from pyxglm.outputs import CausalLMOutputWithCrossAttentions, ModelOutput


@dataclass(eq=False)
class FlaxGenerateOutput(ModelOutput):
    """The results of `FlaxXGLMForCausalLM.generate`.

    Attributes
    ----------
    sequences
        (B, max_length): prompts, continuations, and the padding id.
    scores
        (B,): the final scores of a beam search, per token as in torch.
    """

    sequences: Array | None = None
    scores: Array | None = None


class FlaxXGLMModel(FlaxXGLMPreTrainedModel):
    """The decoder without the output head, called as Flax's class is.

    Parameters
    ----------
    config, input_shape, seed, dtype, _do_init, compat, backend
        See `FlaxXGLMPreTrainedModel`.

    Examples
    --------
    >>> from pyxglm import XGLMConfig
    >>> config = XGLMConfig(vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2)
    >>> model = FlaxXGLMModel(config, seed=1)
    >>> model(np.array([[2, 5, 7]]), params=model.params).last_hidden_state.shape
    (1, 3, 16)
    """


class FlaxXGLMForCausalLM(FlaxXGLMPreTrainedModel):
    """XGLM with its language-modelling head, called as Flax's class is.

    Parameters
    ----------
    config, input_shape, seed, dtype, _do_init, compat, backend
        See `FlaxXGLMPreTrainedModel`.

    Examples
    --------
    >>> from pyxglm import XGLMConfig
    >>> config = XGLMConfig(vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2)
    >>> model = FlaxXGLMForCausalLM(config, seed=1)
    >>> cache = model.init_cache(1, 8)
    >>> step = model(np.array([[2, 5, 7]]), past_key_values=cache)
    >>> step.past_key_values["model"]["layers"]["0"]["self_attn"]["cache_index"].item()
    3
    """

    _bare = False
    _generation_config: Any = None

    def _output(self, model: XGLMForCausalLM, result: Any) -> ModelOutput:
        with np.errstate(all="ignore"):
            hidden_BTD = result.last_hidden_state.astype(COMPUTE[self.compute], copy=False)
            logits_BTV = decoder.logits(hidden_BTD, model._head(), model._ops)
            logits_BTV = logits_BTV.astype(self._result_dtype, copy=False)
        return CausalLMOutputWithCrossAttentions(
            logits=logits_BTV,
            past_key_values=result.past_key_values,
            hidden_states=result.hidden_states,
            attentions=result.attentions,
            cross_attentions=result.cross_attentions,
        )

    # ------------------------------------------------------------------------ generation

    @property
    def generation_config(self) -> Any:
        """The settings of `generate` unless a call says otherwise."""
        if self._generation_config is None:
            from pyxglm.generation import GenerationConfig

            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, value: Any) -> None:
        self._generation_config = value

    def _read_companions(self, directory: Path) -> None:
        from pyxglm.generation import GenerationConfig

        self._generation_config = GenerationConfig.of_checkpoint(directory, self.config)

    def _companions(self) -> dict[str, bytes]:
        files: dict[str, bytes] = self.generation_config.as_file()
        return files

    def generate(
        self,
        input_ids: Any,
        generation_config: Any = None,
        prng_key: Any = None,
        trace: bool = True,
        params: Any = None,
        logits_processor: Any = None,
        *,
        attention_mask: Any = None,
        **settings: Any,
    ) -> FlaxGenerateOutput:
        """Continue prompts; see `pyxglm.generation.generate`.

        Parameters
        ----------
        input_ids
            The prompts' ids (B, T).
        generation_config
            Settings; without it the model's own.
        prng_key
            What draws come from: a key, or a seed; None: seed 0.
        trace
            Whether Flax traces the search; it makes no difference here.
        params
            The parameters to use; None: the model's.
        logits_processor
            As in `pyxglm.generation.generate`.
        attention_mask
            (B, T), zeros at padding. Without it, as in Flax, padding ids are
            text.
        **settings
            Settings that replace the configured ones.

        Returns
        -------
        FlaxGenerateOutput
            Its `sequences` are filled up with the padding id to the length
            that was asked for, even if all rows end before.
        """
        from pyxglm.generation import generate
        from pyxglm.generation.prompts import padding_id

        ids_BT = as_integers("input_ids", input_ids)
        if ids_BT.ndim != 2:
            raise ValueError(f"input_ids has shape {ids_BT.shape}, expected (B, T)")
        B, T = ids_BT.shape
        configured = self.generation_config if generation_config is None else generation_config
        chosen = configured.updated(**settings)
        length = T + chosen.max_new_tokens if chosen.max_new_tokens else chosen.max_length
        most = self.config.max_position_embeddings
        if self.compat is not None and length > most:
            raise ValueError(
                f"the sequences are to have {length} tokens, expected at most {most},"
                " max_position_embeddings, with compat='4.37'"
            )
        if (chosen.to_dict().get("num_beams") or 1) > 1:
            settings["return_dict_in_generate"] = True  # for the scores
        found = generate(
            self._torch_shaped(params),
            ids_BT,
            attention_mask=np.ones((B, T), np.int64) if attention_mask is None else attention_mask,
            generation_config=configured,
            logits_processor=logits_processor if logits_processor is not None else (),
            seed=0 if prng_key is None else seed_of("prng_key", prng_key),
            **settings,
        )
        ids_BS = getattr(found, "sequences", found)
        unfilled = max(0, length - ids_BS.shape[1])
        pad = padding_id(chosen, needed=False)
        return FlaxGenerateOutput(
            np.pad(ids_BS, ((0, 0), (0, unfilled)), constant_values=pad),
            getattr(found, "sequences_scores", None),
        )

    def prepare_inputs_for_generation(
        self, input_ids: Any, max_length: int, attention_mask: Any = None
    ) -> dict[str, Any]:
        """Return a cache, the mask over all of it, and the prompts' positions, as in 4.37.

        Positions count the ones of `attention_mask` (B, T), so that padding on
        the left stands at -1, whose vector is zero.
        """
        ids_BT = as_integers("input_ids", input_ids)
        B, T = ids_BT.shape
        mask_BM = np.ones((B, max_length), np.int32)
        positions_BT = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
        if attention_mask is not None:
            mask_BT = as_numbers("attention_mask", attention_mask, np.int64).astype(np.int32)
            positions_BT = mask_BT.cumsum(axis=-1, dtype=np.int32) - 1
            mask_BM[:, :T] = mask_BT
        return {
            "past_key_values": self.init_cache(B, max_length),
            "attention_mask": mask_BM,
            "position_ids": positions_BT,
        }

    def update_inputs_for_generation(
        self, model_outputs: Any, model_kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Put the new cache and the next positions into the arguments of a call."""
        model_kwargs["past_key_values"] = model_outputs.past_key_values
        model_kwargs["position_ids"] = model_kwargs["position_ids"][:, -1:] + 1
        return model_kwargs
