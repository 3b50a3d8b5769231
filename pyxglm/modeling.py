"""XGLMModel and XGLMForCausalLM: the decoder behind the surface of transformers 4.37.

Arguments, results and errors are those of the PyTorch classes, on NumPy
arrays. What is computed stands in `decoder.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm import arguments, decoder, inputs
from pyxglm.cache import KVCache, in_use
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.embeddings import Embedding
from pyxglm.generation_mixin import GenerationMixin
from pyxglm.losses import check_loss_type, language_model_loss, loss_without_logits
from pyxglm.ops import in_a_row
from pyxglm.outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    Wants,
)
from pyxglm.parameters import EMBEDDING, layer_heads
from pyxglm.pretrained import XGLMPreTrainedModel
from pyxglm.scoring_mixin import ScoringMixin


class XGLMModel(XGLMPreTrainedModel):
    """The decoder without the output head: token ids to hidden states.

    Parameters
    ----------
    config, seed, dtype, compute, backend
        See `XGLMPreTrainedModel`.
    embed_tokens
        A token embedding to use, an array (V, D) or an `Embedding`.
    """

    def __init__(self, config: XGLMConfig, embed_tokens: Any = None, **settings: Any) -> None:
        super().__init__(config, **settings)
        if embed_tokens is not None:
            self.set_input_embeddings(embed_tokens)

    @classmethod
    def _sharing(cls, owner: XGLMPreTrainedModel) -> XGLMModel:
        """Return a view of another model's decoder: the same parameters and configuration."""
        model = cls.__new__(cls)
        model._set_up(owner.config, owner.compute, owner.backend)
        model.config, model._headed = owner.config, True
        model._parameters, model._positions = owner._parameters, owner._positions
        return model

    @property
    def embed_tokens(self) -> Embedding:
        """The token embedding."""
        return self.get_input_embeddings()

    @embed_tokens.setter
    def embed_tokens(self, value: Any) -> None:
        self.set_input_embeddings(value)

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
        head_mask: Any = None,
        cross_attn_head_mask: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        rng: Any = None,
    ) -> Any:
        """Compute the hidden states of T tokens that follow P remembered ones; S = P + T.

        Every position given is computed, masked or not.

        Parameters
        ----------
        input_ids
            Token ids (B, T); or else `inputs_embeds`. One text may do without the
            axis B, in its mask, positions and labels too.
        attention_mask
            (B, S), 1 for real tokens and 0 for padding, over past and new
            tokens; or (B, 1, T, S), which replaces the causal rule.
        position_ids
            (B, T) or (1, T). Default: P … P + T - 1, whatever the mask says.
            (transformers adds 2 to this array in place; here it is left alone.)
        encoder_hidden_states, encoder_attention_mask
            (B, E, D) and (B, E), for models with ``add_cross_attention``.
        head_mask, cross_attn_head_mask
            (L, H): factors on the attention weights of each head.
        past_key_values
            The cache of an earlier call: its tuple, left as it is, or a
            `KVCache`, of one thread at a time, appended to and returned (with
            ``use_cache=False``: only read).
        inputs_embeds
            (B, T, D), instead of ids. Not scaled: multiply by sqrt(D) what
            comes from the embedding.
        use_cache, output_attentions, output_hidden_states, return_dict
            What to return; None as in the configuration.
        rng
            A generator or a seed: make this call in training mode, and draw
            from it. None: as `train` and `eval` have set the model.

        Returns
        -------
        BaseModelOutputWithPastAndCrossAttentions or tuple
            A tuple of what is present if ``return_dict=False``.

        Raises
        ------
        ValueError, TypeError
            If an argument has another shape or kind than expected.
        IndexError
            If an id or a position is beyond its table.
        """
        config = self.config
        wants = Wants.of(config, use_cache, output_attentions, output_hidden_states, return_dict)
        dtype = COMPUTE[self.compute]
        if input_ids is not None and inputs_embeds is not None:
            raise ValueError("You cannot specify both input_ids and inputs_embeds at the same time")
        if input_ids is not None:
            ids_BT = inputs.token_ids("input_ids", input_ids, len(self._parameters[EMBEDDING]))
            inputs.warn_if_padding_and_no_attention_mask(
                ids_BT, attention_mask, config.pad_token_id
            )
            B, T = ids_BT.shape
        elif inputs_embeds is not None:
            embeds_BTD = inputs.embeddings("inputs_embeds", inputs_embeds, config.d_model, dtype)
            B, T, _ = embeds_BTD.shape
        else:
            raise ValueError("You have to specify either input_ids or inputs_embeds")

        ops, dropped = self._operations(rng)
        if ops is not self._ops:
            inputs.check_dropped(past_key_values, config)
        cross = encoder_hidden_states is not None
        encoder = inputs.encoder_states(
            encoder_hidden_states, encoder_attention_mask, config, B, dtype
        )
        with in_use(past_key_values):
            cache = self._cache(past_key_values, B, T, wants.cache, cross)
            P = 0 if cache is None else cache.length
            rows = self._positions.rows(P + T)
            positions_BT = inputs.positions(position_ids, B, T, P, rows)
            table_PD = self._positions.up_to(int(positions_BT.max(initial=0)))
            run = decoder.Pass(
                config,
                ops,
                inputs.self_mask(attention_mask, B, T, P + T, dtype),
                cache,
                encoder,
                self._head_mask(head_mask, dtype),
                inputs.head_mask("cross_attn_head_mask", cross_attn_head_mask, config, dtype),
                wants.trace(cross=cross),
                dropped,
            )
            inputs.check_remembered(cache, run.encoder)
            # Infinities and NaN in weights or inputs go through the arithmetic as in torch.
            with np.errstate(all="ignore"):
                if input_ids is not None:
                    embed_VD = self._parameters[EMBEDDING]
                    hidden_BTD = decoder.embed(
                        ids_BT, positions_BT, embed_VD, table_PD, config, ops, dtype
                    )
                else:
                    hidden_BTD = ops.add_positions(embeds_BTD, positions_BT, table_PD)
                # An encoder's states are another input, which may have been computed by NumPy.
                with in_a_row(ops if run.encoder is None else None, hidden_BTD):
                    hidden_BTD = decoder.decode(hidden_BTD, self._parameters.tree["model"], run)
            remembered: Any = None
            if wants.cache and cache is not None:
                cache.commit(T)
                remembered = cache if cache is past_key_values else cache.to_tuple(dropped)
        result = BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=hidden_BTD,
            past_key_values=remembered,
            hidden_states=_tuple(run.trace.hidden_states),
            attentions=_tuple(run.trace.attentions),
            cross_attentions=_tuple(run.trace.cross_attentions),
        )
        return result if wants.return_dict else result.to_tuple()

    __call__ = forward

    def _cache(self, given: Any, B: int, T: int, wanted: bool, cross: bool) -> KVCache | None:
        """Return the cache to append to: the caller's own, or a copy of the caller's tuple."""
        dtype = COMPUTE[self.compute]
        if isinstance(given, KVCache):
            inputs.check_cache(given, layer_heads(self.config), self.config, B, dtype)
            given.begin()
            return given
        if given is not None:
            checked = inputs.past(given, layer_heads(self.config), self.config, B, dtype, cross)
            return KVCache.from_past(checked, room=T)
        return KVCache(self.config.num_layers, T) if wanted else None

    def _head_mask(self, value: Any, dtype: Any) -> Sequence[Array] | None:
        """Return each layer's factors for the heads it has; pruned ones are left out."""
        mask_LH = inputs.head_mask("head_mask", value, self.config, dtype)
        if mask_LH is None:
            return None
        pruned = self.config.pruned_heads
        return [np.delete(mask_H, pruned.get(i, [])) for i, mask_H in enumerate(mask_LH)]


class XGLMForCausalLM(GenerationMixin, ScoringMixin, XGLMPreTrainedModel):
    """XGLM with its language-modelling head: token ids to next-token logits.

    Parameters
    ----------
    config, seed, dtype, compute, backend
        See `XGLMPreTrainedModel`.
    loss_type
        ``"standard"``, the default: mean over the next tokens, label -100 left
        out and the padding id not. ``"hf-4.37"``: that of transformers 4.37, where
        the padding id after a row's last token counts too. A call may override it.

    Examples
    --------
    >>> config = XGLMConfig(vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2)
    >>> model = XGLMForCausalLM(config, seed=1)
    >>> model([[2, 5, 7]]).logits.shape
    (1, 3, 64)
    """

    _bare = False

    def __init__(self, config: XGLMConfig, *, loss_type: str = "standard", **settings: Any) -> None:
        super().__init__(config, **settings)
        self._finish(loss_type=loss_type)

    def _finish(self, **settings: Any) -> None:
        self.loss_type = check_loss_type(settings.pop("loss_type", "standard"))
        super()._finish(**settings)
        self.model = XGLMModel._sharing(self)

    @property
    def lm_head(self) -> Any:
        """The output head."""
        return self.get_output_embeddings()

    @lm_head.setter
    def lm_head(self, value: Any) -> None:
        self.set_output_embeddings(value)

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
        head_mask: Any = None,
        cross_attn_head_mask: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Any = None,
        labels: Any = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        loss_type: str | None = None,
        logits_to_keep: int = 0,
        output_logits: bool = True,
        rng: Any = None,
    ) -> Any:
        """Compute next-token logits, and a loss if there are labels.

        Parameters
        ----------
        input_ids, attention_mask, position_ids, encoder_hidden_states, \
encoder_attention_mask, head_mask, cross_attn_head_mask, past_key_values, inputs_embeds, \
use_cache, output_attentions, output_hidden_states, return_dict, rng
            As in `XGLMModel.forward`.
        labels
            Token ids (B, T), usually `input_ids`; -100 marks those that do not
            count. The logits at t are judged by the label at t + 1.
        loss_type
            ``"standard"`` or ``"hf-4.37"``; None as the model's `loss_type`.
        logits_to_keep
            Compute logits for the last so many positions only; 0 means all.
        output_logits
            If False, there are no logits in the result (absent, as attentions
            that were not asked for), and none are stored: a loss is computed
            from some positions at a time, and only from those whose label
            counts. ``use_cache=None`` then means False.

        Returns
        -------
        CausalLMOutputWithCrossAttentions or tuple
            The loss is in nats, NaN if no label counts. A tuple of what is
            present if ``return_dict=False``.

        Raises
        ------
        ValueError, TypeError, IndexError
            As in `XGLMModel.forward`; for labels of another shape or beyond the
            vocabulary; for `logits_to_keep` together with labels or without
            logits.
        """
        keep = arguments.whole_number("logits_to_keep", logits_to_keep, 0)
        if labels is not None and keep:
            raise ValueError("labels and logits_to_keep are given, expected one: a loss needs all")
        if not output_logits:
            if keep:
                raise ValueError(f"logits_to_keep is {keep}, expected 0: output_logits is False")
            use_cache = bool(use_cache)
        kind = self.loss_type if loss_type is None else check_loss_type(loss_type)
        result = self.model.forward(
            input_ids, attention_mask, position_ids, encoder_hidden_states, encoder_attention_mask,
            head_mask, cross_attn_head_mask, past_key_values, inputs_embeds, use_cache,
            output_attentions, output_hidden_states, return_dict=True, rng=rng,
        )  # fmt: skip
        hidden_BTD, head_VD, pad = result[0], self._head(), self.config.pad_token_id
        logits_BTV = None
        with np.errstate(all="ignore"):
            if output_logits:
                logits_BTV = decoder.logits(hidden_BTD[:, -keep:], head_VD, self._ops)
                loss = language_model_loss(logits_BTV, labels, kind, pad)
            else:
                loss = loss_without_logits(hidden_BTD, head_VD, labels, kind, pad, self._ops)
        output = CausalLMOutputWithCrossAttentions(
            loss=loss,
            logits=logits_BTV,
            past_key_values=result.past_key_values,
            hidden_states=result.hidden_states,
            attentions=result.attentions,
            cross_attentions=result.cross_attentions,
        )
        wants_dict = self.config.use_return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    __call__ = forward


def _tuple(arrays: list[Array] | None) -> tuple[Array, ...] | None:
    return None if arrays is None else tuple(arrays)
