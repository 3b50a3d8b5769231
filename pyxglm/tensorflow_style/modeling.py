"""TFXGLMModel and TFXGLMForCausalLM, as transformers 4.37 has them for TensorFlow.

Arguments, results and defaults are those of `modeling_tf_xglm.py` there, on NumPy
arrays. What differs from the torch-shaped classes, which they are made from:

- inputs may come in the first argument (`calls`), and `training` is an argument;
- the head is a matrix of its own, also where the configuration ties it to the
  embedding: a file's own head is kept, and a missing one begins as the embedding;
- the loss has an axis, and by default the target too many of 4.37 (`losses`).

What 4.37 gets wrong is right here, unless ``compat="4.37"`` asks for it:
`TFXGLMModel` ignores position_ids, the table of positions ends at
``max_position_embeddings``, masks add up (`attention`), fresh embeddings are
large (`initialization`), and what is no argument goes unnoticed (`calls`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from pyxglm import decoder
from pyxglm.arguments import as_numbers, check_type
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.inputs import token_ids
from pyxglm.losses import check_loss_type
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.outputs import CausalLMOutputWithCrossAttentions
from pyxglm.parameters import ARRAYS, EMBEDDING, HEAD
from pyxglm.tensorflow_style.calls import unpacked
from pyxglm.tensorflow_style.losses import shaped_loss
from pyxglm.tensorflow_style.pretrained import TFXGLMPreTrainedModel
from pyxglm.views import torch_shaped

Model = TypeVar("Model", bound="TFXGLMForCausalLM")


class TFXGLMModel(TFXGLMPreTrainedModel, XGLMModel):
    """The decoder without the output head, called as TensorFlow's class is.

    Parameters
    ----------
    config, embed_tokens, compat, seed, dtype, compute, backend
        See `TFXGLMPreTrainedModel`.

    Examples
    --------
    >>> config = XGLMConfig(vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2)
    >>> model = TFXGLMModel(config, seed=1)
    >>> model({"input_ids": [[2, 5, 7]], "attention_mask": [[0, 1, 1]]}).last_hidden_state.shape
    (1, 3, 16)
    """

    @unpacked
    def call(
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
        training: bool | None = False,
        *,
        rng: Any = None,
    ) -> Any:
        """Compute the hidden states of T tokens that follow P remembered ones; S = P + T.

        Parameters
        ----------
        input_ids
            Token ids (B, T); or inputs in the order of these arguments, in a
            list or tuple; or inputs by name, in a dict.
        attention_mask, position_ids, encoder_hidden_states, encoder_attention_mask, \
head_mask, cross_attn_head_mask, past_key_values, inputs_embeds, use_cache, \
output_attentions, output_hidden_states, return_dict
            As in `pyxglm.XGLMModel.forward`.
        training
            Drop hidden states, attention weights, activations and layers, as
            configured.
        rng
            What `training` draws from: a `numpy.random.Generator` or a seed;
            None: the model's own generator, which goes on from call to call.

        Returns
        -------
        BaseModelOutputWithPastAndCrossAttentions or tuple
            Its ``past_key_values`` is a tuple of L tuples (k, v), each (B, H,
            S, K), of four arrays with an encoder: what 4.37 returns, and not
            the one array a layer that its documentation speaks of.

        Raises
        ------
        ValueError, TypeError, IndexError
            If an argument has another shape or kind than expected, is given
            twice, or holds what is beyond a table.
        """
        if self.compat is not None:
            position_ids = None  # it does not hand them on
        result = self._decode(
            training, rng, input_ids=input_ids, attention_mask=attention_mask,
            position_ids=position_ids, encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask, head_mask=head_mask,
            cross_attn_head_mask=cross_attn_head_mask, past_key_values=past_key_values,
            inputs_embeds=inputs_embeds, use_cache=use_cache, output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )  # fmt: skip
        wants_dict = self.config.use_return_dict if return_dict is None else return_dict
        return result if wants_dict else result.to_tuple()

    __call__ = call


class TFXGLMForCausalLM(TFXGLMPreTrainedModel, XGLMForCausalLM):
    """XGLM with a language-modelling head of its own, called as TensorFlow's class is.

    Parameters
    ----------
    config, embed_tokens, compat, seed, dtype, compute, backend
        See `TFXGLMPreTrainedModel`.
    loss_type
        ``"hf-4.37"``, the default here: as transformers 4.37 computes it, where
        the padding id after a row's last token counts too. ``"standard"``: mean
        over the next tokens alone. A call may override it.

    Examples
    --------
    >>> config = XGLMConfig(vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2)
    >>> model = TFXGLMForCausalLM(config, seed=1)
    >>> model([[[2, 5, 7]], [[0, 1, 1]]], labels=[[2, 5, 7]]).loss.shape
    (1,)
    """

    _own_head = True

    def __init__(
        self, config: XGLMConfig, embed_tokens: Any = None, *, loss_type: str = "hf-4.37",
        **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(config, embed_tokens, loss_type=loss_type, **settings)

    def _finish(self, **settings: Any) -> None:
        super()._finish(**{"loss_type": "hf-4.37", **settings})

    @classmethod
    def from_weights(
        cls: type[Model], config: XGLMConfig, weights: Mapping[str, Array], **settings: Any
    ) -> Model:
        """Build a model around arrays; see `XGLMPreTrainedModel.from_weights`.

        A head among them is kept, whether or not the configuration ties it;
        without one the embedding is the head.
        """
        check_type("config", config, XGLMConfig, "an XGLMConfig")
        check_type("weights", weights, Mapping, ARRAYS)
        untied = copy.deepcopy(config)
        untied.tie_word_embeddings = False
        named = dict(weights)
        embedding = named.get(EMBEDDING)
        shared = embedding is not None and same_memory(named.get(HEAD, embedding), embedding)
        if shared:
            named[HEAD] = named[EMBEDDING]
        model = super().from_weights(untied, named, **settings)
        if shared:  # in one conversion of the dtype, not in two
            model._parameters[HEAD] = model._parameters[EMBEDDING]
        model.config.tie_word_embeddings = config.tie_word_embeddings
        return model

    def tie_weights(self) -> None:
        """Do nothing: TensorFlow's head is never the embedding."""

    def to(self: Model, *targets: object, dtype: object = None, device: object = None) -> Model:
        """Store the weights in another dtype; see `pyxglm.XGLMForCausalLM.to`.

        A head that still is the embedding is converted with it, not beside it.
        """
        shared = self._parameters.get(HEAD) is self._parameters[EMBEDDING]
        if shared:
            del self._parameters[HEAD]
        try:
            return super().to(*targets, dtype=dtype, device=device)
        finally:
            if shared:
                self._parameters[HEAD] = self._parameters[EMBEDDING]

    @unpacked
    def call(
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
        training: bool | None = False,
        *,
        loss_type: str | None = None,
        rng: Any = None,
    ) -> Any:
        """Compute next-token logits, and a loss if there are labels.

        Parameters
        ----------
        input_ids, attention_mask, position_ids, encoder_hidden_states, \
encoder_attention_mask, head_mask, cross_attn_head_mask, past_key_values, inputs_embeds, \
use_cache, output_attentions, output_hidden_states, return_dict, training, rng
            As in `TFXGLMModel.call`.
        labels
            Token ids (B, T), usually `input_ids`; -100 marks those that do not
            count. The logits at t are judged by the label at t + 1.
        loss_type
            ``"hf-4.37"`` or ``"standard"``; None as the model's `loss_type`.

        Returns
        -------
        CausalLMOutputWithCrossAttentions or tuple
            The loss is in nats, of shape (1,); with ``tf_legacy_loss`` in the
            configuration of shape (n,), one for each target that counts.

        Raises
        ------
        ValueError, TypeError, IndexError
            As `TFXGLMModel.call`; for labels of another shape or beyond the
            vocabulary.
        """
        kind = self.loss_type if loss_type is None else check_loss_type(loss_type)
        result = self._decode(
            training, rng, input_ids=input_ids, attention_mask=attention_mask,
            position_ids=position_ids, encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask, head_mask=head_mask,
            cross_attn_head_mask=cross_attn_head_mask, past_key_values=past_key_values,
            inputs_embeds=inputs_embeds, use_cache=use_cache, output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )  # fmt: skip
        with np.errstate(all="ignore"):
            logits_BTV = decoder.logits(result[0], self._head(), self._ops)
            loss = shaped_loss(logits_BTV, labels, kind, self.config)
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

    __call__ = call

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Continue prompts; see `pyxglm.generation.generate`."""
        from pyxglm.generation import generate

        view = torch_shaped(self, self._parameters)
        view.generation_config = self.generation_config
        return generate(view, *args, **kwargs)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, inputs: Any, past_key_values: Any = None, use_cache: bool | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the arguments of the call that continues a text, as transformers 4.37 does.

        With a cache, only the last of the ids (B, T) is kept. Positions count
        the ones of `attention_mask` (B, S) before each token, unless
        ``position_ids`` are given; without a mask there are none. Any other
        keyword is ignored.
        """
        ids_BT = token_ids("inputs", inputs, len(self.get_input_embeddings().weight))
        mask, position_ids = kwargs.get("attention_mask"), kwargs.get("position_ids")
        if mask is not None and position_ids is None:
            mask_BS = as_numbers("attention_mask", mask, np.int64)
            position_ids = mask_BS.cumsum(axis=-1) - mask_BS
            position_ids = position_ids[:, -1:] if past_key_values else position_ids
        return {
            "input_ids": ids_BT[:, -1:] if past_key_values else ids_BT,
            "attention_mask": mask,
            "position_ids": position_ids,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
        }


def same_memory(a: Array, b: Array) -> bool:
    """Tell whether two arrays are one: torch's files name a tied matrix twice."""
    return a is b or (
        (a.shape, a.dtype, a.strides) == (b.shape, b.dtype, b.strides)
        and a.__array_interface__["data"] == b.__array_interface__["data"]
    )
