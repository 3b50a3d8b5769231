"""What Flax's classes draw from: keys as JAX makes them, seeds, or NumPy's generators."""

from __future__ import annotations

from typing import Any

import numpy as np


def seed_of(name: str, value: Any) -> int:
    """Return the seed, from 0, that a seed, a key or a generator means.

    A key is two 32-bit numbers, as ``jax.random.PRNGKey(7)`` or
    ``np.array([0, 7])``, and means the number that they are the halves of. A
    generator is drawn from.

    >>> seed_of("rng", 7), seed_of("rng", np.array([0, 7], np.uint32))
    (7, 7)

    Raises
    ------
    TypeError, ValueError
        If it is none of them, or negative.
    """
    if isinstance(value, np.random.Generator):
        return int(value.integers(2**63))
    try:
        numbers = np.asarray(value)
    except (TypeError, ValueError):  # such as JAX's keys of the newer kind
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "iu" or numbers.shape not in ((), (2,)):
        raise TypeError(
            f"{name} is a {type(value).__name__}, expected a seed, a key of two numbers or a"
            " numpy.random.Generator"
        )
    seed = int(numbers) if numbers.shape == () else int(numbers[0]) << 32 | int(numbers[1])
    if seed < 0:
        raise ValueError(f"{name} is {seed}, expected a seed from 0")
    return seed


def generator_of(name: str, value: Any) -> np.random.Generator:
    """Return the generator that a key or a seed stands for; a generator is itself.

    The same key always draws the same; a generator goes on.

    Raises
    ------
    TypeError, ValueError
        As `seed_of`.
    """
    if isinstance(value, np.random.Generator):
        return value
    return np.random.default_rng(seed_of(name, value))
