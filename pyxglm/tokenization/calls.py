"""``tokenizer(text, …)``: texts, pairs and batches to model inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm.strict_json import quoted
from pyxglm.tokenization.encoding import BatchEncoding
from pyxglm.tokenization.prepare import Prepare
from pyxglm.tokenization.strategies import DO_NOT_PAD


class Calls(Prepare):
    """The calls that turn text into model inputs.

    All of them take these arguments:

    add_special_tokens
        Put ``</s>`` first (and ``</s> </s>`` between the texts of a pair).
    padding, max_length, pad_to_multiple_of, padding_side
        See `pad`. Default: none.
    truncation, stride
        True or a strategy of `truncate_sequences`: shorten what is longer than
        `max_length`, or than `model_max_length`. Default: none, but a
        `max_length` without `padding` truncates.
    is_split_into_words
        Lists of str are the words of one text.
    return_tensors
        "np" for arrays, None for lists.
    return_attention_mask, return_token_type_ids
        Add the field; default: if it is among `model_input_names`.
    return_special_tokens_mask, return_length
        Add the field.
    return_overflowing_tokens
        Add ``overflowing_tokens``, what truncation took away, and
        ``num_truncated_tokens``, how many; needs `max_length`.
    return_offsets_mapping
        Refused: sentencepiece's pieces do not say where they came from.
    verbose
        Whether to warn.
    split_special_tokens
        See `tokenize`.
    """

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        **arguments: Any,
    ) -> BatchEncoding:
        """Encode one text or a list of texts, or pairs of them.

        Parameters
        ----------
        text, text_pair
            A str, or a list of them. With `is_split_into_words`, a list of
            str (one text), or a list of such lists.
        text_target, text_pair_target
            The same for the field ``labels``.
        add_special_tokens, padding, truncation, max_length, stride, is_split_into_words
            See the class.
        **arguments
            See the class.

        Returns
        -------
        BatchEncoding
            ``input_ids`` and ``attention_mask``, and what was asked for; each
            one list for a text, a list of lists for a list of texts.

        Raises
        ------
        ValueError, TypeError
            If the texts have another type, or an argument has no meaning.
        """
        arguments.update(
            add_special_tokens=add_special_tokens,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            stride=stride,
            is_split_into_words=is_split_into_words,
        )
        if text is None and text_target is None:
            raise ValueError("tokenizer(): the text is None, expected a str or a list of str")
        if text_target is None:
            return self._encode_one_or_many("text", text, text_pair, arguments)
        targets = self._encode_one_or_many("text_target", text_target, text_pair_target, arguments)
        if text is None:
            return targets
        encoding = self._encode_one_or_many("text", text, text_pair, arguments)
        encoding["labels"] = targets["input_ids"]
        return encoding

    def _encode_one_or_many(
        self, name: str, text: Any, text_pair: Any, arguments: dict[str, Any]
    ) -> BatchEncoding:
        """Decide whether this is a batch."""
        _check_texts(name, text)
        if text_pair is not None:
            _check_texts(f"{name}'s pair", text_pair)
        is_list = isinstance(text, (list, tuple))
        if arguments["is_split_into_words"]:
            is_list = is_list and len(text) > 0 and isinstance(text[0], (list, tuple))
        if not is_list:
            return self.encode_plus(text, text_pair, **arguments)
        if text_pair is None:
            return self.batch_encode_plus(text, **arguments)
        if isinstance(text_pair, str):
            raise TypeError(
                f"{name} is a list of {len(text)}, but its pair one str, expected a list as long"
            )
        if len(text) != len(text_pair):
            raise ValueError(f"{len(text)} texts, but {len(text_pair)} second texts")
        return self.batch_encode_plus(list(zip(text, text_pair, strict=True)), **arguments)

    def encode(self, text: Any, text_pair: Any = None, **arguments: Any) -> Any:
        """Return the ``input_ids`` of `encode_plus`.

        Returns
        -------
        list[int] or numpy.ndarray
            With ``return_tensors="np"``, an array of shape (1, T).
        """
        return self.encode_plus(text, text_pair, **arguments)["input_ids"]

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
        first = self._ids(text, words, tokenizing)
        second = None if text_pair is None else self._ids(text_pair, words, tokenizing)
        return self.prepare_for_model(first, second, prepend_batch_axis=True, **options)

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
        of_batch = {
            name: options.pop(name)
            for name in ("padding", "pad_to_multiple_of", "return_attention_mask", "padding_side")
        }
        return_tensors = options.pop("return_tensors")
        columns: dict[str, list[Any]] = {}
        for index, item in enumerate(batch_text_or_text_pairs):
            text, pair = _as_pair(index, item, words)
            row = self.prepare_for_model(
                self._ids(text, words, tokenizing),
                None if pair is None else self._ids(pair, words, tokenizing),
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

    def _options(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check a call's arguments; return those of `prepare_for_model` and of `tokenize`."""
        tokenizing = dict(arguments)
        options = {name: tokenizing.pop(name, default) for name, default in _DEFAULTS.items()}
        if tokenizing.pop("return_offsets_mapping", False):
            raise NotImplementedError(
                "return_offsets_mapping is not available with a Python tokenizer: "
                "sentencepiece's pieces do not say which characters they came from"
            )
        options["padding"], options["truncation"], options["max_length"] = self._resolve_lengths(
            options["padding"],
            options["truncation"],
            options["max_length"],
            options["pad_to_multiple_of"],
            options["verbose"],
            tokenizing,
        )
        return options, tokenizing

    def _ids(self, text: Any, is_split_into_words: bool, tokenizing: dict[str, Any]) -> list[int]:
        """Return the ids of one text, without special tokens."""
        ids: list[int]
        if isinstance(text, str):
            ids = self.convert_tokens_to_ids(self.tokenize(text, **tokenizing))
            return ids
        if isinstance(text, np.ndarray) and text.ndim == 1 and text.dtype.kind in "iu":
            ids = text.tolist()
            return ids
        if isinstance(text, (list, tuple)) and text:
            if all(isinstance(item, str) for item in text):
                if is_split_into_words:
                    words = [self.tokenize(word, **tokenizing) for word in text]
                    text = [token for word in words for token in word]
                ids = self.convert_tokens_to_ids(text)
                return ids
            if all(isinstance(item, (int, np.integer)) for item in text):
                return [int(item) for item in text]
        expected = "a str or a list of words" if is_split_into_words else "a str, tokens or ids"
        raise ValueError(f"the text is {quoted(text)} ({type(text).__name__}), expected {expected}")


#: The arguments that `prepare_for_model` gets, and their defaults.
_DEFAULTS: dict[str, Any] = {
    "add_special_tokens": True,
    "padding": False,
    "truncation": None,
    "max_length": None,
    "stride": 0,
    "is_split_into_words": False,
    "pad_to_multiple_of": None,
    "return_tensors": None,
    "return_token_type_ids": None,
    "return_attention_mask": None,
    "return_overflowing_tokens": False,
    "return_special_tokens_mask": False,
    "return_length": False,
    "verbose": True,
    "padding_side": None,
}


def _check_texts(name: str, text: Any) -> None:
    """Raise ValueError unless it is a text, a list of texts, or a list of lists of words."""
    first = text
    for _ in range(3):
        if isinstance(first, str):
            return
        if not isinstance(first, (list, tuple)):
            break
        if not first:
            return
        first = first[0]
    raise ValueError(
        f"{name} is {quoted(text)} ({type(text).__name__}), expected a str, a list of str, "
        "or a list of lists of str; `encode` takes ids"
    )


def _as_pair(index: int, item: Any, is_split_into_words: bool) -> tuple[Any, Any]:
    """Return the two texts of a batch's item, the second None if there is one."""
    if not isinstance(item, (list, tuple)):
        return item, None
    if is_split_into_words and item and not isinstance(item[0], (list, tuple)):
        return item, None
    if len(item) != 2:
        raise ValueError(
            f"item {index} of the batch is a list of {len(item)}, expected a text or a pair; "
            "lists of words need is_split_into_words=True"
        )
    return item[0], item[1]
