"""How far two arrays are apart, and the golden files as the tests read them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "model"


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return max |found - expected| / max |expected|; NaN agrees with NaN only.

    An expected array of zeros is measured absolutely. A shape that differs is
    an infinite error, and so is a NaN or an infinity in one of them.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or not np.array_equal(np.isnan(found), np.isnan(expected)):
        return float("inf")
    known = ~np.isnan(expected)
    if not known.any():
        return 0.0
    a, b = found[known].astype(np.float64), expected[known].astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0))


@cache
def load(group: str) -> dict[str, np.ndarray]:
    """Return every array of a group's golden file."""
    with np.load(FOLDER / f"{group}.npz", allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def cases(group: str) -> list[dict[str, Any]]:
    """Return a group's cases, with what was recorded beside the arrays."""
    found: list[dict[str, Any]] = json.loads(load(group)["json"].tobytes())["cases"]
    return found


def expected(group: str, case: str, call: int, dtype: str) -> dict[str, np.ndarray]:
    """Return the recorded arrays of a call by their names in the outputs."""
    start, end = f"{case}.{call}.", f".{dtype}"
    return {
        name.removeprefix(start).removesuffix(end): array
        for name, array in load(group).items()
        if name.startswith(start) and name.endswith(end)
    }


def activation_inputs() -> np.ndarray:
    """Return the float32 numbers on which every activation is recorded: centre and tails."""
    steps = np.arange(-24, 25, dtype=np.float32) / 4
    far = np.array([7.5, 9.75, 10.25, 14, 20, 60, 90, 1000, 1e-3, 1e-6, 1e-30], np.float32)
    return np.concatenate([steps, far, -far])
