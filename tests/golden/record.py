"""Record what transformers 4.37.2 computes, for the tests to compare with.

Needs torch and ``transformers==4.37.2``; the tests need neither. Run it from the
repository root::

    PYTHONPATH=tests python -m golden.record [group or api or beams or facts or generation or …]

Each group of `golden.more_cases.GROUPS` becomes ``tests/golden/model/<group>.npz``:
its cases as JSON text, and for each kept output the array computed in float32
and in float64. ``api``, ``beams``, ``facts``, ``generation``, ``greedy`` and ``misuse`` are
recorded by modules of their own.

The float64 model is the float32 model widened, position table included, so its
outputs are the exact ones of these weights and that table but for 1e-15: they
also say how well conditioned a case is. A case whose own float32 outputs stray
further from the float64 ones than `TOLERABLE` would prove nothing at the tests'
tolerance, and is refused.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from golden import (
    record_api,
    record_beams,
    record_facts,
    record_generation,
    record_greedy,
    record_misuse,
)
from golden.compare import error
from golden.more_cases import GROUPS
from golden.oracle import run_case
from transformers.utils import logging

FOLDER = Path(__file__).parent / "model"
TOLERABLE = 1e-5


def record(group: str) -> None:
    """Write one group's file."""
    arrays: dict[str, np.ndarray] = {}
    cases = json.loads(json.dumps(GROUPS[group]()))  # as read back, nothing shared
    worst = (0.0, "")
    for case in cases:
        single, table = run_case(case, torch.float32)
        double, table_again = run_case(case, torch.float64)
        if not np.array_equal(table, table_again):
            raise AssertionError(f"{case['name']}: the two models read different tables")
        case["table"] = store_table(arrays, table)
        for index, (call, low, high) in enumerate(zip(case["calls"], single, double, strict=True)):
            call["structure"] = low["structure"]
            if "tuple" in low:
                call["tuple"] = low["tuple"]
            for name, value in high["arrays"].items():
                strays = error(low["arrays"][name], value)
                worst = max(worst, (strays, f"{case['name']} {name}"))
                if strays > TOLERABLE:
                    raise AssertionError(f"{case['name']}.{index}.{name}: {strays:.1e}")
                arrays[f"{case['name']}.{index}.{name}.float64"] = value
                arrays[f"{case['name']}.{index}.{name}.float32"] = low["arrays"][name]
    text = json.dumps({"transformers": transformers.__version__, "cases": cases})
    arrays["json"] = np.frombuffer(text.encode(), dtype=np.uint8)
    path = FOLDER / f"{group}.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes, "
          f"float32 strays {worst[0]:.1e} ({worst[1]})")  # fmt: skip


def store_table(arrays: dict[str, np.ndarray], table: np.ndarray) -> str:
    """Store a position table once, and return its name."""
    number = 0
    while f"table{number}" in arrays and not np.array_equal(arrays[f"table{number}"], table):
        number += 1
    arrays[f"table{number}"] = table
    return f"table{number}"


if __name__ == "__main__":
    if transformers.__version__ != "4.37.2":
        sys.exit(f"transformers 4.37.2 is the oracle, found {transformers.__version__}")
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    others = {
        "api": record_api,
        "beams": record_beams,
        "facts": record_facts,
        "generation": record_generation,
        "greedy": record_greedy,
        "misuse": record_misuse,
    }
    for chosen in sys.argv[1:] or [*GROUPS, *others]:
        if chosen in others:
            others[chosen].record(FOLDER)
        else:
            record(chosen)
