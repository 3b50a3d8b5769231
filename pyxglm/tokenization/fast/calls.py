"""Calls on texts that the library cuts into tokens, and ids back to text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import check_text
from pyxglm.tokenization.calls import Calls, as_pair
from pyxglm.tokenization.decoding import Decoding
from pyxglm.tokenization.encoding import BatchEncoding
from pyxglm.tokenization.fast.table import FastTable
from pyxglm.tokenization.strategies import DO_NOT_PAD, DO_NOT_TRUNCATE, MAX_LENGTH, natural
from pyxglm.tokenization.token_table import as_id, check_ids

#: The fields that may be asked for, and where the library's encodings have them.
_FIELDS = {
    "input_ids": "ids",
    "token_type_ids": "type_ids",
    "attention_mask": "attention_mask",
    "special_tokens_mask": "special_tokens_mask",
    "offset_mapping": "offsets",
}

#: Short texts of which every vocabulary should have a token for one.
_PROBES = ("a", "1", ".", "<unk>")


class FastCalls(Calls, Decoding, FastTable):
    """The calls of `Calls`, on top of `FastTable`."""

    #: Special strings are always tokens, see `refuse_split_special_tokens`.
    split_special_tokens = False

    # --- Texts to model inputs ------------------------------------------------------

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **arguments: Any
    ) -> list[str]:
        """Cut a text, or a pair, into tokens.

        Parameters
        ----------
        text, pair
            The texts.
        add_special_tokens, **arguments
            See `Calls`.

        Returns
        -------
        list[str]
            Tokens as the vocabulary has them; what it lacks stands as itself.
        """
        return self.encode_plus(
            text, pair, add_special_tokens=add_special_tokens, **arguments
        ).tokens()

    def encode_plus(self, text: Any, text_pair: Any = None, **arguments: Any) -> BatchEncoding:
        """Encode one text, or one pair.

        Parameters
        ----------
        text, text_pair
            A str, or with `is_split_into_words` a list of words. An empty
            second text is none, as in transformers.
        **arguments
            See `Calls`.

        Raises
        ------
        ValueError, TypeError
            If a text has another type, or an argument has no meaning.
        """
        options = self._fast_options(arguments)
        batch = self._encode_batch([(text, text_pair or None)], options)
        if options["return_tensors"] is not None or options["return_overflowing_tokens"]:
            return batch  # further rows may have come of the overflow: it stays a batch
        # A list of numbers stays one, as in transformers: `length` is [T].
        row = {
            name: values[0] if isinstance(values[0], list) else values
            for name, values in batch.items()
        }
        return BatchEncoding(row, batch.encodings)

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
            See `Calls`.

        Raises
        ------
        ValueError, TypeError
            If an item has another type, or an argument has no meaning.
        """
        options = self._fast_options(arguments)
        if not isinstance(batch_text_or_text_pairs, (list, tuple)):
            raise TypeError(f"the batch is {quoted(batch_text_or_text_pairs)}, expected a list")
        words = options["is_split_into_words"]
        pairs = [as_pair(i, item, words) for i, item in enumerate(batch_text_or_text_pairs)]
        if not pairs:
            raise ValueError("batch_encode_plus: the batch is empty, expected at least one text")
        return self._encode_batch(pairs, options)

    def _fast_options(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Check a call's arguments and complete them."""
        options, others = self._options(arguments)
        if others.pop("split_special_tokens", self.split_special_tokens):
            refuse_split_special_tokens()
        if others:
            raise TypeError(f"unknown argument {quoted(next(iter(others)))} for a fast tokenizer")
        return options

    def _encode_batch(
        self, pairs: Sequence[tuple[Any, Any]], options: dict[str, Any]
    ) -> BatchEncoding:
        """Encode pairs of texts, the second None if there is one."""
        words = options["is_split_into_words"]
        batch = [
            _checked(first, words)
            if second is None
            else (_checked(first, words), _checked(second, words))
            for first, second in pairs
        ]
        found = self._backend.encode(
            batch,
            self._truncation(options),
            self._padding(options),
            add_special_tokens=bool(options["add_special_tokens"]),
            is_pretokenized=words,
        )
        if options["return_overflowing_tokens"]:
            sources = [i for i, row in enumerate(found) for _ in (row, *row.overflowing)]
            found = [part for row in found for part in (row, *row.overflowing)]
        wanted = {
            "input_ids": True,
            "token_type_ids": options["return_token_type_ids"],
            "attention_mask": options["return_attention_mask"],
            "special_tokens_mask": options["return_special_tokens_mask"],
            "offset_mapping": options["return_offsets_mapping"],
        }
        fields: dict[str, Any] = {}
        for name, value in wanted.items():
            if value or (value is None and name in self.model_input_names):
                fields[name] = [getattr(row, _FIELDS[name]) for row in found]
        if options["return_length"]:
            fields["length"] = [len(row) for row in found]
        if options["return_overflowing_tokens"]:
            fields["overflow_to_sample_mapping"] = sources
        for row in found:
            self._warn_if_too_long(len(row), options["max_length"], options["verbose"])
        return BatchEncoding(fields, found, tensor_type=options["return_tensors"])

    def _truncation(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the library calls truncation."""
        stride = natural("stride", options["stride"]) or 0
        if options["truncation"] == DO_NOT_TRUNCATE:
            return None
        return {
            "max_length": options["max_length"],
            "stride": stride,
            "strategy": options["truncation"],
            "direction": self.truncation_side,
        }

    def _padding(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the library calls padding."""
        if options["padding"] == DO_NOT_PAD:
            return None
        return {
            "length": options["max_length"] if options["padding"] == MAX_LENGTH else None,
            "direction": options["padding_side"] or self.padding_side,
            "pad_id": self.pad_token_id,
            "pad_token": self.pad_token,
            "pad_type_id": self.pad_token_type_id,
            "pad_to_multiple_of": options["pad_to_multiple_of"],
        }

    # --- The layout, which is the library's --------------------------------------------

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return the ids with the special tokens that a call puts around them."""
        texts = [token_ids_0] if token_ids_1 is None else [token_ids_0, token_ids_1]
        for probe in _PROBES:
            item = probe if token_ids_1 is None else (probe, probe)
            (found,) = self._backend.encode([item])
            if {*range(len(texts))} <= {*found.sequence_ids}:
                break
        else:
            raise ValueError(
                f"{self._backend.where}: the tokenizer has no token for any of "
                + ", ".join(_PROBES)
            )
        result: list[int] = []
        done: set[int] = set()
        for index, sequence in zip(found.ids, found.sequence_ids, strict=True):
            if sequence is None:
                result.append(index)
            elif sequence not in done:
                done.add(sequence)
                result.extend(texts[sequence])
        return result

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Mark special tokens in a complete sequence with 1 and others with 0.

        Raises
        ------
        ValueError
            Unless `already_has_special_tokens`, as in transformers; a call
            with ``return_special_tokens_mask`` tells of texts.
        """
        if not already_has_special_tokens:
            raise ValueError(
                "get_special_tokens_mask: already_has_special_tokens is False, expected True "
                "with a fast tokenizer; a call with return_special_tokens_mask=True has the mask"
            )
        return super().get_special_tokens_mask(token_ids_0, token_ids_1, True)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many ids a call adds: for XGLM 1, or 3 for a pair."""
        count: int = self._backend.call("num_special_tokens_to_add", bool(pair))
        return count

    # --- Ids to text ----------------------------------------------------------------

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Join tokens as the library's decoder does; one space at the left end goes."""
        text: str = self._backend.join(list(tokens))
        return text

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> str:
        """Turn ids into text.

        Parameters
        ----------
        token_ids
            One int, or a sequence or one-axis array of them; ids that the
            vocabulary does not have are left out.
        skip_special_tokens
            Leave out special tokens; ``<unk>`` is one.
        clean_up_tokenization_spaces
            Mend English typography (`clean_up_tokenization`). Default: as the
            tokenizer was made.
        **kwargs
            Ignored, as in transformers.

        Raises
        ------
        ValueError
            If an id is no whole number, or less than 0.
        """
        if isinstance(token_ids, np.ndarray):
            token_ids = token_ids.tolist()
        check_ids("token_ids", token_ids)
        ids = [token_ids] if isinstance(token_ids, (int, np.integer)) else token_ids
        text: str = self._backend.call(
            "decode", [as_id(index) for index in ids], skip_special_tokens=skip_special_tokens
        )
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return self.clean_up_tokenization(text) if clean_up_tokenization_spaces else text


def refuse_split_special_tokens() -> None:
    """Raise ValueError: a fast tokenizer cannot take special strings for text.

    Its vocabulary holds ``</s>`` as a piece like any other, the likeliest of all.
    """
    raise ValueError(
        "split_special_tokens=True is not possible with a fast tokenizer, "
        "whose vocabulary holds the special tokens as pieces: use XGLMTokenizer"
    )


def _checked(text: Any, is_split_into_words: bool) -> Any:
    """Check one text for the library."""
    if not is_split_into_words:
        if not isinstance(text, str):
            raise ValueError(f"the text is {quoted(text)} ({type(text).__name__}), expected a str")
        check_text(text, "the text")
        return text
    if not isinstance(text, (list, tuple)) or not all(isinstance(word, str) for word in text):
        raise ValueError(
            f"the text is {quoted(text)} ({type(text).__name__}), expected a list of words"
        )
    for word in text:
        check_text(word, "a word")
    return list(text)
