"""Ids as they come, to text as it can be told.

A token does not always tell its text at once. A space at the end of the text
may be stripped or not, depending on what follows; half of a character is no
character yet; and cleaning up (``" ."`` to ``"."``) takes back a space. Text is
handed out as soon as nothing that follows can change it, so that the pieces
always concatenate to exactly what decoding the whole gives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from pyxglm.dtypes import Array

#: What `clean_up_tokenization_spaces` replaces, in this order, by what.
CLEANUPS = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)

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
        most = min(len(self._old) - 1, len(rest))
        lengths = (n for n in range(most, 0, -1) if rest.endswith(self._old[:n]))
        certain = len(rest) - next(lengths, 0)
        self._held = rest[certain:]
        return self._new.join([*before, rest[:certain]])

    def finish(self) -> str:
        """Return what was held back: nothing follows, so it is no match."""
        rest, self._held = self._held, ""
        return rest


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
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = tokenizer.clean_up_tokenization_spaces
        self._tokenizer = tokenizer
        self._skip = skip_special_tokens
        self._cleaners = [
            StreamReplacer(*pair) for pair in CLEANUPS if clean_up_tokenization_spaces
        ]
        self._window: list[int] = []
        self._told = 0  # of the window's ids, how many have their text out
        self._told_text = ""  # the text of those

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
        return self._clean(new)

    def finish(self) -> str:
        """Return the rest: no more ids will come."""
        text = self._decode(self._window)[len(self._told_text) :]
        self._window, self._told, self._told_text = [], 0, ""
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
    tokenizer: Any, steps: Iterable[Any], *, prompt_ids: Iterable[int] = (), **options: Any
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
    for step in steps:
        piece = decoder.push(single(step))
        if piece:
            yield piece
    rest = decoder.finish()
    if rest:
        yield rest


def single(step: Any) -> list[int]:
    """Return the ids of a step, which must be of one row.

    >>> single(np.array([7])), single(7)
    ([7], [7])
    """
    ids = np.atleast_1d(np.asarray(step))
    if ids.shape != (1,):
        raise ValueError(f"a step has ids of shape {ids.shape}, expected one row's: shape (1,)")
    return [int(ids[0])]


class TextStreamer:
    """Write text while `generate` runs: ``generate(..., streamer=TextStreamer(tokenizer))``.

    Parameters
    ----------
    tokenizer
        Anything with transformers' ``decode``.
    skip_prompt
        Do not write the prompt's text.
    write
        Called with each piece of text; by default it goes to standard output.
    **options
        ``skip_special_tokens`` (default False here, as in transformers) and
        ``clean_up_tokenization_spaces``.
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,
        write: Callable[[str], object] | None = None,
        **options: Any,
    ) -> None:
        self._tokenizer, self._skip_prompt = tokenizer, skip_prompt
        self._write = _write_out if write is None else write
        self._options = {"skip_special_tokens": False, **options}
        self._decoder: IncrementalDecoder | None = None

    def put(self, value: Array) -> None:
        """Take the prompt (1, T) first, then each step's id (1,)."""
        ids = np.asarray(value)
        if ids.ndim > 1 and len(ids) != 1:
            raise ValueError(f"TextStreamer got {len(ids)} rows, expected one prompt")
        if self._decoder is None:
            self._decoder = IncrementalDecoder(self._tokenizer, **self._options)
            piece = self._decoder.push(ids.reshape(-1))
            piece = "" if self._skip_prompt else piece
        else:
            piece = self._decoder.push(single(ids))
        if piece:
            self._write(piece)

    def end(self) -> None:
        """Write what was held back, and a line end."""
        rest = self._decoder.finish() if self._decoder is not None else ""
        self._decoder = None
        self._write(rest + "\n")


def _write_out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
