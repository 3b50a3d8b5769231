"""The documented methods of the tokenizer, called by the names of their arguments."""

from __future__ import annotations

from pathlib import Path

from pyxglm.tokenization import XGLMTokenizer


def test_the_layout_of_sequences(shared: XGLMTokenizer) -> None:
    one, two = {"token_ids_0": [5, 6]}, {"token_ids_0": [5, 6], "token_ids_1": [7]}
    build = shared.build_inputs_with_special_tokens
    assert build(**one) == [2, 5, 6]
    assert build(**two) == [2, 5, 6, 2, 2, 7]
    assert build([5], token_ids_1=None) == [2, 5]
    mask = shared.get_special_tokens_mask
    assert mask(**one) == [1, 0, 0]
    assert mask(**two) == [1, 0, 0, 1, 1, 0]
    ids = [2, 5, 3, 1, 0]  # </s>, a piece, <unk>, <pad>, <s>
    assert mask(token_ids_0=ids, already_has_special_tokens=True) == [1, 0, 1, 1, 1]
    types = shared.create_token_type_ids_from_sequences
    assert types(**one) == [0] * 3
    assert types(**two) == [0] * 6


def test_the_vocabulary_file(models: Path, tmp_path: Path) -> None:
    tokenizer = XGLMTokenizer(vocab_file=str(models / "small.model"))
    assert tokenizer.vocab_file == str(models / "small.model")
    (path,) = tokenizer.save_vocabulary(save_directory=str(tmp_path), filename_prefix="pre")
    assert Path(path) == tmp_path / "pre-sentencepiece.bpe.model"
    assert Path(path).read_bytes() == (models / "small.model").read_bytes()
    (path,) = tokenizer.save_vocabulary(tmp_path)
    assert Path(path) == tmp_path / "sentencepiece.bpe.model"
