"""Name the arrays in a model's outputs: ``attentions.1``, ``past_key_values.0.3`` …"""

from __future__ import annotations

from typing import Any

import numpy as np

FIELDS = (
    "loss",
    "logits",
    "past_key_values",
    "hidden_states",
    "attentions",
    "cross_attentions",
)


def flatten(outputs: Any, keep: list[str]) -> dict[str, np.ndarray]:
    """Return the arrays of the fields whose names begin with an entry of `keep`.

    `outputs` is a mapping result of either library; NumPy arrays come out.
    """
    found: dict[str, np.ndarray] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, tuple | list):
            for index, item in enumerate(value):
                walk(f"{name}.{index}", item)
        elif any(f"{name}.".startswith(f"{wanted}.") for wanted in keep):
            found[name] = np.asarray(value)

    for field in FIELDS:
        value = getattr(outputs, field)
        if value is not None:
            walk(field, value)
    return found


def structure(outputs: Any) -> dict[str, Any]:
    """Return which fields are present, and how many entries each level has."""

    def count(value: Any) -> Any:
        return [count(item) for item in value] if isinstance(value, tuple | list) else 1

    present = {field: getattr(outputs, field) for field in FIELDS}
    return {field: count(value) for field, value in present.items() if value is not None}
