"""Calls on texts that Python cuts into tokens: text to ids, ids to model inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm.strict_json import quoted
from pyxglm.tokenization.calls import Calls, as_pair
from pyxglm.tokenization.encoding import BatchEncoding
from pyxglm.tokenization.lengths import Span
from pyxglm.tokenization.strategies import DO_NOT_PAD
from pyxglm.tokenization.text import TextTokens


class TextCalls(Calls, TextTokens):
    """The calls of `Calls`, on top of `TextTokens`."""

    def encode_plus(self, text: Any, text_pair: Any = None, **arguments: Any) -> BatchEncoding:
        """Encode one text, or one pair.

        Parameters
        ----------
        text, text_pair
            A str; a list of tokens (words, with `is_split_into_words`); or a
            list or array of ids.
        **arguments
            See the class.

        Raises
        ------
        ValueError, TypeError
            If a text has another type, or an argument has no meaning.
        """
        options, tokenizing = self._options(arguments)
        words = options.pop("is_split_into_words")
        aligned = options.pop("return_offsets_mapping")
        first, spans = self._ids(text, words, aligned, tokenizing)
        second, pair_spans = None, None
        if text_pair is not None:
            second, pair_spans = self._ids(text_pair, words, aligned, tokenizing)
        return self.prepare_for_model(
            first,
            second,
            prepend_batch_axis=True,
            offsets=spans,
            pair_offsets=pair_spans,
            **options,
        )

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Sequence[Any], **arguments: Any
    ) -> BatchEncoding:
        """Encode a list of texts, or of pairs.

        Parameters
        ----------
        batch_text_or_text_pairs
            Items as in `encode_plus`; a list or tuple of two is a pair
            (with `is_split_into_words`, if its first item is itself a list).
        **arguments
            See the class.

        Raises
        ------
        ValueError, TypeError
            If an item has another type, or an argument has no meaning.
        """
        options, tokenizing = self._options(arguments)
        words = options.pop("is_split_into_words")
        aligned = options.pop("return_offsets_mapping")
        of_batch = {
            name: options.pop(name)
            for name in ("padding", "pad_to_multiple_of", "return_attention_mask", "padding_side")
        }
        return_tensors = options.pop("return_tensors")
        columns: dict[str, list[Any]] = {}
        for index, item in enumerate(batch_text_or_text_pairs):
            text, pair = as_pair(index, item, words)
            first, spans = self._ids(text, words, aligned, tokenizing)
            second, pair_spans = None, None
            if pair is not None:
                second, pair_spans = self._ids(pair, words, aligned, tokenizing)
            row = self.prepare_for_model(
                first,
                second,
                offsets=spans,
                pair_offsets=pair_spans,
                # The batch is padded and turned into arrays as a whole, below.
                padding=DO_NOT_PAD,
                return_attention_mask=False,
                **options,
            )
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        if not columns:
            raise ValueError("batch_encode_plus: the batch is empty, expected at least one text")
        encoding = self.pad(columns, max_length=options["max_length"], **of_batch)
        return encoding.convert_to_tensors(return_tensors)

    def _ids(
        self, text: Any, is_split_into_words: bool, aligned: bool, tokenizing: dict[str, Any]
    ) -> tuple[list[int], list[Span] | None]:
        """Return the ids of one text, without special tokens, and their spans if asked for."""
        if isinstance(text, str):
            tokens, spans = self._tokens(text, aligned, tokenizing)
            return self.convert_tokens_to_ids(tokens), spans
        if is_split_into_words and _all_are(str, text):
            rows = [self._tokens(word, aligned, tokenizing) for word in text]
            tokens = [token for row, _ in rows for token in row]
            # Offsets count from the beginning of each word, as with fast tokenizers.
            spans = [span for _, row in rows for span in row or ()]
            return self.convert_tokens_to_ids(tokens), spans if aligned else None
        ids: list[int] | None = None
        if isinstance(text, np.ndarray) and text.ndim == 1 and text.dtype.kind in "iu":
            ids = text.tolist()
        elif _all_are(str, text):
            ids = self.convert_tokens_to_ids(text)
        elif _all_are((int, np.integer), text):
            ids = [int(item) for item in text]
        if ids is None:
            expected = "a str or a list of words" if is_split_into_words else "a str, tokens or ids"
            raise ValueError(
                f"the text is {quoted(text)} ({type(text).__name__}), expected {expected}"
            )
        if aligned:
            raise ValueError("return_offsets_mapping needs a text, but got tokens or ids")
        return ids, None

    def _tokens(
        self, text: str, aligned: bool, tokenizing: dict[str, Any]
    ) -> tuple[list[str], list[Span] | None]:
        if aligned:
            return self.tokenize_with_offsets(text, **tokenizing)
        return self.tokenize(text, **tokenizing), None


def _all_are(types: type | tuple[type, ...], items: Any) -> bool:
    """Tell whether this is a list, not an empty one, of nothing but such items."""
    if not isinstance(items, (list, tuple)) or not items:
        return False
    return all(isinstance(item, types) for item in items)
