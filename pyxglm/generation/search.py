"""The search: `generate` and `stream`, greedy or sampling, one token a step.

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

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.choice import (
    candidates,
    candidates_of_best,
    checked,
    draw_among,
    generators,
    greedy,
)
from pyxglm.generation.prompts import Prompts, padding_id, positions, prepare
from pyxglm.generation.repetition import Repetition
from pyxglm.generation.scores import AllScores, ask, encoder_inputs, new_cache
from pyxglm.generation.settings import GenerationConfig

#: Draws among more tokens than this begin with the scores of all: finding so many
#: best ones would take longer.
MOST_BEST = 128

#: A logits processor: (ids so far (B, S), scores (B, V)) -> scores (B, V).
Processor = Callable[[Array, Array], Array]


class Streamer(Protocol):
    """What `generate` tells ids to as they come, as in transformers."""

    def put(self, value: Array) -> None:
        """Take the prompts' ids (B, T) first, then each step's ids (B,)."""

    def end(self) -> None:
        """Know that there are no more."""


class _Plan(NamedTuple):
    """Everything that was decided before the first step."""

    prompts: Prompts
    encoder: dict[str, Any]  # arguments of every call besides those that change
    settings: GenerationConfig
    steps: int
    processors: tuple[Processor, ...]
    random_B: list[np.random.Generator]


def generate(
    model: Any,
    input_ids: Any = None,
    *,
    attention_mask: Any = None,
    encoder_hidden_states: Any = None,
    encoder_attention_mask: Any = None,
    generation_config: GenerationConfig | None = None,
    logits_processor: Sequence[Processor] = (),
    streamer: Streamer | None = None,
    seed: int = 0,
    **settings: Any,
) -> Array:
    """Continue each prompt until it ends or is long enough.

    Parameters
    ----------
    model
        The model: see this module's text.
    input_ids
        The prompts' ids, (B, T) or lists of unequal length (padded on the
        left here), or one prompt's. ``None``: one empty prompt.
    attention_mask
        Zeros at padding. Without it, lists of unequal length need none; in an
        array, ids equal to `pad_token_id` count as padding.
    encoder_hidden_states, encoder_attention_mask
        (B, E, D) and (B, E): what a model with cross-attention attends to at
        every step. (transformers 4.37 takes them and drops them.)
    generation_config
        Settings; without it the model's own.
    logits_processor
        Functions ``(ids_BS, scores_BV) -> scores_BV``, applied in order before
        a token is chosen. Finished rows come along.
    streamer
        Its ``put`` gets the prompts' ids, then the ids of each step, its
        ``end`` tells that they are complete.
    seed
        Of the draws when ``do_sample=True``: the same seed gives the same
        ids. Row r draws from a stream of its own that depends on nothing but
        `seed` and r: neither on other rows nor on when they finish.
    **settings
        Settings of `GenerationConfig` that replace the configured ones:
        ``max_new_tokens=50``, ``do_sample=True``, ``temperature=0.7`` …

    Returns
    -------
    ids_BS
        Prompts and continuations, int64. A row that generated an
        ``eos_token_id`` is filled up with ``pad_token_id``; those in its
        prompt end nothing.

    Raises
    ------
    TypeError, ValueError
        If a setting, a prompt or a mask is impossible, or scores are NaN.

    Warns
    -----
    UserWarning
        If the batch is padded on the right, if settings of sampling are given
        without ``do_sample=True``, or both lengths are.
    """
    encoder = (encoder_hidden_states, encoder_attention_mask)
    plan = _plan(
        model, input_ids, attention_mask, encoder, generation_config, logits_processor, seed,
        settings,
    )  # fmt: skip
    if streamer is not None:
        streamer.put(plan.prompts.ids_BT)
    columns = [plan.prompts.ids_BT]
    for ids_B in _search(model, plan):
        if streamer is not None:
            streamer.put(ids_B)
        columns.append(ids_B[:, None])
    if streamer is not None:
        streamer.end()
    return np.concatenate(columns, axis=1)


def stream(
    model: Any,
    input_ids: Any = None,
    *,
    attention_mask: Any = None,
    encoder_hidden_states: Any = None,
    encoder_attention_mask: Any = None,
    generation_config: GenerationConfig | None = None,
    logits_processor: Sequence[Processor] = (),
    seed: int = 0,
    **settings: Any,
) -> Iterator[Array]:
    """Generate, and yield each step's ids as soon as they are chosen.

    Parameters are `generate`'s, and are checked before the first step.
    ``text_pieces`` turns the ids of one row into text.

    Returns
    -------
    iterator of ids_B
        The new id of every row, ``pad_token_id`` for finished rows.
    """
    encoder = (encoder_hidden_states, encoder_attention_mask)
    plan = _plan(
        model, input_ids, attention_mask, encoder, generation_config, logits_processor, seed,
        settings,
    )  # fmt: skip
    return _search(model, plan)


def _plan(
    model: Any,
    input_ids: Any,
    attention_mask: Any,
    encoder: tuple[Any, Any],
    generation_config: GenerationConfig | None,
    logits_processor: Sequence[Processor],
    seed: int,
    changes: dict[str, Any],
) -> _Plan:
    """Check everything, so that nothing fails half-way that could fail now."""
    configured = generation_config if generation_config is not None else default_settings(model)
    settings = configured.updated(**changes)
    vocab_size = getattr(getattr(model, "config", None), "vocab_size", None)
    prompts = prepare(input_ids, attention_mask, settings, vocab_size)
    B, T = prompts.ids_BT.shape
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
    if not settings.do_sample:
        idle = [name for name in ("temperature", "top_k", "top_p") if changes.get(name) is not None]
        if idle:
            _warn(f"{', '.join(idle)} without do_sample=True: the search is greedy")
    return _Plan(
        prompts, encoder_inputs(model, *encoder, B), settings, int(steps),
        tuple(logits_processor), generators(seed, B),
    )  # fmt: skip


def default_settings(model: Any) -> GenerationConfig:
    """Return the model's own settings, or the defaults with its special ids."""
    settings = getattr(model, "generation_config", None)
    if isinstance(settings, GenerationConfig):
        return settings
    config = getattr(model, "config", None)
    return GenerationConfig() if config is None else GenerationConfig.from_model_config(config)


def _search(model: Any, plan: _Plan) -> Iterator[Array]:
    """Run the steps."""
    settings, (ids_BT, mask_BT) = plan.settings, plan.prompts
    B = len(ids_BT)
    pad = padding_id(settings, needed=False)
    unfinished_B = np.ones(B, dtype=bool)
    cache, past = None, 0
    if settings.use_cache:
        # Room for all there may be, within reason: most rows end early, and it can grow.
        cache = new_cache(model, ids_BT.shape[1] + min(plan.steps, 512))
    repetition = Repetition()
    for _ in range(plan.steps):
        scores, remembered = ask(
            model,
            repetition,
            input_ids=ids_BT[:, past:],
            attention_mask=mask_BT,
            position_ids=positions(mask_BT)[:, past:],
            past_key_values=cache,
            use_cache=settings.use_cache,
            **plan.encoder,
        )
        next_B = _choose(scores, ids_BT, unfinished_B, plan)
        next_B = np.where(unfinished_B, next_B, pad)
        yield next_B
        unfinished_B &= ~np.isin(next_B, settings.eos_ids)
        if not unfinished_B.any():
            return
        if settings.use_cache:
            cache, past = remembered, ids_BT.shape[1]
        ids_BT = np.concatenate([ids_BT, next_B[:, None]], axis=1)
        mask_BT = np.pad(mask_BT, ((0, 0), (0, 1)), constant_values=1)


def _choose(scores: AllScores, ids_BS: Array, unfinished_B: Array, plan: _Plan) -> Array:
    """Choose the next token of every row."""
    settings = plan.settings
    enough = _enough(plan)
    best = scores.best(enough) if enough else None
    if best is not None:
        checked(best[0], unfinished_B)
        if not settings.do_sample:
            return best[1][:, 0]
    scores_BV = None if best is not None else _processed(scores, ids_BS, unfinished_B, plan)
    if scores_BV is not None and not settings.do_sample:
        return greedy(scores_BV)
    next_B = np.zeros(len(ids_BS), np.int64)
    for row in np.flatnonzero(unfinished_B):
        found = None
        if best is not None:
            found = candidates_of_best(best[0][row], best[1][row], settings)
        if found is None:
            scores_BV = scores.all() if scores_BV is None else scores_BV
            found = candidates(scores_BV[row], settings)
        next_B[row] = draw_among(*found, settings, plan.random_B[row].random())
    return next_B


def _processed(scores: AllScores, ids_BS: Array, unfinished_B: Array, plan: _Plan) -> Array:
    """Return the scores of all tokens after the logits processors."""
    scores_BV = scores.all()
    for processor in plan.processors:
        scores_BV = processor(ids_BS, scores_BV)
    return checked(scores_BV, unfinished_B)


def _enough(plan: _Plan) -> int:
    """Return how many of the best scores of a row decide; 0 if all are needed.

    For a draw one more than it is among: if that ties with the last, it counts.
    """
    if plan.processors:
        return 0
    if not plan.settings.do_sample:
        return 1
    k = plan.settings.top_k or 0
    return k + 1 if 0 < k <= MOST_BEST else 0


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=4)  # the caller of generate or stream
