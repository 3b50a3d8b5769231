"""What was decided before the first step: everything is checked that can be checked then."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.choice import generators
from pyxglm.generation.outputs import Kept
from pyxglm.generation.processors.guidance import Guidance
from pyxglm.generation.processors.order import Narrowing, Processor, Processors
from pyxglm.generation.prompts import Prompts, padding_id, prepare
from pyxglm.generation.setting_checks import check_speculation, check_vocabulary
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.stepper import Stepper
from pyxglm.generation.stopping import Criterion, Stopping

#: Settings that only a draw, or only a beam search, uses.
_OF_DRAWS = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
)  # fmt: skip
_OF_BEAMS = ("early_stopping", "length_penalty")


@dataclass
class Extras:
    """What is given to `generate` besides prompts and settings."""

    logits_processor: Sequence[Processor] = ()
    stopping_criteria: Sequence[Criterion] = ()
    prefix_allowed_tokens_fn: Callable[[int, Array], Any] | None = None
    assistant_model: Any = None
    negative_prompt_ids: Any = None
    negative_prompt_attention_mask: Any = None
    past_key_values: Any = None
    tokenizer: Any = None


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
            "cache": self.extras.past_key_values,
            **options,
        }
        self.stepper = Stepper(
            self.model, *self.prompts, use_cache=s.use_cache, steps=self.steps, **options
        )
        return self.stepper

    @property
    def needs_all_rows(self) -> bool:
        """Whether finished rows must come along to the end."""
        s = self.settings
        kept = s.output_scores or s.output_logits or s.output_attentions or s.output_hidden_states
        return (
            self.processors.need_all_rows
            or self.stopping.need_all_rows
            or (s.return_dict_in_generate and kept)
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


def plan_of(
    model: Any,
    input_ids: Any,
    attention_mask: Any,
    configured: GenerationConfig | None,
    extras: Extras,
    changes: dict[str, Any],
) -> Plan:
    """Check everything, so that nothing fails half-way that could fail now."""
    configured = configured if configured is not None else default_settings(model)
    settings = configured.updated(**changes)
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    if vocab_size is not None:
        check_vocabulary(settings.to_dict(), vocab_size)
    prompts = prepare(input_ids, attention_mask, settings, vocab_size)
    B, T = prompts.ids_BT.shape
    steps = _steps(settings, T, changes)
    mode = mode_of(settings, extras.assistant_model)
    if extras.assistant_model is not None:
        _check_assistant(settings, extras.assistant_model, vocab_size)
    if mode == "assisted_generation" and B > 1:
        raise ValueError(f"there are {B} prompts, expected 1: proposed tokens are for one text")
    copies = settings.num_beams if settings.num_beams > 1 else settings.num_return_sequences
    _warn_of_idle(settings, changes)
    padding_B = np.zeros(B, np.int64)
    if settings.ignore_padding:
        padding_B = (prompts.mask_BT == 1).argmax(axis=-1)
    guidance = None
    if settings.guidance_scale not in (None, 1):
        guidance = _guidance(model, settings, prompts, steps, copies, extras, vocab_size)
    processors = Processors(
        settings, prompts.ids_BT, padding_B, T + steps, copies=copies,
        allowed=extras.prefix_allowed_tokens_fn, guidance=guidance, own=extras.logits_processor,
    )  # fmt: skip
    # A beam that ends needs another token to go on with.
    keep = len(settings.eos_ids) + 1 if settings.num_beams > 1 else 1
    return Plan(
        model, settings, extras, prompts, mode, copies, steps, processors,
        Narrowing(settings, max(keep, 2) if settings.num_beams > 1 else 1),
        Stopping(settings, T, extras.tokenizer, extras.stopping_criteria),
        generators(settings.seed, B * copies),
        padding_id(settings, needed=False),
    )  # fmt: skip


def default_settings(model: Any) -> GenerationConfig:
    """Return the model's own settings, or the defaults with its special ids."""
    settings = getattr(model, "generation_config", None)
    if isinstance(settings, GenerationConfig):
        return settings
    config = getattr(model, "config", None)
    return GenerationConfig() if config is None else GenerationConfig.from_model_config(config)


def _steps(settings: GenerationConfig, T: int, changes: dict[str, Any]) -> int:
    """Return the most columns to add to prompts of T."""
    if settings.max_new_tokens is not None:
        if changes.get("max_length") is not None:
            _warn("max_length is ignored: max_new_tokens is given too")
        steps = settings.max_new_tokens
    else:
        steps = settings.max_length - T
        if steps < 1:
            raise ValueError(
                f"max_length is {settings.max_length} and counts the prompt, which has {T} tokens:"
                f" expected at least {T + 1}, or max_new_tokens"
            )
    if (settings.min_length or 0) > T + steps:
        raise ValueError(
            f"min_length is {settings.min_length}, expected at most {T + steps}: no row gets longer"
        )
    if (settings.min_new_tokens or 0) > steps:
        raise ValueError(
            f"min_new_tokens is {settings.min_new_tokens}, expected at most {steps}: no more are"
            " added"
        )
    return int(steps)


def _check_assistant(settings: GenerationConfig, assistant: Any, V: int | None) -> None:
    """Refuse an assistant that cannot propose tokens for the model."""
    check_speculation(settings, "assistant_model")
    if settings.prompt_lookup_num_tokens is not None:
        raise ValueError(
            f"prompt_lookup_num_tokens is {settings.prompt_lookup_num_tokens}, expected None:"
            " assistant_model proposes tokens"
        )
    own = getattr(getattr(assistant, "config", None), "vocab_size", None)
    if own != V:
        raise ValueError(f"assistant_model has a vocabulary of {own}, expected the model's, {V}")


def _guidance(
    model: Any,
    settings: GenerationConfig,
    prompts: Prompts,
    steps: int,
    copies: int,
    extras: Extras,
    vocab_size: int | None,
) -> Guidance:
    """Return the negative prompts, ready to be continued."""
    negative = Prompts(prompts.ids_BT[:, -1:], np.ones((len(prompts.ids_BT), 1), np.int64))
    if extras.negative_prompt_ids is not None:
        # Padding is what the mask says, never what an id looks like.
        ids, mask = extras.negative_prompt_ids, extras.negative_prompt_attention_mask
        no_pad = settings.updated(pad_token_id=None) if settings.eos_ids else settings
        negative = prepare(ids, mask, no_pad, vocab_size, name="negative_prompt_ids")
        if len(negative.ids_BT) == 1:
            negative = Prompts(*(np.repeat(a, len(prompts.ids_BT), axis=0) for a in negative))
        if len(negative.ids_BT) != len(prompts.ids_BT):
            raise ValueError(
                f"negative_prompt_ids has {len(negative.ids_BT)} rows, expected one for each of"
                f" the {len(prompts.ids_BT)} prompts"
            )
    return Guidance(
        model, float(settings.guidance_scale or 0), *negative, prompts.ids_BT.shape[1],
        settings.ignore_padding, use_cache=settings.use_cache, steps=steps, copies=copies,
    )  # fmt: skip


def _warn_of_idle(settings: GenerationConfig, changes: dict[str, Any]) -> None:
    """Warn of settings that were asked for and that the strategy does not use."""
    draws = [name for name in _OF_DRAWS if changes.get(name) is not None]
    if settings.penalty_alpha and "top_k" in draws:
        draws.remove("top_k")
    if draws and not settings.do_sample:
        _warn(f"{', '.join(draws)} without do_sample=True: the search is greedy")
    beams = [name for name in _OF_BEAMS if changes.get(name) not in (None, False)]
    if beams and settings.num_beams == 1:
        _warn(f"{', '.join(beams)} without num_beams: there is no beam search")


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=6)  # the caller of generate or stream
