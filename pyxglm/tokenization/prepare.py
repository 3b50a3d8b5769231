"""One text's ids to one encoding: truncate, put special tokens around, pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyxglm.tokenization.encoding import BatchEncoding, check_tensor_type
from pyxglm.tokenization.lengths import NO_SPAN, Lengths, Span
from pyxglm.tokenization.strategies import DO_NOT_PAD, DO_NOT_TRUNCATE, LONGEST_FIRST, natural


class Prepare(Lengths):
    """Makes encodings of ids."""

    def prepare_for_model(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        prepend_batch_axis: bool = False,
        padding_side: str | None = None,
        offsets: Sequence[Span] | None = None,
        pair_offsets: Sequence[Span] | None = None,
        **kwargs: Any,
    ) -> BatchEncoding:
        """Truncate ids, put special tokens around them, pad, and add the fields asked for.

        Parameters
        ----------
        ids, pair_ids
            Ids without special tokens, of one text or of two.
        add_special_tokens, padding, truncation, max_length, stride
            See `Calls`, as for the other arguments that stand there.
        prepend_batch_axis
            Arrays get a first axis of length one.
        offsets, pair_offsets
            For each id, (start, end) in its text: they become the field
            ``offset_mapping``, in which special tokens have (0, 0).
        **kwargs
            Ignored, as in transformers.

        Raises
        ------
        ValueError
            If arguments contradict one another.
        """
        check_tensor_type(return_tensors)
        padding, truncation, max_length = self._resolve_lengths(
            padding, truncation, max_length, pad_to_multiple_of, verbose, kwargs
        )
        stride = natural("stride", stride) or 0
        if return_token_type_ids and not add_special_tokens:
            raise ValueError("return_token_type_ids needs add_special_tokens=True")
        if return_overflowing_tokens and truncation == LONGEST_FIRST and pair_ids is not None:
            raise ValueError(
                "return_overflowing_tokens is not possible for a pair with the truncation "
                "strategy 'longest_first': use 'only_first' or 'only_second'"
            )
        if return_overflowing_tokens and max_length is None:
            raise ValueError("return_overflowing_tokens needs max_length")

        pair = pair_ids is not None
        total = len(ids) + (len(pair_ids) if pair_ids is not None else 0)
        total += self.num_special_tokens_to_add(pair) if add_special_tokens else 0
        overflow: list[int] = []
        first, second = list(ids), None if pair_ids is None else list(pair_ids)
        # A max_length of 0 does not truncate, in transformers as here.
        if truncation != DO_NOT_TRUNCATE and max_length and total > max_length:
            first, second, overflow = self.truncate_sequences(
                first, second, total - max_length, truncation, stride
            )
            # An offset goes with its id; ids are always taken away at the one side.
            offsets = self._kept(offsets, len(first))
            pair_offsets = self._kept(pair_offsets, len(second or ()))
        fields: dict[str, Any] = {}
        if return_overflowing_tokens and max_length is not None:
            fields["overflowing_tokens"] = overflow
            fields["num_truncated_tokens"] = total - max_length
        if add_special_tokens:
            fields["input_ids"] = self.build_inputs_with_special_tokens(first, second)
            types = self.create_token_type_ids_from_sequences(first, second)
        else:
            fields["input_ids"] = first + (second or [])
            types = [0] * len(fields["input_ids"])
        mask = types
        if add_special_tokens and (return_special_tokens_mask or offsets is not None):
            mask = self.get_special_tokens_mask(first, second)
        if return_token_type_ids or (
            return_token_type_ids is None and "token_type_ids" in self.model_input_names
        ):
            fields["token_type_ids"] = types
        if return_special_tokens_mask:
            fields["special_tokens_mask"] = mask
        if offsets is not None:
            rest = iter([*offsets, *(pair_offsets or ())])
            fields["offset_mapping"] = [NO_SPAN if special else next(rest) for special in mask]
        self._warn_if_too_long(len(fields["input_ids"]), max_length, verbose)

        if return_attention_mask is None:
            return_attention_mask = "attention_mask" in self.model_input_names
        if padding != DO_NOT_PAD or return_attention_mask:
            fields = self.pad(
                fields,
                padding=padding,
                max_length=max_length,
                pad_to_multiple_of=pad_to_multiple_of,
                return_attention_mask=return_attention_mask,
                padding_side=padding_side,
            ).data
        if return_length:
            fields["length"] = len(fields["input_ids"])
        return BatchEncoding(
            fields, tensor_type=return_tensors, prepend_batch_axis=prepend_batch_axis
        )

    def _kept(self, offsets: Sequence[Span] | None, count: int) -> Sequence[Span] | None:
        """Return the offsets of the `count` ids that truncation has left."""
        if offsets is None or self.truncation_side == "right":
            return None if offsets is None else offsets[:count]
        return offsets[len(offsets) - count :]

    def _warn_if_too_long(self, length: int, max_length: int | None, verbose: bool) -> None:
        if max_length is None and length > self.model_max_length and verbose:
            self._warn_once(
                "too long",
                "Token indices sequence length is longer than the specified maximum sequence "
                "length for this model (%d > %d): its results there are untrained.",
                length,
                self.model_max_length,
            )
