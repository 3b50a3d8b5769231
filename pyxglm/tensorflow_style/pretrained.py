"""What TensorFlow's two classes share: how they are made, loaded and run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from pyxglm.arguments import as_numbers, whole_numbers
from pyxglm.compat import check_compat
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.modeling import XGLMModel
from pyxglm.positions import FixedPositionTable
from pyxglm.pretrained import XGLMPreTrainedModel
from pyxglm.tensorflow_style.attention import AdditiveMasks
from pyxglm.tensorflow_style.initialization import fresh_weights

Model = TypeVar("Model", bound="TFXGLMPreTrainedModel")


class TFXGLMPreTrainedModel(XGLMPreTrainedModel):
    """What `TFXGLMModel` and `TFXGLMForCausalLM` share; not a model itself.

    Parameters
    ----------
    config, seed, dtype, compute, backend
        See `pyxglm.XGLMPreTrainedModel`.
    embed_tokens
        A token embedding to use, an array (V, D) or an `Embedding`.
    compat
        ``"4.37"`` to repeat what was broken in that version of transformers.
    """

    framework = "tf"
    compat: str | None = None
    _forms = ("safetensors", "tf", "torch", "flax")

    def __init__(
        self, config: XGLMConfig, embed_tokens: Any = None, *, compat: str | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        self.compat = check_compat(compat)
        super().__init__(config, **settings)
        self._fix_positions()
        if embed_tokens is not None:
            self.set_input_embeddings(embed_tokens)

    @classmethod
    def from_config(cls: type[Model], config: XGLMConfig, **settings: Any) -> Model:
        """Return a model with fresh weights; `settings` as on construction."""
        return cls(config, **settings)

    def _fresh(self, seed: int, dtype: object) -> dict[str, Array]:
        return fresh_weights(self.config, seed, dtype, with_head=not self._bare, compat=self.compat)

    def _finish(self, **settings: Any) -> None:
        self.compat = check_compat(settings.pop("compat", self.compat))
        super()._finish(**settings)
        self._fix_positions()

    def _fix_positions(self) -> None:
        if self.compat is not None:
            self._positions = self.base_model._positions = FixedPositionTable(self.config)

    def save_pretrained(  # type: ignore[override]
        self,
        save_directory: str | os.PathLike[str],
        *,
        max_shard_size: int | str = "10GB",
        safe_serialization: bool = False,
        push_to_hub: bool = False,
    ) -> None:
        """Write ``config.json`` and ``tf_model.h5``, that transformers can open.

        Parameters
        ----------
        save_directory
            Where to write; made if need be.
        max_shard_size
            Largest size of one file, in bytes or as ``"5GB"``, ``"200MB"``.
        safe_serialization
            Write safetensors instead, as `pyxglm.XGLMForCausalLM` does.
        push_to_hub
            Must be False: nothing is uploaded.

        Raises
        ------
        ValueError
            If `push_to_hub` is true.
        ImportError
            If h5py, of the extra ``pyxglm[tf]``, is not installed.
        """
        form = "safetensors" if safe_serialization else "tf"
        self._save(save_directory, form, max_shard_size, push_to_hub, None)

    def _decode(self, training: Any, rng: Any, **given: Any) -> Any:
        """Return the hidden states and what else the decoder gives, by name."""
        if given["input_ids"] is not None:
            shape = whole_numbers("input_ids", given["input_ids"]).shape
            if len(shape) != 2:
                raise ValueError(f"input_ids has shape {shape}, expected (B, T)")
        model: Any = self.base_model
        if training and rng is None:
            model._random = rng = model._random or np.random.default_rng(0)
        if self.compat is not None:
            model = self._repeating(given)
        return XGLMModel.forward(
            model, **{**given, "return_dict": True}, rng=rng if training else None
        )

    def _repeating(self, given: Mapping[str, Any]) -> XGLMModel:
        """Return a view of the decoder that has the masks of 4.37."""
        dtype = COMPUTE[self.compute]
        masks: list[Array | None] = []
        for name in ("attention_mask", "encoder_attention_mask"):
            value = given[name]
            mask = None if value is None else as_numbers(name, value, dtype)
            if mask is not None and mask.ndim != 2:
                raise ValueError(f"{name} has shape {mask.shape}, expected two axes (compat)")
            masks.append(mask)
        base: Any = self.base_model
        view = XGLMModel._sharing(self)
        view.training, view._random = base.training, base._random
        view._ops = AdditiveMasks(self._ops, *masks)
        return view
