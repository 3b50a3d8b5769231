"""What a worker reads of a checkpoint itself, with nothing but the standard library."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"


def config_of(path: str) -> dict[str, Any]:
    """Return a checkpoint's configuration."""
    found: dict[str, Any] = json.loads((Path(path) / "config.json").read_text(encoding="utf-8"))
    return found


def parameters(path: str) -> int:
    """Return how many numbers the weights are, as the head of their file tells."""
    with (Path(path) / WEIGHTS).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
