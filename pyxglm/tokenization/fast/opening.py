"""What the constructor's arguments amount to: a file, a model to convert, an object."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyxglm.strict_json import quoted
from pyxglm.tokenization.fast.backend import Backend, library
from pyxglm.tokenization.fast.conversion import convert_file
from pyxglm.tokenization.fast.document import check_loaded, read_document


def open_backend(
    vocab_file: str | None,
    tokenizer_file: str | os.PathLike[str] | None,
    tokenizer_object: Any,
    from_slow: bool,
) -> Backend:
    """Return the library's tokenizer that the arguments amount to."""
    tokenizer_class = library().Tokenizer
    if isinstance(tokenizer_object, Backend):
        return tokenizer_object
    if tokenizer_object is not None:
        if not isinstance(tokenizer_object, tokenizer_class):
            raise TypeError(
                f"tokenizer_object is {quoted(tokenizer_object)}, expected a tokenizers.Tokenizer"
            )
        return Backend(copy.deepcopy(tokenizer_object), "tokenizer_object")
    if tokenizer_file is not None and not from_slow:
        return load(read_document(Path(tokenizer_file)), str(tokenizer_file))
    if vocab_file is None:
        raise ValueError(
            "XGLMTokenizerFast needs a tokenizer_file, or a vocab_file to convert"
            + (" for from_slow=True" if from_slow else "")
        )
    return convert_file(Path(vocab_file))


def load(document: Mapping[str, Any], where: str) -> Backend:
    """Return the library's tokenizer of a document that `read_document` has checked."""
    backend = Backend.from_document(document, where)
    check_loaded(backend, document)
    return backend


def take_settings(backend: Backend, arguments: dict[str, Any]) -> None:
    """Move what a file says of sides into the arguments, as defaults."""
    for name, settings in (
        ("truncation_side", backend.tokenizer.truncation),
        ("padding_side", backend.tokenizer.padding),
    ):
        if settings is not None:
            arguments.setdefault(name, settings["direction"])
    backend.call("no_truncation")
    backend.call("no_padding")
