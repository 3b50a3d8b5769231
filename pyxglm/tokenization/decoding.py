"""Ids to text: what the tokenizers share of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from pyxglm.arguments import check_type
from pyxglm.tokenization.special_tokens import SpecialTokens
from pyxglm.typography import CLEANUPS


class Decoding(SpecialTokens):
    """Puts texts together again."""

    clean_up_tokenization_spaces: bool

    @abstractmethod
    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> str:
        """Turn ids into text."""

    def batch_decode(
        self,
        sequences: Iterable[Any],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Apply `decode` to each of several sequences, or to each row of an array."""
        check_type("sequences", sequences, Iterable, "a list of sequences of ids")
        return [
            self.decode(ids, skip_special_tokens, clean_up_tokenization_spaces, **kwargs)
            for ids in sequences
        ]

    @staticmethod
    def clean_up_tokenization(out_string: str) -> str:
        """Take out the space before English punctuation and clitics.

        Examples
        --------
        >>> Decoding.clean_up_tokenization("It 's here , is n't it ?")
        "It's here, isn't it?"
        """
        for found, replacement in CLEANUPS:
            out_string = out_string.replace(found, replacement)
        return out_string
