"""Ids as they come, to text as it can be told.

A token does not always tell its text at once. A space at the end of the text
may be stripped or not, depending on what follows; half of a character is no
character yet; and cleaning up (``" ."`` to ``"."``) takes back a space. Text is
handed out as soon as nothing that follows can change it, so that the pieces
always concatenate to exactly what decoding the whole gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pyxglm.arguments import check_methods
from pyxglm.generation.setting_checks import stop_texts
from pyxglm.typography import CLEANUPS

#: What stands for bytes that are no character (yet).
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class StreamReplacer:
    """``str.replace`` on a text that arrives in pieces.

    Held back is only the end that may be the beginning of a match.

    Examples
    --------
    >>> replacer = StreamReplacer(" n't", "n't")
    >>> [replacer.push(piece) for piece in ("do", " n", "'t", " n")], replacer.finish()
    (['do', '', "n't", ''], ' n')
    """

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        self._held = ""

    def push(self, text: str) -> str:
        """Take more text; return what is certain now."""
        *before, rest = (self._held + text).split(self._old)
        certain = len(rest) - _begun(rest, self._old)
        self._held = rest[certain:]
        return self._new.join([*before, rest[:certain]])

    def finish(self) -> str:
        """Return what was held back: nothing follows, so it is no match."""
        rest, self._held = self._held, ""
        return rest


class StreamStopper:
    """A text that arrives in pieces, up to the first of some strings.

    Held back is only the end that may be the beginning of one.

    Parameters
    ----------
    stop_strings
        One or several; none: nothing is held back.

    Attributes
    ----------
    stopped
        Whether one has come: then there is no more text.

    Examples
    --------
    >>> stopper = StreamStopper(["</q>"])
    >>> [stopper.push(piece) for piece in ("a <", "b <", "/q", "> c", "d")], stopper.stopped
    (['a ', '<b ', '', '', ''], True)
    """

    def __init__(self, stop_strings: str | Iterable[str]) -> None:
        self._stops = stop_texts(stop_strings)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Take more text; return what is certain now."""
        if self.stopped:
            return ""
        text = self._held + text
        places = [text.find(stop) for stop in self._stops if stop in text]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        held = max((_begun(text, stop) for stop in self._stops), default=0)
        certain = len(text) - held
        self._held = text[certain:]
        return text[:certain]

    def finish(self) -> str:
        """Return what was held back: nothing follows."""
        rest, self._held = self._held, ""
        return rest


def _begun(text: str, match: str) -> int:
    """Return how much of the end of a text may be the beginning of a match."""
    most = min(len(match) - 1, len(text))
    return next((n for n in range(most, 0, -1) if text.endswith(match[:n])), 0)


class IncrementalDecoder:
    """``tokenizer.decode`` on ids that arrive a few at a time.

    Parameters
    ----------
    tokenizer
        Anything with transformers' ``decode``.
    skip_special_tokens
        Leave special tokens (``<unk>`` is one) out of the text.
    clean_up_tokenization_spaces
        As in ``decode``; ``None``: as the tokenizer is set.

    Raises
    ------
    TypeError
        If the tokenizer is none.

    Notes
    -----
    The text of a new token depends on those just before it (is there a word to
    put a space after?), not on the whole. Decoded again at each step is only a
    window that begins with tokens whose text is out already; it moves on when
    the tokens behind its start have text of their own to stand on. The work
    per token does not grow with the length of the text.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        skip_special_tokens: bool = True,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> None:
        check_methods("tokenizer", tokenizer, ("decode",), "XGLMTokenizer")
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = tokenizer.clean_up_tokenization_spaces
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._cleaners = [
            StreamReplacer(*pair) for pair in CLEANUPS if clean_up_tokenization_spaces
        ]
        self._stopper = StreamStopper(())
        self._window: list[int] = []
        self._told = 0  # of the window's ids, how many have their text out
        self._told_text = ""  # the text of those

    def stop_at(self, stop_strings: str | Iterable[str]) -> None:
        """Return no more text, from now on, than what comes before any of some strings."""
        self._stopper = StreamStopper(stop_strings)

    @property
    def stopped(self) -> bool:
        """Whether one of those strings has come."""
        return self._stopper.stopped

    def push(self, ids: Iterable[int]) -> str:
        """Take more ids; return the text that is certain now (often none)."""
        self._window.extend(int(id_) for id_ in ids)
        text = self._decode(self._window)
        if text.endswith(REPLACEMENT):
            return ""  # a character may be half here
        new = text[len(self._told_text) :]
        behind = self._decode(self._window[self._told :])
        if behind.strip():
            self._window = self._window[self._told :]
            text = behind
        self._told, self._told_text = len(self._window), text
        return self._clean(self._stopper.push(new))

    def finish(self) -> str:
        """Return the rest: no more ids will come."""
        text = self._decode(self._window)[len(self._told_text) :]
        self._window, self._told, self._told_text = [], 0, ""
        text = self._stopper.push(text) + self._stopper.finish()
        for cleaner in self._cleaners:
            text = cleaner.push(text) + cleaner.finish()
        return text

    def _decode(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(
            ids, skip_special_tokens=self._skip, clean_up_tokenization_spaces=False
        )
        return str(text)

    def _clean(self, text: str) -> str:
        for cleaner in self._cleaners:
            text = cleaner.push(text)
        return text


def text_pieces(
    tokenizer: Any,
    steps: Iterable[Any],
    *,
    prompt_ids: Iterable[int] = (),
    stop_strings: str | Iterable[str] = (),
    **options: Any,
) -> Iterator[str]:
    """Yield the text of one row's ids as soon as it is certain.

    Parameters
    ----------
    tokenizer
        Anything with transformers' ``decode``.
    steps
        The ids: numbers, or what `stream` yields for a single prompt.
    prompt_ids
        The ids before. Their text is not yielded, but what follows is decoded
        as its continuation, with the space between words.
    stop_strings
        The text goes on until one of them comes, which is not yielded, nor is
        any of its beginning.
    **options
        ``skip_special_tokens`` and ``clean_up_tokenization_spaces``, see
        `IncrementalDecoder`.

    Yields
    ------
    str
        Pieces, none empty. They concatenate to
        ``tokenizer.decode([*prompt_ids, *ids])`` without what had been certain
        of the prompt.

    Raises
    ------
    ValueError
        If a step has the ids of several rows.
    """
    decoder = IncrementalDecoder(tokenizer, **options)
    decoder.push(prompt_ids)
    decoder.stop_at(stop_strings)
    for step in steps:
        piece = decoder.push(single(step))
        if piece:
            yield piece
    rest = decoder.finish()
    if rest:
        yield rest


def row_pieces(
    tokenizer: Any,
    steps: Iterable[Any],
    *,
    prompt_ids: Sequence[Iterable[int]] = (),
    stop_strings: str | Iterable[str] = (),
    **options: Any,
) -> Iterator[tuple[int, str]]:
    """Yield the text of several rows' ids as soon as it is certain, with the row's number.

    Parameters
    ----------
    tokenizer, stop_strings, **options
        As for `text_pieces`.
    steps
        What `stream` yields: for each step an id of every row.
    prompt_ids
        The ids before, of each row; none: there are no prompts.

    Yields
    ------
    (int, str)
        Each row's pieces are those that `text_pieces` yields for it.

    Raises
    ------
    ValueError
        If a step has another number of rows than there are prompts.
    """
    decoders: list[IncrementalDecoder] = []

    def begin(rows: int) -> None:
        for ids in prompt_ids or [()] * rows:
            decoders.append(IncrementalDecoder(tokenizer, **options))
            decoders[-1].push(ids)
            decoders[-1].stop_at(stop_strings)

    for step in steps:
        ids_B = np.atleast_1d(np.asarray(step))
        if not decoders:
            begin(len(ids_B))
        if ids_B.shape != (len(decoders),):
            raise ValueError(
                f"a step has ids of shape {ids_B.shape}, expected one for each of"
                f" {len(decoders)} rows"
            )
        for row, decoder in enumerate(decoders):
            piece = decoder.push([int(ids_B[row])])
            if piece:
                yield row, piece
    for row, decoder in enumerate(decoders):
        rest = decoder.finish()
        if rest:
            yield row, rest


def single(step: Any) -> list[int]:
    """Return the ids of a step, which must be of one row.

    >>> single(np.array([7])), single(7)
    ([7], [7])
    """
    ids = np.atleast_1d(np.asarray(step))
    if ids.shape != (1,):
        raise ValueError(f"a step has ids of shape {ids.shape}, expected one row's: shape (1,)")
    return [int(ids[0])]
