"""Numbers of many kinds, and ways in which an array of them may lie in memory.

Each pattern is hard on some part of some operation. The plainest stands first:
that is where hypothesis goes when it makes a failing example simpler.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pyxglm.dtypes import Array, as_dtype, convert

Pattern = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Ordinary numbers, as activations and weights are."""
    return np.asarray(rng.standard_normal(size))


def zeros(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Zeros of both signs among a few numbers."""
    return np.asarray(rng.choice([0.0, -0.0, 0.0, -0.0, 1.0, -2.0], size))


def constant(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """One number everywhere: no variance, equal weights."""
    return np.full(size, rng.choice([rng.standard_normal(), 0.1, -3.0, 1000.1]))


def outliers(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw normal numbers, one in sixteen a thousand times larger, as in the residual stream."""
    return normal(rng, size) * np.where(rng.random(size) < 1 / 16, 1000.0, 1.0)


def uneven(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Magnitudes from 1e-6 to 1e6 side by side: sums lose what they are not careful with."""
    return normal(rng, size) * 10.0 ** rng.uniform(-6, 6, size)


def cancelling(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Neighbours of opposite sign: sums that nearly vanish."""
    values = 100 + normal(rng, size)
    return np.asarray(np.where(np.arange(values.size).reshape(size) % 2, values, -values))


def shifted(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw around a mean far from zero: E[x²] - mean² is noise here, and exp(x) overflows."""
    return 3000 + normal(rng, size)


def sharp(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Wide: softmax takes one and drops the others, activations saturate."""
    return 30 * normal(rng, size)


def ramp(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Growing, in every matrix: each block of an online softmax moves the maximum."""
    matrix = size[-2:]
    return np.linspace(-9, 9, math.prod(matrix)).reshape(matrix) + 0.01 * normal(rng, size)


def subnormal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Below and around the smallest normal numbers of float16, float32 and float64."""
    scales = [6e-8, 6e-5, 1e-45, 1e-40, 1.2e-38, 2.0**-1060, 2.3e-308]
    return np.asarray(normal(rng, size) * rng.choice(scales, size))


def huge(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Up to the ends of float16 and near those of float32: squares and sums overflow."""
    return np.asarray(normal(rng, size) * rng.choice([1.0, 2e4, 1e18, 1e37], size))


def infinite(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Infinities of both signs, about one number in eight: some rows have many, some none."""
    return np.where(
        rng.random(size) < 1 / 8, rng.choice([np.inf, -np.inf], size), normal(rng, size)
    )


def broken(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw one to three infinities and NaN: they must come through, and stay in their places."""
    values = normal(rng, size)
    if values.size:
        count = int(rng.integers(1, 4))
        values.reshape(-1)[rng.integers(0, values.size, count)] = rng.choice(
            [np.inf, -np.inf, np.nan], count
        )
    return values


def _named(*patterns: Pattern) -> dict[str, Pattern]:
    return {pattern.__name__: pattern for pattern in patterns}


#: Values that every operation must get right to rounding.
ORDINARY = _named(
    normal, zeros, constant, outliers, uneven, cancelling, shifted, sharp, ramp, subnormal
)

#: Values with which a result may be infinite, or no number, where the reference's is.
EXTREME = _named(huge, infinite, broken)

#: Every pattern by its name.
PATTERNS = {**ORDINARY, **EXTREME}


def numbers(
    rng: np.random.Generator, size: tuple[int, ...], pattern: str, dtype: object = "float32"
) -> Array:
    """Draw an array of a pattern, stored as `dtype`.

    Ordinary numbers beyond the ends of float16 are put there; extreme ones become infinite.
    Whole numbers of 8 bits (``"int8"``) are 40 times the pattern's, rounded, and end at their
    ends; NaN is 0.

    >>> numbers(np.random.default_rng(0), (3,), "sharp", "float16")
    array([ 3.771, -3.963, 19.22 ], dtype=float16)
    """
    values = PATTERNS[pattern](rng, size)
    if dtype == "int8":
        whole = np.rint(np.nan_to_num(40 * values))
        return np.asarray(np.clip(whole, -128, 127).astype(np.int8))
    if pattern in ORDINARY and as_dtype(dtype) == np.float16:
        end = np.finfo(np.float16).max
        values = np.clip(values, -end, end)
    return convert(np.asarray(values), dtype)


# --------------------------------------------------------------------------------- layouts


def _strided(array: Array) -> Array:
    """Every second element of every axis of something larger."""
    larger = np.zeros(tuple(2 * size + 1 for size in array.shape), array.dtype)
    view = larger[tuple(slice(0, 2 * size, 2) for size in array.shape)]
    view[...] = array
    return view


def _backwards(array: Array) -> Array:
    """Strides below zero along every axis."""
    turn = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[turn])[turn]


def _unaligned(array: Array) -> Array:
    """At an odd address, as a tensor inside a file may lie."""
    buffer = bytearray(array.nbytes + 2)
    odd = 1 - np.frombuffer(buffer, np.uint8).ctypes.data % 2
    view = np.frombuffer(buffer, array.dtype, array.size, odd).reshape(array.shape)
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


def _mapped(array: Array) -> Array:
    """At an odd address and read-only, as in a file that is mapped."""
    view = _unaligned(array)
    view.flags.writeable = False
    return view


#: Ways in which an array of the same values may lie in memory, the plainest first.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": np.copy,
    "read-only": _read_only,
    "fortran": lambda array: np.copy(array, order="F"),
    "strided": _strided,
    "backwards": _backwards,
    "unaligned": _unaligned,
    "mapped": _mapped,
}
