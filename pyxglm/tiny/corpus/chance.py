"""Chance that anybody can repeat."""

from __future__ import annotations

from random import Random

__all__ = ["seeded"]


def seeded(*names: object) -> Random:
    """Return a generator of its own for every purpose, named by words and numbers.

    >>> seeded("unseen", 2026, "fr").random() == seeded("unseen", 2026, "fr").random()
    True
    """
    return Random(" ".join(map(str, names)))  # noqa: S311  (nothing here is secret)
