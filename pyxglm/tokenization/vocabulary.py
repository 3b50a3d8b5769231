"""XGLM's numbering of sentencepiece's pieces.

XGLM was trained with fairseq, which puts its own four symbols first and seven
filler words last::

    id         0     1       2      3       4    5    ...  N        N+1 ... N+7
    token      <s>   <pad>   </s>   <unk>   p₃   p₄   ...  p_(N-1)  <madeupword0> ... 6

where pᵢ is piece i of the N pieces of the sentencepiece model; its first three,
``<unk> <s> </s>``, are replaced by fairseq's four. So a piece's id is its
number plus one, and what the model does not know is 3.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import check_text
from pyxglm.tokenization.model_proto import ModelProto, parse_model, read_model
from pyxglm.tokenization.protobuf import LENGTH, fields

FAIRSEQ_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
MADEUP_WORDS = tuple(f"<madeupword{index}>" for index in range(7))

#: A piece's id is its number in the sentencepiece model plus this.
FAIRSEQ_OFFSET = 1

#: What may be set of the library, and the types that each takes.
_PROCESSOR_OPTIONS: dict[str, tuple[type, ...]] = {
    "add_bos": (bool,),
    "add_eos": (bool,),
    "reverse": (bool,),
    "emit_unk_piece": (bool,),
    "enable_sampling": (bool,),
    "nbest_size": (int,),
    "alpha": (int, float),
    "num_threads": (int,),
}


def tokens_of(model: ModelProto) -> list[str]:
    """Return the tokens of a sentencepiece model in the order of XGLM's ids."""
    return [*FAIRSEQ_TOKENS, *model.pieces[3:], *MADEUP_WORDS]


class Vocabulary:
    """A sentencepiece model under XGLM's numbering.

    Parameters
    ----------
    model
        The checked model.
    options
        Arguments of ``SentencePieceProcessor``: sampling, above all.
    where
        The file's name, for messages.

    Raises
    ------
    ValueError
        If the library refuses the model all the same, or an option's value.
    TypeError
        If an option is unknown or of another type.
    """

    def __init__(self, model: ModelProto, options: Mapping[str, Any], where: str) -> None:
        self.tokens = tokens_of(model)
        self.ids = {piece: index + FAIRSEQ_OFFSET for index, piece in enumerate(model.pieces)}
        # Asking the library for its unknown piece gives number 0, which means "unknown" as well.
        del self.ids[model.pieces[0]]
        self.ids.update(zip(FAIRSEQ_TOKENS, range(4), strict=True))
        first_madeup = len(model.pieces) + FAIRSEQ_OFFSET
        self.ids.update({word: first_madeup + i for i, word in enumerate(MADEUP_WORDS)})
        self._processor = _load(model.data, options, where)
        self._options = dict(options)
        self._where = where

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], options: Mapping[str, Any]) -> Vocabulary:
        """Read, check and load a model file."""
        return cls(read_model(Path(path)), options, str(path))

    @classmethod
    def from_proto(cls, proto: bytes, options: Mapping[str, Any]) -> Vocabulary:
        """Check and load a serialised model, as `proto` gives it."""
        return cls(parse_model(proto, "the pickled model"), options, "the pickled model")

    @property
    def processor(self) -> Any:
        """The ``sentencepiece.SentencePieceProcessor``."""
        return self._processor

    def proto(self) -> bytes:
        """Return the model as the bytes that a model file holds."""
        return bytes(self._processor.serialized_model_proto())

    def segment(self, text: str) -> list[str]:
        """Return the pieces of `text`; what is unknown stands as itself.

        Raises
        ------
        ValueError
            If `text` holds half of a surrogate pair, or the library cannot do
            what `options` ask (only unigram models give samples).
        """
        pieces: list[str] = self._encoded(text, str)
        return pieces

    def align(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        """Return the pieces of `text`, and the characters that each was made of.

        Parameters
        ----------
        text
            A text that is not empty.

        Returns
        -------
        pieces
            As `segment` returns them (with sampling, another draw).
        spans
            For each, (start, end) in characters of `text`; an added ``<s>`` or
            ``</s>`` stands between characters, where it was added.

        Raises
        ------
        ValueError
            As `segment`.
        """
        pieces, spans, at = [], [], _character_at_byte(text)
        for piece, index, start, end in self._aligned(text):
            unknown = index == self._processor.unk_id() and self._options.get("emit_unk_piece")
            pieces.append(self._processor.id_to_piece(index) if unknown else piece)
            spans.append((int(at[start]), int(at[end])))
        if self._options.get("reverse"):
            pieces, spans = pieces[::-1], spans[::-1]
        for option, index, place in (
            ("add_bos", self._processor.bos_id(), 0),
            ("add_eos", self._processor.eos_id(), len(text)),
        ):
            if self._options.get(option):
                where = 0 if option == "add_bos" else len(pieces)
                pieces.insert(where, self._processor.id_to_piece(index))
                spans.insert(where, (place, place))
        return pieces, spans

    def _aligned(self, text: str) -> Iterator[tuple[str, int, int, int]]:
        """Yield piece, number, and the bytes of `text` that it came from (start, end).

        The library writes a message for this, SentencePieceText, of which
        field 2 holds the pieces: 1 piece, 2 id, 3 surface, 4 begin, 5 end.
        """
        # That message knows none of the four: they are applied to what it says.
        plain = dict.fromkeys(("add_bos", "add_eos", "reverse", "emit_unk_piece"), False)
        data: bytes = self._encoded(text, "serialized_proto", **plain)
        for key, start, stop in fields(data):
            if key >> 3 == 2:
                values: dict[int, Any] = {2: 0, 4: 0, 5: 0}  # zeros need not be written
                for inner, value, end in fields(data, start, stop):
                    values[inner >> 3] = data[value:end] if inner & 7 == LENGTH else value
                yield values[1].decode("utf-8"), values[2], values[4], values[5]

    def _encoded(self, text: str, out_type: Any, **options: bool) -> Any:
        if not text.isascii():
            check_text(text, "the text")
        try:
            return self._processor.encode(text, out_type=out_type, **options)
        except RuntimeError as error:
            raise ValueError(f"{self._where}: sentencepiece refuses the text: {error}") from None

    def __len__(self) -> int:
        """N + 8: the pieces, ``<pad>`` and the filler words."""
        return len(self.tokens)


def _character_at_byte(text: str) -> NDArray[np.int64]:
    """Return, for each byte of `text` in UTF-8 and for its end, which character it is in.

    >>> _character_at_byte("aé!").tolist()
    [0, 1, 1, 2, 3]
    """
    data = np.frombuffer(text.encode("utf-8") + b"!", np.uint8)
    return np.cumsum((data & 0xC0) != 0x80) - 1


def check_processor_options(options: object) -> dict[str, Any]:
    """Check the arguments for the library and return a copy of them.

    Raises
    ------
    TypeError
        If `options` is no mapping, or an option is unknown or of another type.
    ValueError
        If a value makes no sense to the library: sampling needs ``nbest_size``
        2 to 512, or -1 for all segmentations, and a finite ``alpha``.
    """
    if not isinstance(options, Mapping):
        raise TypeError(f"sp_model_kwargs: {quoted(options)}, expected a dict")
    for name, value in options.items():
        types = _PROCESSOR_OPTIONS.get(name)
        if types is None:
            raise TypeError(
                f"sp_model_kwargs: unknown option {quoted(name)}, expected "
                + ", ".join(_PROCESSOR_OPTIONS)
            )
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise TypeError(
                f"sp_model_kwargs: {name} is {quoted(value)}, expected {types[-1].__name__}"
            )
    nbest_size, alpha = options.get("nbest_size", -1), options.get("alpha", 0.1)
    if options.get("enable_sampling") and not (nbest_size < 0 or 2 <= nbest_size <= 512):
        raise ValueError(f"sp_model_kwargs: nbest_size is {nbest_size}, expected -1 or 2 to 512")
    if not math.isfinite(alpha):
        raise ValueError(f"sp_model_kwargs: alpha is {alpha}, expected a finite number")
    if abs(options.get("num_threads", -1)) > 1024:
        raise ValueError("sp_model_kwargs: num_threads is beyond 1024")
    return dict(options)


def _load(data: bytes, options: Mapping[str, Any], where: str) -> Any:
    """Hand a checked model to the library."""
    import sentencepiece  # only now: a program without a tokenizer need not load it

    processor = sentencepiece.SentencePieceProcessor(**options)
    try:
        processor.LoadFromSerializedProto(data)
    except (RuntimeError, ValueError, OSError) as error:
        raise ValueError(f"{where}: sentencepiece refuses the model: {error}") from None
    return processor
