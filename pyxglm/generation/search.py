"""The search: `generate` and `stream`, whatever the strategy.

Each step asks the model for the scores of the next token of every row, lets
the logits processors change them, chooses, and feeds the choice back in. With
the cache only the new token goes through the model.

The model is anything with transformers' call surface on NumPy arrays: called
with ``input_ids, attention_mask, position_ids, past_key_values, use_cache,
return_dict`` it returns an object with ``logits`` and ``past_key_values``. A
model that takes ``logits_to_keep`` is asked for no logits that nobody reads.
This package's own get a `KVCache`, which is appended to in place, and tell the
best tokens without storing the scores of all (`scores`); every choice is the
same as with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.batches import Progress, in_batches
from pyxglm.generation.beams.search import beam_search
from pyxglm.generation.callbacks import as_callbacks, check_function, check_streamer
from pyxglm.generation.contrastive import contrastive_search
from pyxglm.generation.one_by_one import one_by_one
from pyxglm.generation.outputs import GenerateDecoderOnlyOutput
from pyxglm.generation.plan import Extras, Plan
from pyxglm.generation.planning import default_settings, plan_of
from pyxglm.generation.prompts import padding_id, prepare
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.texts import as_ids
from pyxglm.outputs import ModelOutput


def _assisted(plan: Plan) -> Iterator[Array]:
    from pyxglm.generation.assisted import assisted

    return assisted(plan)


#: Strategies that choose one token after another: they yield each step's ids (B,).
STEPWISE: dict[str, Callable[[Plan], Iterator[Array]]] = {
    "greedy_search": one_by_one,
    "sample": one_by_one,
    "contrastive_search": contrastive_search,
    "assisted_generation": _assisted,
}

#: Strategies that know the text only at the end: they return a structured result.
WHOLE: dict[str, Callable[[Plan], ModelOutput]] = {
    "beam_search": beam_search,
    "beam_sample": beam_search,
    "group_beam_search": beam_search,
    "constrained_beam_search": beam_search,
}


class Streamer(Protocol):
    """What `generate` tells ids to as they come, as in transformers."""

    def put(self, value: Array) -> None:
        """Take the prompts' ids (B, T) first, then each step's ids (B,)."""

    def end(self) -> None:
        """Know that there are no more."""


def generate(
    model: Any,
    inputs: Any = None,
    generation_config: GenerationConfig | None = None,
    *,
    input_ids: Any = None,
    attention_mask: Any = None,
    streamer: Streamer | None = None,
    batch_size: int | None = None,
    progress: Progress = False,
    **options: Any,
) -> Any:
    """Continue each prompt until it ends or is long enough.

    Parameters
    ----------
    model
        The model: see this module's text.
    inputs, input_ids
        The prompts' ids, (B, T) or lists of unequal length (padded on the
        left here), or one prompt's. ``None``: one empty prompt. With
        ``tokenizer=`` also a text, or a list of texts; see `newline`.
    generation_config
        Settings; without it the model's own.
    attention_mask
        Zeros at padding. Without it, lists of unequal length need none; in an
        array, ids equal to `pad_token_id` count as padding.
    streamer
        Its ``put`` gets the prompts' ids, then the ids of each step, its
        ``end`` tells that they are complete.
    batch_size
        Continue so many prompts at a time, those of similar length together;
        the results are in the prompts' order. A row's draws do not depend on
        it; nor does anything else, unless settings look at a row's past with
        its padding: give `ignore_padding` then.
    progress
        With `batch_size`: True shows on standard error how many are done; a
        function gets the numbers of prompts done, and of all.
    **options
        Settings of `GenerationConfig` that replace the configured ones:
        ``max_new_tokens=50``, ``do_sample=True``, ``temperature=0.7`` … And:

        ``logits_processor``
            A function ``(ids_BS, scores_BV) -> scores_BV``, or a list of them,
            applied after those that settings ask for. Finished rows come along.
        ``stopping_criteria``
            A function ``(ids_BS, scores) -> bool``, or one bool a row, or a list
            of them: True ends all rows, or those. `scores` are those kept so
            far, or None.
            An end token follows beams that are ended so (as in transformers).
        ``prefix_allowed_tokens_fn``
            ``(prompt number, ids_S) -> ids`` that may come next.
        ``assistant_model``
            A smaller model that proposes tokens; the result is the same.
        ``encoder_hidden_states``, ``encoder_attention_mask``
            (B, E, D) and (B, E): what a model with cross-attention attends to
            at every step. (transformers 4.37 takes them and drops them.) An
            assistant proposes without them.
        ``negative_prompt_ids``, ``negative_prompt_attention_mask``
            What `guidance_scale` leads away from; default: the last token of
            each prompt.
        ``past_key_values``
            A cache of the first columns; appended to if it is a `KVCache`.
        ``tokenizer``
            To look for `stop_strings` with, and to encode prompts that are texts.

    Returns
    -------
    ids_BS or structured result
        Prompts and continuations, int64. A row that generated an
        ``eos_token_id`` is filled up with ``pad_token_id``; those in its
        prompt end nothing. Row r draws from a random stream of its own that
        depends on nothing but `seed` and r. With ``return_dict_in_generate``,
        see `pyxglm.generation.outputs`.

    Raises
    ------
    TypeError, ValueError
        If a setting, a prompt or a mask is impossible, if a function returns
        anything but what it should, or scores are NaN.
    MemoryError
        If keys and values would not fit into memory.

    Warns
    -----
    UserWarning
        If the batch is padded on the right, if settings are given that the
        strategy does not use, or both lengths are.

    Notes
    -----
    The ids are those of transformers 4.37.2, but where that does not do what
    its documentation says: here `encoder_repetition_penalty` weighs on every beam of
    a prompt, `guidance_scale` follows beams that change places, and
    `exponential_decay_length_penalty` lets no text end before `min_new_tokens`.
    ``eos_token_id=None`` means that nothing ends a text, not the model's own end.
    The scores kept of a constrained search are the step's, without the beams' sums.
    Refused are a prompt as long as `max_length`, or of padding alone,
    ``max_new_tokens=0``, a shortest length above the longest, and
    contrastive search of fewer than two candidates or with beams.
    """
    if batch_size is not None:
        if streamer is not None:
            raise ValueError("streamer is given with batch_size, expected one of them")
        return _in_batches(
            model, inputs, generation_config, input_ids, attention_mask, batch_size, progress,
            options,
        )  # fmt: skip
    check_streamer(streamer)
    plan = _plan(model, inputs, generation_config, input_ids, attention_mask, options)
    if plan.mode in WHOLE:
        if streamer is not None:
            raise ValueError(
                f"streamer is given, expected None: {plan.mode} knows the text only at the end"
            )
        result = WHOLE[plan.mode](plan)
        if not plan.settings.return_dict_in_generate:
            return result["sequences"]
        for name, value in collected(plan).items():
            if value is not None:
                result[name] = value
        return result
    if streamer is not None:
        streamer.put(plan.prompts.ids_BT)
    columns = [np.repeat(plan.prompts.ids_BT, plan.copies, axis=0)]
    for ids_B in STEPWISE[plan.mode](plan):
        if streamer is not None:
            streamer.put(ids_B)
        columns.append(ids_B[:, None])
    if streamer is not None:
        streamer.end()
    sequences = np.concatenate(columns, axis=1)
    if not plan.settings.return_dict_in_generate:
        return sequences
    return GenerateDecoderOnlyOutput(sequences=sequences, **collected(plan))


def stream(
    model: Any,
    inputs: Any = None,
    generation_config: GenerationConfig | None = None,
    *,
    input_ids: Any = None,
    attention_mask: Any = None,
    **options: Any,
) -> Iterator[Array]:
    """Generate, and yield each step's ids as soon as they are chosen.

    Parameters are `generate`'s, and are checked before the first step.
    ``text_pieces`` turns the ids of one row into text.

    Returns
    -------
    iterator of ids_B
        The new id of every row, ``pad_token_id`` for finished rows.

    Raises
    ------
    ValueError
        As in `generate`; and if the strategy knows the text only at the end.
    """
    plan = _plan(model, inputs, generation_config, input_ids, attention_mask, options)
    if plan.mode in WHOLE:
        raise ValueError(f"{plan.mode} cannot be streamed, expected num_beams=1")
    return STEPWISE[plan.mode](plan)


def collected(plan: Plan) -> dict[str, Any]:
    """Return the parts of a structured result that every strategy has."""
    s, kept, stepper = plan.settings, plan.kept, plan.stepper
    if stepper is None:
        return {}
    log_probs = np.stack(kept.log_probs, axis=1) if kept.log_probs else None
    return {
        "scores": tuple(kept.scores) if s.output_scores else None,
        "logits": tuple(kept.logits) if s.output_logits else None,
        "log_probs": log_probs,
        "attentions": tuple(stepper.attentions) if s.output_attentions else None,
        "hidden_states": tuple(stepper.hidden_states) if s.output_hidden_states else None,
        "past_key_values": stepper.cache,
    }


def _in_batches(
    model: Any,
    inputs: Any,
    generation_config: GenerationConfig | None,
    input_ids: Any,
    attention_mask: Any,
    batch_size: int,
    progress: Progress,
    options: dict[str, Any],
) -> Any:
    extras, changes = _separated(options)
    for name in ("negative_prompt_ids", "past_key_values"):
        if getattr(extras, name) is not None:
            raise ValueError(f"{name} is given with batch_size, expected one of them")
    settings = _settings(model, generation_config, changes)
    kept = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")
    for name in kept:
        if settings.return_dict_in_generate and getattr(settings, name):
            raise ValueError(f"{name} is True, expected False with batch_size: batches differ")
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    ids = _ids(inputs, input_ids, extras, settings)
    prompts = prepare(ids, attention_mask, settings, vocab_size)

    def run(**part: Any) -> Any:
        given = {**options, **part, "return_dict_in_generate": True}
        for name in ("encoder_hidden_states", "encoder_attention_mask"):
            if getattr(extras, name) is not None:
                given[name] = np.asarray(getattr(extras, name))[part["numbers"]]
        return generate(model, None, generation_config, **given)

    pad = padding_id(settings, needed=False)
    result = in_batches(run, prompts, batch_size, progress, pad)
    return result if settings.return_dict_in_generate else result.sequences


def _plan(
    model: Any,
    inputs: Any,
    generation_config: GenerationConfig | None,
    input_ids: Any,
    attention_mask: Any,
    options: dict[str, Any],
) -> Plan:
    extras, changes = _separated(options)
    settings = _settings(model, generation_config, changes)
    ids = _ids(inputs, input_ids, extras, settings)
    return plan_of(model, ids, attention_mask, settings, extras, changes)


def _settings(
    model: Any, configured: GenerationConfig | None, changes: dict[str, Any]
) -> GenerationConfig:
    """Return the settings of a call."""
    configured = default_settings(model) if configured is None else configured
    if not isinstance(configured, GenerationConfig):
        raise TypeError(
            f"generation_config is a {type(configured).__name__}, expected a GenerationConfig"
        )
    return configured.updated(**changes)


def _separated(options: dict[str, Any]) -> tuple[Extras, dict[str, Any]]:
    """Separate what is no setting from what is."""
    given = {name: options[name] for name in _EXTRAS if name in options}
    for name in ("logits_processor", "stopping_criteria"):
        given[name] = as_callbacks(name, given.get(name))
    check_function("prefix_allowed_tokens_fn", given.get("prefix_allowed_tokens_fn"))
    return Extras(**given), {n: value for n, value in options.items() if n not in _EXTRAS}


def _ids(inputs: Any, input_ids: Any, extras: Extras, settings: GenerationConfig) -> Any:
    """Return the prompts that were given, one way or the other; of texts, the ids."""
    if inputs is not None and input_ids is not None:
        raise ValueError("inputs and input_ids are given, expected one of them")
    ids = input_ids if inputs is None else inputs
    return as_ids(ids, extras.tokenizer, settings.newline)


_EXTRAS = tuple(Extras.__dataclass_fields__)
