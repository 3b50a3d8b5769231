"""Tokens and ids: the vocabulary together with the tokens that were added to it.

An added token is a string with an id of its own. It may be one that the
vocabulary has already (``</s>``): then adding it means that it is recognised
in texts.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pyxglm.arguments import check_type
from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import AddedToken
from pyxglm.tokenization.special_tokens import SpecialTokens, Token
from pyxglm.tokenization.splitting import Splitter
from pyxglm.tokenization.vocabulary import Vocabulary

#: The largest id that a file may give to a token.
LARGEST_ID = 2**31 - 1


class TokenTable(SpecialTokens):
    """A vocabulary with special and added tokens: tokens to ids and back.

    Parameters
    ----------
    vocabulary
        The sentencepiece model under XGLM's numbering.
    special_tokens
        Role to token, see `SpecialTokens`; its AddedTokens become the table's.
    added_tokens
        Id to token: the tokens that a saved tokenizer had been given.
    verbose
        Whether to log more.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        special_tokens: Mapping[str, Any],
        added_tokens: Mapping[int, Token],
        verbose: bool = False,
    ) -> None:
        self._vocabulary = vocabulary
        self._added_by_id: dict[int, AddedToken] = {}
        self._added_ids: dict[str, int] = {}
        self._splitter = Splitter()
        super().__init__(special_tokens, verbose)
        self.added_tokens_decoder = added_tokens
        # Roles whose strings the vocabulary lacks get new ids, in the order of the roles.
        self._register(
            [token for token in self.all_special_tokens_extended if not self._is_added(token)],
            special_tokens=True,
        )

    # --- The vocabulary -------------------------------------------------------------

    @property
    def sp_model(self) -> Any:
        """The ``sentencepiece.SentencePieceProcessor``."""
        return self._vocabulary.processor

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens, N + 8."""
        return len(self._vocabulary)

    def get_vocab(self) -> dict[str, int]:
        """Return token to id, added tokens included."""
        vocabulary = {
            self._added_by_id[index].content if index in self._added_by_id else token: index
            for index, token in enumerate(self._vocabulary.tokens)
        }
        vocabulary.update(self._added_ids)
        return vocabulary

    def get_added_vocab(self) -> dict[str, int]:
        """Return token to id for the special and added tokens."""
        return dict(self._added_ids)

    def __len__(self) -> int:
        """Count the distinct tokens: the rows that the model's embedding needs."""
        return len(self.get_vocab())

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Token to id for the special and added tokens, by id."""
        return {token.content: index for index, token in sorted(self._added_by_id.items())}

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Id to token for the special and added tokens, by id."""
        return dict(sorted(self._added_by_id.items()))

    @added_tokens_decoder.setter
    def added_tokens_decoder(self, tokens: Mapping[int, Token]) -> None:
        for index, token in tokens.items():
            if isinstance(index, bool) or not isinstance(index, int):
                raise TypeError(f"added_tokens_decoder: the id {quoted(index)} is no int")
            if not 0 <= index <= LARGEST_ID:
                raise ValueError(f"added_tokens_decoder: id {index}, expected 0 to {LARGEST_ID}")
            if not isinstance(token, (str, AddedToken)):
                raise TypeError(f"added_tokens_decoder: {quoted(token)} is no str or AddedToken")
            self._add(index, AddedToken(token) if isinstance(token, str) else token.copy())

    def _is_added(self, token: Token) -> bool:
        return isinstance(token, str) and token in self._added_ids

    def _add(self, index: int, token: AddedToken) -> None:
        self._added_by_id[index] = token
        self._added_ids[token.content] = index
        self._splitter.add(token.content)

    def _register(self, tokens: Sequence[Token], special_tokens: bool) -> int:
        vocabulary: dict[str, int] | None = None
        specials = set(self.all_special_tokens)
        next_id = new = 0
        for token in tokens:
            if not str(token) or self._is_added(token):
                continue
            if isinstance(token, str):
                token = AddedToken(token, special=special_tokens or token in specials)
            elif special_tokens:
                # Being made special does not change how it is looked for.
                token.normalized, token.special = token.normalized, True
            if vocabulary is None:  # made once, and only if there is something to add
                vocabulary = self.get_vocab()
                next_id = len(vocabulary)
            if token.content not in vocabulary:
                vocabulary[token.content] = next_id + new
                new += 1
            if token.special and token.content not in specials:
                self._additional.append(token)
                specials.add(token.content)
            self._add(vocabulary[token.content], token)
        return new

    # --- Tokens to ids and back -----------------------------------------------------

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or the ids of several; None for None.

        An unknown token has the id of ``<unk>``.
        """
        if tokens is None:
            return None
        if isinstance(tokens, str):
            return self._id_of(tokens)
        check_tokens("tokens", tokens)
        return [self._id_of(token) for token in tokens]

    def _id_of(self, token: str | None) -> int | None:
        if token is None:
            return None
        index = self._added_ids.get(token)
        if index is None:
            index = self._vocabulary.ids.get(token)
        if index is not None:
            return index
        if token == self.unk_token:
            raise ValueError(
                f"unk_token is {quoted(token)}, which is not in the vocabulary: "
                "give it by add_special_tokens"
            )
        unknown: int | None = self.unk_token_id
        return unknown

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or the tokens of several.

        Parameters
        ----------
        ids
            An int, or a sequence or array of them.
        skip_special_tokens
            Leave out special tokens (of several); ``<unk>`` is one.

        Raises
        ------
        IndexError
            If an id is outside the vocabulary.
        """
        if isinstance(ids, (int, np.integer)):
            return self._token_of(int(ids))
        check_ids("ids", ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._token_of(index) for index in map(as_id, ids) if index not in skipped]

    def _token_of(self, index: int) -> str:
        if index in self._added_by_id:
            return self._added_by_id[index].content
        if not 0 <= index < len(self._vocabulary):
            raise IndexError(
                f"the id {index} is outside the vocabulary of {self.vocab_size} tokens"
            )
        return self._vocabulary.tokens[index]


def check_ids(name: str, value: Any) -> None:
    """Refuse what is neither an id nor several: None, above all."""
    check_type(name, value, (int, np.integer, Iterable), "an id, or a list of ids")


def check_tokens(name: str, value: Any) -> None:
    """Refuse what is neither a token nor several; a str is iterable too."""
    check_type(name, value, Iterable, "a token, or a list of tokens")


def as_id(value: Any) -> int:
    """Return an id as an int; whole floats are taken, as arrays may hold them."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"the id {quoted(value)} is no whole number") from None
