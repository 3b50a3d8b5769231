"""What is checked of a ``tokenizer.json`` before, and after, the library has seen it.

The file is one JSON object: ``model`` (a vocabulary, and how to segment with
it), ``normalizer``, ``pre_tokenizer``, ``post_processor``, ``decoder``,
``added_tokens``. The library is careless with some of it: it numbers added
tokens anew without a word, follows a damaged table of replacements out of
bounds, and takes its own settings for padding from the file.
"""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyxglm.strict_json import quoted, read_json
from pyxglm.tokenization.charsmap import LONGEST_REPLACEMENT, check_charsmap
from pyxglm.tokenization.fast.backend import Backend
from pyxglm.tokenization.saving import FAST_FILE_LIMIT
from pyxglm.tokenization.token_table import LARGEST_ID

#: The kinds of models that the library has.
MODELS = ("Unigram", "BPE", "WordPiece", "WordLevel")


def read_document(path: Path) -> dict[str, Any]:
    """Read and check a ``tokenizer.json``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not strict JSON or fails a check; the message names the file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file, expected a tokenizer.json")
    document = read_json(path, limit=FAST_FILE_LIMIT)
    try:
        check_document(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return document


def check_document(document: Mapping[str, Any]) -> None:
    """Raise ValueError unless the library can be trusted with the document.

    Checked are the model's kind, the ids of its vocabulary, the added tokens,
    tables of replacements (see `check_charsmap`) and the length of replacement
    texts. Everything else is the library's to check.
    """
    model = document.get("model")
    if not isinstance(model, dict):
        raise ValueError(f"model is {quoted(model)}, expected an object")  # noqa: TRY004
    if model.get("type", MODELS[0]) not in MODELS:
        raise ValueError(
            f"the model's type is {quoted(model['type'])}, expected {', '.join(MODELS)}"
        )
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        for token, index in vocabulary.items():
            check_id(index, f"the id of {quoted(token)}")
    elif not isinstance(vocabulary, list):
        raise ValueError("the model's vocab is missing, expected an object or an array")  # noqa: TRY004
    if not vocabulary:
        raise ValueError("the model's vocab is empty")
    _check_merges(model)
    for part in _objects(document.get("normalizer")):
        if part.get("type") == "Precompiled" or "precompiled_charsmap" in part:
            _check_precompiled(part.get("precompiled_charsmap"))
        content = part.get("content", "")
        if isinstance(content, str) and len(content) > LONGEST_REPLACEMENT:
            raise ValueError(
                f"a replacement of {len(content)} characters, expected at most "
                f"{LONGEST_REPLACEMENT}"
            )
    for part in _objects(document.get("post_processor")):
        _check_template(part)
    for entry in added_tokens(document):
        check_id(entry.get("id"), f"the id of added token {quoted(entry.get('content'))}")


def added_tokens(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of ``added_tokens``."""
    entries = document.get("added_tokens")
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"added_tokens is {quoted(entries)}, expected a list of objects")
    return entries


def check_loaded(backend: Backend, document: Mapping[str, Any]) -> None:
    """Raise ValueError unless the library numbers tokens as the document does."""
    for entry in added_tokens(document):
        index = backend.token_to_id(entry["content"])
        if index != entry["id"]:
            raise ValueError(
                f"{backend.where}: the added token {quoted(entry['content'])} has the id "
                f"{entry['id']}, but would get {index}: ids of added tokens go on from the "
                "vocabulary's, and a token of the vocabulary keeps its own"
            )
    for token, index in _named_ids(document.get("post_processor")):
        if index != (own := backend.token_to_id(token)):
            raise ValueError(
                f"{backend.where}: the post_processor gives {quoted(token)} the id "
                f"{quoted(index)}, but the vocabulary {own}"
            )


def check_id(index: object, what: str) -> None:
    """Raise ValueError unless `index` may be a token's id."""
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= LARGEST_ID:
        raise ValueError(f"{what} is {quoted(index)}, expected 0 to {LARGEST_ID}")


def _named_ids(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the tokens that a post-processor names together with their ids."""
    if not isinstance(part, dict):
        return
    for role in ("sep", "cls"):  # of the kinds BertProcessing and RobertaProcessing
        match part.get(role):
            case [str() as token, index]:
                yield token, index
    match part.get("special_tokens"):  # of the kind TemplateProcessing
        case dict() as entries:
            for entry in entries.values():
                # An id too few, or too many, is no token's.
                yield from itertools.zip_longest(entry["tokens"], entry["ids"], fillvalue="")
    match part.get("processors"):  # of the kind Sequence
        case list() as parts:
            for one in parts:
                yield from _named_ids(one)


def _check_merges(model: Mapping[str, Any]) -> None:
    """Raise ValueError if a merge's second half lacks the prefix that the library cuts off it."""
    prefix, merges = model.get("continuing_subword_prefix"), model.get("merges")
    if not isinstance(prefix, str) or not isinstance(merges, list):
        return
    for merge in merges:
        # Older files have "a b", newer ones ["a", "b"].
        halves = merge.split(" ") if isinstance(merge, str) else merge
        match halves:
            case [_, str() as second] if not second.startswith(prefix):
                raise ValueError(
                    f"the merge {quoted(merge)} has a second half without the model's "
                    f"continuing_subword_prefix {quoted(prefix)}"
                )


def _check_template(part: Mapping[str, Any]) -> None:
    """Raise ValueError if a layout has a token that it does not explain, or a text too many."""
    explained = part.get("special_tokens")
    known = explained if isinstance(explained, dict) else {}
    for layout in ("single", "pair"):
        for step in _objects(part.get(layout)):
            match step.get("SpecialToken"):
                case {"id": str() as name} if name not in known:
                    raise ValueError(
                        f"the post_processor puts {quoted(name)} into its {layout} layout, "
                        "but its special_tokens lack it"
                    )
            match step.get("Sequence"):
                case {"id": "B"} if layout == "single":
                    raise ValueError("the post_processor puts a text B into its single layout")


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object inside a value of JSON, itself included."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _check_precompiled(text: object) -> None:
    """Check a table of replacements, which is written in base64."""
    try:
        data = base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    # Python takes what the library does not: left-over bits, more after the end.
    if not data or base64.b64encode(data).decode() != text:
        raise ValueError(f"precompiled_charsmap is {quoted(text)}, expected base64")
    check_charsmap(data)
