"""Weights and inputs by formula, so that no golden file has to carry them.

A golden file names a configuration and a seed; the recorder and the tests both
compute the weights from them, bit for bit, on any platform and with any
version of NumPy. NumPy's random distributions give no such promise, so the
numbers come from a counter that is hashed with integer arithmetic
(`splitmix64`, public domain, Sebastiano Vigna) and turned into floating point
by a few correctly rounded operations.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

# The sum of four independent uniform 16-bit integers, doubled and centred, is
# nearly normal; this is its standard deviation.
_SPREAD = 2.0 * math.sqrt(4.0 * (65536.0**2 - 1.0) / 12.0)


def noise(seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return nearly normal float64 numbers (mean 0, deviation 1, at most 3.5).

    A tensor's numbers depend on the seed and on its own name only: not on the
    other tensors, nor on the order in which they are asked for.
    """
    size = math.prod(shape)
    key = np.uint64((zlib.crc32(name.encode()) << 32) ^ (seed & 0xFFFFFFFF))
    word = (np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ _mix(
        np.array([key])
    )
    word = _mix(word)
    total = np.zeros(size, dtype=np.int64)
    for shift in (0, 16, 32, 48):
        total += ((word >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return ((2 * total - 4 * 65535) / _SPREAD).reshape(shape)


class Draws(np.random.Generator):
    """A generator whose `random` counts and hashes, for both sides of a case in training mode.

    (NumPy's own may draw other numbers in another version.)
    """

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._seed, self._drawn = seed, 0

    def random(self, size: Any = None, *_: Any) -> Any:
        shape = () if size is None else tuple(np.atleast_1d(size))
        count = math.prod(shape)
        index = np.arange(self._drawn, self._drawn + count, dtype=np.uint64)
        self._drawn += count
        word = _mix(_mix(index) ^ np.uint64(self._seed * 0x9E3779B9))
        return ((word >> np.uint64(11)).astype(np.float64) / 2.0**53).reshape(shape)


def _mix(word: np.ndarray) -> np.ndarray:
    """Apply splitmix64's finaliser: every input bit reaches every output bit."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def make_weights(
    shapes: Mapping[str, tuple[int, ...]], seed: int, profile: str = "plain"
) -> dict[str, np.ndarray]:
    """Return float32 weights for the named parameters.

    Unlike freshly initialised ones, all of them matter: biases are not zero,
    layer norms are not one, projections keep the signal at about its size.

    Parameters
    ----------
    shapes
        Parameter names and shapes.
    seed
        Any integer below 2**32.
    profile
        ``"plain"``; ``"sharp"``, whose attention scores are so large that the
        softmax nearly picks one key; ``"extreme"``, whose scores are in the
        tens of thousands, beyond any ordinary mask value; ``"wide"``, whose
        FFN reaches the tails of the activation; ``"massive"``, whose first
        block adds two huge coordinates to the residual stream, as trained
        XGLM models do.
    """
    return {
        name: _parameter(seed, name, shape, profile).astype(np.float32)
        for name, shape in shapes.items()
    }


def _parameter(seed: int, name: str, shape: tuple[int, ...], profile: str) -> np.ndarray:
    values = noise(seed, name, shape)
    part, kind = name.split(".")[-2:]
    if part.endswith("layer_norm"):
        return 1.0 + 0.2 * values if kind == "weight" else 0.2 * values
    if part == "embed_tokens":
        return values / math.sqrt(shape[1])
    if kind == "weight":
        gain = 2.0 if part == "lm_head" else 1.0
        if part in {"q_proj", "k_proj"}:
            gain = {"sharp": 4.0, "extreme": 120.0}.get(profile, 1.0)
        if profile == "wide" and part == "fc1":
            gain = 6.0
        return gain * values / math.sqrt(shape[1])
    values = 0.2 * values
    if profile == "massive" and name.startswith("model.layers.0."):
        if part == "fc2":
            values[3] += 860.0
        if part == "out_proj":
            values[1] -= 430.0
    return values


def as_stored(weights: Mapping[str, np.ndarray], stored: str) -> dict[str, np.ndarray]:
    """Round float32 weights to a storage format.

    ``"float32"`` and ``"float16"`` give arrays of that dtype, ``"bfloat16"``
    gives uint16 arrays of its bit patterns (rounded to nearest, ties to even).
    """
    if stored == "bfloat16":
        return {name: bfloat16_bits(array) for name, array in weights.items()}
    return {name: array.astype(stored) for name, array in weights.items()}


def bfloat16_bits(array: np.ndarray) -> np.ndarray:
    """Return the bfloat16 bit patterns of finite float32 numbers."""
    bits = array.astype("<f4").view("<u4")
    return ((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> 16).astype(
        "<u2"
    )


def widen(array: np.ndarray) -> np.ndarray:
    """Return the float32 numbers that a stored array (see `as_stored`) stands for."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(np.float32)


def as_array(value: Any, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Build the argument that a case describes in JSON.

    A list is what it says; ``{"values": …, "dtype": …}`` names its dtype;
    ``{"noise": seed, "shape": …}`` is a formula; ``{"embedding_of": ids,
    "scale": …}`` looks ids up in the embedding, as a caller who passes
    ``inputs_embeds`` would.
    """
    if isinstance(value, list):
        return np.array(value)
    if "values" in value:
        return np.array(value["values"]).astype(value["dtype"])
    if "noise" in value:
        return noise(value["noise"], "input", tuple(value["shape"])).astype(np.float32)
    table_VD = widen(weights["model.embed_tokens.weight"])
    return table_VD[np.array(value["embedding_of"])] * np.float32(value["scale"])
