"""The documented methods of the fast tokenizer, called by the names of their arguments."""

from __future__ import annotations

import json

from golden.compare import FOLDER

from pyxglm.tokenization import XGLMTokenizerFast


def test_the_layout_of_sequences(shared_fast: XGLMTokenizerFast) -> None:
    one, two = {"token_ids_0": [5, 6]}, {"token_ids_0": [5, 6], "token_ids_1": [7]}
    build = shared_fast.build_inputs_with_special_tokens
    assert build(**one) == [2, 5, 6]
    assert build(**two) == [2, 5, 6, 2, 2, 7]
    types = shared_fast.create_token_type_ids_from_sequences
    assert types(**one) == [0] * 3
    assert types(**two) == [0] * 6


def test_it_has_its_tables() -> None:
    tables = json.loads((FOLDER / "api.json").read_text(encoding="utf-8"))["archives"]
    assert XGLMTokenizerFast.vocab_files_names == tables["FAST_VOCAB_FILES_NAMES"]
    assert XGLMTokenizerFast.pretrained_vocab_files_map == tables["FAST_PRETRAINED_VOCAB_FILES_MAP"]
    assert (
        XGLMTokenizerFast.max_model_input_sizes == tables["PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES"]
    )
