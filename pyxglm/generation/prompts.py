"""Prompts of unequal length become one batch: padded on the left, with a mask.

Left, because the next token is read at the last column. Positions are counted
over the real tokens only, so a prompt gets the same positions, hence the same
logits, alone or padded (`prepare_inputs_for_generation` in transformers 4.37's
`modeling_xglm.py`).
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from pyxglm.arguments import are_whole, check_no_mapping
from pyxglm.dtypes import Array
from pyxglm.generation.settings import GenerationConfig


class Prompts(NamedTuple):
    """A batch of prompts: ids, and a mask of ones where they are real."""

    ids_BT: Array
    mask_BT: Array


def prepare(
    input_ids: Any,
    attention_mask: Any,
    settings: GenerationConfig,
    vocab_size: int | None,
    name: str = "input_ids",
) -> Prompts:
    """Make a batch of what a caller calls prompts.

    Parameters
    ----------
    input_ids
        Ids of one prompt, or a sequence of prompts (an array or lists, their
        lengths may differ). An empty prompt, and ``None``, mean one token:
        the `bos_token_id`.
    attention_mask
        Ones and zeros shaped like `input_ids`. Without it: ones for prompts
        of unequal length; else zero where an id is the `pad_token_id`, unless
        that also ends a row (transformers' automatic mask).
    settings
        For the special ids.
    vocab_size
        Ids must be below it; ``None``: not checked.
    name
        What messages call the prompts.

    Raises
    ------
    TypeError, ValueError
        If ids are no integers or not in the vocabulary, if shapes disagree,
        if the mask holds anything but 0 and 1, or masks a whole row.

    Examples
    --------
    >>> ids_BT, mask_BT = prepare([[2, 5, 6], [2]], None, GenerationConfig(), 10)
    >>> ids_BT.tolist(), mask_BT.tolist()
    ([[2, 5, 6], [1, 1, 2]], [[1, 1, 1], [0, 0, 1]])
    """
    id_rows = [np.empty(0, np.int64)] if input_ids is None else rows(input_ids, name)
    for index, row in enumerate(id_rows):
        _check_ids(row, f"{name}[{index}]", vocab_size)
    unequal = len({row.size for row in id_rows}) > 1
    mask_rows = None
    if attention_mask is not None:
        mask_rows = rows(attention_mask, "attention_mask")
        _check_mask(mask_rows, id_rows)
    elif not unequal and settings.pad_token_id not in (None, *settings.eos_ids):
        mask_rows = [row != settings.pad_token_id for row in id_rows]

    bos = _bos(settings) if any(row.size == 0 for row in id_rows) else 0
    T = max(1, *(row.size for row in id_rows))
    ids_BT = np.full((len(id_rows), T), padding_id(settings, needed=unequal), np.int64)
    mask_BT = np.zeros((len(id_rows), T), np.int64)
    for index, row in enumerate(id_rows):
        real = row if row.size else np.array([bos])
        ids_BT[index, T - real.size :] = real
        mask_BT[index, T - real.size :] = 1
        if mask_rows is not None and row.size:
            mask_BT[index, T - row.size :] = mask_rows[index]
    for empty in np.flatnonzero(mask_BT.sum(axis=-1) == 0):
        raise ValueError(
            f"attention_mask masks every token of row {empty}, expected a 1 in each row"
            " (without a mask, ids equal to pad_token_id are masked)"
        )
    if not mask_BT[:, -1].all():
        warnings.warn(
            "attention_mask ends in 0: the batch is padded on the right, but generation goes on"
            " from the last column; pad on the left",
            UserWarning,
            stacklevel=5,  # the caller of generate or stream
        )
    return Prompts(ids_BT, mask_BT)


def positions(mask_BS: Array) -> Array:
    r"""Count the real tokens of each row, from 0.

    .. math:: p_s = \sum_{r \le s} m_r - 1 \;\text{if}\; m_s = 1 \;\text{else}\; 1

    (1 is what transformers gives masked places; no real token attends to them.)

    >>> positions(np.array([[0, 0, 1, 1, 1]])).tolist()
    [[1, 1, 0, 1, 2]]
    """
    return np.where(mask_BS == 1, np.cumsum(mask_BS, axis=-1) - 1, 1)


def padding_id(settings: GenerationConfig, needed: bool) -> int:
    """Return the id to fill up with; without one, the first that ends a row."""
    if settings.pad_token_id is not None:
        return settings.pad_token_id
    if settings.eos_ids:
        if needed:
            warnings.warn(
                f"pad_token_id is None: filling up with eos_token_id {settings.eos_ids[0]}",
                UserWarning,
                stacklevel=5,
            )
        return settings.eos_ids[0]
    if needed:
        raise ValueError("pad_token_id is None, expected an id: the prompts differ in length")
    return 0  # no row is ever filled up: none is shorter, none ends early


def rows(value: Any, name: str) -> list[Array]:
    """Return the 1-D arrays that a batch, or one sequence, consists of.

    >>> [row.tolist() for row in rows([[2, 5], [2]], "input_ids")]
    [[2, 5], [2]]
    >>> [row.tolist() for row in rows(np.array([2, 5]), "input_ids")]
    [[2, 5]]
    """
    check_no_mapping(name, value)
    nested = isinstance(value, (list, tuple)) and any(np.ndim(_probe(row)) for row in value)
    parts = list(value) if nested else None
    try:
        arrays = [np.asarray(part) for part in parts] if parts else [np.asarray(value)]
    except ValueError:  # NumPy's word for lists of unequal depth
        raise ValueError(f"{name} is nested unevenly, expected rows of integers") from None
    if parts is None and arrays[0].ndim == 2:
        arrays = list(arrays[0])
        if not arrays:
            raise ValueError(f"{name} has no rows, expected at least one")
    for array in arrays:
        if array.ndim != 1:
            raise ValueError(
                f"{name} has rows of {array.ndim} dimensions, expected a row or rows of integers"
            )
        # A mask is often made by numpy.ones: its values are checked, its type may be any.
        kinds = "b" if name == "input_ids" else "bf"
        if array.size and array.dtype.kind not in kinds and not are_whole(array):
            raise TypeError(f"{name} holds {array.dtype.name} values, expected integers")
    return [array if array.size else array.astype(np.int64) for array in arrays]


def _probe(row: Any) -> Any:
    """Return something with the dimensions of `row`, without reading deep lists."""
    return [0] if isinstance(row, (list, tuple)) else row


def _check_ids(row: Array, name: str, vocab_size: int | None) -> None:
    if row.dtype.kind == "b":
        raise TypeError(f"{name} holds bool values, expected integers")
    outside = row < 0
    if vocab_size is not None:
        outside = outside | (row >= vocab_size)
    for column in np.flatnonzero(outside):
        limit = "0 or more" if vocab_size is None else f"0 to {vocab_size - 1}"
        raise ValueError(f"{name}[{column}] is {row[column]}, expected an id from {limit}")


def _check_mask(mask_rows: list[Array], id_rows: list[Array]) -> None:
    sizes = [row.size for row in mask_rows]
    if sizes != [row.size for row in id_rows]:
        raise ValueError(
            f"attention_mask has rows of lengths {sizes}, expected those of input_ids:"
            f" {[row.size for row in id_rows]}"
        )
    for index, row in enumerate(mask_rows):
        for column in np.flatnonzero((row != 0) & (row != 1)):
            raise ValueError(f"attention_mask[{index}][{column}] is {row[column]}, expected 0 or 1")


def _bos(settings: GenerationConfig) -> int:
    if settings.bos_token_id is None:
        raise ValueError("bos_token_id is None, expected an id: a prompt is empty")
    return settings.bos_token_id
