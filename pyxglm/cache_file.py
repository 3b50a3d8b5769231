"""A cache on disk: keys and values as a safetensors file, so that a prompt is computed once.

Tensors are ``layers.0.keys``, ``layers.0.values`` … of shape (B, H, S, K), those
of cross-attention ``layers.0.cross_keys`` …, and if it is known which tokens
they are of, ``ids`` and ``mask`` (B, S).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from pyxglm.arguments import whole_number
from pyxglm.cache import KVCache
from pyxglm.dtypes import Array
from pyxglm.files import replacing

_PARTS = ("keys", "values", "cross_keys", "cross_values")
_NAME = re.compile(rf"layers\.(0|[1-9]\d{{0,5}})\.({'|'.join(_PARTS)})")


def save(cache: KVCache, path: str | os.PathLike[str]) -> None:
    """Write a cache; a file of that name is replaced when the new one is complete.

    Raises
    ------
    ValueError
        If the cache is empty.
    OSError
        If writing fails.
    """
    from pyxglm.checkpoint.safetensors_writing import write_safetensors

    if cache.length == 0:
        raise ValueError("the cache is empty, expected keys and values to save")
    tensors = {
        f"layers.{layer}.{part}": array
        for layer, entry in enumerate(cache)
        for part, array in zip(_PARTS, entry, strict=False)
    }
    if cache.tokens is not None:
        tensors["ids"], tensors["mask"] = (part.astype(np.int64) for part in cache.tokens)
    with replacing(Path(path)) as temporary:
        write_safetensors(tensors, temporary)


def load(path: str | os.PathLike[str], room: int = 0) -> KVCache:
    """Read a cache, with room for `room` more tokens.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no file of a cache: the message names the file. If `room` is no
        whole number from 0.
    """
    from pyxglm.checkpoint.safetensors_file import read_safetensors

    path, room = Path(path), whole_number("room", room, 0)
    tensors = read_safetensors(path)
    held = {name: tensors.pop(name) for name in ("ids", "mask") if name in tensors}
    layers: dict[int, dict[str, Array]] = {}
    for name, array in tensors.items():
        found = _NAME.fullmatch(name)
        if not found:
            raise ValueError(f"{path}: the tensor {name!r} is no part of a saved cache")
        layers.setdefault(int(found[1]), {})[found[2]] = array
    if not layers or sorted(layers) != list(range(len(layers))):
        raise ValueError(f"{path}: layers {sorted(layers)[:9]}, expected 0, 1, … of a saved cache")
    past = []
    for layer in range(len(layers)):
        parts = layers[layer]
        if set(parts) not in ({*_PARTS[:2]}, {*_PARTS}):
            raise ValueError(f"{path}: layer {layer} has {sorted(parts)}, expected keys and values")
        _check(path, layer, parts, layers[0]["keys"])
        past.append(tuple(parts[part] for part in _PARTS if part in parts))
    cache = KVCache.from_past(past, room)
    if held:
        B, _, S, _ = layers[0]["keys"].shape
        if len(held) != 2:
            raise ValueError(f"{path}: found {', '.join(held)}, expected ids and mask, or neither")
        for name, array in held.items():
            if array.shape != (B, S) or array.dtype != np.int64:
                raise ValueError(
                    f"{path}: {name} has shape {array.shape} in {array.dtype}, expected {(B, S)}"
                    " in int64"
                )
        cache.hold(np.array(held["ids"]), np.array(held["mask"]))
    return cache


def _check(path: Path, layer: int, parts: dict[str, Array], first: Array) -> None:
    """Refuse a layer whose arrays do not fit each other, or the first layer."""
    for part in _PARTS[:2]:
        array = parts[part]
        fits = array.ndim == 4 and array.size and array.dtype.kind == "f"
        same = fits and array.shape == parts["keys"].shape and array.dtype == first.dtype
        if not same or array.shape[::2] != first.shape[::2]:
            raise ValueError(
                f"{path}: layers.{layer}.{part} has shape {array.shape} in {array.dtype}, expected"
                f" (B, H, S, K) as in layers.0.keys: {first.shape} in {first.dtype}"
            )
