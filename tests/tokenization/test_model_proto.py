"""Damaged model files: one clear ValueError each, that names the file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
from tokenization.model_files import LAYOUT, WORDS, charsmap, field, model, piece, varint

from pyxglm.tokenization import XGLMTokenizer
from pyxglm.tokenization.model_proto import parse_model, read_model

BYTES = [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]


def test_pieces_as_the_library_sees_them(models: Path) -> None:
    for path in sorted(models.glob("*.model")):
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        found = read_model(path)
        assert list(found.pieces) == [processor.IdToPiece(i) for i in range(len(processor))]
        assert [kind == 3 for kind in found.types] == [
            processor.IsControl(i) for i in range(len(processor))
        ]
        assert found.data == path.read_bytes()


def test_all_shapes_of_pieces() -> None:
    """Fields in any order, long pieces, unknown fields and no score: as the library reads them."""
    odd = field(1, field(3, 4) + field(2, -1.5) + field(1, b"user"))
    long_piece = piece("長" * 60, -9.0)
    bare = field(1, field(1, b"bare"))
    extra = field(1, field(1, b"extra") + field(200, b"later") + field(2, -4.0))
    data = b"".join([*(piece(*entry) for entry in (*LAYOUT, *WORDS)), odd, long_piece, bare, extra])
    data += field(99, 7) + field(77, b"extension") + varint(300 << 3 | 1) + bytes(8)
    found = parse_model(data + piece("last", -2.0, 4), "here")
    processor = sentencepiece.SentencePieceProcessor(model_proto=data + piece("last", -2.0, 4))
    assert list(found.pieces) == [processor.IdToPiece(i) for i in range(len(processor))]
    assert found.pieces[-5:] == ("user", "長" * 60, "bare", "extra", "last")


def test_a_hand_made_model_works(tmp_path: Path) -> None:
    spec = field(2, charsmap({b"A": b"a", "é".encode(): b"b"}))
    (tmp_path / "m.model").write_bytes(model(normalizer=spec))
    tokenizer = XGLMTokenizer(tmp_path / "m.model")
    assert tokenizer.encode("Aé") == [2, 7]  # ▁ab is piece 6
    assert tokenizer.encode("Aé?") == [2, 7, 3]
    assert len(tokenizer) == len(LAYOUT) + len(WORDS) + 8


def test_other_names_for_the_first_pieces(tmp_path: Path) -> None:
    """Types make the layout, not names: number 0 means unknown, whatever it is called."""
    names = [("[UNK]", 0.0, 2), ("[BOS]", 0.0, 3), ("[EOS]", 0.0, 3)]
    (tmp_path / "m.model").write_bytes(model([*names, *WORDS]))
    tokenizer = XGLMTokenizer(tmp_path / "m.model")
    assert tokenizer.convert_tokens_to_ids(["[UNK]", "[BOS]", "[EOS]", "▁"]) == [3, 2, 3, 4]
    assert tokenizer.encode("ab?") == [2, 7, 3]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 pieces"),
        (b"not a model at all", "byte 0"),
        (b"\x0a", "no varint at byte 1"),
        (b"\x0a\x80", "no varint at byte 1"),
        (b"\x0a\x7f<unk>", "ends at 129, but its message at 7"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "ends at"),
        (b"\x0a" + b"\xff" * 10, "no varint"),
        (b"\x00\x00", "field number 0"),
        (model() + b"\x0b", "wire type 3"),
        (model() + b"\x08\x01", "field 1 of the model has wire type 0"),
        (model()[:-3], "ends at"),
        (model()[:-1], "no varint at byte"),
        (model(tail=field(3, b"")), "field 3 of the model stands twice"),
        (model([*LAYOUT, ("", 0.0, None)]), "piece 3 has 0 bytes"),
        (model([*LAYOUT, ("x" * 20000, 0.0, None)]), "piece 3 has 20000 bytes"),
        (model([*LAYOUT, ("a\0b", 0.0, None)]), "piece 3, 'a.x00b', holds a NUL"),
        (model([*LAYOUT, (b"\xff", 0.0, None)]), "is not UTF-8"),
        (model([*LAYOUT, ("a", float("nan"), None)]), "piece 3 has the score nan"),
        (model([*LAYOUT, ("a", float("-inf"), None)]), "piece 3 has the score -inf"),
        (model([*LAYOUT, ("a", 0.0, 7)]), "piece 3 has type 7"),
        (model([*LAYOUT, ("a", 0.0, -1)]), "piece 3 has type 18446744073709551615"),
        (model([*LAYOUT, ("a", 0.0, 0)]), "piece 3 has type 0"),
        (model([*LAYOUT, ("a", 0.0, None), ("a", 1.0, None)]), "piece 4, 'a', stands twice"),
        (model([*LAYOUT, ("u", 0.0, 2)]), "2 pieces of type UNKNOWN"),
        (model(WORDS), "piece 0 is '.u2581' of type NORMAL, expected <unk>"),
        (model([LAYOUT[1], LAYOUT[0], LAYOUT[2]]), "piece 0 is '<s>' of type CONTROL"),
        (model([LAYOUT[0], ("a", 0.0, None), LAYOUT[2]]), "piece 1 is 'a' of type NORMAL"),
        (model(LAYOUT[:2]), "2 pieces, expected at least"),
        (model([*LAYOUT, *BYTES]), "256 pieces of type BYTE, expected none"),
        (model(trainer=field(35, 1)), "0 pieces of type BYTE, expected <0x00> to <0xFF>"),
        (model([*LAYOUT, *BYTES[:-1]], trainer=field(35, 1)), "255 pieces of type BYTE"),
        (model(trainer=field(3, 9)), "model_type 9"),
        (model(trainer=field(3, b"1")), "field 3 of trainer_spec has wire type 2"),
        (model(normalizer=field(2, 5)), "field 2 of normalizer_spec has wire type 0"),
        (field(1, field(1, 5)), "field 1 of piece 0 has wire type 0"),
        (field(1, b"\x0a\x05ab"), "ends at"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_damage(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "damaged.model"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        XGLMTokenizer(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_byte_fallback_is_fine() -> None:
    data = model([*LAYOUT, *BYTES, *WORDS], trainer=field(35, 1))
    assert len(parse_model(data, "here").pieces) == 3 + 256 + len(WORDS)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.model: no such file, expected"):
        XGLMTokenizer(tmp_path / "absent.model")
    with pytest.raises(ValueError, match="not a regular file"):
        XGLMTokenizer(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        XGLMTokenizer(tmp_path / "pipe")
    with pytest.raises(TypeError, match="vocab_file is 'None'"):
        XGLMTokenizer(None)  # type: ignore[arg-type]


def test_a_file_beyond_all_measure(tmp_path: Path) -> None:
    path = tmp_path / "huge.model"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, but nobody may read it
    with pytest.raises(ValueError, match="1099511627776 bytes, a sentencepiece model has at most"):
        XGLMTokenizer(path)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Damage a model in one of a few ways; lengths and offsets are hit often."""
    damaged = bytearray(data)
    kind = chance.randrange(4)
    if kind == 0:
        del damaged[chance.randrange(len(damaged)) :]
    elif kind == 1:
        for _ in range(chance.choice([1, 4, 40])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    elif kind == 2:
        start = chance.randrange(len(damaged))
        del damaged[start : start + chance.choice([1, 2, 7, 100])]
    else:
        start = damaged.rfind(b"nmt_nfkc") + 20
        for _ in range(chance.choice([1, 30, 3000])):
            at = start + 4 * chance.randrange(45000)
            damaged[at : at + 4] = chance.getrandbits(32).to_bytes(4, "little")
    return bytes(damaged)


CHILD = """
import random, resource, signal, sys
from pathlib import Path
from pyxglm.tokenization import XGLMTokenizer
from tokenization.test_model_proto import mutate
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
source, folder = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
good = refused = 0
for seed in range(150):
    signal.alarm(10)
    path = folder / "m.model"
    path.write_bytes(mutate(source, random.Random(seed)))
    try:
        tokenizer = XGLMTokenizer(path)
        for text in ("The dog \\u24b6 ﬁ １ ｶﾞ กำ", "".join(map(chr, range(1, 0xd7ff, 7)))):
            tokenizer.decode(tokenizer.encode(text))
        good += 1
    except ValueError as error:
        assert str(path) in str(error) and "\\n" not in str(error), error
        refused += 1
print(good, refused)
"""


def test_mutations_in_a_child_process(models: Path, tmp_path: Path) -> None:
    """No crash, no hang, no other exception, and nothing of the library's on stderr."""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(models / "small.model"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"},
    )
    assert (run.returncode, run.stderr) == (0, "")
    good, refused = map(int, run.stdout.split())
    assert good + refused == 150
    assert good > 0
    assert refused > 50
