"""Print how far pyxglm is from transformers 4.37.2, group by group.

Run it from the repository root: ``PYTHONPATH=.:tests python -m parity.report``.
"""

from __future__ import annotations

from golden.compare import cases, error, expected, load
from golden.flatten import flatten
from golden.more_cases import GROUPS
from parity.harness import TOLERANCES, run


def worst(group: str, compute: str) -> tuple[float, str, int]:
    """Return a group's largest error, the output that has it, and how many were compared."""
    found, name, count = 0.0, "", 0
    for case in cases(group):
        table = load(group)[case["table"]] if compute == "float64" else None
        for number, outputs in enumerate(run(case, compute, table)):
            call = case["calls"][number]
            arrays = flatten(outputs, call.get("keep", ["logits"]))
            for field, wanted in expected(group, case["name"], number, compute).items():
                if field != "loss_standard":
                    count += 1
                    found, name = max(
                        (found, name), (error(arrays[field], wanted), f"{case['name']} {field}")
                    )
    return found, name, count


if __name__ == "__main__":
    for compute, bound in TOLERANCES.items():
        print(f"{compute}, at most {bound:.0e} allowed:")
        for group in GROUPS:
            size, name, count = worst(group, compute)
            print(f"  {group:12} {len(cases(group)):3} cases {count:4} arrays  {size:.1e}  {name}")
