"""Truncation and padding: how a batch gets its lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyxglm.strict_json import quoted
from pyxglm.tokenization.encoding import BatchEncoding, check_tensor_type
from pyxglm.tokenization.special_tokens import logger
from pyxglm.tokenization.strategies import (
    DO_NOT_PAD,
    DO_NOT_TRUNCATE,
    LONGEST,
    LONGEST_FIRST,
    ONLY_SECOND,
    TRUNCATIONS,
    Strategies,
    check_side,
    choose,
)

#: Where in its text a token stands: its first character, and the one after its last.
Span = tuple[int, int]

#: The span of a token that stands for no part of a text.
NO_SPAN: Span = (0, 0)


class Lengths(Strategies):
    """Truncates and pads."""

    # --- Truncation -----------------------------------------------------------------

    def truncate_sequences(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: str = LONGEST_FIRST,
        stride: int = 0,
    ) -> tuple[list[int], list[int] | None, list[int]]:
        """Take ids away at the `truncation_side`.

        Parameters
        ----------
        ids, pair_ids
            One sequence, or two.
        num_tokens_to_remove
            How many go, of both together.
        truncation_strategy
            "only_first" and "only_second" shorten that one, and do nothing but
            log an error if it is not longer than what should go.
            "longest_first" shortens the longer of a pair until they are equal,
            then both alike. "do_not_truncate" does nothing.
        stride
            How many of the ids that stay are repeated in the overflow.

        Returns
        -------
        tuple
            The shortened `ids` and `pair_ids`, and the overflow: what was taken
            away, with `stride` neighbours. Empty for "longest_first" of a pair.
        """
        ids = list(ids)
        pair_ids = None if pair_ids is None else list(pair_ids)
        strategy = choose("truncation_strategy", truncation_strategy, {}, TRUNCATIONS)
        if num_tokens_to_remove <= 0 or strategy == DO_NOT_TRUNCATE:
            return ids, pair_ids, []
        if strategy == LONGEST_FIRST and pair_ids is not None:
            logger.warning(
                "Be aware, overflowing tokens are not returned for sequence pairs with the "
                "'longest_first' truncation strategy: the list will always be empty."
            )
            first, second = _shares(len(ids), len(pair_ids), num_tokens_to_remove)
            return self._cut(ids, first)[0], self._cut(pair_ids, second)[0], []
        if strategy == ONLY_SECOND:
            if pair_ids is None:
                return ids, None, []
            if len(pair_ids) > num_tokens_to_remove:
                pair_ids, overflow = self._cut(pair_ids, num_tokens_to_remove, stride)
                return ids, pair_ids, overflow
            _log_too_short("second", len(pair_ids), num_tokens_to_remove, strategy)
        elif len(ids) > num_tokens_to_remove:
            ids, overflow = self._cut(ids, num_tokens_to_remove, stride)
            return ids, pair_ids, overflow
        else:
            _log_too_short("first", len(ids), num_tokens_to_remove, strategy)
        return ids, pair_ids, []

    def _cut(self, ids: list[int], count: int, stride: int = 0) -> tuple[list[int], list[int]]:
        """Return what stays without `count` ids, and the overflow."""
        window = min(len(ids), count + stride)
        if check_side("truncation_side", self.truncation_side) == "left":
            return ids[count:], ids[:window]
        return ids[: max(len(ids) - count, 0)], ids[len(ids) - window :]

    # --- Padding --------------------------------------------------------------------

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
        *,
        padding_side: str | None = None,
    ) -> BatchEncoding:
        """Pad one encoding, or a batch, to one length.

        Parameters
        ----------
        encoded_inputs
            One encoding; a batch of them as a list; or a batch as one mapping
            of field to list. Lists or arrays of ids; left unchanged. The
            fields ``input_ids``, ``attention_mask``, ``token_type_ids``,
            ``special_tokens_mask`` and ``offset_mapping`` are padded.
        padding
            True or "longest": to the longest of the batch. "max_length": to
            `max_length`. False or "do_not_pad": not at all.
        max_length
            See `padding`; default `model_max_length`.
        pad_to_multiple_of
            Round the length up to a multiple of this.
        return_attention_mask
            Whether to add ``attention_mask`` (1 for ids, 0 for padding).
        return_tensors
            "np" or None. Arrays in give arrays out.
        verbose
            Whether to warn.
        padding_side
            "right" or "left"; default `padding_side` of the tokenizer.

        Raises
        ------
        ValueError
            If ``input_ids`` are missing, fields differ in their number of
            rows, or an argument has no meaning.
        """
        check_tensor_type(return_tensors)
        columns = _columns(encoded_inputs)
        name = self.model_input_names[0]
        if name not in columns:
            raise ValueError(f"pad: the fields are {sorted(columns)}, expected {name} among them")
        ids = columns[name]
        if ids is not None and not isinstance(ids, (list, tuple, np.ndarray)):
            raise ValueError(f"pad: {name} is {quoted(ids)}, expected a list")
        if ids is None or len(ids) == 0:
            if return_attention_mask:
                columns["attention_mask"] = []
            return BatchEncoding(columns)
        if isinstance(ids, np.ndarray) or isinstance(ids[0], np.ndarray):
            return_tensors = return_tensors or "np"
            columns = {key: _plain(value) for key, value in columns.items()}
        padding, _, max_length = self._resolve_lengths(
            padding, None, max_length, pad_to_multiple_of, verbose
        )
        if return_attention_mask is None:
            return_attention_mask = "attention_mask" in self.model_input_names
        side = check_side("padding_side", padding_side or self.padding_side)
        ids = columns[name]
        if not isinstance(ids[0], (list, tuple)):
            length = len(ids) if padding == LONGEST else max_length
            length = None if padding == DO_NOT_PAD else _round_up(length, pad_to_multiple_of)
            row = self._pad_row(columns, length, return_attention_mask, side)
            return BatchEncoding(row, tensor_type=return_tensors)
        if not all(isinstance(row, (list, tuple)) for row in ids):
            raise ValueError(f"pad: some rows of {name} are lists and some are not")
        for key, value in columns.items():
            if len(value) != len(ids):
                raise ValueError(f"pad: {key} has {len(value)} rows, but {name} has {len(ids)}")
        length = max(map(len, ids)) if padding == LONGEST else max_length
        length = None if padding == DO_NOT_PAD else _round_up(length, pad_to_multiple_of)
        batch: dict[str, list[Any]] = {}
        for index in range(len(ids)):
            row = {key: value[index] for key, value in columns.items()}
            for key, value in self._pad_row(row, length, return_attention_mask, side).items():
                batch.setdefault(key, []).append(value)
        return BatchEncoding(batch, tensor_type=return_tensors)

    def _pad_row(
        self, row: dict[str, Any], length: int | None, return_attention_mask: bool, side: str
    ) -> dict[str, Any]:
        """Pad the fields of one encoding to `length`, unless that is None."""
        name = self.model_input_names[0]
        row = dict(row)
        if return_attention_mask and "attention_mask" not in row:
            row["attention_mask"] = [1] * len(row[name])
        missing = 0 if length is None else max(length - len(row[name]), 0)
        fillers = {
            "token_type_ids": self.pad_token_type_id,
            "special_tokens_mask": 1,
            "offset_mapping": NO_SPAN,
            name: self.pad_token_id if missing else None,
        }
        if return_attention_mask:
            fillers["attention_mask"] = 0
        for key, filler in fillers.items():
            if key in row and missing:
                padding, value = [filler] * missing, list(row[key])
                row[key] = value + padding if side == "right" else padding + value
        return row


def _shares(first: int, second: int, remove: int) -> tuple[int, int]:
    """Split `remove` so that the longer sequence gives until both are equal."""
    ahead = min(abs(first - second), remove)
    half, other_half = (remove - ahead) // 2, remove - ahead - (remove - ahead) // 2
    return (ahead + half, other_half) if first > second else (half, ahead + other_half)


def _log_too_short(which: str, length: int, remove: int, strategy: str) -> None:
    logger.error(
        "We need to remove %d to truncate the input but the %s sequence has a length %d: "
        "the strategy '%s' leaves it as it is.",
        remove,
        which,
        length,
        strategy,
    )


def _round_up(length: int | None, multiple: int | None) -> int | None:
    if length is None or multiple is None:
        return length
    return -(-length // multiple) * multiple


def _columns(encoded_inputs: Any) -> dict[str, Any]:
    """Return field to value, of one encoding or of a batch of them."""
    if isinstance(encoded_inputs, Mapping):
        return dict(encoded_inputs)
    rows = list(encoded_inputs) if isinstance(encoded_inputs, (list, tuple)) else []
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(
            f"pad: {quoted(encoded_inputs)}, expected an encoding or a list of encodings"
        )
    for index, row in enumerate(rows):
        if missing := rows[0].keys() - row.keys():
            raise ValueError(f"pad: encoding {index} lacks {sorted(missing)}")
    return {key: [row[key] for row in rows] for key in rows[0]}


def _plain(value: Any) -> Any:
    """Turn arrays, also inside lists, into lists."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
