"""Mutations of sentencepiece models: the protocol buffer, its meaning, the charsmap's trie."""

from __future__ import annotations

import io
import math
import struct
import tempfile
from pathlib import Path
from random import Random

from mutation.tokens import TEXTS, awkward_integer, spoil

#: A field: number, wire type, value (an integer, or bytes, or a list of fields).
Field = tuple[int, int, object]

PIECE, TRAINER, NORMALIZER, DENORMALIZER = 1, 2, 3, 5
CHARSMAP, RULES_FILE = 2, 6
SENTENCES = [
    *("the cat sat on the mat and the dog sat on the log", "le chat est là, où est le chien ?"),
    *("кот сидит на столе", "東京は日本の首都です。", "ｆｕｌｌ width ﬁne ① 한국어"),
] * 20  # fmt: skip
RULES = "41\t61\nFF46\t66\nFB01\t66 69\n20 20\t20\n2460\t31\n301 302\t303\n7F\t\n"


def train(*, vocab_size: int = 120, **options: object) -> bytes:
    """Train a model of a few hundred pieces at most."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=vocab_size,
        hard_vocab_limit=False, minloglevel=2, num_threads=1, **options,
    )  # fmt: skip
    return model.getvalue()


def seed_models() -> list[list[Field]]:
    """Train one model of each kind; the last one has the full table of XGLM's normalisation."""
    with tempfile.TemporaryDirectory() as place:
        rules = Path(place) / "rules.tsv"
        rules.write_text(RULES)
        models = [parse(model) for model in _train_all(str(rules))]
    for model in models:
        for number, _, inside in model:
            if number == NORMALIZER:
                # Where the rules were read from: another place each time.
                inside[:] = [field for field in inside if field[0] != RULES_FILE]
    return models


def _train_all(rules: str) -> list[bytes]:
    custom = {"normalization_rule_tsv": rules}
    return [
        train(**custom),
        train(**custom, user_defined_symbols=["<sep>", "東京"], control_symbols=["<c>"]),
        train(**custom, model_type="bpe"),
        train(**custom, model_type="char"),
        train(normalization_rule_name="identity"),
        train(normalization_rule_name="identity", byte_fallback=True, vocab_size=400),
        train(normalization_rule_name="nmt_nfkc"),
    ]


def varint(value: int) -> bytes:
    """Write a varint, of 64 bits if it is negative."""
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def parse(data: bytes, nested: bool = True) -> list[Field]:
    """Cut a message into its fields, and the model's parts into theirs."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire = key >> 3, key & 7
        value: object
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire == 5:
            value, at = data[at : at + 4], at + 4
        elif wire == 1:
            value, at = data[at : at + 8], at + 8
        else:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
            if nested and number in (PIECE, TRAINER, NORMALIZER, DENORMALIZER):
                value = parse(value, nested=False)
        fields.append((number, wire, value))
    return fields


def emit(fields: list[Field]) -> bytes:
    """Write fields as a message."""
    out = []
    for number, wire, value in fields:
        out.append(varint(number << 3 | wire))
        if isinstance(value, list):
            value = emit(value)
        if isinstance(value, int):
            out.append(varint(value))
        else:
            out.append(varint(len(value)) + value if wire == 2 else value)
    return b"".join(out)


def _mutate_piece(rng: Random, fields: list[Field], pieces: list[int]) -> None:
    at = rng.choice(pieces if rng.random() < 0.6 else pieces[:4])
    piece = {number: (wire, value) for number, wire, value in fields[at][2]}
    match rng.randrange(8):
        case 0:
            text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
            piece[1] = (2, rng.choice((text, text, rng.randbytes(4), b"<0x41>", b"\xed\xa0\x80")))
        case 1:
            other = fields[rng.choice(pieces)][2]
            piece[1] = next(((w, v) for n, w, v in other if n == 1), (2, b""))
        case 2 | 3:
            score = rng.choice((math.nan, math.inf, -math.inf, 0.0, -0.0, 1e38, -1e38, 1e-45, 5.0))
            piece[2] = (5, struct.pack("<f", score))
        case 4 | 5:
            piece[3] = (0, rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 255, 2**31, 2**63, -1)))
        case 6:
            piece.pop(rng.choice([*piece]), None)
        case _:
            number = rng.choice((1, 2, 3, 4, 0, 199, 2**28))
            piece[number] = rng.choice(((0, 5), (2, b"x"), (5, b"abcd"), (1, bytes(8)), (3, b"")))
    fields[at] = (PIECE, 2, [(number, *rest) for number, rest in piece.items()])


def mutate_charsmap(rng: Random, blob: bytes) -> bytes:
    """Change the double array, the texts, or where one ends and the other starts."""
    if len(blob) < 8:
        return rng.randbytes(rng.randrange(20))
    size = struct.unpack_from("<L", blob)[0]
    trie, texts = bytearray(blob[4 : 4 + size]), blob[4 + size :]
    for _ in range(rng.choice((1, 1, 2, 8))):
        match rng.randrange(6):
            case 0 | 1 | 2 if len(trie) >= 4:
                # The first unit is the root; those in use are few, and not all zero.
                used = [n for n in range(0, len(trie) - 3, 4) if trie[n : n + 4] != b"\0\0\0\0"]
                at = rng.choice(used[:64] or [0]) if rng.random() < 0.7 else rng.choice(used or [0])
                unit = struct.unpack_from("<L", trie, at)[0]
                number = rng.choice((
                    unit ^ 1 << rng.randrange(32), rng.getrandbits(32), 0, 2**32 - 1, 2**31,
                    unit & 0xFF | 1 << 10, unit | 1 << 9, unit & 0x800003FF,
                ))  # fmt: skip
                struct.pack_into("<L", trie, at, number)
            case 3:
                size = awkward_integer(rng, size) % 2**32
            case 4:
                texts = rng.choice((b"", texts[:-1], texts.replace(b"\0", b"x"), spoil(rng, texts)))
            case _:
                cut = rng.randrange(len(trie) + 1)
                trie, size = trie[:cut], cut
    return struct.pack("<L", size) + bytes(trie) + texts


def _mutate_spec(rng: Random, fields: list[Field], number: int) -> None:
    """Change a field of the trainer's or the normaliser's settings."""
    at = next((n for n, field in enumerate(fields) if field[0] == number), None)
    if at is None:
        fields.append((number, 2, []))
        at = len(fields) - 1
    inside = list(fields[at][2]) if isinstance(fields[at][2], list) else []
    found = next((n for n, f in enumerate(inside) if f[:2] == (CHARSMAP, 2)), None)
    if number == NORMALIZER and found is not None and rng.random() < 0.7:
        inside[found] = (CHARSMAP, 2, mutate_charsmap(rng, bytes(inside[found][2])))
    elif inside and rng.random() < 0.3:
        inside.pop(rng.randrange(len(inside)))
    else:
        known = (
            (3, 4, 24, 35, 40, 41, 42, 43, 44, 45, 49) if number == TRAINER else (1, 2, 3, 4, 5, 6)
        )
        field = rng.choice((*known, rng.randrange(60)))
        text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        value = rng.choice(((0, rng.randrange(6)), (0, awkward_integer(rng)), (2, text)))
        inside.append((field, *value))
    fields[at] = (number, 2, inside)


def mutate_model(rng: Random, seed: list[Field]) -> bytes:
    """Return a model spoilt in one or a few places."""
    fields = list(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        pieces = [
            n for n, (number, _, v) in enumerate(fields) if number == PIECE and isinstance(v, list)
        ]
        at = rng.randrange(len(fields)) if fields else 0
        match rng.randrange(12):
            case 0 | 1 | 2 if pieces:
                _mutate_piece(rng, fields, pieces)
            case 3 | 4 | 5:
                _mutate_spec(rng, fields, NORMALIZER)
            case 6:
                _mutate_spec(rng, fields, TRAINER)
            case 7:
                _mutate_spec(rng, fields, DENORMALIZER)
            case 8 if fields:
                fields.insert(0, fields[at])
                if rng.random() < 0.5:
                    fields = fields[1:at] + fields[at + 1 :]
            case 9 if pieces:
                other = rng.choice(pieces[:5])
                fields[at], fields[other] = fields[other], fields[at]
            case 10:
                field = rng.choice((0, 1, 2, 3, 4, 5, 6, 200, 2**29))
                value = rng.choice(((0, awkward_integer(rng)), (2, b"\x0a\x01a"), (5, bytes(4))))
                fields.insert(at, (field, *rng.choice((value, (3, b""), (4, b""), (7, b"")))))
            case _ if fields:
                number, wire, value = fields[at]
                inner = emit(value) if isinstance(value, list) else value
                if isinstance(inner, bytes):
                    fields[at] = (number, rng.choice((wire, wire, 0, 1, 3, 5)), spoil(rng, inner))
    whole = emit(fields)
    return spoil(rng, whole) if rng.random() < 0.1 else whole
