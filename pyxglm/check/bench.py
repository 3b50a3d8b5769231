"""Time the kernels, each beside its reference, its lower levels and the machine's limits.

All on one thread. What is compared runs in turns, and medians count, so that a
disturbance meets all alike. What an empty call costs is subtracted. Each operation has
a process of its own: how long NumPy takes to fill large arrays depends on the memory
that its process has had before (the C library of Linux keeps the more of it the larger
the blocks that were ever returned), and so on which operations came first.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from pyxglm import pages
from pyxglm.check import native, report
from pyxglm.check.cases import ACTIVATIONS, OPS
from pyxglm.check.head_cases import HEADS
from pyxglm.check.limits import Limits
from pyxglm.check.loads import Load, loads
from pyxglm.check.plan import Variant
from pyxglm.check.problems import problem
from pyxglm.cli.terminal import Output
from pyxglm.ops import coarse, reference

#: Seconds for a comparison, and turns at least.
_SECONDS, _TURNS = 1.2, 3

#: Seconds for a turn, at least.
_SAMPLE = 2e-3

#: A level this much slower than a lower one is pointed at.
_SLOWER = 1.10


@dataclass(frozen=True)
class Timing:
    """The time of one kernel (isa ``numpy``: of the reference) on one load."""

    op: str
    dtype: str
    shape: str
    isa: str
    microseconds: float
    bytes: int
    operations: int
    times_scalar: float | None
    times_numpy: float | None
    slower_than: str | None


class Runner:
    """A kernel ready to be called again and again."""

    def __init__(self, variant: Variant, load: Load) -> None:
        kernel = native.NativeKernel(variant.op, variant.dtype, variant.level)
        given = problem(load.case)
        self._outputs = {
            name: pages.empty_on_large((output.length,), np.dtype(np.float32))
            for name, output in given.outputs.items()
        }
        self._inputs = load.in_turns(given.inputs)
        self._prepared = [kernel.prepared(given, inputs, self._outputs) for inputs in self._inputs]

    def __call__(self, turn: int) -> None:
        """Compute everything."""
        self._prepared[turn % len(self._prepared)][0]()

    def empty(self, turn: int) -> None:
        """Do all but the work."""
        self._prepared[turn % len(self._prepared)][1]()


class HeadRunner:
    """The head, which is no kernel but an entry point, ready to be called again and again."""

    def __init__(self, variant: Variant, load: Load) -> None:
        lib, ffi = native.library().lib, native.library().ffi
        given = load.case.arguments
        (M, K), V, top = given["x"].shape, len(given["w"]), given["top"]
        arrays = {"x": given["x"], "w": given["w"]}
        if top:
            arrays |= {"ids": np.zeros((M, top), np.int64), "values": np.zeros((M, top), "f4")}
        else:
            arrays |= {"targets": given["targets"]}
            arrays |= {name: np.zeros(M, "f4") for name in ("target_logits", "log_sums")}
        fields = dict(ffi.typeof("pyxglm_head_args").fields)
        pointers = {
            name: ffi.cast(fields[name].type, array.ctypes.data) for name, array in arrays.items()
        }
        sizes = {"top": top, "V": V, "K": K}
        shortlist = given.get("shortlist")
        if shortlist is not None:
            pointers["shortlist"] = native.shortlist_struct(shortlist)
        self._kept = arrays, shortlist, pointers  # alive
        self._whole = ffi.new("pyxglm_head_args *", {**pointers, **sizes, "M": M})
        self._nothing = ffi.new("pyxglm_head_args *", {**pointers, **sizes, "M": 0})
        self._run, self._level = getattr(lib, f"pyxglm_run_{variant.op}"), variant.level
        self._stored = list(native.SUFFIXES).index(variant.dtype)

    def __call__(self, turn: int) -> None:
        """Compute everything."""
        self._run(self._whole, self._stored, self._level)

    def empty(self, turn: int) -> None:
        """Do all but the work."""
        self._run(self._nothing, self._stored, self._level)


def reference_call(load: Load) -> Callable[[int], None]:
    """Return a call of the NumPy reference."""
    given, op = load.case.arguments, load.case.op
    ops: Any = coarse if op == "head_coarse" else reference
    if op in HEADS and given["top"]:
        return lambda turn: _nothing(ops.head_top(given["x"], given["w"], given["top"]))
    if op in HEADS:
        question = given["x"], given["w"], given["targets"]
        return lambda turn: _nothing(ops.head_log_probs(*question))
    function = OPS[op].function
    if op == "cache_append":
        k_BHTK, v_BHTK, S = (given[name] for name in ("k_BHTK", "v_BHTK", "S"))
        rooms = np.zeros((2, *k_BHTK.shape[:2], S, k_BHTK.shape[3]), np.float32)
        return lambda turn: _nothing(function(*rooms, k_BHTK, v_BHTK, given["start"]))
    if op == "embed":
        return lambda turn: _nothing(function(**given, dtype=np.float32))
    if op in ACTIVATIONS or op in ("softmax", "log_softmax"):
        return lambda turn: _nothing(function(given["x"]))
    if op == "attention":
        given = {**given["sequences"][0], "causal": given["causal"]}
    turns = load.in_turns(given)
    return lambda turn: _nothing(function(**turns[turn % len(turns)]))


def _nothing(result: object) -> None:
    return None


def medians(calls: dict[str, Callable[[int], None]]) -> dict[str, float]:
    """Return the median seconds of each call; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    repeat = {}
    for name, call in calls.items():  # the first call also brings everything into memory
        call(0)
        took = _timed(call, 0, 1)
        repeat[name] = max(1, min(1000, int(_SAMPLE / max(took, 1e-9))))
    begun, turn = time.monotonic(), 0
    while turn < _TURNS or time.monotonic() - begun < _SECONDS:
        for name, call in calls.items():
            first = turn * repeat[name]
            if repeat[name] > 1:
                # After another's turn the caches hold that one's arrays, and what it takes
                # to fetch one's own is no property of a kernel.
                call(first - 1)
            seconds[name].append(_timed(call, first, repeat[name]) / repeat[name])
        turn += 1
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def _timed(call: Callable[[int], None], first: int, count: int) -> float:
    begun = time.perf_counter()
    for turn in range(first, first + count):
        call(turn)
    return time.perf_counter() - begun


def timings(variants: list[Variant]) -> Iterator[Timing]:
    """Time kernels of one operation and dtype on each of its loads."""
    op, dtype = variants[0].op, variants[0].dtype
    for load in loads(op, dtype):
        calls: dict[str, Callable[[int], None]] = {"numpy": reference_call(load)}
        kind = HeadRunner if op in HEADS else Runner
        runners = {variant.isa: kind(variant, load) for variant in variants}
        calls |= runners
        calls |= {f"empty {isa}": runner.empty for isa, runner in runners.items()}
        with native.threads(1):
            took = medians(calls)
        net = {isa: max(took[isa] - took[f"empty {isa}"], 1e-9) for isa in runners}
        lower: list[str] = []
        for isa, seconds in {"numpy": took["numpy"], **net}.items():
            beaten = [name for name in lower if seconds > _SLOWER * net[name]]
            yield Timing(
                op,
                dtype,
                load.shape,
                isa,
                seconds * 1e6,
                load.bytes,
                load.operations,
                net["scalar"] / seconds if "scalar" in net else None,
                took["numpy"] / seconds,
                beaten[-1] if beaten else None,
            )
            if isa != "numpy":
                lower.append(isa)


def timings_apart(variants: list[Variant]) -> list[Timing]:
    """Return the timings of one operation and dtype, taken in a copy of this process."""
    with warnings.catch_warnings(), ProcessPoolExecutor(1, get_context("fork")) as own:
        # Of a fork beside threads: those of the pool know that they may be left behind.
        warnings.simplefilter("ignore", DeprecationWarning)
        return own.submit(_listed, variants).result()


def _listed(variants: list[Variant]) -> list[Timing]:
    return list(timings(variants))


def run(variants: list[Variant], output: Output | None) -> dict[str, Any]:
    """Time kernels and return everything as a record; with `output`, show tables, too."""
    isas = {isa: level for isa, level in native.levels().items() if level is not None}
    limits = Limits(isas)
    found: list[Timing] = []
    groups: dict[tuple[str, str], list[Variant]] = {}
    for variant in variants:
        groups.setdefault((variant.op, variant.dtype), []).append(variant)
    for group in groups.values():
        limits.try_again()
        found += timings_apart(group)
    if output is not None:
        output.write(f"\n{limits_table(limits)}\n\n{timings_table(found, limits)}\n")
    return {
        "limits": {"read": limits.read, "fma": limits.fma, "pairs": limits.pairs},
        "timings": [asdict(timing) | shares(timing, limits) for timing in found],
    }


def shares(timing: Timing, limits: Limits) -> dict[str, float | None]:
    """Return a kernel's rates, and their share of what one thread of the machine can do."""
    seconds = timing.microseconds / 1e6
    read = timing.bytes / seconds
    peak = limits.fma[1].get(timing.isa)
    if timing.isa == "avx512" and timing.op in ("linear_coarse", "head_coarse"):
        peak = limits.pairs.get(1, peak)
    found = {"bytes_per_second": read, "of_read": read / limits.read[1]}
    rate = timing.operations / seconds if timing.operations else None
    of_peak = rate / peak if rate and peak else None
    return {**found, "operations_per_second": rate, "of_peak": of_peak}


def limits_table(limits: Limits) -> str:
    """Return the machine's limits as a table."""
    isas = list(limits.fma[1])
    names = [*isas, *(["bf16 pairs"] if limits.pairs else [])]
    rows = [["limits", "read GB/s", *(f"{name} GFLOP/s" for name in names)]]
    for count, bytes_per_second in limits.read.items():
        peaks = [f"{limits.fma[count][isa] / 1e9:.0f}" for isa in isas]
        peaks += [f"{limits.pairs[count] / 1e9:.0f}"] if limits.pairs else []
        rows.append([f"{count} thread{'s' * (count > 1)}", f"{bytes_per_second / 1e9:.1f}", *peaks])
    return report.table(rows, left=1)


def timings_table(found: list[Timing], limits: Limits) -> str:
    """Return timings as a table, and below it what is slower than it should be."""
    rows = [["op", "stored", "shape", "isa", "µs", "x scalar", "x NumPy", "GB/s", "of read",
             "GFLOP/s", "of peak"]]  # fmt: skip
    for one in found:
        share = shares(one, limits)
        rates = [share["bytes_per_second"], share["operations_per_second"]]
        read, operations = ("" if rate is None else f"{rate / 1e9:.1f}" for rate in rates)
        of_read, of_peak = (
            "" if share[name] is None else f"{share[name]:.0%}" for name in ("of_read", "of_peak")
        )
        factors = ["" if f is None else f"{f:.2f}" for f in (one.times_scalar, one.times_numpy)]
        rows.append([one.op, one.dtype, one.shape, one.isa, f"{one.microseconds:.1f}",
                     *factors, read, of_read, operations, of_peak])  # fmt: skip
    slow = [
        f"slower than {one.slower_than}: {one.op} {one.dtype} {one.shape} {one.isa}"
        for one in found
        if one.slower_than
    ]
    notes = "On one thread. Caches are faster than memory: 'of read' can exceed 100%."
    return "\n".join([report.table(rows, left=4), "", notes, *slow])
