"""What the arguments `padding`, `truncation` and `max_length` mean together."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pyxglm.strict_json import quoted
from pyxglm.tokenization.layout import Layout
from pyxglm.tokenization.special_tokens import logger

LONGEST, MAX_LENGTH, DO_NOT_PAD = PADDINGS = ("longest", "max_length", "do_not_pad")
LONGEST_FIRST, ONLY_FIRST, ONLY_SECOND, DO_NOT_TRUNCATE = TRUNCATIONS = (
    "longest_first",
    "only_first",
    "only_second",
    "do_not_truncate",
)
SIDES = ("right", "left")

#: A model_max_length beyond this means that there is no limit.
LARGE_INTEGER = 10**20


class Strategies(Layout):
    """Knows how long encodings should be.

    Attributes
    ----------
    model_max_length
        What ``max_length`` is when it is needed and not given.
    padding_side, truncation_side
        "right" or "left". Generation needs padding on the left.
    model_input_names
        The fields that an encoding has unless told otherwise; the first is
        the one that lengths are taken from.
    """

    model_max_length: int
    padding_side: str
    truncation_side: str
    model_input_names: list[str]
    _warned: set[str]

    def _warn_once(self, topic: str, message: str, *arguments: object) -> None:
        if topic not in self._warned:
            logger.warning(message, *arguments)
        self._warned.add(topic)

    def _resolve_lengths(
        self,
        padding: Any,
        truncation: Any,
        max_length: int | None,
        pad_to_multiple_of: int | None,
        verbose: bool,
        legacy: dict[str, Any] | None = None,
    ) -> tuple[str, str, int | None]:
        """Return the strategies and the length that the arguments of a call mean.

        A `max_length` alone truncates, with a warning. A strategy that needs a
        length takes `model_max_length`, or gives up with a warning if that is
        unlimited. `legacy` holds ``pad_to_max_length`` and
        ``truncation_strategy``, the names of old releases, which are taken out.
        """
        max_length = natural("max_length", max_length)
        if natural("pad_to_multiple_of", pad_to_multiple_of) == 0:
            raise ValueError("pad_to_multiple_of is 0, expected at least 1")
        legacy = {} if legacy is None else legacy
        old_truncation = legacy.pop("truncation_strategy", DO_NOT_TRUNCATE)
        old_padding = legacy.pop("pad_to_max_length", False)
        if max_length is not None and padding is False and truncation is None:
            if verbose:
                self._warn_once(
                    "truncation",
                    "Truncation was not explicitly activated but `max_length` is provided: "
                    "truncating by 'longest_first'. Say truncation=True, or name a strategy.",
                )
            truncation = LONGEST_FIRST
        if truncation is None and old_truncation != DO_NOT_TRUNCATE:
            if verbose:
                _deprecated("truncation_strategy", "truncation")
            truncation = old_truncation
        if padding is False and old_padding:
            if verbose:
                _deprecated("pad_to_max_length", "padding='max_length'")
            padding = LONGEST if max_length is None else MAX_LENGTH
        untruncated = truncation is None or truncation is False or truncation == DO_NOT_TRUNCATE
        if padding is True and max_length is not None and untruncated and verbose:
            warnings.warn(
                "`max_length` is ignored when `padding`=`True` and there is no truncation "
                "strategy. To pad to max length, use `padding='max_length'`.",
                stacklevel=4,
            )
        padding = choose("padding", padding, {True: LONGEST, False: DO_NOT_PAD}, PADDINGS)
        truncation = choose(
            "truncation",
            False if truncation is None else truncation,
            {True: LONGEST_FIRST, False: DO_NOT_TRUNCATE},
            TRUNCATIONS,
        )
        if max_length is None:
            if padding == MAX_LENGTH:
                max_length = self._limit("pad", "padding", verbose)
                padding = padding if max_length is not None else DO_NOT_PAD
            if truncation != DO_NOT_TRUNCATE:
                max_length = self._limit("truncate", "truncation", verbose)
                truncation = truncation if max_length is not None else DO_NOT_TRUNCATE
        if padding != DO_NOT_PAD and (self.pad_token is None or self.pad_token_id < 0):
            raise ValueError(
                "padding is asked for, but pad_token is not set: set it, for example "
                "tokenizer.pad_token = tokenizer.eos_token"
            )
        if (
            truncation != DO_NOT_TRUNCATE
            and padding != DO_NOT_PAD
            and pad_to_multiple_of is not None
            and max_length is not None
            and max_length % pad_to_multiple_of
        ):
            raise ValueError(
                f"max_length is {max_length} with truncation and padding, "
                f"expected a multiple of pad_to_multiple_of, {pad_to_multiple_of}"
            )
        return padding, truncation, max_length

    def _limit(self, verb: str, noun: str, verbose: bool) -> int | None:
        """Return model_max_length, or None with a warning if it is no limit."""
        if self.model_max_length <= LARGE_INTEGER:
            return self.model_max_length
        if verbose:
            self._warn_once(
                f"{verb} without length",
                "Asking to %s to max_length but no maximum length is provided and the model has "
                "no predefined maximum length. Default to no %s.",
                verb,
                noun,
            )
        return None


def natural(name: str, value: Any) -> int | None:
    """Check that an argument is None or a whole number from 0 up."""
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {quoted(value)}, expected an int") from None
    if number < 0:
        raise ValueError(f"{name} is {number}, expected at least 0")
    return number


def choose(name: str, value: Any, words: Mapping[bool, str], known: Sequence[str]) -> str:
    """Return the strategy that `value` names."""
    if isinstance(value, bool) and value in words:
        return words[value]
    if isinstance(value, str) and value in known:
        return str(value)
    raise ValueError(
        f"{name} is {quoted(value)}, expected " + ", ".join([*map(str, words), *map(repr, known)])
    )


def check_side(name: str, value: Any) -> str:
    """Check that an argument is "right" or "left"."""
    if value not in SIDES:
        raise ValueError(f"{name} is {quoted(value)}, expected 'right' or 'left'")
    return str(value)


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"`{old}` is deprecated, use `{new}`.", FutureWarning, stacklevel=5)
