"""Look into a sentencepiece model before the library does.

The file is a protocol buffer (``sentencepiece_model.proto``)::

    ModelProto      1 pieces (repeated)  2 trainer_spec  3 normalizer_spec
                    4 self_test_data     5 denormalizer_spec
    SentencePiece   1 piece  2 score (float32)  3 type, below
    TrainerSpec     3 model_type (1 unigram, 2 BPE, 3 word, 4 char)  35 byte_fallback  ...
    NormalizerSpec  2 precompiled_charsmap  ...

The library of a user may be an old one, which a forged file can crash, so
everything that it will follow or index by is checked here. What comes out is
also what XGLM needs to number the pieces: their texts in order.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyxglm.strict_json import quoted
from pyxglm.tokenization.charsmap import check_charsmap
from pyxglm.tokenization.protobuf import FIXED32, LENGTH, VARINT, fields

UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

#: XGLM's model has 4.9 MB; whatever is far beyond is no vocabulary.
SIZE_LIMIT = 64 * 2**20

#: Bytes in the longest piece; trained ones have at most 16 characters, user-defined ones are words.
LONGEST_PIECE = 2**14

#: The pieces that XGLM's numbering takes for granted: id 0, 1 and 2 and their types.
XGLM_LAYOUT = (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL))

_TYPES = {
    NORMAL: "NORMAL",
    UNKNOWN: "UNKNOWN",
    CONTROL: "CONTROL",
    USER_DEFINED: "USER_DEFINED",
    UNUSED: "UNUSED",
    BYTE: "BYTE",
}


@dataclass(frozen=True, eq=False)
class ModelProto:
    """A sentencepiece model that has passed the checks.

    Attributes
    ----------
    data
        The file's bytes, to be handed to the library.
    pieces
        The texts of the N pieces, in order.
    types
        Their N types.
    scores
        Their N scores, logarithms of probabilities.
    model_type
        How the model segments: `UNIGRAM`, `BPE`, `WORD` or `CHAR`.
    charsmap
        The normaliser's table of replacements, see `charsmap`; empty if none.
    """

    data: bytes
    pieces: tuple[str, ...]
    types: bytes
    scores: NDArray[np.float32]
    model_type: int
    charsmap: bytes


def read_model(path: Path) -> ModelProto:
    """Read and check a sentencepiece model file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no regular file, too large, or fails a check of
        `parse_model`; the message names the file.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: no such file, expected a sentencepiece model") from None
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a regular file, expected a sentencepiece model")
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise ValueError(
            f"{path}: {status.st_size} bytes, a sentencepiece model has at most {SIZE_LIMIT}"
        )
    return parse_model(data, str(path))


def parse_model(data: bytes, where: str) -> ModelProto:
    """Check a serialised sentencepiece model.

    Parameters
    ----------
    data
        The bytes of a ``ModelProto``.
    where
        What it is, for messages: a file's name.

    Raises
    ------
    ValueError
        If `data` is not a well-formed model: no protocol buffer, a field of
        another type, an empty, repeated, overlong or undecodable piece, a
        score that is not finite, an unknown type, an incomplete set of byte
        pieces, or a charsmap that leads astray (see `check_charsmap`). Also
        if the first three pieces are not the unknown piece and two control
        pieces, which XGLM's numbering takes for granted.
    """
    try:
        return _parse(data)
    except ValueError as error:
        raise ValueError(f"{where}: not a sentencepiece model for XGLM: {error}") from None


def _parse(data: bytes) -> ModelProto:
    starts: list[int] = []
    stops: list[int] = []
    single: dict[int, tuple[int, int]] = {}
    position = 0
    while position < len(data):
        position = _skip_short_pieces(data, position, starts, stops)
        for key, start, stop in fields(data, position):
            number = key >> 3
            position = stop
            if number > 5:
                continue  # a newer field, or an extension: the library skips it as well
            if key & 7 != LENGTH:
                raise ValueError(f"field {number} of the model has wire type {key & 7}")
            if number == 1:
                starts.append(start)
                stops.append(stop)
                break  # more short pieces may follow
            if number in single:
                raise ValueError(f"field {number} of the model stands twice")
            single[number] = start, stop
    pieces, scores, types = _read_pieces(data, starts, stops)
    _check_pieces(pieces, scores, types)
    model_type = _check_trainer_spec(data, single.get(2, (0, 0)), pieces, types)
    charsmap, _ = (_check_normalizer_spec(data, single.get(number, (0, 0))) for number in (3, 5))
    return ModelProto(data, tuple(pieces), types, scores, model_type, charsmap)


def _skip_short_pieces(data: bytes, position: int, starts: list[int], stops: list[int]) -> int:
    """Note where the pieces of less than 128 bytes lie that follow `position`.

    This is `fields` for the one case that occurs 256,000 times: key 0x0A and a
    length of one byte. Returns where something else begins.
    """
    last = len(data) - 1
    while position < last and data[position] == 0x0A and data[position + 1] < 0x80:
        stop = position + 2 + data[position + 1]
        if stop > last + 1:
            break
        starts.append(position + 2)
        stops.append(stop)
        position = stop
    return position


def _read_pieces(
    data: bytes, starts: list[int], stops: list[int]
) -> tuple[list[str], NDArray[np.float32], bytes]:
    """Read the SentencePiece messages at these places: texts, scores, types.

    Trainers write text, score and then the type if it is not NORMAL. Messages
    of that shape are recognised and read all at once; the others one by one.
    """
    octets = np.frombuffer(data + bytes(8), np.uint8)
    start_N, stop_N = np.array(starts, np.int64), np.array(stops, np.int64)
    length_N = np.where(start_N + 1 < len(data), octets[start_N + 1], 0).astype(np.int64)
    score_N = np.minimum(start_N + 2 + length_N, len(data))
    rest_N = stop_N - score_N
    plain_N = (octets[start_N] == 0x0A) & (length_N < 0x80) & (octets[score_N] == 0x15)
    typed_N = (rest_N == 7) & (octets[np.minimum(score_N + 5, len(data))] == 0x18)
    plain_N &= (rest_N == 5) | typed_N
    type_N = np.where(typed_N, octets[np.minimum(score_N + 6, len(data))], NORMAL)
    plain_N &= type_N < 0x80

    scores = np.zeros(len(starts), np.float32)
    bytes_N4 = octets[np.minimum(score_N[plain_N, None] + np.arange(1, 5), len(data))]
    scores[plain_N] = np.ascontiguousarray(bytes_N4).view("<f4")[:, 0]
    texts = [data[a:b] for a, b in zip((start_N + 2).tolist(), score_N.tolist(), strict=True)]
    kinds = type_N.tolist()
    for index in np.flatnonzero(~plain_N).tolist():
        texts[index], scores[index], kinds[index] = _piece(data, starts[index], stops[index], index)
    for index, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        if kind not in _TYPES:
            raise ValueError(f"piece {index} has type {kind}, expected 1 to 6")
        if not 0 < len(text) <= LONGEST_PIECE:
            raise ValueError(f"piece {index} has {len(text)} bytes, expected 1 to {LONGEST_PIECE}")
    try:
        pieces = [text.decode("utf-8") for text in texts]
    except UnicodeDecodeError as error:
        raise ValueError(f"the piece {error.object[:32]!r} is not UTF-8") from None
    return pieces, scores, bytes(kinds)


def _piece(data: bytes, start: int, stop: int, index: int) -> tuple[bytes, float, int]:
    """Read one SentencePiece message of any shape: its text, score and type."""
    text, score, kind = b"", 0.0, NORMAL
    for key, value, end in fields(data, start, stop):
        if key == (1 << 3 | LENGTH):
            text = data[value:end]
        elif key == (2 << 3 | FIXED32):
            (score,) = struct.unpack("<f", data[value:end])
        elif key == (3 << 3 | VARINT):
            kind = value
        elif key >> 3 <= 3:
            raise ValueError(f"field {key >> 3} of piece {index} has wire type {key & 7}")
    return text, score, kind


def _check_pieces(pieces: list[str], scores: NDArray[np.float32], types: bytes) -> None:
    """Check the vocabulary as a whole."""
    if len(pieces) < len(XGLM_LAYOUT):
        raise ValueError(f"{len(pieces)} pieces, expected at least <unk>, <s> and </s>")
    if not np.isfinite(scores).all():
        index = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"piece {index} has the score {scores[index]}, expected a finite one")
    if "\0" in "".join(pieces):
        index = next(index for index, piece in enumerate(pieces) if "\0" in piece)
        raise ValueError(f"piece {index}, {quoted(pieces[index])}, holds a NUL")
    if len(set(pieces)) < len(pieces):
        seen: set[str] = set()
        for index, piece in enumerate(pieces):
            if piece in seen:
                raise ValueError(f"piece {index}, {quoted(piece)}, stands twice")
            seen.add(piece)
    for index, (name, kind) in enumerate(XGLM_LAYOUT):
        if types[index] != kind:
            raise ValueError(
                f"piece {index} is {quoted(pieces[index])} of type {_TYPES[types[index]]}, "
                f"expected {name} of type {_TYPES[kind]}"
            )
    if types.count(UNKNOWN) > 1:
        raise ValueError(f"{types.count(UNKNOWN)} pieces of type UNKNOWN, expected one")


def _check_trainer_spec(data: bytes, span: tuple[int, int], pieces: list[str], types: bytes) -> int:
    """Check the two settings that change how the library walks the vocabulary; return the first."""
    model_type, byte_fallback = UNIGRAM, 0
    for key, value, _ in fields(data, *span):
        if key >> 3 in (3, 35) and key & 7 != VARINT:
            raise ValueError(f"field {key >> 3} of trainer_spec has wire type {key & 7}")
        if key >> 3 == 3:
            model_type = value
        elif key >> 3 == 35:
            byte_fallback = value
    if model_type not in (UNIGRAM, BPE, WORD, CHAR):
        raise ValueError(f"model_type {model_type}, expected 1 (unigram) to 4")
    bytes_found = {piece for piece, kind in zip(pieces, types, strict=True) if kind == BYTE}
    bytes_expected = {f"<0x{byte:02X}>" for byte in range(256)} if byte_fallback else set()
    if bytes_found != bytes_expected:
        raise ValueError(
            f"{len(bytes_found)} pieces of type BYTE, expected "
            + ("<0x00> to <0xFF>" if byte_fallback else "none without byte_fallback")
        )
    return model_type


def _check_normalizer_spec(data: bytes, span: tuple[int, int]) -> bytes:
    """Check and return the character replacements of one normaliser."""
    charsmap = b""
    for key, value, end in fields(data, *span):
        if key >> 3 == 2:
            if key & 7 != LENGTH:
                raise ValueError(f"field 2 of normalizer_spec has wire type {key & 7}")
            charsmap = data[value:end]
    check_charsmap(charsmap)
    return charsmap
