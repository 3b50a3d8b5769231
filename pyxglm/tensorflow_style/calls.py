"""Inputs as Keras hands them over: by name, or all in the first argument.

transformers 4.37 takes them in one of these forms (`input_processing` in
`modeling_tf_utils.py`)::

    model(input_ids, attention_mask=mask)              as everywhere
    model([input_ids, attention_mask])                 in the order of the arguments
    model({"input_ids": …, "attention_mask": …})       as a tokenizer returns them

Lists of numbers are no inputs (those have two axes and more): a list of them, as
in ``model([[2, 5, 7]])``, is one input, the ids.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

#: What tokenizers may return, and no XGLM reads.
_UNREAD = {"token_type_ids", "special_tokens_mask", "offset_mapping", "length"}


def unpacked(call: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method take its inputs in the first argument; it gets each by name."""
    names = [
        name
        for name, parameter in inspect.signature(call).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ][1:]

    @functools.wraps(call)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        return call(self, **gather(names, args, kwargs, strict=self.compat is None))

    return run


def gather(
    names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], *, strict: bool = True
) -> dict[str, Any]:
    """Return the arguments of a call by name.

    Parameters
    ----------
    names
        The arguments in order; the first may hold others.
    args, kwargs
        What was given.
    strict
        Refuse names that are no argument; else they are left out, as in
        transformers.

    Raises
    ------
    TypeError
        If something is given twice, is one too many, or is not known.

    Examples
    --------
    >>> gather(["ids", "mask", "past"], [[[[2, 5]], None]], {"past": 7})
    {'past': 7, 'ids': [[2, 5]]}
    >>> gather(["ids", "mask", "past"], [[[2, 5], [3, 6]]], {})
    {'ids': [[2, 5], [3, 6]]}
    """
    _count(len(args), names)
    found = {name: value for name, value in kwargs.items() if value is not None}
    for name, value in zip(names, args, strict=False):
        _put(found, name, value)
    first = found.pop(names[0], None)
    if isinstance(first, Mapping):
        inputs = [(name, value) for name, value in first.items() if name not in _UNREAD]
    elif isinstance(first, list | tuple) and not _is_rows(first):
        _count(len(first), names)
        inputs = list(zip(names, first, strict=False))
    else:
        inputs = [(names[0], first)]
    for name, value in inputs:
        _put(found, name, value)
    unknown = sorted(set(found) - {*names, *_KEYWORDS})
    if unknown and strict and set(unknown) - _UNREAD:
        raise TypeError(f"{unknown[0]!r} is given, expected one of {', '.join(names)}")
    return {name: value for name, value in found.items() if name not in unknown}


#: Arguments that this package adds: by keyword only.
_KEYWORDS = ("loss_type", "rng")


def _is_rows(first: Sequence[Any]) -> bool:
    """Tell a list of rows of numbers from a list of inputs."""
    return bool(first) and all(
        isinstance(row, list | tuple) and all(isinstance(entry, Integral) for entry in row)
        for row in first
    )


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        return
    if name in found:
        raise TypeError(f"{name} is given twice, expected it once")
    found[name] = value


def _count(given: int, names: Sequence[str]) -> None:
    if given > len(names):
        raise TypeError(f"{given} inputs are given, expected at most {len(names)}")
