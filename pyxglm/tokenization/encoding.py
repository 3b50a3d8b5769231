"""BatchEncoding: what a tokenizer returns, a dict whose keys are attributes too."""

from __future__ import annotations

import operator
import warnings
from collections import UserDict
from collections.abc import ItemsView, KeysView, Mapping, Sequence, ValuesView
from typing import Any, NamedTuple

import numpy as np

from pyxglm.strict_json import quoted

_OTHER_FRAMEWORKS = {"pt": "torch", "tf": "TensorFlow", "jax": "JAX", "mlx": "MLX"}


class CharSpan(NamedTuple):
    """The characters from `start` up to, not including, `end`."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """The tokens from `start` up to, not including, `end`."""

    start: int
    end: int


class BatchEncoding(UserDict[str, Any]):
    """The fields of one encoded text, or of a batch.

    Parameters
    ----------
    data
        Field to value: ``input_ids``, ``attention_mask``, … as lists.
    encoding
        The ``tokenizers.Encoding`` of each row, or of the only one: what a
        fast tokenizer adds, so that one can ask where tokens came from.
    tensor_type
        ``"np"`` turns every value into an array; None leaves lists.
    prepend_batch_axis
        Give every value a first axis of length one when it becomes an array.
    n_sequences
        How many texts a row holds; default: what `encoding` says.

    Raises
    ------
    ValueError
        If `tensor_type` is another one, or a value makes no array.

    Examples
    --------
    >>> encoding = BatchEncoding({"input_ids": [2, 57]})
    >>> encoding.input_ids is encoding["input_ids"]
    True
    >>> BatchEncoding({"input_ids": [2, 57]}, tensor_type="np", prepend_batch_axis=True)
    {'input_ids': array([[ 2, 57]])}

    Notes
    -----
    Rows of different lengths become an object array of arrays, as in
    transformers: pad or truncate to get a rectangular one.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: Any = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        super().__init__(data if data is not None else {})
        if encoding is not None and not isinstance(encoding, Sequence):
            encoding = [encoding]
        self._encodings: list[Any] | None = None if encoding is None else list(encoding)
        if n_sequences is None and self._encodings:
            n_sequences = self._encodings[0].n_sequences
        self._n_sequences = n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        """Return a field; or rows: of a fast tokenizer the encodings, else a slice as a dict."""
        if isinstance(item, str):
            return self.data[item]
        if self._encodings is not None:
            return self._encodings[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(
            f"{quoted(item)} is no key of this encoding: use a field's name, or a slice for rows"
        )

    def __getattr__(self, name: str) -> Any:
        # `data` itself is missing while an object is being copied or unpickled.
        if not name.startswith("_") and name != "data" and name in self.data:
            return self.data[name]
        raise AttributeError(f"this encoding has no field {quoted(name)}")

    def keys(self) -> KeysView[str]:
        """Return the names of the fields."""
        return self.data.keys()

    def values(self) -> ValuesView[Any]:
        """Return the values of the fields."""
        return self.data.values()

    def items(self) -> ItemsView[str, Any]:
        """Return names and values."""
        return self.data.items()

    @property
    def is_fast(self) -> bool:
        """Whether a fast tokenizer made this: then it knows where tokens came from."""
        return self._encodings is not None

    @property
    def encodings(self) -> list[Any] | None:
        """The ``tokenizers.Encoding`` of each row; None unless a fast tokenizer made this."""
        return self._encodings

    @property
    def n_sequences(self) -> int | None:
        """How many texts a row holds, 1 or 2; None, unknown, unless a fast tokenizer made this."""
        return self._n_sequences

    def convert_to_tensors(
        self, tensor_type: str | None = None, prepend_batch_axis: bool = False
    ) -> BatchEncoding:
        """Turn the values into arrays, in place; see the class."""
        check_tensor_type(tensor_type)
        if tensor_type is None:
            return self
        for key, value in self.items():
            wrapped = [value] if prepend_batch_axis else value
            try:
                self[key] = _as_array(wrapped)
            except (TypeError, ValueError, IndexError, OverflowError) as error:
                raise ValueError(
                    f"{key} makes no array: {error}; lists of numbers are expected, "
                    "of one length after padding=True and truncation=True"
                ) from None
        return self

    # --- Where tokens came from: for what a fast tokenizer has made ---------------------

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row."""
        tokens: list[str] = self._encoding("tokens", batch_index).tokens
        return tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row the number of its word, None for special tokens.

        A word is what the tokenizer looks at by itself, or with
        ``is_split_into_words`` an item of the list.
        """
        ids: list[int | None] = self._encoding("word_ids", batch_index).word_ids
        return ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """Return `word_ids`, of which this is the old name."""
        ids = self.word_ids(batch_index)
        warnings.warn("`words` is deprecated, use `word_ids`.", FutureWarning, stacklevel=2)
        return ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row 0 or 1, its text of the pair, None for special tokens."""
        ids: list[int | None] = self._encoding("sequence_ids", batch_index).sequence_ids
        return ids

    def token_to_sequence(self, *place: int) -> int | None:
        """Return which text of a pair the token at ([row,] token) belongs to.

        The row is 0 unless given, here as in the methods below; negative rows
        and tokens count from the end. In a pair, words and characters are of
        the text number `sequence_index`.
        """
        sequence: int | None = self._at_token("token_to_sequence", place)
        return sequence

    def token_to_word(self, *place: int) -> int | None:
        """Return the number of the word of the token at ([row,] token); see `word_ids`."""
        word: int | None = self._at_token("token_to_word", place)
        return word

    def token_to_chars(self, *place: int) -> CharSpan | None:
        """Return the characters that the token at ([row,] token) stands for.

        None for special tokens that were put around the text.
        """
        span = self._at_token("token_to_chars", place)
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of the word ([row,] word), None if it has none."""
        span = self._at_text("word_to_tokens", batch_or_word_index, word_index, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of the word ([row,] word), None if there is no such word."""
        span = self._at_text("word_to_chars", batch_or_word_index, word_index, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the token that the character ([row,] character) is in, None if in none."""
        token: int | None = self._at_text(
            "char_to_token", batch_or_char_index, char_index, sequence_index
        )
        return token

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word that the character ([row,] character) is in."""
        word: int | None = self._at_text(
            "char_to_word", batch_or_char_index, char_index, sequence_index
        )
        return word

    def _encoding(self, method: str, batch_index: int) -> Any:
        """Return the library's encoding of a row."""
        if not self._encodings:
            raise ValueError(f"{method}() is not available when using non-fast tokenizers")
        try:
            return self._encodings[operator.index(batch_index)]
        except IndexError:
            raise IndexError(
                f"{method}(): row {batch_index}, but this encoding has {len(self._encodings)}"
            ) from None

    def _at_token(self, method: str, place: tuple[int, ...]) -> Any:
        if not 1 <= len(place) <= 2:
            raise TypeError(f"{method}() got {len(place)} numbers, expected [row,] token")
        encoding = self._encoding(method, place[0] if len(place) == 2 else 0)
        token = operator.index(place[-1])
        token = token + len(encoding) if token < 0 else token
        if not 0 <= token < len(encoding):
            raise IndexError(f"{method}(): token {place[-1]}, but the row has {len(encoding)}")
        return getattr(encoding, method)(token)

    def _at_text(self, method: str, first: int, second: int | None, sequence: int) -> Any:
        encoding = self._encoding(method, 0 if second is None else first)
        index = operator.index(first if second is None else second)
        if index < 0:
            raise IndexError(f"{method}(): {index} is given, expected a number from 0")
        return getattr(encoding, method)(index, sequence)


def check_tensor_type(tensor_type: object) -> None:
    """Raise ValueError for a kind of tensor that is not NumPy's."""
    if tensor_type is None or tensor_type == "np":
        return
    if isinstance(tensor_type, str) and tensor_type in _OTHER_FRAMEWORKS:
        raise ValueError(
            f"return_tensors={tensor_type!r} asks for {_OTHER_FRAMEWORKS[tensor_type]} tensors, "
            "which pyxglm does not make: use 'np' for NumPy arrays"
        )
    raise ValueError(f"return_tensors={quoted(tensor_type)}, expected 'np' or None")


def _as_array(value: Any) -> Any:
    """Make an array of nested lists; a ragged list becomes an array of arrays."""
    if isinstance(value, np.ndarray):
        return value
    nested = isinstance(value, (list, tuple)) and isinstance(value[0], (list, tuple, np.ndarray))
    if nested and len({len(row) for row in value}) > 1:
        rows = np.empty(len(value), dtype=object)
        rows[:] = [np.asarray(row) for row in value]
        return rows
    return np.asarray(value)
