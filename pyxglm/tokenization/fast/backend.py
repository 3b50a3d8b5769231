"""The `tokenizers` library behind a wall: one tokenizer of it, and no error of its own.

The library is written in Rust. What it objects to arrives as a bare
``Exception``, and a fault inside it as a ``PanicException``, which not even
``except Exception`` catches. Here both become a ValueError that says where.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyxglm.strict_json import quoted


def library() -> Any:
    """Return the module `tokenizers`.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; the message says what to install.
    """
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'XGLMTokenizerFast needs the library tokenizers: pip install "pyxglm[fast]"',
            name=error.name,
        ) from None
    return tokenizers


@contextmanager
def refusals(where: str) -> Iterator[None]:
    """Turn what the library raises inside this block into a ValueError that names `where`."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        reason = quoted(str(error) or type(error).__name__, 300)
        raise ValueError(f"{where}: the library tokenizers refuses it: {reason}") from None


class Backend:
    """A ``tokenizers.Tokenizer``, used by one thread at a time.

    Parameters
    ----------
    tokenizer
        The library's object. It is this one's from now on.
    where
        What it was made of, a file's name above all, for messages.
    """

    def __init__(self, tokenizer: Any, where: str) -> None:
        self.tokenizer = tokenizer
        self.where = where
        self._lock = threading.Lock()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], where: str) -> Backend:
        """Make one of the content of a ``tokenizer.json``; see `document.check_document`."""
        tokenizer_class = library().Tokenizer
        with refusals(where):
            return cls(tokenizer_class.from_str(json.dumps(document, ensure_ascii=False)), where)

    def document(self) -> dict[str, Any]:
        """Return the content of its ``tokenizer.json``."""
        with self._lock, refusals(self.where):
            document: dict[str, Any] = json.loads(self.tokenizer.to_str())
        return document

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the library's object.

        Raises
        ------
        ValueError
            If the library refuses, for whatever reason.
        """
        with self._lock, refusals(self.where):
            return getattr(self.tokenizer, method)(*arguments, **options)

    def encode(
        self,
        batch: Sequence[Any],
        truncation: Mapping[str, Any] | None = None,
        padding: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Any]:
        """Encode texts, or pairs of them, truncated and padded as told this time only.

        Returns
        -------
        list[tokenizers.Encoding]
            One an item.

        Raises
        ------
        ValueError
            If the library refuses.
        """
        with self._lock, refusals(self.where):
            try:
                if truncation is not None:
                    self.tokenizer.enable_truncation(**truncation)
                if padding is not None:
                    self.tokenizer.enable_padding(**padding)
                return list(self.tokenizer.encode_batch(batch, **options))
            finally:
                self.tokenizer.no_truncation()
                self.tokenizer.no_padding()

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token, added ones included, or None."""
        index: int | None = self.call("token_to_id", token)
        return index

    def join(self, tokens: list[str]) -> str:
        """Return the text that the decoder makes of tokens; without a decoder, words."""
        with self._lock, refusals(self.where):
            decoder = self.tokenizer.decoder
            return " ".join(tokens) if decoder is None else str(decoder.decode(tokens))

    def __deepcopy__(self, memo: dict[int, Any]) -> Backend:
        with self._lock:
            return Backend(copy.deepcopy(self.tokenizer), self.where)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the lock, which belongs to this process."""
        return {"tokenizer": self.tokenizer, "where": self.where}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
