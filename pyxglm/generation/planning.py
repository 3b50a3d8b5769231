"""Making a plan: everything is checked before the first step that can be checked then."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyxglm.arguments import what_it_is
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.generation.choice import generators
from pyxglm.generation.plan import Extras, Plan, mode_of
from pyxglm.generation.processors.guidance import Guidance
from pyxglm.generation.processors.order import Narrowing, Processors
from pyxglm.generation.prompts import Prompts, padding_id, prepare, rows
from pyxglm.generation.remembered import remembered
from pyxglm.generation.setting_checks import check_speculation, check_vocabulary
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.stopping import Stopping
from pyxglm.inputs import encoder_states
from pyxglm.memory import check_generation
from pyxglm.pretrained import XGLMPreTrainedModel

#: Settings that only a draw, or only a beam search, uses.
_OF_DRAWS = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff",
)  # fmt: skip
_OF_BEAMS = ("early_stopping", "length_penalty")


def plan_of(
    model: Any,
    input_ids: Any,
    attention_mask: Any,
    settings: GenerationConfig,
    extras: Extras,
    changes: dict[str, Any],
) -> Plan:
    """Check everything, so that nothing fails half-way that could fail now.

    `changes` are the settings that the call itself gave; they are in `settings` too.
    """
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    if vocab_size is not None:
        check_vocabulary(settings.to_dict(), vocab_size)
    prompts = prepare(input_ids, attention_mask, settings, vocab_size)
    B, T = prompts.ids_BT.shape
    padding_B = np.zeros(B, np.int64)
    if settings.ignore_padding:
        padding_B = (prompts.mask_BT == 1).argmax(axis=-1)
    steps = _steps(settings, T - padding_B, changes)
    mode = mode_of(settings, extras.assistant_model)
    if extras.assistant_model is not None:
        _check_assistant(settings, extras.assistant_model, vocab_size)
    if mode == "assisted_generation" and B > 1:
        raise ValueError(f"there are {B} prompts, expected 1: proposed tokens are for one text")
    copies = settings.num_beams if settings.num_beams > 1 else settings.num_return_sequences
    _warn_of_idle(settings, changes)
    if isinstance(model, XGLMPreTrainedModel) and settings.use_cache:
        number = COMPUTE[model.compute].itemsize
        rows = B * copies
        if mode == "contrastive_search" and not settings.low_memory:  # a row for each candidate
            rows = B * min(settings.top_k or 1, model.config.vocab_size)
        check_generation(model.config, model.backend, number, rows, T, T + steps)
    encoder = _encoder_inputs(model, extras, B)
    if encoder and extras.past_key_values is not None:
        raise ValueError(
            "past_key_values is given with encoder_hidden_states, expected one of them: what is"
            " remembered was computed with another encoder's states, or none"
        )
    cache, prefix = remembered(model, prompts, extras.past_key_values, steps)
    guidance = None
    if settings.guidance_scale not in (None, 1):
        guidance = _guidance(model, settings, prompts, steps, copies, extras, vocab_size, encoder)
    processors = Processors(
        settings, prompts.ids_BT, padding_B, T + steps, copies=copies,
        allowed=extras.prefix_allowed_tokens_fn, guidance=guidance, own=extras.logits_processor,
    )  # fmt: skip
    # A beam that ends needs another token to go on with.
    keep = max(2, len(settings.eos_ids) + 1) if settings.num_beams > 1 else 1
    numbers = range(B) if extras.numbers is None else extras.numbers
    numbered = [number * copies + copy for number in numbers for copy in range(copies)]
    return Plan(
        model, settings, extras, prompts, mode, copies, steps, processors,
        Narrowing(settings, keep),
        Stopping(settings, T, extras.tokenizer, extras.stopping_criteria),
        generators(settings.seed, numbered),
        padding_id(settings, needed=False),
        cache,
        prefix,
        encoder,
    )  # fmt: skip


def default_settings(model: Any) -> GenerationConfig:
    """Return the model's own settings, or the defaults with its special ids."""
    settings = getattr(model, "generation_config", None)
    if isinstance(settings, GenerationConfig):
        return settings
    config = getattr(model, "config", None)
    return GenerationConfig() if config is None else GenerationConfig.from_model_config(config)


def _encoder_inputs(model: Any, extras: Extras, B: int) -> dict[str, Any]:
    """Return the arguments that give a model an encoder's states; none if there are none."""
    states, mask = extras.encoder_hidden_states, extras.encoder_attention_mask
    if states is None:
        if mask is not None:
            raise ValueError(
                "encoder_attention_mask is given, expected none: there are no encoder_hidden_states"
            )
        return {}
    if isinstance(model, XGLMPreTrainedModel):
        encoder_states(states, mask, model.config, B, COMPUTE[model.compute])
    given = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
    return {name: np.asarray(value) for name, value in given.items() if value is not None}


def _steps(settings: GenerationConfig, lengths_B: Array, changes: dict[str, Any]) -> int:
    """Return the most columns to add to prompts of these lengths, padding included if it counts."""
    T = int(lengths_B.max())
    if settings.max_new_tokens is not None:
        if changes.get("max_length") is not None:
            _warn("max_length is ignored: max_new_tokens is given too")
        steps = settings.max_new_tokens
    else:
        steps = settings.max_length - int(lengths_B.min())
        if settings.max_length <= T:
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
    if isinstance(assistant, type) or not callable(assistant):
        raise TypeError(f"assistant_model is {what_it_is(assistant)}, expected a model")
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
    encoder: dict[str, Any],
) -> Guidance:
    """Return the negative prompts, ready to be continued."""
    negative = Prompts(prompts.ids_BT[:, -1:], np.ones((len(prompts.ids_BT), 1), np.int64))
    if extras.negative_prompt_ids is not None:
        # Padding is what the mask says, never what an id looks like.
        ids, mask = extras.negative_prompt_ids, extras.negative_prompt_attention_mask
        if mask is None:
            mask = [np.ones(row.size, np.int64) for row in rows(ids, "negative_prompt_ids")]
        negative = prepare(ids, mask, settings, vocab_size, name="negative_prompt_ids")
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
        encoder=encoder,
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
