"""What was decided before the first step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.callbacks import Criterion, Processor
from pyxglm.generation.outputs import Kept
from pyxglm.generation.processors.order import Narrowing, Processors
from pyxglm.generation.prompts import Prompts
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.stepper import Stepper
from pyxglm.generation.stopping import Stopping


@dataclass
class Extras:
    """What is given to `generate` besides prompts and settings."""

    logits_processor: Sequence[Processor] = ()
    stopping_criteria: Sequence[Criterion] = ()
    prefix_allowed_tokens_fn: Callable[[int, Array], Any] | None = None
    assistant_model: Any = None
    encoder_hidden_states: Any = None
    encoder_attention_mask: Any = None
    negative_prompt_ids: Any = None
    negative_prompt_attention_mask: Any = None
    past_key_values: Any = None
    tokenizer: Any = None
    numbers: Sequence[int] | None = None  # of the prompts, if they are part of a longer list


@dataclass
class Plan:
    """A generation that has been checked.

    Attributes
    ----------
    model, settings, extras
        What was given; settings are complete.
    prompts
        The batch: ids and mask, (B, T).
    mode
        The strategy: see `mode_of`.
    copies
        Rows for each prompt: `num_return_sequences`, or the beams.
    steps
        The most columns to add.
    max_length
        The most columns, T + steps.
    processors, narrowing
        What changes scores, and what narrows a draw.
    stopping
        What ends a row besides its length.
    random_B
        The random generator of each row.
    pad
        The id behind a row's end.
    cache, prefix
        What the model remembers of the first columns; or of the first tokens
        of every prompt.
    encoder
        An encoder's states and their mask, as arguments of the model; empty if
        there are none.
    kept
        What is collected for a structured result.
    stepper
        The last one made: its cache, attentions and hidden states are part of
        a structured result.
    """

    model: Any
    settings: GenerationConfig
    extras: Extras
    prompts: Prompts
    mode: str
    copies: int
    steps: int
    processors: Processors
    narrowing: Narrowing
    stopping: Stopping
    random_B: list[np.random.Generator]
    pad: int
    cache: Any = None
    prefix: Any = None
    encoder: dict[str, Any] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)
    stepper: Stepper | None = None

    @property
    def max_length(self) -> int:
        """The most columns."""
        return int(self.prompts.ids_BT.shape[1]) + self.steps

    def new_stepper(self, **options: Any) -> Stepper:
        """Return the prompts, ready to be continued; options are `Stepper`'s."""
        s = self.settings
        structured = s.return_dict_in_generate
        options = {
            "copies": self.copies,
            "hidden_states": structured and s.output_hidden_states,
            "attentions": structured and s.output_attentions,
            "cache": self.cache,
            "prefix": self.prefix,
            "encoder": self.encoder,
            **options,
        }
        self.stepper = Stepper(
            self.model, *self.prompts, use_cache=s.use_cache, steps=self.steps, **options
        )
        return self.stepper

    @property
    def needs_all_rows(self) -> bool:
        """Whether finished rows must come along to the end."""
        return (
            self.processors.need_all_rows
            or self.stopping.need_all_rows
            or self.settings.return_dict_in_generate  # its cache, and what it tells of each step
            or self.extras.past_key_values is not None
        )


def mode_of(settings: GenerationConfig, assistant: Any = None) -> str:
    """Return the strategy that settings ask for, as transformers names it.

    >>> mode_of(GenerationConfig(num_beams=3))
    'beam_search'
    """
    if settings.constraints is not None or settings.force_words_ids is not None:
        return "constrained_beam_search"
    if settings.num_beams > 1:
        if settings.num_beam_groups > 1:
            return "group_beam_search"
        return "beam_sample" if settings.do_sample else "beam_search"
    if settings.penalty_alpha:
        return "contrastive_search"
    if assistant is not None or settings.prompt_lookup_num_tokens is not None:
        return "assisted_generation"
    return "sample" if settings.do_sample else "greedy_search"
