"""Inputs that kernels are tried on: sizes, and numbers of many kinds.

`python -m pyxglm check` and the property tests both draw from here. A size is
drawn for every letter of a shape suffix (the key stands in `decoder.py`), no
two alike, so that swapped axes cannot hide; the numbers come in patterns, each
of which is hard on some part of some kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

import numpy as np

from pyxglm.dtypes import Array, convert

#: Sizes around the widths of vectors and blocks, and some plain ones.
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 100)

#: Sizes of a batch: with more of it, cases take longer and show no more.
BATCHES = (1, 2, 3, 4, 5)


def letters(function: Callable[..., object]) -> str:
    """Return the letters in the shape suffixes of a function's parameters.

    >>> from pyxglm.ops import reference
    >>> letters(reference.linear)
    'BTIO'
    """
    suffixes = [suffix(name) for name in inspect.signature(function).parameters]
    return "".join(dict.fromkeys("".join(suffixes)))


def suffix(name: str) -> str:
    """Return the shape suffix of a name, empty if it has none.

    >>> suffix("x_BTI"), suffix("causal"), suffix("head_mask_H")
    ('BTI', '', 'H')
    """
    last = name.rpartition("_")[2]
    return last if "_" in name and last.isalpha() and last.isupper() else ""


def shape(name: str, sizes: dict[str, int]) -> tuple[int, ...]:
    """Return the shape that a name's suffix means.

    >>> shape("weight_OI", {"I": 3, "O": 2})
    (2, 3)
    """
    return tuple(sizes[letter] for letter in suffix(name))


def draw_sizes(rng: np.random.Generator, wanted: Iterable[str]) -> dict[str, int]:
    """Draw a size for every letter, no two alike."""
    sizes: dict[str, int] = {}
    for letter in wanted:
        choices = [n for n in (BATCHES if letter == "B" else SIZES) if n not in sizes.values()]
        sizes[letter] = int(rng.choice(choices))
    return sizes


# ---------------------------------------------------------------------------- patterns


def normal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Ordinary numbers, as activations and weights are."""
    return rng.standard_normal(size)


def uneven(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Magnitudes from 1e-6 to 1e6 side by side: sums lose what they are not careful with."""
    return rng.standard_normal(size) * 10.0 ** rng.uniform(-6, 6, size)


def cancelling(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Neighbours of opposite sign: sums that nearly vanish."""
    values = 100 + rng.standard_normal(size)
    return np.asarray(np.where(np.arange(values.size).reshape(size) % 2, values, -values))


def shifted(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw around a mean far from zero: E[x²] - mean² is noise here, and exp(x) overflows."""
    return 3000 + rng.standard_normal(size)


def sharp(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Wide: softmax takes one and drops the others, activations saturate."""
    return 30 * rng.standard_normal(size)


def ramp(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Growing: every block of an online softmax moves the maximum."""
    values = np.linspace(-9, 9, int(np.prod(size))).reshape(size)
    return np.asarray(values + 0.01 * rng.standard_normal(size))


def constant(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """One number everywhere: no variance, equal weights."""
    return np.full(size, rng.standard_normal())


def zeros(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Zeros of both signs among a few numbers."""
    return np.asarray(rng.choice([0.0, -0.0, 0.0, -0.0, 1.0, -2.0], size))


def tiny(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Subnormal in float32 and float16, and around the smallest normal numbers."""
    scales = rng.choice([1e-45, 1e-40, 1.2e-38, 6e-8, 6e-5], size)
    return np.asarray(rng.standard_normal(size) * scales)


def huge(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Up to the ends of float16 and near those of float32: squares and sums overflow."""
    return np.asarray(rng.standard_normal(size) * rng.choice([1.0, 2e4, 1e18, 1e37], size))


def broken(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Infinities and NaN among ordinary numbers: they must come through."""
    values = np.asarray(rng.standard_normal(size))
    if values.size:
        count = int(rng.integers(1, 4))
        values.reshape(-1)[rng.integers(0, values.size, count)] = rng.choice(
            [np.inf, -np.inf, np.nan], count
        )
    return values


#: Every pattern by its name.
PATTERNS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    pattern.__name__: pattern
    for pattern in (normal, uneven, cancelling, shifted, sharp, ramp, constant, zeros, tiny,
                    huge, broken)
}  # fmt: skip


def numbers(
    rng: np.random.Generator, size: tuple[int, ...], pattern: str, dtype: object = "float32"
) -> Array:
    """Draw an array of a pattern, stored as `dtype`.

    >>> numbers(np.random.default_rng(0), (3,), "constant", "float16")
    array([0.1257, 0.1257, 0.1257], dtype=float16)
    """
    with np.errstate(over="ignore"):
        single = np.asarray(PATTERNS[pattern](rng, size)).astype(np.float32)
    return convert(single, dtype)


def some_hidden(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw a mask, 1 for visible, with rows that hide nothing, much, or everything."""
    share = rng.choice([0.0, 0.2, 0.7, 1.0], (*size[:-1], 1), p=[0.25, 0.4, 0.25, 0.1])
    return np.asarray(rng.random(size) >= share)
