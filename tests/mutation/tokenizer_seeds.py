"""Small tokenizer.json documents of every kind of model, for a mutation run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from golden.tokenizer_documents import document
from tokenization.model_files import LAYOUT, WORDS, charsmap, field, model

#: Replacements as a normaliser has them: longer ones, shorter ones, deletions.
_REPLACEMENTS = {"ﬁ": "fi", "①": "1", "\u200b": "", "A": "a", "x\u0301": "x"}

_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True}


def seeds() -> list[dict[str, Any]]:
    """Return documents that open."""
    blob = charsmap({key.encode(): text.encode() for key, text in _REPLACEMENTS.items()})
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "small.model"
        path.write_bytes(model((*LAYOUT, *WORDS), normalizer=field(2, blob)))
        hub, saved = (document(path, hub=kind) for kind in (True, False))
    return [hub, saved, _byte_level(), _words("WordPiece"), _words("WordLevel")]


def _byte_level() -> dict[str, Any]:
    """Return a byte-level BPE, as other models of the architecture have."""
    tokens = ["<|endoftext|>", "<pad>", "a", "b", "Ġ", "ab", "Ġab", "Ċ", "!"]
    entry = {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    pattern = {"Regex": r" ?\p{L}+| ?[^\s\p{L}]+|\s+"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": {"max_length": 9, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 4},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 1,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
        "added_tokens": [
            {"id": 0, "content": "<|endoftext|>", **_PLAIN, "special": True},
            {"id": 9, "content": "<new>", **_PLAIN, "special": False},
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<|endoftext|>": entry},
        },
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": ["a b", "Ġ ab"],
        },
    }


def _words(kind: str) -> dict[str, Any]:
    """Return a tokenizer of whole words, or of words and what they go on with."""
    tokens = ["[UNK]", "[CLS]", "[SEP]", "ab", "a", "##b", "!"]
    model: dict[str, Any] = {
        "type": kind,
        "unk_token": "[UNK]",
        "vocab": {token: index for index, token in enumerate(tokens)},
    }
    if kind == "WordPiece":
        model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 0, "content": "[UNK]", **_PLAIN, "special": True}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": model,
    }
