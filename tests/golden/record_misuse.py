"""Record how transformers 4.37.2 answers every misuse: ``tests/golden/model/misuse.json``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from golden.misuse import misuses
from golden.oracle import arguments, build


def record(folder: Path) -> None:
    """Write the file: each misuse with the type and text of the oracle's answer."""
    found = json.loads(json.dumps(misuses()))
    for misuse in found:
        misuse["oracle"] = answer(misuse)
    path = folder / "misuse.json"
    lines = ",\n".join(json.dumps(entry) for entry in found)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    kinds = sorted({entry["oracle"]["type"] for entry in found})
    print(f"{path.name}: {len(found)} misuses, {path.stat().st_size} bytes, answers {kinds}")


def answer(misuse: dict[str, object]) -> dict[str, str]:
    """Return the type and the text of the error of the last call, or that there was none."""
    calls: list[dict[str, object]] = misuse["calls"]  # type: ignore[assignment]
    try:
        model, weights = build(misuse, torch.float32)
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    caches: list[object] = []
    for number, call in enumerate(calls):
        try:
            with torch.no_grad():
                outputs = model(**arguments(call, weights, caches, torch.float32))
            caches.append(outputs.past_key_values)
        except Exception as error:
            if number < len(calls) - 1:
                raise
            return {"type": type(error).__name__, "message": str(error)}
    return {"type": "none", "message": ""}
