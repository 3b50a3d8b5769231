"""What was measured of pyxglm and another runtime that took turns, and what it says.

A row holds pairs: ``row["pairs"]["torch float32"]["pyxglm"]`` is what pyxglm took in the
turns it had with torch. Ratios are of one pair: the machine may have been another the next
minute. A runtime's own time is the median of all its turns, beside whom ever.
"""

from __future__ import annotations

import statistics
from typing import Any


def median_ns(row: dict[str, Any], runtime: str) -> float | None:
    """Return the median time of all turns of a runtime; None if it had none."""
    samples = [
        one for pair in row["pairs"].values() for one in pair.get(runtime, {}).get("samples_ns", ())
    ]
    return statistics.median(samples) if samples else None


def rate(row: dict[str, Any], runtime: str) -> float | None:
    """Return the tokens a second of a runtime; None if it had no turn."""
    ns = median_ns(row, runtime)
    return None if ns is None else 1e9 * row["tokens"] / ns


def times(row: dict[str, Any], peer: str) -> float | None:
    """Return how many times as fast as a peer pyxglm was in their turns; None if not known."""
    pair = row["pairs"].get(peer, {})
    other = pair.get(peer, {}).get("median_ns")
    own = [one.get("median_ns") for name, one in pair.items() if name != peer]
    return other / own[0] if other and own and own[0] else None


def pair_rates(row: dict[str, Any], peer: str, own: str) -> tuple[float, float] | None:
    """Return the tokens a second of a peer, and of pyxglm (`own`) in its turns with it."""
    pair = row["pairs"].get(peer, {})
    found = [pair.get(name, {}).get("tokens_per_second") for name in (peer, own)]
    return (found[0], found[1]) if all(found) else None


def peak(peers: dict[str, Any], kind: str, runtime: str) -> int | None:
    """Return the bytes of memory that a runtime took for one kind of work; None if not known."""
    found = [one for one in peers["memory"].get(runtime, ()) if one["name"] == kind]
    return found[0].get("peak_anonymous") if found else None


def smaller(peers: dict[str, Any], kind: str, peer: str) -> float | None:
    """Return how many times less memory than a peer pyxglm took; None if not known."""
    beside = {one["runtime"]: one.get("beside", "") for one in peers["runtimes"]}
    taken, own = peak(peers, kind, peer), peak(peers, kind, beside[peer])
    return taken / own if taken and own else None
