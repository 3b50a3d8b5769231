"""BatchEncoding: what a tokenizer returns, a dict whose keys are attributes too."""

from __future__ import annotations

from collections import UserDict
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any, NoReturn

import numpy as np

from pyxglm.strict_json import quoted

_OTHER_FRAMEWORKS = {"pt": "torch", "tf": "TensorFlow", "jax": "JAX", "mlx": "MLX"}


class BatchEncoding(UserDict[str, Any]):
    """The fields of one encoded text, or of a batch.

    Parameters
    ----------
    data
        Field to value: ``input_ids``, ``attention_mask``, … as lists.
    tensor_type
        ``"np"`` turns every value into an array; None leaves lists.
    prepend_batch_axis
        Give every value a first axis of length one when it becomes an array.

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
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
    ) -> None:
        super().__init__(data if data is not None else {})
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        """Return a field; a slice of the batch as a plain dict; never one row by number."""
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(
            f"{quoted(item)} is no key of this encoding: use a field's name, or a slice for rows"
        )

    def __getattr__(self, name: str) -> Any:
        # `data` itself is missing while an object is being copied or unpickled.
        if name != "data" and name in self.data:
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
        """False: no Rust tokenizer made this."""
        return False

    @property
    def encodings(self) -> None:
        """None: there are no ``tokenizers.Encoding`` behind this."""
        return None

    @property
    def n_sequences(self) -> None:
        """None: unknown, as with every Python tokenizer."""
        return None

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

    def tokens(self, batch_index: int = 0) -> NoReturn:
        """Refuse: which character a token came from is known to fast tokenizers only."""
        _refuse("tokens")

    def words(self, batch_index: int = 0) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("words")

    def word_ids(self, batch_index: int = 0) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("word_ids")

    def sequence_ids(self, batch_index: int = 0) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("sequence_ids")

    def token_to_chars(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("token_to_chars")

    def token_to_sequence(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("token_to_sequence")

    def token_to_word(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("token_to_word")

    def word_to_tokens(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("word_to_tokens")

    def word_to_chars(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("word_to_chars")

    def char_to_token(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("char_to_token")

    def char_to_word(self, *args: Any) -> NoReturn:
        """Refuse, as `tokens` does."""
        _refuse("char_to_word")


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


def _refuse(method: str) -> NoReturn:
    raise ValueError(f"{method}() is not available when using non-fast tokenizers")
