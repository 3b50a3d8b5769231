"""Logits processors and stopping criteria as the lists and classes that transformers has.

`generate` takes plain functions and plain lists too; these are for programs that
were written for transformers. Most of what it has a class for is a setting here.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.callbacks import Criterion, Processor
from pyxglm.generation.processors.lengths import no_end_before
from pyxglm.generation.setting_checks import check_integer


class LogitsProcessor(ABC):
    """What a logits processor that is a class may be made from, as in transformers."""

    @abstractmethod
    def __call__(self, input_ids: Array, scores: Array) -> Array:
        """Return scores (B, V), given the ids so far (B, S) and scores."""


class LogitsProcessorList(list[Processor]):
    """Logits processors, one after the other.

    Examples
    --------
    >>> double = LogitsProcessorList([lambda ids, scores: scores + scores])
    >>> double(np.array([[2]]), np.array([[0.5, 1.0]])).tolist()
    [[1.0, 2.0]]
    """

    def __call__(self, input_ids: Array, scores: Array) -> Array:
        """Return the scores (B, V) that all of them make of scores."""
        for processor in self:
            scores = processor(input_ids, scores)
        return scores


class MinLengthLogitsProcessor(LogitsProcessor):
    """No end token before a row has so many tokens, prompt and padding included.

    The setting `min_length` asks for the same.

    Parameters
    ----------
    min_length
        The tokens.
    eos_token_id
        The id, or ids, that end a row.

    Raises
    ------
    TypeError, ValueError
        If one is no whole number, or negative.
    """

    def __init__(self, min_length: int, eos_token_id: int | Sequence[int]) -> None:
        ids = [eos_token_id] if isinstance(eos_token_id, (int, np.integer)) else list(eos_token_id)
        for name, value in [("min_length", min_length), *(("eos_token_id", id_) for id_ in ids)]:
            check_integer(name, value, 0)
        self.min_length, self.eos_token_id = min_length, ids

    def __call__(self, input_ids: Array, scores: Array) -> Array:
        """Return the scores, those of the end tokens minus infinity in short rows."""
        return no_end_before(input_ids, scores, length=self.min_length, eos_ids=self.eos_token_id)


class StoppingCriteria(ABC):
    """What a stopping criterion that is a class may be made from, as in transformers."""

    @abstractmethod
    def __call__(self, input_ids: Array, scores: Any) -> Any:
        """Return whether to stop, or for each row (B,) whether it has ended."""


class StoppingCriteriaList(list[Criterion]):
    """Stopping criteria, one of which is enough.

    Examples
    --------
    >>> rules = StoppingCriteriaList([MaxLengthCriteria(3), lambda ids, scores: ids[:, -1] == 7])
    >>> rules(np.array([[2, 7], [2, 5]]), None).tolist(), rules.max_length
    ([True, False], 3)
    """

    def __call__(self, input_ids: Array, scores: Any) -> Any:
        """Return whether to stop; for each row, if one of them tells rows apart."""
        ended: Any = False
        for criterion in self:
            found = criterion(input_ids, scores)
            ended = ended if found is None else ended | found
        return ended

    @property
    def max_length(self) -> int | None:
        """The tokens of the first `MaxLengthCriteria`, if there is one."""
        found = (one.max_length for one in self if isinstance(one, MaxLengthCriteria))
        return next(found, None)


class MaxLengthCriteria(StoppingCriteria):
    """Stop when rows have so many tokens, prompt and padding included.

    The setting `max_length` asks for the same, and both count.
    """

    def __init__(self, max_length: int) -> None:
        check_integer("max_length", max_length, 1)
        self.max_length = max_length

    def __call__(self, input_ids: Array, scores: Any) -> bool:
        """Return whether rows are long enough."""
        return bool(input_ids.shape[-1] >= self.max_length)


class MaxTimeCriteria(StoppingCriteria):
    """Stop when so many seconds have gone by since this was made, or since a `time.time()`.

    The setting `max_time` counts from the beginning of a call.
    """

    def __init__(self, max_time: float, initial_timestamp: float | None = None) -> None:
        self.max_time = max_time
        self.initial_timestamp = time.time() if initial_timestamp is None else initial_timestamp

    def __call__(self, input_ids: Array, scores: Any) -> bool:
        """Return whether time is up."""
        return time.time() - self.initial_timestamp > self.max_time
