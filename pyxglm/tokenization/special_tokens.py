"""The tokens that mean something to the model: ``tokenizer.eos_token`` and its kin.

Each of seven roles may hold one token, and an eighth holds a list. A token has
two faces, its string and its id: ``tokenizer.pad_token`` and
``tokenizer.pad_token_id`` are two views of one slot, and both can be set.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import AddedToken, check_text

logger = logging.getLogger("pyxglm.tokenization")

#: The roles in transformers' order, which is the order in which new tokens get their ids.
SINGLE_ROLES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
ROLES = (*SINGLE_ROLES, "additional_special_tokens")

Token = str | AddedToken


class _TokenRole:
    """A descriptor: the string of the token in one role, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, tokenizer: SpecialTokens | None, owner: type | None = None) -> Any:
        if tokenizer is None:
            return self
        token = tokenizer._roles[self.name]
        if token is None:
            if tokenizer.verbose:
                logger.error("Using %s, but it is not set yet.", self.name)
            return None
        return str(token)

    def __set__(self, tokenizer: SpecialTokens, token: Token | None) -> None:
        tokenizer._roles[self.name] = None if token is None else own_token(token, self.name)


class _TokenIdRole:
    """A descriptor: the id of the token in one role, or None."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name.removesuffix("_id")

    def __get__(self, tokenizer: SpecialTokens | None, owner: type | None = None) -> Any:
        if tokenizer is None:
            return self
        token = tokenizer._roles[self.role]
        return None if token is None else tokenizer.convert_tokens_to_ids(str(token))

    def __set__(self, tokenizer: SpecialTokens, index: int | None) -> None:
        token = None if index is None else tokenizer.convert_ids_to_tokens(index)
        tokenizer._roles[self.role] = token


class SpecialTokens(ABC):
    """What a tokenizer knows of its special tokens.

    Attributes
    ----------
    bos_token, eos_token, unk_token, sep_token, pad_token, cls_token, mask_token
        The string of the token in that role, or None. May be set to a string,
        an `AddedToken` or None; that alone does not put it in the vocabulary
        (`add_special_tokens` does).
    bos_token_id, eos_token_id, …
        Its id, or None. May be set to an id of the vocabulary or None.
    additional_special_tokens, additional_special_tokens_ids
        The list without a role: strings, ids.
    pad_token_type_id
        0, what padding adds to ``token_type_ids``.
    verbose
        Whether to log each use of a role that is not set.
    """

    bos_token, eos_token, unk_token = _TokenRole(), _TokenRole(), _TokenRole()
    sep_token, pad_token, cls_token = _TokenRole(), _TokenRole(), _TokenRole()
    mask_token = _TokenRole()
    bos_token_id, eos_token_id, unk_token_id = _TokenIdRole(), _TokenIdRole(), _TokenIdRole()
    sep_token_id, pad_token_id, cls_token_id = _TokenIdRole(), _TokenIdRole(), _TokenIdRole()
    mask_token_id = _TokenIdRole()

    SPECIAL_TOKENS_ATTRIBUTES: ClassVar[list[str]] = list(ROLES)
    pad_token_type_id = 0

    def __init__(self, tokens: Mapping[str, Any], verbose: bool = False) -> None:
        self._roles: dict[str, Token | None] = dict.fromkeys(SINGLE_ROLES)
        self._additional: list[Token] = []
        self.verbose = verbose
        # No copies here: roles of a saved tokenizer may share one AddedToken, and go on doing so.
        for role in SINGLE_ROLES:
            if tokens.get(role) is not None:
                self._roles[role] = check_token(tokens[role], role)
        for token in tokens.get("additional_special_tokens") or ():
            self._additional.append(check_token(token, "additional_special_tokens"))

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The size of the vocabulary without added tokens."""

    @property
    @abstractmethod
    def added_tokens_encoder(self) -> dict[str, int]:
        """Token to id for the special and added tokens, by id."""

    @property
    @abstractmethod
    def added_tokens_decoder(self) -> Mapping[int, AddedToken]:
        """Id to token for the special and added tokens, by id."""

    @abstractmethod
    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Turn one token, or several, into ids."""

    @abstractmethod
    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Turn one id, or several, into tokens."""

    @abstractmethod
    def _register(self, tokens: Sequence[Token], special_tokens: bool) -> int:
        """Put tokens into the vocabulary; return how many were new to it."""

    @property
    def additional_special_tokens(self) -> list[str]:
        """The special tokens without a role of their own."""
        return [str(token) for token in self._additional]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Sequence[Token] | None) -> None:
        self._additional = own_tokens(tokens or (), "additional_special_tokens")

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        """The ids of `additional_special_tokens`."""
        ids: list[int] = self.convert_tokens_to_ids(self.additional_special_tokens)
        return ids

    @additional_special_tokens_ids.setter
    def additional_special_tokens_ids(self, ids: Sequence[int]) -> None:
        self._additional = [self.convert_ids_to_tokens(index) for index in ids]

    @property
    def special_tokens_map_extended(self) -> dict[str, Token | list[Token]]:
        """Role to token, for the roles that are set; each token as it was given."""
        tokens: dict[str, Token | list[Token]] = {
            role: token for role, token in self._roles.items() if token
        }
        if self._additional:
            tokens["additional_special_tokens"] = list(self._additional)
        return tokens

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """Role to token, for the roles that are set; all as strings."""
        tokens: dict[str, str | list[str]] = {
            role: str(token)
            for role, token in self._roles.items()
            if token is not None and str(token)
        }
        if self._additional:
            tokens["additional_special_tokens"] = self.additional_special_tokens
        return tokens

    @property
    def all_special_tokens_extended(self) -> list[Token]:
        """All special tokens, in the order of the roles, as they were given.

        A string that has stood in an earlier role is left out; repetitions
        within `additional_special_tokens` stay.
        """
        tokens: list[Token] = []
        seen: set[str] = set()
        for value in self.special_tokens_map_extended.values():
            role = value if isinstance(value, list) else [value]
            fresh = [token for token in role if str(token) not in seen]
            seen.update(map(str, fresh))
            tokens += fresh
        return tokens

    @property
    def all_special_tokens(self) -> list[str]:
        """All special tokens as strings; ``<unk>`` is one of them."""
        return [str(token) for token in self.all_special_tokens_extended]

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        ids: list[int] = self.convert_tokens_to_ids(self.all_special_tokens)
        return ids

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, Token | Sequence[Token]],
        replace_additional_special_tokens: bool = True,
    ) -> int:
        """Give tokens their roles, and the vocabulary those that it lacks.

        Parameters
        ----------
        special_tokens_dict
            Role to token; ``additional_special_tokens`` takes a list.
        replace_additional_special_tokens
            Whether that list replaces the present one or is appended. A
            replaced token stays in the vocabulary and is still never split,
            but no longer counts as special.

        Returns
        -------
        int
            How many tokens were new to the vocabulary. The model's embedding
            needs as many rows more: ``resize_token_embeddings(len(tokenizer))``.

        Raises
        ------
        ValueError
            If a key is no role.
        TypeError
            If a value is no token, or no list of tokens.
        """
        added: list[Token] = []
        for role, value in special_tokens_dict.items():
            if role == "additional_special_tokens":
                tokens = [_special(token) for token in own_tokens(value, role)]
                if not replace_additional_special_tokens:
                    present = self.additional_special_tokens
                    tokens = [token for token in tokens if str(token) not in present]
                if replace_additional_special_tokens and tokens:
                    self._additional = list(tokens)
                else:
                    self._additional.extend(tokens)
                added += tokens
            elif role in SINGLE_ROLES:
                token = _special(own_token(value, role))
                self._roles[role] = token
                if token not in added:
                    added.append(token)
            else:
                raise ValueError(
                    f"add_special_tokens: {quoted(role)} is no special token's role, "
                    f"expected one of {', '.join(ROLES)}"
                )
        return self._register(added, special_tokens=True) if added else 0

    def add_tokens(self, new_tokens: Token | Sequence[Token], special_tokens: bool = False) -> int:
        """Make strings into tokens that are cut out of a text before it is segmented.

        Parameters
        ----------
        new_tokens
            One string or `AddedToken`, or several. A string that the vocabulary
            has already keeps its id.
        special_tokens
            Whether they are special: left out by ``skip_special_tokens``.

        Returns
        -------
        int
            How many were new to the vocabulary; they get the ids from
            ``len(tokenizer)`` upwards.

        Raises
        ------
        TypeError
            If one is no string and no `AddedToken`.
        """
        if not new_tokens:
            return 0
        if isinstance(new_tokens, (str, AddedToken)):
            new_tokens = [new_tokens]
        return self._register(own_tokens(new_tokens, "add_tokens"), special_tokens)


def own_token(token: object, role: str) -> Token:
    """Check that `token` is one, and copy it: callers' objects stay as they are."""
    checked = check_token(token, role)
    return checked.copy() if isinstance(checked, AddedToken) else checked


def check_token(token: object, role: str) -> Token:
    """Check that `token` is one."""
    if isinstance(token, AddedToken):
        return token
    if not isinstance(token, str):
        raise TypeError(
            f"{role}: {quoted(token)} is {type(token).__name__}, expected a str or AddedToken"
        )
    check_text(token, role)
    return token


def own_tokens(tokens: object, role: str) -> list[Token]:
    """Check and copy a list of tokens."""
    if not isinstance(tokens, (list, tuple)):
        raise TypeError(f"{role}: {quoted(tokens)} is {type(tokens).__name__}, expected a list")
    return [own_token(token, role) for token in tokens]


def _special(token: Token) -> AddedToken:
    """Return the AddedToken that a plain string stands for in a special role."""
    return AddedToken(token, special=True) if isinstance(token, str) else token
