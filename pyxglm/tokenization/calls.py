"""``tokenizer(text, …)``: its arguments, and whether a text is one or many."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from pyxglm.strict_json import quoted
from pyxglm.tokenization.encoding import BatchEncoding
from pyxglm.tokenization.prepare import Prepare


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
        `XGLMTokenizer` adds ``overflowing_tokens``, what truncation took away,
        and ``num_truncated_tokens``, how many; it needs `max_length`.
        `XGLMTokenizerFast` makes further rows of it, with `stride` tokens of
        the row before, and adds ``overflow_to_sample_mapping``, which text
        each row is of.
    return_offsets_mapping
        Add ``offset_mapping``: for each token, the (start, end) of the
        characters of its text that it stands for, (0, 0) for special tokens
        that were added. (transformers' slow tokenizers refuse this.)
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

    @abstractmethod
    def encode_plus(self, text: Any, text_pair: Any = None, **arguments: Any) -> BatchEncoding:
        """Encode one text, or one pair."""

    @abstractmethod
    def batch_encode_plus(
        self, batch_text_or_text_pairs: Sequence[Any], **arguments: Any
    ) -> BatchEncoding:
        """Encode a list of texts, or of pairs."""

    def _options(self, arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check a call's arguments; return the known ones, completed, and the others."""
        others = dict(arguments)
        options = {name: others.pop(name, default) for name, default in _DEFAULTS.items()}
        options["padding"], options["truncation"], options["max_length"] = self._resolve_lengths(
            options["padding"],
            options["truncation"],
            options["max_length"],
            options["pad_to_multiple_of"],
            options["verbose"],
            others,
        )
        return options, others


#: The arguments that every call takes, and their defaults.
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
    "return_offsets_mapping": False,
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


def as_pair(index: int, item: Any, is_split_into_words: bool) -> tuple[Any, Any]:
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
