"""Cut a text around its special strings.

transformers does this with a trie and one pass over the text: every place
where a special string may have begun is a *candidate*, a pair of that place
and a node of the trie. The leftmost match wins, and of those that begin there
the longest. The ids of a text depend on every detail of it, so this follows
version 4.37.2 to its corners, of which three can be seen from outside:

- A match is noticed one character after its end. An earlier candidate that is
  still growing may then still win, if it ends somewhere; one that has just
  failed gets a second chance *after* the character that made it fail. With the
  specials ``"abcd"`` and ``"b"``, the text ``"ab?cd"`` comes out whole.
- What a match covers is not searched again for other specials.
- Strings are never taken out of the trie.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Node:
    """A node of the trie: what may come next, and whether a string ends here."""

    children: dict[str, _Node] = field(default_factory=dict)
    ends: bool = False

    def longest(self, text: str, position: int) -> int | None:
        """Return where the longest string ends that goes on from here at `position`."""
        node, end = self, position if self.ends else None
        while position < len(text):
            child = node.children.get(text[position])
            if child is None:
                break
            node, position = child, position + 1
            if node.ends:
                end = position
        return end


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a text that knows where it stood in the whole.

    Attributes
    ----------
    text
        The part, as it is after trimming and joining.
    at
        For each character of it, its position in the whole text.

    Examples
    --------
    >>> stretch = Stretch(" one ", range(3, 8)).lstrip()
    >>> stretch.text, stretch.span(0, 3)
    ('one ', (4, 7))
    """

    text: str
    at: Sequence[int]

    def lstrip(self) -> Stretch:
        """Return it without the white space at its left end."""
        text = self.text.lstrip()
        return Stretch(text, self.at[len(self.text) - len(text) :])

    def rstrip(self) -> Stretch:
        """Return it without the white space at its right end."""
        text = self.text.rstrip()
        return Stretch(text, self.at[: len(text)])

    def __add__(self, other: Stretch) -> Stretch:
        return Stretch(self.text + other.text, [*self.at, *other.at])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where its characters from `start` to `end` stood in the whole text."""
        if start < end:
            return self.at[start], self.at[end - 1] + 1
        # No characters at all, but a place between two of them.
        place = self.at[start] if start < len(self.at) else self.at[-1] + 1
        return place, place


class Splitter:
    """Cuts texts around special strings.

    Examples
    --------
    >>> splitter = Splitter()
    >>> splitter.add("</s>")
    >>> splitter.split("one</s>two</s>")
    ['one', '</s>', 'two', '</s>']
    """

    def __init__(self) -> None:
        self._root = _Node()
        self._strings: set[str] = set()
        self._any: re.Pattern[str] | None = None

    def add(self, string: str) -> None:
        """Add a special string; the empty one is ignored."""
        if not string or string in self._strings:
            return
        self._strings.add(string)
        self._any = None
        node = self._root
        for character in string:
            node = node.children.setdefault(character, _Node())
        node.ends = True

    def split(self, text: str) -> list[str]:
        """Return the parts of `text`, in order; together they are `text`, none is empty."""
        if not self._strings or not text:
            return [text] if text else []
        # Most texts hold no special string at all, and a regular expression says so fast.
        if self._any is None:
            self._any = re.compile("|".join(map(re.escape, sorted(self._strings))))
        if self._any.search(text) is None:
            return [text]
        parts = []
        done = 0
        for start, end in self._matches(text):
            parts += [text[done:start], text[start:end]]
            done = end
        parts.append(text[done:])
        return [part for part in parts if part]

    def _matches(self, text: str) -> list[tuple[int, int]]:
        """Return the places of the matches, left to right."""
        matches: list[tuple[int, int]] = []
        candidates: list[tuple[int, _Node]] = []  # in the order of their beginnings
        resume = 0
        for position, character in enumerate(text):
            if position < resume:
                continue
            survivors: list[tuple[int, _Node]] = []
            waiting: list[tuple[int, _Node]] = []
            for start, node in candidates:
                if node.ends:
                    match = _choose(text, position, waiting, (start, node))
                    matches.append(match)
                    resume = match[1]
                    survivors = []
                    break
                child = node.children.get(character)
                if child is not None:
                    survivors.append((start, child))
                # A candidate that fails here keeps its old node while this position lasts.
                waiting.append((start, child or node))
            candidates = survivors
            if position >= resume and character in self._root.children:
                candidates.append((position, self._root.children[character]))
        for start, node in candidates:
            if node.ends:
                matches.append((start, len(text)))
                break
        return matches


def _choose(
    text: str, position: int, waiting: list[tuple[int, _Node]], found: tuple[int, _Node]
) -> tuple[int, int]:
    """Return the match that wins when `found` turns out to have ended at `position`.

    `waiting` are the earlier candidates, which have taken the character at
    `position` already, or are treated as if they had.
    """
    for start, node in waiting:
        end = node.longest(text, position + 1)
        if end is not None:
            return start, end
    start, node = found
    return start, node.longest(text, position) or position
