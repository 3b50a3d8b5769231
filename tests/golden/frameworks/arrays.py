"""Weights, arguments and results of a case, as NumPy arrays by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from golden.weights import as_array, make_weights

FOLDER = Path(__file__).parent

#: What a call holds besides arguments.
NOTES = {"form", "past", "keep", "note", "room", "fields", "dtypes"}
_FLOATS = {"encoder_hidden_states", "inputs_embeds", "head_mask", "cross_attn_head_mask"}


def case_weights(
    case: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, np.ndarray]:
    """Return a case's weights by torch's names; its head is the embedding unless it has its own."""
    weights = make_weights(shapes, case["seed"], case["profile"])
    own = case.get("head") == "own" or not case["config"].get("tie_word_embeddings", True)
    if not own:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    return weights


def arguments(
    call: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of a call, all but its cache."""
    given = {
        name: _argument(name, value, weights) for name, value in call.items() if name not in NOTES
    }
    form = call.get("form", "keywords")
    if form == "keywords":
        return [], given
    if form == "first":
        return [given.pop("input_ids")], given
    options = {k: given.pop(k) for k in list(given) if isinstance(given[k], bool)}
    inputs = {"list": list, "tuple": tuple}.get(form)
    return [given if inputs is None else inputs(given.values())], options


def _argument(name: str, value: Any, weights: Mapping[str, np.ndarray]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    array = as_array(value, weights)
    if name in _FLOATS:
        return array.astype(np.float32)
    return array if array.dtype.kind == "f" else array.astype(np.int32)


def flatten(outputs: Any, keep: list[str] | None, as_numpy: Callable[[Any], Any]) -> dict[str, Any]:
    """Name the arrays of a mapping or a tuple: ``attentions.1``, ``past_key_values.0.3`` …"""
    found: dict[str, Any] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value):
                walk(f"{name}.{key}", value[key])
        elif isinstance(value, tuple | list):
            for index, item in enumerate(value):
                walk(f"{name}.{index}", item)
        elif value is not None:
            found[name] = as_numpy(value)

    entries = outputs.items() if hasattr(outputs, "items") else enumerate(outputs)
    for field, value in entries:
        if keep is None or field in keep:
            walk(str(field), value)
    return found


def save(name: str, arrays: Mapping[str, np.ndarray], **facts: Any) -> None:
    """Write recorded arrays and facts to ``<name>.npz`` beside this file.

    All arrays in one, for there are hundreds of small ones.
    """
    index = [[key, str(array.dtype), list(array.shape)] for key, array in arrays.items()]
    text = json.dumps({"transformers": "4.37.2", "arrays": index, **facts})
    path = FOLDER / f"{name}.npz"
    np.savez_compressed(
        path,
        json=np.frombuffer(text.encode(), np.uint8),
        data=np.frombuffer(b"".join(array.tobytes() for array in arrays.values()), np.uint8),
    )
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")


@cache
def load(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the facts and the arrays of a recorded file."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        facts, data = json.loads(file["json"].tobytes()), file["data"].tobytes()
    arrays, start = {}, 0
    for key, dtype, shape in facts.pop("arrays"):
        size = math.prod(shape)
        arrays[key] = np.frombuffer(data, dtype, size, start).reshape(shape)
        start += arrays[key].nbytes
    return facts, arrays


def expected(name: str, case: str, call: int) -> dict[str, np.ndarray]:
    """Return the recorded arrays of a call by their names in the outputs."""
    start = f"{case}/{call}/"
    return {k.removeprefix(start): v for k, v in load(name)[1].items() if k.startswith(start)}
