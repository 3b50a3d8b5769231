"""Whether two runtimes compute the same: asked before any of their times is believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: How far logits may lie from pyxglm's, as a part of the largest: by float32 arithmetic (1e-6
#: is usual); by activations in float16, or GELU by tanh (1e-3); by bfloat16 (0.02). Positions
#: that are off by one give 0.07 and more.
EXACT, HALF, COARSE = 2e-5, 5e-3, 4e-2

#: Prompts of the question, and tokens of each.
TEXTS, LENGTH = 2, 12


def refusal(other: Any, own: Any, model: Path, tolerance: float) -> str | None:
    """Return why a runtime's times are not to be believed; None if it computes what pyxglm does.

    Parameters
    ----------
    other, own
        Workers that have opened the same checkpoint: the runtime, and pyxglm.
    model
        The checkpoint's directory.
    tolerance
        `EXACT`, where greedily chosen tokens must be the same as well; `HALF` or `COARSE`.
    """
    size = json.loads((model / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    found, expected = (worker.say(prompts(size)) for worker in (other, own))
    for one in (found, expected):
        if "error" in one:
            return f"what it computes is not known: {one['error']}"
    far = distance(found, expected)
    if not far <= tolerance:  # NaN is far
        return f"its logits are {far:.1e} of the largest from pyxglm's, expected {tolerance:.0e}"
    if tolerance <= EXACT and found["ids"] != expected["ids"]:
        return f"it continues with {found['ids']}, expected pyxglm's {expected['ids']}"
    return None


def prompts(vocab_size: int) -> list[list[int]]:
    """Return prompts, none of whose tokens is special.

    >>> [len(row) for row in prompts(4008)], min(map(min, prompts(10)))
    ([12, 12], 4)
    """
    return [
        [4 + 7919 * (row * LENGTH + column) % (vocab_size - 4) for column in range(LENGTH)]
        for row in range(TEXTS)
    ]


def distance(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Return the largest difference of logits or losses, as a part of the largest logit.

    >>> one = {"logits": [[1.0, -4.0]], "loss": 2.0}
    >>> distance({"logits": [[1.0, -3.0]], "loss": None}, one), distance(one, {**one, "loss": 4.0})
    (0.25, 0.5)
    """
    pairs = [
        (a, b)
        for row, other in zip(found["logits"], expected["logits"], strict=True)
        for a, b in zip(row, other, strict=True)
    ]
    largest = max(abs(b) for _, b in pairs)
    if None not in (found["loss"], expected["loss"]):
        pairs.append((found["loss"], expected["loss"]))
    far = [abs(a - b) / largest for a, b in pairs]
    return max(far) if all(one == one for one in far) else float("nan")
