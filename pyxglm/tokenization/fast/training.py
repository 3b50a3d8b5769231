"""A new vocabulary for the same kind of tokenizer, learnt by the library's trainers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyxglm.strict_json import quoted
from pyxglm.tokenization.added_token import AddedToken
from pyxglm.tokenization.fast.backend import Backend, library, refusals
from pyxglm.tokenization.fast.document import added_tokens
from pyxglm.tokenization.special_tokens import Token

#: The library's name of the trainer for each kind of model.
_TRAINERS = {
    "Unigram": "UnigramTrainer",
    "BPE": "BpeTrainer",
    "WordLevel": "WordLevelTrainer",
    "WordPiece": "WordPieceTrainer",
}

_WHERE = "train_new_from_iterator"


def train(
    backend: Backend,
    texts: Any,
    vocab_size: int,
    length: int | None,
    new_tokens: Sequence[Token],
    renamed: Mapping[str, str],
    options: Mapping[str, Any],
) -> Backend:
    """Train a tokenizer with the normaliser, layout and special tokens of another.

    Parameters
    ----------
    backend
        The other one.
    texts, vocab_size, length, new_tokens, renamed, options
        See `XGLMTokenizerFast.train_new_from_iterator`.

    Raises
    ------
    ValueError
        If the library refuses.
    """
    tokenizers = library()
    document = backend.document()
    model = document["model"]
    # Both name ids of the old vocabulary: they come back below.
    entries = added_tokens(document)
    post_processor = document.pop("post_processor")
    document["added_tokens"] = []
    arguments: dict[str, Any] = {"vocab_size": vocab_size, **_emptied(model, renamed)}
    if (document.get("pre_tokenizer") or {}).get("type") == "ByteLevel":
        arguments["initial_alphabet"] = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    # A unigram vocabulary is learnt with all added tokens in it, others with the special ones.
    kept = [entry for entry in entries if entry["special"] or model["type"] == "Unigram"]
    arguments["special_tokens"] = [
        *(tokenizers.AddedToken(**_flags(entry, renamed)) for entry in kept),
        *(
            tokenizers.AddedToken(**token.to_json()) if isinstance(token, AddedToken) else token
            for token in new_tokens
        ),
    ]
    with refusals(_WHERE):
        trainer_class = getattr(tokenizers.trainers, _TRAINERS[model["type"]])
        trainer = trainer_class(**{**arguments, **options})
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(document))
        tokenizer.train_from_iterator(texts, trainer=trainer, length=length)
        trained = json.loads(tokenizer.to_str())
        trained["post_processor"] = _renumbered(post_processor, tokenizer, renamed)
        return Backend(tokenizers.Tokenizer.from_str(json.dumps(trained)), _WHERE)


def rename(token: Token, renamed: Mapping[str, str]) -> Token:
    """Return a token under its new name, with the flags that it has."""
    content = renamed.get(str(token), str(token))
    if isinstance(token, str):
        return content
    return AddedToken(**{**token.to_json(), "content": content})


def _emptied(model: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Empty a model's vocabulary; return what its trainer has to know of it."""
    told: dict[str, Any] = {}
    if model["type"] == "Unigram":
        if model.get("unk_id") is not None:
            unknown = model["vocab"][model["unk_id"]][0]
            unknown = renamed.get(unknown, unknown)
            model["vocab"], model["unk_id"] = [[unknown, 0.0]], 0
            told["unk_token"] = unknown
        return told
    model["vocab"] = {}
    if model.get("unk_token") in renamed:
        model["unk_token"] = renamed[model["unk_token"]]
    if model["type"] == "BPE":
        model["merges"] = []
        for name in ("continuing_subword_prefix", "end_of_word_suffix"):
            if model.get(name) is not None:
                told[name] = model[name]
    return told


def _flags(entry: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of AddedToken that an entry of ``added_tokens`` holds."""
    token = AddedToken.from_json(entry, _WHERE)
    return {**token.to_json(), "content": renamed.get(token.content, token.content)}


def _renumbered(part: Any, tokenizer: Any, renamed: Mapping[str, str]) -> Any:
    """Return a post-processor with the ids that the trained tokenizer has."""
    if part is None:
        return None

    def new(token: str) -> tuple[str, int]:
        name = renamed.get(token, token)
        index = tokenizer.token_to_id(name)
        if index is None:
            raise ValueError(f"the layout needs the token {quoted(name)}, which was not learnt")
        return name, index

    part = dict(part)
    for role in ("sep", "cls"):
        if role in part:
            part[role] = list(new(part[role][0]))
    if "special_tokens" in part:
        entries = {}
        for key, entry in part["special_tokens"].items():
            pairs = [new(token) for token in entry["tokens"]]
            entries[key] = {
                "id": entry["id"],
                "tokens": [name for name, _ in pairs],
                "ids": [index for _, index in pairs],
            }
        part["special_tokens"] = entries
    if "processors" in part:
        part["processors"] = [_renumbered(one, tokenizer, renamed) for one in part["processors"]]
    return part
