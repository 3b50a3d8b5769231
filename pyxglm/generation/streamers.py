"""What `generate` can be given to tell text to while it runs: ``streamer=…``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from queue import Queue
from typing import Any

import numpy as np

from pyxglm.arguments import check_methods
from pyxglm.dtypes import Array
from pyxglm.generation.streaming import IncrementalDecoder, single


class TextStreamer:
    """Write text while `generate` runs: ``generate(..., streamer=TextStreamer(tokenizer))``.

    Parameters
    ----------
    tokenizer
        Anything with transformers' ``decode``.
    skip_prompt
        Do not write the prompt's text: what is written is the decoding of the
        new ids alone, which begins without a space. (`text_pieces` goes on
        where the prompt's text ends.)
    write
        Called with each piece of text; by default it goes to standard output.
    stop_strings
        Write nothing from the first of these on, once it is generated.
    **options
        ``skip_special_tokens`` (default False here, as in transformers) and
        ``clean_up_tokenization_spaces``.

    Raises
    ------
    TypeError
        If the tokenizer is none.
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,
        write: Callable[[str], object] | None = None,
        *,
        stop_strings: str | Iterable[str] = (),
        **options: Any,
    ) -> None:
        check_methods("tokenizer", tokenizer, ("decode",), "XGLMTokenizer")
        self._tokenizer, self._skip_prompt = tokenizer, skip_prompt
        self._write = _write_out if write is None else write
        self._stop_strings = stop_strings
        self._options = {"skip_special_tokens": False, **options}
        self._decoder: IncrementalDecoder | None = None

    def put(self, value: Array) -> None:
        """Take the prompt (1, T) first, then each step's id (1,)."""
        ids = np.asarray(value)
        if ids.ndim > 1 and len(ids) != 1:
            raise ValueError(f"{type(self).__name__} got {len(ids)} rows, expected one prompt")
        if self._decoder is None:
            self._decoder = IncrementalDecoder(self._tokenizer, **self._options)
            piece = "" if self._skip_prompt else self._decoder.push(ids.reshape(-1))
            self._decoder.stop_at(self._stop_strings)
        else:
            piece = self._decoder.push(single(ids))
        if piece:
            self.on_finalized_text(piece)

    def end(self) -> None:
        """Write what was held back, and a line end."""
        rest = self._decoder.finish() if self._decoder is not None else ""
        self._decoder = None
        self.on_finalized_text(rest, stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Take a piece of text, and know whether it is the last one."""
        self._write(text + "\n" if stream_end else text)


class TextIteratorStreamer(TextStreamer):
    """Iterate over the text while `generate` runs in another thread.

    Parameters
    ----------
    tokenizer, skip_prompt, stop_strings, **options
        As for `TextStreamer`.
    timeout
        Seconds to wait for the next piece; None: for ever.

    Raises
    ------
    queue.Empty
        On iteration, if no piece comes in time.

    Examples
    --------
    >>> class Bytes:
    ...     clean_up_tokenization_spaces = False
    ...     def decode(self, ids, **options):
    ...         return bytes(ids).decode(errors="replace")
    >>> streamer = TextIteratorStreamer(Bytes(), skip_prompt=True)
    >>> for ids in ([97, 98],), (99,), (100,):
    ...     streamer.put(np.array(ids))
    >>> streamer.end()
    >>> list(streamer)
    ['c', 'd']
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,
        timeout: float | None = None,
        *,
        stop_strings: str | Iterable[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(tokenizer, skip_prompt, stop_strings=stop_strings, **options)
        self._pieces: Queue[str | None] = Queue()
        self._timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Hand a piece of text to whoever iterates."""
        if text:
            self._pieces.put(text)
        if stream_end:
            self._pieces.put(None)

    def __iter__(self) -> TextIteratorStreamer:
        return self

    def __next__(self) -> str:
        piece = self._pieces.get(timeout=self._timeout)
        if piece is None:
            raise StopIteration
        return piece


def _write_out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
