"""What the recorded tokenizer results are results of: models, texts and calls.

`record_tokenizer.py` runs this grid on the slow XGLMTokenizer of transformers
4.37.2 and stores what it returns; `tests/tokenization/test_golden.py` runs it
on ours and compares. A scenario is a model, the constructor's arguments and a
row of operations on one tokenizer, so that states are covered as well.
"""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from golden import tokenizer_calls as calls
from golden.tokenizer_states import states
from golden.tokenizer_texts import DECODINGS, REFUSED, TEXTS

HERE = Path(__file__).parent

#: What an operation may raise to be refused.
ERRORS = (ValueError, TypeError, IndexError, AttributeError, AssertionError, RuntimeError)

MODELS = ("small", "large", "bytes", "identity")


def _scenarios() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    scenarios: list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]] = []
    for model in MODELS:
        encodes = [("encode", [text], {}) for text in TEXTS]
        facts = [("get", name) for name in ("vocab_size", "all_special_ids", "sep_token_id")]
        scenarios.append((model, {}, [*facts, ("vocabulary",), *encodes]))
    scenarios += [
        ("large", {}, [("tokenize", [text], {}) for text in TEXTS]),
        ("small", {"split_special_tokens": True}, [("encode", [text], {}) for text in TEXTS]),
        ("large", {}, [("round_trip", text, options) for text in TEXTS for options in DECODINGS]),
        ("identity", {}, [("round_trip", text, DECODINGS[0]) for text in TEXTS]),
        ("large", {}, [("call", [text], {}) for text in REFUSED]),
        ("large", {}, calls.singles()),
        ("large", {"truncation_side": "left", "padding_side": "left"}, calls.singles()[::3]),
        ("large", {}, calls.pairs()),
        ("small", {"truncation_side": "left"}, calls.pairs()[1::3]),
        ("large", {}, calls.batches()),
        ("large", {"padding_side": "left", "model_max_length": 6}, calls.batches()[::2]),
        ("large", {"model_max_length": 5}, calls.limits()),
        ("large", {}, calls.inputs()),
        ("large", {}, calls.pads()),
        ("large", {"padding_side": "left"}, calls.pads()),
        ("large", {}, calls.truncations()),
        ("large", {"truncation_side": "left"}, calls.truncations()),
        ("large", {}, calls.conversions()),
        ("bytes", {}, calls.conversions()),
    ]
    return scenarios + states()


def revive(value: Any, added_token: Any) -> Any:
    """Make the AddedTokens that a scenario's arguments describe."""
    if isinstance(value, dict):
        if value.keys() == {"token"}:
            return added_token(**value["token"])
        return {key: revive(item, added_token) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(revive(item, added_token) for item in value)
    return value


def plain(value: Any) -> Any:
    """Turn a result into what JSON can hold, arrays and tokens recognisable."""
    if isinstance(value, np.ndarray):
        kind = "ragged" if value.dtype == object else value.dtype.name
        return {kind: plain(value.tolist())}
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "items"):
        return [[plain(key), plain(item)] for key, item in value.items()]
    return repr(value)


def run_scenario(
    scenario: tuple[str, dict[str, Any], list[tuple[Any, ...]]],
    make: Any,
    added_token: Any,
    models: Path,
    folder: Path,
    errors: tuple[type[BaseException], ...] = ERRORS,
) -> list[Any]:
    """Run one scenario; return what each operation returned, or "!" for an error.

    A model is a sentencepiece model, which `make` gets as its first argument,
    or a document, which it gets as `tokenizer_file`.
    """
    model, arguments, operations = scenario
    vocabulary = models / f"{model}.model"
    document = models / f"{model}.json"
    try:
        if "files" in arguments:
            folder.mkdir(parents=True)
            if document.exists():
                shutil.copy(document, folder / "tokenizer.json")
            else:
                shutil.copy(vocabulary, folder / "sentencepiece.bpe.model")
            for name, content in arguments["files"].items():
                (folder / name).write_text(json.dumps(content), encoding="utf-8")
            tokenizer = make.from_pretrained(str(folder))
        elif document.exists():
            options = revive(copy.deepcopy(arguments), added_token)
            tokenizer = make(tokenizer_file=str(document), **options)
        else:
            tokenizer = make(str(vocabulary), **revive(copy.deepcopy(arguments), added_token))
    except (ValueError, TypeError):
        return ["!"]
    results: list[Any] = []
    saved = ""
    for number, (name, *rest) in enumerate(operations):
        target = folder / f"step{number}"
        try:
            rest = revive(copy.deepcopy(rest), added_token)
            if name == "reload":
                tokenizer = make.from_pretrained(saved, **rest[0])
                results.append(None)
                continue
            if name == "save":
                saved = str(target)
            if name == "pickle":
                tokenizer = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
                results.append(None)
                continue
            if name == "train":
                lines = (HERE / "tokenizer" / "corpus.txt").read_text("utf-8").splitlines()
                tokenizer = tokenizer.train_new_from_iterator(iter([lines]), **rest[0])
                results.append(None)
                continue
            if name == "copy":
                tokenizer = copy.deepcopy(tokenizer)
                results.append(None)
                continue
            results.append(plain(_operate(tokenizer, name, rest, target)))
        except errors:
            results.append("!")
    return results


def _operate(tokenizer: Any, name: str, rest: list[Any], target: Path) -> Any:
    if name == "get":
        return getattr(tokenizer, rest[0])
    if name == "set":
        return setattr(tokenizer, rest[0], rest[1])
    if name == "len":
        return len(tokenizer)
    if name == "vocabulary":
        text = json.dumps(tokenizer.get_vocab(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    if name == "round_trip":
        return tokenizer.decode(tokenizer.encode(rest[0]), **rest[1])
    if name == "save":
        tokenizer.save_pretrained(str(target))
        return {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted(target.glob("*.json"))
            if path.name != "tokenizer.json"  # each release of its library writes it in its way
        }
    if name == "look":
        return look(tokenizer(*rest[0], **rest[1]))
    method = tokenizer if name == "call" else getattr(tokenizer, name)
    return method(*rest[0], **rest[1])


def look(encoding: Any) -> dict[str, Any]:
    """Return all that an encoding of a fast tokenizer says of where its tokens came from."""
    rows = []
    for row, inside in enumerate(encoding.encodings):
        tokens = range(len(inside))
        places = [(place, text) for text in range(encoding.n_sequences) for place in range(24)]
        rows.append(
            {
                "tokens": encoding.tokens(row),
                "word_ids": encoding.word_ids(row),
                "sequence_ids": encoding.sequence_ids(row),
                "offsets": inside.offsets,
                **{
                    name: [getattr(encoding, name)(row, token) for token in tokens]
                    for name in ("token_to_sequence", "token_to_word", "token_to_chars")
                },
                **{
                    name: [getattr(encoding, name)(row, *place) for place in places]
                    for name in ("word_to_tokens", "char_to_token", "char_to_word")
                },
            }
        )
    return {"data": encoding.data, "n_sequences": encoding.n_sequences, "rows": rows}


def splitting_cases() -> list[tuple[list[str], str]]:
    """Return special strings and texts over few letters, so that they overlap in many ways."""
    random = np.random.default_rng(4372)

    def word(letters: str, shortest: int, longest: int) -> str:
        length = int(random.integers(shortest, longest + 1))
        return "".join(random.choice(list(letters), length).tolist())

    cases = []
    for number in range(1500):
        letters = "ab" if number % 3 else "abc"
        strings = [word(letters, 1, 5) for _ in range(int(random.integers(1, 6)))]
        cases.append((strings, word(letters + "?", 0, 14)))
    return cases


SCENARIOS = _scenarios()
