"""The files of a saved tokenizer, as transformers 4.37.2 writes and reads them.

===========================  =====================================================
``sentencepiece.bpe.model``  the pieces
``tokenizer_config.json``    the constructor's arguments; added tokens by id
``special_tokens_map.json``  the special tokens once more, for older releases
``added_tokens.json``        added tokens beyond the vocabulary, for older releases
``tokenizer.json``           all of a fast tokenizer but its arguments
===========================  =====================================================

``special_tokens_map.json`` and ``added_tokens.json`` are read only if
``tokenizer_config.json`` has no added tokens; so are those of ``tokenizer.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyxglm.archive import FAST_VOCAB_FILES_NAMES, VOCAB_FILES_NAMES
from pyxglm.files import write_atomically
from pyxglm.place import as_path
from pyxglm.strict_json import quoted, read_json
from pyxglm.tokenization.added_token import AddedToken
from pyxglm.tokenization.special_tokens import ROLES, SINGLE_ROLES, Token, logger
from pyxglm.tokenization.vocabulary import check_processor_options

if TYPE_CHECKING:
    from pyxglm.tokenization.pretrained import PreTrainedTokenizer

VOCABULARY_FILE = VOCAB_FILES_NAMES["vocab_file"]
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
ADDED_TOKENS_FILE = "added_tokens.json"
FAST_FILE = FAST_VOCAB_FILES_NAMES["tokenizer_file"]

#: The published tokenizer.json has nine megabytes.
FAST_FILE_LIMIT = 64 * 2**20

#: Arguments whose present value is saved, not the one that the constructor got.
_LIVE = (
    *ROLES,
    "sp_model_kwargs",
    "model_max_length",
    "padding_side",
    "truncation_side",
    "clean_up_tokenization_spaces",
    "split_special_tokens",
    "model_input_names",
    "verbose",
)

#: What a file may say of arguments that are no tokens.
_TYPES: dict[str, tuple[type, ...]] = {
    "model_max_length": (int, float),
    "max_len": (int, float),
    "padding_side": (str,),
    "truncation_side": (str,),
    "clean_up_tokenization_spaces": (bool,),
    "split_special_tokens": (bool,),
    "verbose": (bool,),
    "model_input_names": (list,),
    "sp_model_kwargs": (dict,),
    "additional_special_tokens": (list,),
    "added_tokens_decoder": (dict,),
}


def file_in(directory: Path, prefix: str | None, name: str) -> Path:
    """Return the path of a file, with a prefix and a hyphen if there is one."""
    return directory / (f"{prefix}-{name}" if prefix else name)


# --- Writing ------------------------------------------------------------------------


def save(
    tokenizer: PreTrainedTokenizer,
    save_directory: str | os.PathLike[str],
    prefix: str | None,
    *,
    class_name: str = "XGLMTokenizer",
    vocabulary: bool = True,
    document: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Write a tokenizer's files; see the methods `save_pretrained`.

    Parameters
    ----------
    tokenizer, save_directory, prefix
        What, where, and what to put before each name.
    class_name
        The class that the files are of.
    vocabulary
        Whether to write the sentencepiece model, and what belongs to it.
    document
        What to write as ``tokenizer.json``, if anything.
    """
    directory = Path(as_path("save_directory", save_directory))
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"save_pretrained: {directory} is a file, expected a directory")
    directory.mkdir(parents=True, exist_ok=True)
    config = _dump(_config(tokenizer, class_name))
    special = _dump(
        {
            role: [_without_special(token) for token in value]
            if isinstance(value, list)
            else _without_special(value)
            for role, value in tokenizer.special_tokens_map_extended.items()
        }
    )
    beyond = tokenizer.added_vocabulary_beyond()
    # The configuration comes last: until then, what was there before is what is read.
    written: list[str] = []
    if vocabulary:
        added_path = file_in(directory, prefix, ADDED_TOKENS_FILE)
        written += [*tokenizer.save_vocabulary(directory, prefix), str(added_path)]
        if beyond:
            write_atomically(added_path, _dump(beyond))
    if document is not None:
        fast_path = file_in(directory, prefix, FAST_FILE)
        write_atomically(fast_path, _dump(document, sort_keys=False))
        written.append(str(fast_path))
    special_path = file_in(directory, prefix, SPECIAL_TOKENS_FILE)
    config_path = file_in(directory, prefix, CONFIG_FILE)
    write_atomically(special_path, special)
    write_atomically(config_path, config)
    return str(config_path), str(special_path), *written


def _config(tokenizer: PreTrainedTokenizer, class_name: str) -> dict[str, Any]:
    """Return what ``tokenizer_config.json`` holds."""
    config = dict(tokenizer.init_kwargs)
    for name in _LIVE:
        if name in config or name in ("model_max_length", "clean_up_tokenization_spaces"):
            config[name] = getattr(tokenizer, name, config.get(name))
    config.update(tokenizer.special_tokens_map)
    if tokenizer.chat_template is not None:
        config["chat_template"] = tokenizer.chat_template
    for private in ("name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file"):
        config.pop(private, None)
    config = {name: _tagged(value) for name, value in config.items()}
    config["added_tokens_decoder"] = {
        index: token.to_json() for index, token in tokenizer.added_tokens_decoder.items()
    }
    config["tokenizer_class"] = class_name
    return config


def _tagged(value: Any) -> Any:
    """Replace AddedTokens by JSON objects that say what they are."""
    if isinstance(value, AddedToken):
        return {**value.to_json(), "__type": "AddedToken"}
    if isinstance(value, (list, tuple)):
        return [_tagged(item) for item in value]
    if isinstance(value, dict):
        return {key: _tagged(item) for key, item in value.items()}
    return value


def _without_special(token: Token) -> Any:
    """Return a token for special_tokens_map.json, where being special goes without saying."""
    if isinstance(token, str):
        return token
    fields = token.to_json()
    del fields["special"]
    return fields


def existing_directory(directory: str | os.PathLike[str]) -> Path:
    """Return the directory that a vocabulary is to be saved in.

    Raises
    ------
    NotADirectoryError
        If it is none.
    """
    path = Path(as_path("save_directory", directory))
    if not path.is_dir():
        raise NotADirectoryError(f"save_vocabulary: {path} is no directory")
    return path


def _dump(value: Mapping[Any, Any], sort_keys: bool = True) -> bytes:
    try:
        text = json.dumps(value, indent=2, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"save_pretrained: an argument cannot be written: {error}") from None
    return (text + "\n").encode("utf-8")


# --- Reading ------------------------------------------------------------------------


def read_arguments(
    directory: Path,
    overrides: Mapping[str, Any],
    fast_entries: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the constructor's arguments that a directory's files amount to.

    Parameters
    ----------
    directory
        Where the files are; all but the vocabulary may be absent.
    overrides
        Arguments of the caller, which win.
    fast_entries
        The added tokens of ``tokenizer.json``, if it has been read already.

    Raises
    ------
    ValueError
        If a file is not strict JSON, or says something of another type; the
        message names the file.
    """
    path = directory / CONFIG_FILE
    arguments = read_json(path) if path.is_file() else {}
    _check_types(arguments, str(path))
    saved_class = arguments.pop("tokenizer_class", None)
    if saved_class is not None and str(saved_class).removesuffix("Fast") != "XGLMTokenizer":
        logger.warning("%s is of %s, not of XGLMTokenizer", path, quoted(saved_class))
    # A file must not say which file to open.
    for name in ("vocab_file", "tokenizer_file", "init_inputs"):
        arguments.pop(name, None)
    arguments = {name: _untagged(value, str(path)) for name, value in arguments.items()}
    arguments.update(overrides)

    if "added_tokens_decoder" in arguments:
        added = _added_tokens(arguments["added_tokens_decoder"], str(path))
        by_name = {str(token): token for token in added.values()}
    else:
        _read_special_tokens(directory / SPECIAL_TOKENS_FILE, arguments, overrides)
        added, by_name = _read_legacy_added_tokens(directory, arguments, fast_entries)
    arguments["added_tokens_decoder"] = added
    for role in SINGLE_ROLES:
        if arguments.get(role) is not None:
            arguments[role] = by_name.get(str(arguments[role]), arguments[role])
    return arguments


def _check_types(arguments: dict[str, Any], where: str) -> None:
    """Check what a file says of the arguments that are known."""
    for name, value in arguments.items():
        types = _TYPES.get(name, (str, dict) if name in SINGLE_ROLES else (object,))
        wrong = not isinstance(value, types) or (isinstance(value, bool) and int in types)
        if value is not None and wrong:
            raise ValueError(f"{where}: {name} is {quoted(value)}, expected {types[0].__name__}")
    for name in [name for name in _TYPES if name in arguments and arguments[name] is None]:
        if name not in ("clean_up_tokenization_spaces", "split_special_tokens"):
            del arguments[name]
    try:
        check_processor_options(arguments.get("sp_model_kwargs") or {})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _untagged(value: Any, where: str) -> Any:
    """Turn the objects that say they are AddedTokens into AddedTokens."""
    if isinstance(value, dict):
        if value.get("__type") == "AddedToken":
            return AddedToken.from_json(value, where)
        return {key: _untagged(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_untagged(item, where) for item in value]
    return value


def _added_tokens(entries: Any, where: str) -> dict[int, AddedToken]:
    """Read id to token, where ids may be strings and tokens JSON objects."""
    if not isinstance(entries, Mapping):
        raise ValueError(f"{where}: added_tokens_decoder is no object")  # noqa: TRY004
    added: dict[int, AddedToken] = {}
    for index, token in entries.items():
        if not isinstance(token, AddedToken):
            token = AddedToken.from_json(token, f"{where}: added_tokens_decoder[{quoted(index)}]")
        added[_as_id(index, where)] = token
    return added


def _as_id(value: object, where: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ValueError(f"{where}: the id {quoted(value)}, expected a whole number")
    return int(text)


def _read_special_tokens(
    path: Path, arguments: dict[str, Any], overrides: Mapping[str, Any]
) -> None:
    """Take the special tokens of an older release's file, except those of the caller."""
    entries = read_json(path) if path.is_file() else {}
    for role, value in entries.items():
        if role not in ROLES or overrides.get(role):
            continue
        if role == "additional_special_tokens":
            if not isinstance(value, list):
                raise ValueError(f"{path}: {role} is {quoted(value)}, expected a list")
            tokens = list(arguments.get(role) or [])
            for entry in value:
                token = _special_token(entry, f"{path}: {role}")
                if token not in tokens:
                    tokens.append(token)
            arguments[role] = tokens
        else:
            arguments[role] = None if value is None else _special_token(value, f"{path}: {role}")


def _special_token(value: object, where: str) -> Token:
    if isinstance(value, str):
        return value
    token = AddedToken.from_json(value, where)
    token.special = True
    return token


def _read_legacy_added_tokens(
    directory: Path,
    arguments: Mapping[str, Any],
    fast_entries: list[dict[str, Any]] | None,
) -> tuple[dict[int, AddedToken], dict[str, AddedToken]]:
    """Read added tokens where tokenizer_config.json has none: by id, and by string."""
    added: dict[int, AddedToken] = {}
    by_name: dict[str, AddedToken] = {}
    path = directory / ADDED_TOKENS_FILE
    if path.is_file():
        special = {str(arguments[role]) for role in SINGLE_ROLES if arguments.get(role)}
        special.update(map(str, arguments.get("additional_special_tokens") or []))
        for content, index in read_json(path).items():
            added[_as_id(index, str(path))] = AddedToken(content, special=content in special)
    path = directory / FAST_FILE
    entries: Any = fast_entries
    if entries is None:
        read = read_json(path, limit=FAST_FILE_LIMIT) if path.is_file() else {}
        entries = read.get("added_tokens", [])
    if not isinstance(entries, list):
        raise ValueError(f"{path}: added_tokens is {quoted(entries)}, expected a list")  # noqa: TRY004
    for entry in entries:
        token = AddedToken.from_json(entry, f"{path}: added_tokens")
        added[_as_id(entry.get("id"), str(path))] = token
        by_name[token.content] = token
    return added, by_name
