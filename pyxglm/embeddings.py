"""The token embedding and the output head, as objects that transformers' users expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyxglm.arguments import as_numbers
from pyxglm.dtypes import Array, convert
from pyxglm.inputs import token_ids
from pyxglm.ops import reference
from pyxglm.ops.reference import widen


@dataclass(frozen=True, eq=False)
class Embedding:
    """A token embedding: a matrix (V, D), callable on ids (without XGLM's scale)."""

    weight: Array
    dtype: Any = np.float32

    def __call__(self, input_ids: Any) -> Array:
        """Return the rows of ids (..., T) as vectors (..., T, D)."""
        ids = token_ids("input_ids", input_ids, len(self.weight)).reshape(np.shape(input_ids))
        with np.errstate(all="ignore"):  # a float64 weight may be beyond float32
            return widen(self.weight[ids], self.dtype)


@dataclass(frozen=True, eq=False)
class Head:
    """The output head: a matrix (V, D) without bias, callable on hidden states."""

    weight: Array
    dtype: Any = np.float32
    ops: Any = reference  # the operations of a backend

    def __call__(self, hidden_BTD: Any) -> Array:
        """Return the logits (B, T, V) of hidden states (B, T, D)."""
        hidden_BTD = as_numbers("hidden_BTD", hidden_BTD, self.dtype)
        with np.errstate(all="ignore"):
            logits_BTV: Array = self.ops.linear(hidden_BTD, self.weight)
        return logits_BTV


def embedding_matrix(name: str, value: Any, width: int) -> Array:
    """Return the matrix (rows, width) of an array, an `Embedding` or a `Head`."""
    weight = np.asarray(getattr(value, "weight", value))
    if weight.ndim != 2 or weight.shape[1] != width:
        raise ValueError(f"{name} has shape {weight.shape}, expected (rows, {width})")
    return convert(weight, weight.dtype)
