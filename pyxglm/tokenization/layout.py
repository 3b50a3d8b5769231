"""Where XGLM's special tokens stand: ``</s> A`` and ``</s> A </s> </s> B``.

A text begins with the separator and has nothing at its end. (The docstrings of
transformers speak of ``<s> X </s>``; its code, and the training data, do not.)
"""

from __future__ import annotations

from collections.abc import Sequence

from pyxglm.tokenization.special_tokens import SpecialTokens


class Layout(SpecialTokens):
    """Puts special tokens around ids, and says afterwards which they are."""

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return ``</s> A``, or ``</s> A </s> </s> B`` for a pair."""
        separator = [self.sep_token_id]
        if token_ids_1 is None:
            return [*separator, *token_ids_0]
        return [*separator, *token_ids_0, *separator, *separator, *token_ids_1]

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Mark special tokens with 1 and others with 0.

        Parameters
        ----------
        token_ids_0, token_ids_1
            Ids without special tokens; the mask is that of the layout built
            from them.
        already_has_special_tokens
            `token_ids_0` is complete: mark what occurs in `all_special_ids`,
            ``<unk>`` included.

        Raises
        ------
        ValueError
            If a second sequence comes with `already_has_special_tokens`.
        """
        if already_has_special_tokens:
            if token_ids_1 is not None:
                raise ValueError(
                    "get_special_tokens_mask: token_ids_1 is given with "
                    "already_has_special_tokens=True, expected one complete sequence"
                )
            special = set(self.all_special_ids)
            return [int(index in special) for index in token_ids_0]
        mask = [1] + [0] * len(token_ids_0)
        return mask if token_ids_1 is None else [*mask, 1, 1, *[0] * len(token_ids_1)]

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return zeros, one for each id of the layout: XGLM has no token types."""
        return [0] * len(self.build_inputs_with_special_tokens(token_ids_0, token_ids_1))

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return how many ids the layout adds: 1, or 3 for a pair."""
        return len(self.build_inputs_with_special_tokens([], [] if pair else None))
