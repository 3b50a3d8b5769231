"""AddedToken: a string that is one token wherever it stands in a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyxglm.strict_json import quoted

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class AddedToken:
    """A token that is cut out of the text before sentencepiece sees it.

    Parameters
    ----------
    content
        The string.
    single_word
        Match only between spaces: a neighbour that does not begin (or end)
        with a space takes the token into its text again.
    lstrip, rstrip
        Eat the white space on that side of the token.
    special
        It controls the model (``</s>``) and is no text: `decode` leaves it out
        when asked to skip special tokens.
    normalized
        Look for it in the normalised text: `XGLMTokenizerFast` heeds it,
        `XGLMTokenizer` keeps it for files. Default: ``not special``, also
        when that is changed later.

    Raises
    ------
    TypeError
        If `content` is no string or a flag no bool.
    ValueError
        If `content` holds half of a surrogate pair.

    Examples
    --------
    >>> AddedToken("</s>", special=True).normalized
    False
    """

    __slots__ = ("_normalized", "content", "lstrip", "rstrip", "single_word", "special")

    def __init__(
        self,
        content: str = "",
        single_word: bool = False,
        lstrip: bool = False,
        rstrip: bool = False,
        special: bool = False,
        normalized: bool | None = None,
    ) -> None:
        if not isinstance(content, str):
            raise TypeError(f"AddedToken: content is {type(content).__name__}, expected str")
        if not content.isascii():
            check_text(content, "AddedToken: content")
        self.content = content
        self.single_word = single_word
        self.lstrip = lstrip
        self.rstrip = rstrip
        self.special = special
        self._normalized = normalized
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(
                    f"AddedToken {quoted(content)}: {name} is {quoted(getattr(self, name))}, "
                    "expected a bool"
                )

    @property
    def normalized(self) -> bool:
        """Whether to look for it in the normalised text."""
        return (not self.special) if self._normalized is None else self._normalized

    @normalized.setter
    def normalized(self, value: bool) -> None:
        self._normalized = value

    @classmethod
    def from_json(cls, value: object, where: str) -> AddedToken:
        """Make a token of the JSON object that `to_json` gives.

        Unknown keys are ignored, as other programs may add some.

        Raises
        ------
        ValueError
            If it is no object with a string ``content`` and boolean flags;
            `where` says which one in the message.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("content"), str):
            raise ValueError(f'{where}: expected an object with a string "content"')  # noqa: TRY004
        flags = {name: value[name] for name in _FLAGS if value.get(name) is not None}
        try:
            return cls(value["content"], **flags)
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as transformers orders them."""
        names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
        return {name: getattr(self, name) for name in names}

    def copy(self) -> AddedToken:
        """Return an equal token that may be changed."""
        return AddedToken(**{**self.to_json(), "normalized": self._normalized})

    def __str__(self) -> str:
        return self.content

    def __repr__(self) -> str:
        return (
            f'AddedToken("{self.content}", rstrip={self.rstrip}, lstrip={self.lstrip}, '
            f"single_word={self.single_word}, normalized={self.normalized}, "
            f"special={self.special})"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddedToken):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.content)


def settled(token: Any) -> Any:
    """Return an AddedToken whose flags no longer depend on one another; others as they are."""
    return AddedToken(**token.to_json()) if isinstance(token, AddedToken) else token


def check_text(text: str, what: str) -> None:
    r"""Raise ValueError if `text` holds half of a surrogate pair, which UTF-8 cannot write.

    Examples
    --------
    >>> check_text("a\ud800", "the text")
    Traceback (most recent call last):
    ...
    ValueError: the text holds half of a surrogate pair, U+D800, at position 1
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} holds half of a surrogate pair, U+{ord(text[error.start]):04X}, "
            f"at position {error.start}"
        ) from None
