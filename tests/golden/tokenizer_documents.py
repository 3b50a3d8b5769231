"""Write a tokenizer.json for a sentencepiece model, as transformers and as the hub have it.

`record_fast_tokenizer.py` holds the first kind against what transformers
writes; the second is the published file's, made by an older converter: it has
no step that takes white space off the right end, and turns runs of spaces into
a space.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from pyxglm.tokenization.model_proto import read_model

FIRST = ("<s>", "<pad>", "</s>", "<unk>")
LAST = tuple(f"<madeupword{index}>" for index in range(7))
_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def document(path: Path, *, hub: bool) -> dict[str, Any]:
    """Return the content of the file of either kind."""
    model = read_model(path)
    scored = zip(model.pieces[3:], model.scores[3:].tolist(), strict=True)
    vocabulary = [(token, 0.0) for token in FIRST], scored, [(word, 0.0) for word in LAST]
    charsmap = base64.b64encode(model.charsmap).decode()
    steps: list[dict[str, Any]] = []
    if charsmap:
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if not hub:
        steps.append({"type": "Strip", "strip_left": False, "strip_right": True})
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " " if hub else "▁"}
    metaspace = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    if not hub:
        metaspace["prepend_scheme"] = "always"
    special = {"id": "</s>", "type_id": 0}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    separator = {"SpecialToken": special}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": token, **_PLAIN, "special": True}
            for index, token in [
                *enumerate(FIRST),
                *enumerate(LAST, len(model.pieces) + 1),
            ]
        ],
        "normalizer": {"type": "Sequence", "normalizers": [*steps, spaces]},
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [separator, first],
            "pair": [separator, first, separator, separator, second],
            "special_tokens": {
                token: {"id": token, "ids": [FIRST.index(token)], "tokens": [token]}
                for token in ("</s>", "<s>")
            },
        },
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": [[token, score] for part in vocabulary for token, score in part],
        },
    }


def write_documents(models: Path) -> None:
    """Write NAME-hub.json and NAME-saved.json beside each NAME.model."""
    for path in sorted(models.glob("*.model")):
        for kind in ("hub", "saved"):
            text = json.dumps(document(path, hub=kind == "hub"), ensure_ascii=False)
            path.with_name(f"{path.stem}-{kind}.json").write_text(text, encoding="utf-8")
