"""What a language model offers to those who generate with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyxglm.arguments import as_integers, as_numbers
from pyxglm.inputs import token_ids
from pyxglm.vocabulary import VocabularyMixin

if TYPE_CHECKING:
    from pyxglm.generation import GenerationConfig


class GenerationMixin(VocabularyMixin):
    """The methods of `XGLMForCausalLM` that choose no logits but serve the choosing."""

    _generation_config: GenerationConfig | None = None

    @property
    def generation_config(self) -> GenerationConfig:
        """The settings of `generate` unless a call says otherwise.

        Those of the checkpoint's ``generation_config.json``; without one, what
        the configuration says, its special ids above all, and defaults.
        """
        if self._generation_config is None:
            from pyxglm.generation import GenerationConfig

            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, value: GenerationConfig) -> None:
        self._generation_config = value

    def _read_companions(self, directory: Path) -> None:
        from pyxglm.generation import GenerationConfig

        self._generation_config = GenerationConfig.of_checkpoint(directory, self.config)

    def _companions(self) -> dict[str, bytes]:
        return self.generation_config.as_file()

    def can_generate(self) -> bool:
        """Return True: this model can generate text."""
        return True

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Continue prompts; see `pyxglm.generation.generate`."""
        from pyxglm.generation import generate

        return generate(self, *args, **kwargs)

    def compute_transition_scores(
        self,
        sequences: Any,
        scores: Any,
        beam_indices: Any = None,
        normalize_logits: bool = False,
    ) -> Any:
        """Score every generated token; see `pyxglm.generation.outputs.transition_scores`."""
        from pyxglm.generation.outputs import transition_scores

        return transition_scores(sequences, scores, beam_indices, normalize_logits)

    def prepare_inputs_for_generation(
        self,
        input_ids: Any,
        past_key_values: Any = None,
        attention_mask: Any = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the arguments of the call that continues a text, as transformers 4.37 does.

        With a cache, only the ids (B, T) that it does not hold are kept (the
        last one if it holds as many). Positions are counted over the ones of
        `attention_mask` (B, S). Given ``position_ids`` are dropped, and then
        none are counted; any other keyword is ignored.
        """
        from pyxglm.generation.prompts import positions

        ids_BT = token_ids("input_ids", input_ids, len(self.get_input_embeddings().weight))
        if past_key_values is not None:
            held = past_key_values[0][0].shape[2]
            ids_BT = ids_BT[:, held if ids_BT.shape[1] > held else -1 :]
        position_ids = None
        if attention_mask is None:
            attention_mask = np.ones_like(ids_BT)
        elif kwargs.get("position_ids") is None:
            position_ids = positions(as_numbers("attention_mask", attention_mask, np.int64))
            if past_key_values is not None:
                position_ids = position_ids[:, -ids_BT.shape[1] :]
        return {
            "input_ids": ids_BT,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
            "past_key_values": past_key_values,
            "use_cache": use_cache,
        }

    @staticmethod
    def _reorder_cache(past_key_values: Any, beam_idx: Any) -> Any:
        """Return a cache whose row b is row ``beam_idx[b]`` of the given one."""
        rows_B = as_integers("beam_idx", beam_idx)
        return tuple(tuple(array[rows_B] for array in layer) for layer in past_key_values)
