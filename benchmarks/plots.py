"""Draw the results as SVG files in ``benchmarks/plots/<machine>/``, each for light and dark pages.

pip install ".[bench]" && python benchmarks/plots.py

The same results give the same bytes with the same matplotlib: nothing is dated or random.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import matplotlib as mpl
import pairs
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Text and lines, grid, and colours of the data, on light and on dark pages.
THEMES = {
    "light": {"ink": "#24292f", "faint": "#d0d7de", "page": "#ffffff",
              "series": ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#57606a")},
    "dark": {"ink": "#e6edf3", "faint": "#30363d", "page": "#0d1117",
             "series": ("#58a6ff", "#ff7b72", "#3fb950", "#d29922", "#bc8cff", "#8b949e")},
}  # fmt: skip

#: Marks of operations in the roofline.
MARKS = {"linear": "o", "attention": "^"}
SHORT = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32"}


def settings(theme: dict[str, Any]) -> dict[str, Any]:
    """Return matplotlib's settings for a theme."""
    ink = dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
        theme["ink"],
    )
    return {
        **ink,
        "axes.axisbelow": True,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.prop_cycle": mpl.cycler(color=theme["series"]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": theme["page"],
        "figure.figsize": (7.2, 4.4),
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "grid.color": theme["faint"],
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "svg.fonttype": "path",
        "svg.hashsalt": "pyxglm",
    }


def roofline(axes: Axes, found: dict[str, Any], theme: dict[str, Any]) -> bool:
    """Draw kernels' operations a second against operations a byte, and what one thread can do."""
    kernels = found.get("kernels")
    timed = [one for one in kernels["timings"] if one["operations"]] if kernels else []
    timed = [one for one in timed if one["isa"] != "numpy"]
    if not timed:
        return False
    read, peaks = kernels["limits"]["read"]["1"], kernels["limits"]["fma"]["1"]
    drawn = list(dict.fromkeys(one["isa"] for one in timed))
    colours = dict(zip(drawn, theme["series"], strict=False))
    intensities = [one["operations"] / one["bytes"] for one in timed]
    low, high = min(intensities) / 2, max(intensities) * 2
    for isa in drawn:
        if isa not in peaks:
            continue
        points = [low, max(low, min(high, peaks[isa] / read)), high]
        heights = [min(read * x, peaks[isa]) / 1e9 for x in points]
        axes.plot(points, heights, color=colours[isa], linestyle="--", linewidth=1.2)
    for isa in drawn:
        for op, mark in MARKS.items():
            chosen = [one for one in timed if (one["isa"], one["op"]) == (isa, op)]
            axes.plot(
                [one["operations"] / one["bytes"] for one in chosen],
                [one["operations"] / one["microseconds"] / 1e3 for one in chosen],
                mark, color=colours[isa], label=f"{op} {isa}" if chosen else None,
                markersize=7, markeredgecolor=theme["page"],
            )  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlim=(low, high),
        xlabel="arithmetic intensity (operations / byte)", ylabel="GFLOP/s",
        title="Kernels on one thread; dashed: read bandwidth and FMA peak",
    )  # fmt: skip
    axes.legend(fontsize=9)
    return True


def decode(axes: Axes, found: dict[str, Any], theme: dict[str, Any]) -> bool:
    """Draw generated tokens a second: each runtime, and pyxglm in the turns it had with it."""
    peers = found.get("peers")
    row = (
        next((row for row in peers["rows"] if row["name"] == "decode_b1"), None) if peers else None
    )
    if row is None:
        return False
    read = peers["limits"]["read"][str(peers["threads"])]
    size = {one["runtime"]: one["weight_bytes"] for one in peers["runtimes"]}
    names, stored = [], ""
    for one in peers["runtimes"]:
        stored = stored or SHORT.get(one["weights"], one["weights"])  # pyxglm comes first
        own = one.get("beside", "")
        if (rates := pairs.pair_rates(row, one["runtime"], own)) is None:
            continue
        place = len(names)
        names.append(f"{one['runtime']}\nweights {SHORT.get(one['weights'], one['weights'])}")
        for at, rate, runtime, color in (
            (place - 0.19, rates[0], one["runtime"], theme["series"][1]),
            (place + 0.19, rates[1], own, theme["series"][0]),
        ):
            axes.barh(at, rate, 0.36, color=color)
            axes.text(
                rate, at, f"{rate:.1f} ", va="center", ha="right", fontsize=9, fontweight="bold",
                color=theme["page"],
            )  # fmt: skip
            axes.vlines(
                read / size[runtime], at - 0.19, at + 0.19, color=theme["ink"], linewidth=2.5
            )
    if not names:
        return False
    for label, color in (("the other", 1), (f"pyxglm, {stored}, in the same turns", 0)):
        axes.barh(0, 0, color=theme["series"][color], label=label)
    axes.vlines([], 0, 0, color=theme["ink"], label="reading the weights, at the run's best rate")
    axes.set(
        yticks=range(len(names)), yticklabels=names, xlabel="tokens / s",
        title=f"Decoding, batch 1, {peers['threads']} threads",
    )  # fmt: skip
    axes.set_ylim(len(names) - 0.5, -0.6)  # the first on top
    axes.grid(visible=False, axis="y")
    axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return True


def context(axes: Axes, found: dict[str, Any], theme: dict[str, Any]) -> bool:
    """Draw the time of a token against what is in the cache, and what its bytes explain."""
    model = found.get("model")
    if not model:
        return False
    measured = model["contexts"]["tokens"]
    read = model["contexts"]["read"]
    weights, cache = model["model"]["weight_bytes"], model["model"]["cache_bytes_per_token"]
    depths = [one["depth"] for one in measured]
    taken = [one["median_ns"] / 1e6 for one in measured]
    axes.plot(depths, taken, "o-", label="measured")
    if read:
        explained = [taken[0] + one["reading_ns"] / 1e6 for one in measured]
        least = [1e3 * (weights + cache * depth) / read for depth in depths]
        axes.plot(depths, explained, "--", label="first + cache's bytes at read bandwidth")
        axes.plot(
            depths, least, ":", color=theme["ink"], label="weights and cache at read bandwidth"
        )
    axes.set(
        xlabel="tokens in the cache", ylabel="ms / generated token",
        title=f"{model['model']['type']}, {model['model']['threads']} threads",
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=9, loc="lower right")
    return True


def threads(axes: Axes, found: dict[str, Any], theme: dict[str, Any]) -> bool:
    """Draw how much faster more threads are, beside how much more they can read and multiply."""
    model = found.get("model")
    measured = [one for one in model["threads"] if "median_ns" in one] if model else []
    if not measured:
        return False
    for name, limit in (("decode_b1", "read"), ("prompt_512_last", "fma")):
        chosen = [one for one in measured if one["name"] == name]
        if not chosen:
            continue
        counts = [one["threads"] for one in chosen]
        speed = [chosen[0]["median_ns"] / one["median_ns"] for one in chosen]
        (line,) = axes.plot(counts, speed, "o-", label=chosen[0]["title"])
        rates = [model["limits"][limit][str(count)] for count in counts]
        if limit == "fma":
            rates = [max(rate.values()) for rate in rates]
        axes.plot(
            counts, [rate / rates[0] for rate in rates], ":", color=line.get_color(),
            label={"read": "read bandwidth", "fma": "FMA peak"}[limit],
        )  # fmt: skip
    axes.set(xlabel="threads", ylabel="× one thread", title=model["model"]["type"])
    axes.set_xticks(sorted({one["threads"] for one in measured}))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=9, loc="lower right")
    return True


#: Every plot by the name of its file.
DRAWN: dict[str, Callable[[Axes, dict[str, Any], dict[str, Any]], bool]] = {
    "roofline": roofline,
    "decode": decode,
    "context": context,
    "threads": threads,
}


def draw(name: str, found: dict[str, Any], theme: str, path: Path) -> bool:
    """Draw a plot of one machine's results; tell whether there was something to draw."""
    with mpl.rc_context({"text.usetex": False}):
        mpl.rcdefaults()
        mpl.rcParams.update(settings(THEMES[theme]))
        figure = Figure()
        axes = figure.add_subplot()
        if not DRAWN[name](axes, found, THEMES[theme]):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=110)
    return True


def main() -> None:
    """Draw everything that there are results for."""
    parser = argparse.ArgumentParser(description="Draw the results as SVG.")
    parser.add_argument("--results", type=Path, default=common.RESULTS, metavar="DIR")
    parser.add_argument("--plots", type=Path, default=common.PLOTS, metavar="DIR")
    parser.add_argument("--png", action="store_true", help="PNG instead, to look at")
    arguments = parser.parse_args()
    for machine, found in common.machines(arguments.results).items():
        for name in DRAWN:
            for theme in THEMES:
                suffix = "png" if arguments.png else "svg"
                path = arguments.plots / machine / f"{name}-{theme}.{suffix}"
                if draw(name, found, theme, path):
                    print(path)


if __name__ == "__main__":
    main()
