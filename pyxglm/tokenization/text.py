"""From text to tokens, and from ids to text.

A text is cut at the special strings (`splitting`); each stretch between two of
them goes to sentencepiece by itself, so that each begins a new word ("▁").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pyxglm.tokenization.decoding import Decoding
from pyxglm.tokenization.special_tokens import Token, logger
from pyxglm.tokenization.splitting import Stretch
from pyxglm.tokenization.token_table import TokenTable, check_ids
from pyxglm.tokenization.vocabulary import Vocabulary

#: What a space looks like inside a piece.
SPACE_MARK = "▁"


class TextTokens(Decoding, TokenTable):
    """A table of tokens that cuts texts into them and puts texts together again.

    Parameters
    ----------
    vocabulary, special_tokens, added_tokens, verbose
        See `TokenTable`.
    split_special_tokens
        Whether special strings in a text are ordinary text.
    clean_up_tokenization_spaces
        Whether `decode` mends English typography unless told otherwise.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        special_tokens: Mapping[str, Any],
        added_tokens: Mapping[int, Token],
        *,
        split_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool = True,
        verbose: bool = False,
    ) -> None:
        self.split_special_tokens = split_special_tokens
        self.clean_up_tokenization_spaces = clean_up_tokenization_spaces
        super().__init__(vocabulary, special_tokens, added_tokens, verbose)

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """Cut a text into tokens.

        Parameters
        ----------
        text
            The text.
        **kwargs
            ``split_special_tokens``: whether special strings are ordinary text
            this time. ``is_split_into_words`` says that the text is one word of
            several, which makes no difference to XGLM. Others are logged and
            ignored.

        Returns
        -------
        list[str]
            Pieces and special strings. What the vocabulary lacks stands as
            itself and will have the id of ``<unk>``.

        Raises
        ------
        TypeError
            If `text` is no str.
        ValueError
            If it holds half of a surrogate pair.

        Notes
        -----
        A special string in the text is that token: a text from outside that
        holds ``</s>`` ends a document. `split_special_tokens` prevents it.
        """
        tokens: list[str] = []
        for stretch, is_token in self._stretches(text, kwargs):
            if is_token:
                tokens.append(stretch.text)
            else:
                tokens.extend(self._vocabulary.segment(stretch.text))
        return tokens

    def tokenize_with_offsets(
        self, text: str, **kwargs: Any
    ) -> tuple[list[str], list[tuple[int, int]]]:
        """Cut a text into tokens, and say which characters each of them came from.

        Parameters
        ----------
        text, **kwargs
            As for `tokenize`.

        Returns
        -------
        tokens
            What `tokenize` returns.
        offsets
            For each token, (start, end): it stands for ``text[start:end]``.
            They never go back. A piece takes in the space before it; one that
            stands for no character of its own (the "▁" before a text, all but
            the last of the pieces that one character became) has start = end.

        Raises
        ------
        TypeError, ValueError
            As `tokenize`.

        Notes
        -----
        The alignment is sentencepiece's own: it records, for each byte of the
        normalised text, which bytes of the original it was made of.
        """
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        for stretch, is_token in self._stretches(text, kwargs):
            if is_token:
                pieces, spans = [stretch.text], [(0, len(stretch.text))]
            else:
                pieces, spans = self._vocabulary.align(stretch.text)
            tokens.extend(pieces)
            offsets.extend(stretch.span(start, end) for start, end in spans)
        return tokens, offsets

    def _stretches(self, text: str, kwargs: dict[str, Any]) -> list[tuple[Stretch, bool]]:
        """Return the stretches of a text, and whether each is a token as it stands."""
        if not isinstance(text, str):
            raise TypeError(f"tokenize: the text is {type(text).__name__}, expected str")
        split_special_tokens = kwargs.pop("split_special_tokens", self.split_special_tokens)
        kwargs.pop("is_split_into_words", None)
        if kwargs:
            logger.warning("Keyword arguments %s not recognized.", kwargs)
        if split_special_tokens:
            return [(Stretch(text, range(len(text))), False)] if text else []
        parts: list[Stretch] = []
        start = 0
        for part in self._splitter.split(text):
            parts.append(Stretch(part, range(start, start + len(part))))
            start += len(part)
        self._trim(parts)
        return [(part, part.text in self._added_ids) for part in parts if part.text]

    def _trim(self, parts: list[Stretch]) -> None:
        """Let the added tokens among `parts` act on their neighbours.

        Every part is looked at as its left neighbour has left it.
        """
        nothing = Stretch("", range(0))
        last = len(parts) - 1
        for i in range(len(parts)):
            token = self._added_by_id.get(self._added_ids.get(parts[i].text, -1))
            if token is None:
                continue
            left = parts[i - 1] if i > 0 else nothing
            right = parts[i + 1] if i < last else nothing
            if token.rstrip and right.text:
                parts[i + 1] = right.lstrip()
            if token.lstrip and left.text:
                parts[i - 1] = left.rstrip()
            # Whether a neighbour touches the token is judged before that stripping.
            if token.single_word and left.text and left.text[-1] != " ":
                parts[i - 1] += parts[i]
                parts[i] = nothing
            elif token.single_word and right.text and right.text[0] != " ":
                parts[i + 1] = parts[i] + parts[i + 1]
                parts[i] = nothing

    def convert_tokens_to_string(self, tokens: Iterable[str]) -> str:
        """Join tokens; "▁" becomes a space, spaces at both ends go.

        Examples
        --------
        >>> TextTokens.convert_tokens_to_string(None, ["▁Hel", "lo", "▁world"])
        'Hello world'
        """
        return "".join(tokens).replace(SPACE_MARK, " ").strip()

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        spaces_between_special_tokens: bool = True,
        **kwargs: Any,
    ) -> str:
        """Turn ids into text.

        Parameters
        ----------
        token_ids
            One int, or a sequence or one-axis array of them.
        skip_special_tokens
            Leave out special tokens; ``<unk>`` is one.
        clean_up_tokenization_spaces
            Mend English typography (`clean_up_tokenization`), which changes
            texts of other languages as well: French " !" loses its space.
            Default: as the tokenizer was made.
        spaces_between_special_tokens
            Put a space around each token that was added to the vocabulary.
        **kwargs
            Ignored, as in transformers.

        Raises
        ------
        IndexError
            If an id is outside the vocabulary.
        ValueError
            If an id is no whole number.
        """
        if isinstance(token_ids, np.ndarray):
            token_ids = token_ids.tolist()
        check_ids("token_ids", token_ids)
        tokens = self.convert_ids_to_tokens(token_ids, skip_special_tokens)
        # Only tokens from outside the vocabulary stand apart; </s> is joined like a piece.
        apart = set(self._added_ids) - set(self.all_special_tokens)
        apart.update(
            token
            for token in self.additional_special_tokens
            if self.convert_tokens_to_ids(token) >= self.vocab_size
        )
        texts: list[str] = []
        run: list[str] = []
        for token in tokens:
            if token not in apart:
                run.append(token)
                continue
            if text := self.convert_tokens_to_string(run):
                texts.append(text)
            texts.append(token)
            run = []
        if run:
            texts.append(self.convert_tokens_to_string(run))
        text = (" " if spaces_between_special_tokens else "").join(texts)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        return self.clean_up_tokenization(text) if clean_up_tokenization_spaces else text
