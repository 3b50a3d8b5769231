"""Write the README's tables of results, between two marks, from the result files.

python benchmarks/readme.py          writes them
python benchmarks/readme.py --check  only tells whether they are up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import common
import pairs

ROOT = common.HERE.parent
BEGIN, END = "<!-- begin: written by python benchmarks/readme.py -->\n", "<!-- end -->\n"

#: Plots in the order in which they are shown, and what a reader who sees none is told.
PLOTS = {
    "decode": "tokens a second of each runtime, and of pyxglm in the same turns",
    "context": "milliseconds a token against the tokens in the cache",
    "roofline": "operations a second of kernels against operations a byte",
    "threads": "speed against the number of threads",
}

#: Kernels other than these are not limited by multiplying.
COMPUTING = ("linear", "attention")


def generated(results: Path, plots: Path, root: Path) -> str:
    """Return the text between the marks; `root` is where links start from."""
    parts = []
    for machine, found in common.machines(results).items():
        parts += [heading(found), *tables(found), *pictures(plots / machine, root)]
    return "\n\n".join(parts) + "\n" if parts else "No results are in the repository yet.\n"


def heading(found: dict[str, Any]) -> str:
    """Return what the machine is and was able to do."""
    about = next(iter(found.values()))["environment"]
    limits = [one["limits"] for one in found.values()]
    rates = []
    for count in sorted({count for one in limits for count in one["read"]}, key=int):
        known = [one for one in limits if count in one["read"]]
        read = max(one["read"][count] for one in known)
        peak = max(max(one["fma"][count].values()) for one in known)
        threads = f"{count} thread{'s' * (count != '1')}"
        rates.append(f"{threads}: {read / 1e9:.1f} GB/s, {peak / 1e9:.0f} GFLOP/s")
    dates = sorted({one["environment"]["date"] for one in found.values()})
    commits = sorted({one["environment"]["commit"] for one in found.values()})
    return (
        f"#### {about['cpu']}, {about['cpus']} CPUs, {about['isa'] or 'no C kernels'}\n\n"
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}, commit {', '.join(commits)},"
        f" {about['compiler'] or 'no compiler'}, Python {about['python']}, numpy {about['numpy']}."
        f" Read bandwidth and float32 peak, the best of all runs: {'; '.join(rates)}."
    )


def tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of a machine."""
    if "peers" in found:
        yield beside(found["peers"])
    if "generation" in found:
        yield generation(found["generation"])
    if "model" in found:
        yield alone(found["model"])
    if "kernels" in found:
        yield kernels(found["kernels"])


def table(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table.

    >>> print(table([("what", "s"), ("cold", "0.4")]))
    | what | s |
    |---|---:|
    | cold | 0.4 |
    """
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = "|" + "|".join("---" if i < left else "---:" for i in range(len(rows[0]))) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def number(value: float) -> str:
    """Return a number with three digits, or all before the point.

    >>> number(8.8123), number(20.36), number(1234.5), number(0.39)
    ('8.81', '20.4', '1234', '0.39')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(one: dict[str, Any], key: str, unit: float) -> str:
    """Return a measured number in a unit, or a dash where nothing was measured."""
    return number(one[key] / unit) if one.get(key) is not None else "–"


def beside(peers: dict[str, Any]) -> str:
    """Return the table of pyxglm beside other runtimes."""
    present = {one["runtime"]: one for one in peers["runtimes"] if "absent" not in one}
    rows = [[f"{peers['model']}, {peers['threads']} threads", *present]]

    def add(
        title: str,
        unit: float,
        found: Callable[[str], float | None],
        times: Callable[[str], float | None],
    ) -> None:
        cells = [title]
        for name in present:
            value, better = found(name), times(name)
            cells.append("–" if value is None else number(value / unit))
            cells[-1] += "" if better is None else f" ({number(better)} ×)"
        rows.append(cells)

    for row in peers["rows"]:
        title = f"{row['title']} (tokens/s)"
        add(title, 1, partial(pairs.rate, row), partial(pairs.times, row))
    cold, memory = peers["cold"], peers["memory"]
    if cold["pairs"]:
        title = f"{cold['title']} (s)"
        add(title, 1e9, partial(pairs.median_ns, cold), partial(pairs.times, cold))
    kinds = {one["name"]: one["title"] for every in memory.values() for one in every}
    for kind, title in kinds.items():
        title = f"{title} (MB of anonymous memory)"
        add(title, 1e6, partial(pairs.peak, peers, kind), partial(pairs.smaller, peers, kind))
    absent = [f"{one['runtime']}: {one['absent']}" for one in peers["runtimes"] if "absent" in one]
    known = [f"{one['name']} ({one['weights']})" for one in present.values()]
    notes = [
        "In brackets: how many times as fast pyxglm is, or as small, from the turns that the two"
        f" took; torch in bfloat16 is beside pyxglm in bfloat16. Runtimes: {', '.join(known)}."
    ]
    notes += [f"Absent: {'; '.join(absent)}."] if absent else []
    return table(rows) + "\n\n" + " ".join(notes)


def generation(found: dict[str, Any]) -> str:
    """Return the table of `generate` beside transformers."""
    rows = [
        ["`generate`, bundled model, batch 1 (tokens/s)", "threads", "pyxglm", "transformers", "×"]
    ]
    for row in found["rows"]:
        own, other = (
            row["runtimes"][name].get("tokens_per_second") for name in ("pyxglm", "transformers")
        )
        times = number(own / other) if own and other else "–"
        cells = [number(rate) if rate else "–" for rate in (own, other)]
        rows.append([row["title"], str(row["threads"]), *cells, times])
    return table(rows)


def alone(model: dict[str, Any]) -> str:
    """Return the table of pyxglm beside the machine's limits."""
    about = model["model"]
    rows = [[f"{about['type']}, {about['threads']} threads", "", "of limit"]]
    for row in model["rows"]:
        if "error" not in row:
            share = "–" if row.get("of_limit") is None else f"{row['of_limit']:.0%}"
            rows.append([row["title"], f"{cell(row, 'tokens_per_second', 1)} tokens/s", share])
    last = model["contexts"]["tokens"][-1]
    if last["reading_ns"]:
        title = f"a token behind {last['depth']} others, above one behind none"
        share = f"{last['reading_ns'] / last['growth_ns']:.0%}"
        rows.append([title, f"{cell(last, 'growth_ns', 1e6)} ms", share])
    rows.append([model["cold"]["title"], f"{cell(model['cold'], 'median_ns', 1e9)} s", ""])
    for one in model["memory"]:
        title = f"{one['title']}: anonymous memory"
        rows.append([title, f"{cell(one, 'peak_anonymous', 1e6)} MB", ""])
    return table(rows)


def kernels(found: dict[str, Any]) -> str:
    """Return the table of kernels, of the fastest instruction set each."""
    best: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in found["timings"]:
        key = (one["op"], one["dtype"], one["shape"])
        if one["isa"] != "numpy" and (
            key not in best or one["microseconds"] < best[key]["microseconds"]
        ):
            best[key] = one
    rows = [["kernel", "stored", "shape", "isa", "µs", "× NumPy", "GB/s", "GFLOP/s", "of peak"]]
    for one in best.values():
        seconds = one["microseconds"] / 1e6
        rate = one["operations"] / seconds if one["op"] in COMPUTING else None
        peak = found["limits"]["fma"]["1"].get(one["isa"])
        rows.append([
            one["op"], one["dtype"], one["shape"], one["isa"], number(one["microseconds"]),
            number(one["times_numpy"]), number(one["bytes"] / seconds / 1e9),
            "" if rate is None else number(rate / 1e9),
            "" if rate is None or peak is None else f"{rate / peak:.0%}",
        ])  # fmt: skip
    # The longest of all tables, and the one that the fewest will read.
    summary = "Kernels, on one thread, each operation in a process of its own"
    return f"<details>\n<summary>{summary}</summary>\n\n{table(rows, left=4)}\n\n</details>"


def pictures(folder: Path, root: Path) -> Iterator[str]:
    """Yield the plots that there are, light or dark as the page is."""
    for name, said in PLOTS.items():
        light, dark = folder / f"{name}-light.svg", folder / f"{name}-dark.svg"
        if light.exists() and dark.exists():
            light, dark = (path.relative_to(root) for path in (light, dark))
            yield (
                "<picture>\n"
                f'<source media="(prefers-color-scheme: dark)" srcset="{dark.as_posix()}">\n'
                f'<img src="{light.as_posix()}" alt="{said}">\n'
                "</picture>"
            )


def replaced(text: str, new: str) -> str:
    """Return a text with what is between the marks replaced.

    Raises
    ------
    ValueError
        If it does not have each mark once, in order.
    """
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended or BEGIN in after:
        raise ValueError("README.md: expected the two marks of this script, once each")
    return before + BEGIN + new + END + after


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the README's tables of results.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    arguments = parser.parse_args()
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = replaced(old, generated(common.RESULTS, common.PLOTS, ROOT))
    if arguments.check:
        return int(new != old)
    path.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
