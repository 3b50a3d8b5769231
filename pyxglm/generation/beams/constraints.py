"""What a text must contain: constraints that a beam search is led to meet.

A constraint is a small machine that reads a text token by token. It says which
tokens bring it nearer to its end (`Constraint.advance`), and how many it still
needs. The two kinds are those of transformers, with the names of its interface,
so that constraints of one's own work in both.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np


class Constraint(ABC):
    """Something that a text must contain.

    Attributes
    ----------
    seqlen
        The most tokens that it takes.
    completed
        Whether the text contains it.
    """

    seqlen: int
    completed: bool = False

    @abstractmethod
    def advance(self) -> int | list[int] | None:
        """Return the token, or tokens, that come nearer to the end; None if it is reached."""

    @abstractmethod
    def does_advance(self, token_id: int) -> bool:
        """Return whether a token comes nearer to the end."""

    @abstractmethod
    def update(self, token_id: int) -> tuple[bool, bool, bool]:
        """Read a token; return whether it came nearer, reached the end, or broke what was there."""

    @abstractmethod
    def reset(self) -> None:
        """Forget what was read."""

    @abstractmethod
    def remaining(self) -> int:
        """Return the most tokens that are still needed."""

    @abstractmethod
    def copy(self, stateful: bool = False) -> Constraint:
        """Return a constraint of the same kind, which has read the same tokens if `stateful`."""


_Kind = TypeVar("_Kind", bound="_ByPrefix")


class _ByPrefix(Constraint):
    """A constraint that is met by one of several phrases; `tokens_read` begins one of them."""

    _phrases: tuple[tuple[int, ...], ...]

    def __init__(self) -> None:
        self.seqlen = max(map(len, self._phrases))
        self.tokens_read: tuple[int, ...] = ()

    def _next(self) -> list[int]:
        """Return the tokens that continue what was read, in the order of the phrases."""
        n = len(self.tokens_read)
        ids = [p[n] for p in self._phrases if len(p) > n and p[:n] == self.tokens_read]
        return list(dict.fromkeys(ids))

    def does_advance(self, token_id: int) -> bool:
        """Return whether a token continues what was read."""
        return _token(token_id) in self._next()

    def update(self, token_id: int) -> tuple[bool, bool, bool]:
        """Read a token; return whether it came nearer, reached the end, or broke what was there."""
        if not self.does_advance(token_id):
            self.reset()
            return False, False, True
        self.tokens_read += (int(token_id),)
        self.completed = self.tokens_read in self._phrases
        return True, self.completed, False

    def reset(self) -> None:
        """Forget what was read."""
        self.tokens_read, self.completed = (), False

    def remaining(self) -> int:
        """Return the most tokens that are still needed."""
        return 0 if self.completed else self.seqlen - len(self.tokens_read)

    def copy(self: _Kind, stateful: bool = False) -> _Kind:
        """Return a constraint of the same kind, which has read the same tokens if `stateful`."""
        made = copy.copy(self)
        if not stateful:
            made.reset()
        return made


class PhrasalConstraint(_ByPrefix):
    """The text must contain a phrase.

    Parameters
    ----------
    token_ids
        The phrase's tokens.

    Raises
    ------
    ValueError, TypeError
        If it is no sequence of ids, or empty.

    Examples
    --------
    >>> phrase = PhrasalConstraint([7, 8])
    >>> phrase.advance(), phrase.update(7), phrase.advance()
    (7, (True, False, False), 8)
    >>> phrase.update(9), phrase.advance()
    ((False, False, True), 7)
    """

    def __init__(self, token_ids: Sequence[int]) -> None:
        phrase = _phrase("token_ids", token_ids)
        self._phrases = (phrase,)
        self.token_ids = list(phrase)
        super().__init__()

    def advance(self) -> int | None:
        """Return the token that comes nearer to the end; None if it is reached."""
        return None if self.completed else self.token_ids[len(self.tokens_read)]


class DisjunctiveConstraint(_ByPrefix):
    """The text must contain one of several phrases, no matter which.

    Parameters
    ----------
    nested_token_ids
        The phrases' tokens. None may begin another: the longer one could never
        be read to its end.

    Raises
    ------
    ValueError, TypeError
        If they are no sequences of ids, empty, or one begins another.

    Examples
    --------
    >>> either = DisjunctiveConstraint([[5, 6], [5, 7, 8], [9]])
    >>> either.advance(), either.update(5), either.advance(), either.remaining()
    ([5, 9], (True, False, False), [6, 7], 2)
    """

    def __init__(self, nested_token_ids: Sequence[Sequence[int]]) -> None:
        if not _is_sequence(nested_token_ids):
            raise TypeError(
                f"nested_token_ids is {nested_token_ids!r}, expected a list of lists of ids"
            )
        if not len(nested_token_ids):
            raise ValueError("nested_token_ids is empty, expected at least one list of ids")
        phrases = tuple(
            _phrase(f"nested_token_ids[{index}]", ids) for index, ids in enumerate(nested_token_ids)
        )
        for one, first in enumerate(phrases):
            for other, second in enumerate(phrases):
                if one != other and second[: len(first)] == first:
                    raise ValueError(
                        f"nested_token_ids[{one}] is {list(first)}, with which"
                        f" nested_token_ids[{other}], {list(second)}, begins, expected lists"
                        " none of which begins another"
                    )
        self._phrases = phrases
        self.token_ids = [list(phrase) for phrase in phrases]
        super().__init__()

    def advance(self) -> list[int] | None:
        """Return the tokens that come nearer to the end; None if it is reached."""
        return self._next() or None


#: What every constraint must have.
_PARTS = ("advance", "does_advance", "update", "reset", "remaining", "copy", "seqlen")


def constraints_of(constraints: Any, force_words_ids: Any) -> list[Constraint]:
    """Return all constraints that the two settings mean.

    Raises
    ------
    ValueError, TypeError
        If they are something else.

    Examples
    --------
    >>> [one.advance() for one in constraints_of([PhrasalConstraint([4])], [[7, 8]])]
    [4, 7]
    """
    made: list[Constraint] = []
    if constraints is not None:
        if not _is_sequence(constraints):
            raise TypeError(f"constraints is {constraints!r}, expected a list of constraints")
        if not len(constraints):
            raise ValueError("constraints is empty, expected at least one constraint")
        for index, one in enumerate(constraints):
            missing = [part for part in _PARTS if not hasattr(one, part)]
            if missing:
                raise TypeError(
                    f"constraints[{index}] is {one!r}, expected a Constraint:"
                    f" it has no {', '.join(missing)}"
                )
        made += constraints
    return made if force_words_ids is None else made + of_words(force_words_ids)


def of_words(force_words_ids: Any) -> list[Constraint]:
    """Return the constraints that `force_words_ids` means.

    Parameters
    ----------
    force_words_ids
        For each word that must be in the text its ids, or a list of the ids of
        words one of which must be.

    Raises
    ------
    ValueError, TypeError
        If they are something else.

    Examples
    --------
    >>> [type(one).__name__ for one in of_words([[7, 8], [[5], [6, 9]]])]
    ['PhrasalConstraint', 'DisjunctiveConstraint']
    """
    if not _is_sequence(force_words_ids):
        raise TypeError(f"force_words_ids is {force_words_ids!r}, expected a list of words' ids")
    if not len(force_words_ids):
        raise ValueError("force_words_ids is empty, expected at least one word's ids")
    made: list[Constraint] = []
    for index, word in enumerate(force_words_ids):
        nested = _is_sequence(word) and len(word) > 0 and _is_sequence(word[0])
        try:
            made.append(DisjunctiveConstraint(word) if nested else PhrasalConstraint(word))
        except (ValueError, TypeError) as error:
            message = str(error).replace("nested_token_ids", "token_ids")
            named = message.replace("token_ids", f"force_words_ids[{index}]")
            raise type(error)(named) from None
    return made


def _phrase(name: str, ids: Any) -> tuple[int, ...]:
    """Return a phrase's ids, checked."""
    if not _is_sequence(ids):
        raise TypeError(f"{name} is {ids!r}, expected a list of ids")
    if not len(ids):
        raise ValueError(f"{name} is empty, expected at least one id")
    return tuple(_token(id_, f"{name}[{index}]") for index, id_ in enumerate(ids))


def _token(id_: Any, name: str = "token_id") -> int:
    if isinstance(id_, (bool, np.bool_)) or not isinstance(id_, (int, np.integer)):
        raise TypeError(f"{name} is {id_!r}, expected an id")
    if id_ < 0:
        raise ValueError(f"{name} is {id_}, expected an id, 0 or more")
    return int(id_)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))
