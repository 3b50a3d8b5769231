"""Greedy continuations, id by id."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from golden.compare import FOLDER
from golden.weights import as_array
from parity.harness import build

CALLS = json.loads((FOLDER / "greedy.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("call", CALLS, ids=[call["name"] for call in CALLS])
def test_greedy_ids(call: dict[str, Any], compute: str) -> None:
    model = build(call, compute)
    mask = call["attention_mask"]
    found = model.generate(
        np.array(call["input_ids"]),
        attention_mask=None if mask is None else np.array(mask),
        do_sample=False,
        **{name: as_array(value, {}) for name, value in call.get("encoder", {}).items()},
        **call["settings"],
    )
    assert np.asarray(found).tolist() == call["output_ids"]
