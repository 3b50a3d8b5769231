"""Tokens and ids of a fast tokenizer: the library's vocabulary and its added tokens."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import AddedToken
from pyxglm.tokenization.fast.backend import Backend, library
from pyxglm.tokenization.special_tokens import SpecialTokens, Token, logger
from pyxglm.tokenization.token_table import as_id, check_ids, check_tokens


class FastTable(SpecialTokens):
    """A tokenizer of the library with special and added tokens: tokens to ids and back.

    Parameters
    ----------
    backend
        The library's tokenizer.
    special_tokens
        Role to token, see `SpecialTokens`. Those that the tokenizer does not
        know as added tokens are added.
    added_tokens
        Id to token: the tokens that a saved tokenizer had been given. The
        library numbers new ones itself; if it comes to another number, that is
        logged.
    verbose
        Whether to log more.
    """

    def __init__(
        self,
        backend: Backend,
        special_tokens: Mapping[str, Any],
        added_tokens: Mapping[int, Token],
        verbose: bool = False,
    ) -> None:
        self._backend = backend
        super().__init__(special_tokens, verbose)
        saved = sorted(added_tokens.items())
        tokens = [token for _, token in saved]
        names = {*self.added_tokens_encoder, *map(str, tokens)}
        # A plain string that is known keeps its flags; an AddedToken brings its own.
        tokens += [
            token
            for token in self.all_special_tokens_extended
            if isinstance(token, AddedToken) or token not in names
        ]
        roles = set(self.all_special_tokens)

        def is_special(token: Token) -> bool:
            return str(token) in roles or (isinstance(token, AddedToken) and token.special)

        for special, group in itertools.groupby(tokens, is_special):
            self._register(list(group), special)
        for index, token in saved:
            found = backend.token_to_id(str(token))
            if found != index:
                logger.warning(
                    "%s: %s has the id %s here, not %d", backend.where, quoted(token), found, index
                )

    # --- The vocabulary -------------------------------------------------------------

    @property
    def backend_tokenizer(self) -> Any:
        """The ``tokenizers.Tokenizer``."""
        return self._backend.tokenizer

    @property
    def decoder(self) -> Any:
        """The ``tokenizers.decoders.Decoder``."""
        return self._backend.tokenizer.decoder

    @property
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens."""
        size: int = self._backend.call("get_vocab_size", with_added_tokens=False)
        return size

    def __len__(self) -> int:
        """Count the tokens, added ones included: the rows that the model's embedding needs."""
        size: int = self._backend.call("get_vocab_size", with_added_tokens=True)
        return size

    def get_vocab(self) -> dict[str, int]:
        """Return token to id by id, added tokens included."""
        vocabulary = self._backend.call("get_vocab", with_added_tokens=True)
        return dict(sorted(vocabulary.items(), key=lambda item: (item[1], item[0])))

    @property
    def vocab(self) -> dict[str, int]:
        """The same as `get_vocab`."""
        return self.get_vocab()

    def get_added_vocab(self) -> dict[str, int]:
        """Return token to id for the special and added tokens, by id."""
        return {token.content: index for index, token in self.added_tokens_decoder.items()}

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Token to id for the special and added tokens, by id."""
        return self.get_added_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Id to token for the special and added tokens, by id."""
        found = self._backend.call("get_added_tokens_decoder")
        return {index: _ours(token) for index, token in sorted(found.items())}

    def _register(self, tokens: Sequence[Token], special_tokens: bool) -> int:
        method, sent = "add_special_tokens", list(tokens)
        for token in sent if special_tokens else ():
            if isinstance(token, AddedToken):
                token.special = True
        if not special_tokens:
            # As with the release that transformers 4.37.2 had, this alone makes none special.
            method, sent = "add_tokens", [_not_special(token) for token in tokens]
        count: int = self._backend.call(method, [_theirs(token) for token in sent])
        return count

    # --- Tokens to ids and back -----------------------------------------------------

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or the ids of several; None for None.

        An unknown token has the id of ``<unk>``, or None if there is none.
        """
        if tokens is None:
            return None
        if isinstance(tokens, str):
            return self._id_of(tokens)
        check_tokens("tokens", tokens)
        return [self._id_of(token) for token in tokens]

    def _id_of(self, token: str) -> int | None:
        index = self._backend.token_to_id(token)
        unknown_token = self._roles["unk_token"]
        if index is None and unknown_token is not None and token == str(unknown_token):
            raise ValueError(
                f"unk_token is {quoted(token)}, which is not in the vocabulary: "
                "give it by add_special_tokens"
            )
        unknown: int | None = self.unk_token_id if index is None else index
        return unknown

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Return the token of an id, or the tokens of several; None where there is no such id.

        Parameters
        ----------
        ids
            An int, or a sequence or array of them.
        skip_special_tokens
            Leave out special tokens (of several); ``<unk>`` is one.

        Raises
        ------
        ValueError
            If one is no whole number, or less than 0.
        """
        if isinstance(ids, (int, np.integer)):
            return self._backend.call("id_to_token", int(ids))
        check_ids("ids", ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [
            self._backend.call("id_to_token", index)
            for index in map(as_id, ids)
            if index not in skipped
        ]


def _theirs(token: Token) -> Any:
    """Return a token as the library's object, or as the string that it is."""
    return token if isinstance(token, str) else library().AddedToken(**token.to_json())


def _not_special(token: Token) -> Token:
    if isinstance(token, AddedToken):
        token = token.copy()
        token.special = False
    return token


def _ours(token: Any) -> AddedToken:
    """Return the library's AddedToken as ours."""
    names = ("content", "single_word", "lstrip", "rstrip", "special", "normalized")
    return AddedToken(**{name: getattr(token, name) for name in names})
