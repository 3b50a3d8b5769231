"""What callers give to `generate` to be called, checked, and checks of what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyxglm.arguments import check_methods
from pyxglm.dtypes import Array

#: A logits processor: (ids so far (B, S), scores (B, V)) -> scores (B, V).
Processor = Callable[[Array, Array], Array]

#: A stopping criterion: (ids so far (B, S), scores of the steps or None) -> whether to
#: stop, or for each row whether it has ended.
Criterion = Callable[[Array, Any], Any]


def as_callbacks(name: str, value: Any) -> tuple[Any, ...]:
    """Return the functions that a caller gave: a list of them, a single one, or None.

    Raises
    ------
    TypeError
        If one cannot be called.
    """
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        if not callable(value):
            raise TypeError(f"{name} is a {_kind(value)}, expected a function or a list of them")
        return (value,)
    for index, one in enumerate(value):
        check_function(f"{name}[{index}]", one, optional=False)
    return tuple(value)


def check_function(name: str, value: Any, *, optional: bool = True) -> None:
    """Refuse what cannot be called.

    Raises
    ------
    TypeError
        Saying what it is.
    """
    if not callable(value) and not (optional and value is None):
        raise TypeError(f"{name} is a {_kind(value)}, expected a function")


def check_streamer(streamer: Any) -> None:
    """Refuse what ids cannot be told to.

    Raises
    ------
    TypeError
        Saying what it lacks.
    """
    if streamer is not None:
        check_methods("streamer", streamer, ("put", "end"), "TextStreamer")


def processed_by(processors: Sequence[Processor], ids_BS: Array, scores_BV: Array) -> Array:
    """Return what callers' logits processors make of scores; these stay what they are.

    Raises
    ------
    TypeError, ValueError
        If one returns anything but scores (B, V).
    """
    shape = scores_BV.shape
    if processors:
        scores_BV = scores_BV.copy()  # many processors change what they are given
    for index, processor in enumerate(processors):
        returned = processor(ids_BS, scores_BV)
        name = f"logits_processor[{index}] returned"
        try:
            scores_BV = np.asarray(returned)
        except ValueError:  # lists of unequal lengths
            raise ValueError(f"{name} uneven lists, expected scores of shape {shape}") from None
        if scores_BV.dtype.kind != "f":
            what = _kind(returned) if scores_BV.ndim == 0 else f"{scores_BV.dtype.name} values"
            raise TypeError(f"{name} {what}, expected floating-point scores of shape {shape}")
        if scores_BV.shape != shape:
            raise ValueError(f"{name} scores of shape {scores_BV.shape}, expected {shape}")
    return scores_BV


def ended_by(criteria: Sequence[Criterion], ids_BS: Array, scores: Any) -> Array:
    """Return for each row (B,) whether one of callers' stopping criteria ends it.

    As in transformers, None is no.

    Raises
    ------
    TypeError, ValueError
        If one returns anything but a bool, or one for each row.
    """
    ended_B = np.zeros(len(ids_BS), bool)
    for index, criterion in enumerate(criteria):
        returned = criterion(ids_BS, scores)
        if returned is None:
            continue
        name, expected = f"stopping_criteria[{index}] returned", "True or False"
        if len(ids_BS) > 1:
            expected += f", or one for each of {len(ids_BS)} rows"
        try:
            found = np.asarray(returned)
        except ValueError:
            raise ValueError(f"{name} uneven lists, expected {expected}") from None
        if found.dtype.kind not in "biu":
            what = _kind(returned) if found.ndim == 0 else f"{found.dtype.name} values"
            raise TypeError(f"{name} {what}, expected {expected}")
        if found.shape not in ((), ended_B.shape):
            raise ValueError(f"{name} an array of shape {found.shape}, expected {expected}")
        ended_B |= found.astype(bool)
    return ended_B


def allowed_by(
    function: Callable[[int, Array], Any], prompt: int, ids_S: Array, vocab_size: int
) -> Array:
    """Return the ids, or a mask (V,), that a `prefix_allowed_tokens_fn` allows next.

    Raises
    ------
    TypeError, ValueError
        If it allows no token, or returns anything but ids of the vocabulary.
    """
    returned = function(prompt, ids_S)
    try:
        found = np.asarray(returned)
    except ValueError:
        raise ValueError(
            f"prefix_allowed_tokens_fn returned uneven lists for prompt {prompt}, expected a list"
            " of ids"
        ) from None
    if found.size == 0 or (found.dtype.kind == "b" and not found.any()):
        raise ValueError(
            f"prefix_allowed_tokens_fn allowed no token for prompt {prompt}, expected at least one"
        )
    if found.dtype.kind not in "biu":
        what = _kind(returned) if found.ndim == 0 else f"{found.dtype.name} values"
        raise TypeError(
            f"prefix_allowed_tokens_fn returned {what} for prompt {prompt}, expected a list of ids"
        )
    if found.dtype.kind == "b" and found.shape != (vocab_size,):
        raise ValueError(
            f"prefix_allowed_tokens_fn returned a mask of shape {found.shape} for prompt {prompt},"
            f" expected ({vocab_size},)"
        )
    if found.dtype.kind != "b":
        for outside in found[(found < 0) | (found >= vocab_size)]:
            raise ValueError(
                f"prefix_allowed_tokens_fn returned the id {outside} for prompt {prompt}, expected"
                f" ids from 0 to {vocab_size - 1}"
            )
    return found


def _kind(value: Any) -> str:
    return type(value).__name__
