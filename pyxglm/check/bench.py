"""Time the kernels, each beside its reference, its lower levels and the machine's limits.

All on one thread. What is compared runs in turns, and medians count, so that a
disturbance meets all alike. What an empty call costs is subtracted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyxglm.check import native, report
from pyxglm.check.cases import ACTIVATIONS, OPS, Case
from pyxglm.check.head_cases import HEADS
from pyxglm.check.limits import Limits
from pyxglm.check.patterns import numbers
from pyxglm.check.plan import Variant
from pyxglm.check.problems import Problem, problem
from pyxglm.cli.terminal import Output
from pyxglm.dtypes import Array
from pyxglm.ops import coarse, reference

#: Seconds for a comparison, and turns at least.
_SECONDS, _TURNS = 1.2, 3

#: Seconds for a turn, at least: after another's turn the caches hold that one's arrays,
#: and what it takes to fetch them is no property of a kernel.
_SAMPLE = 2e-3

#: Bytes of weights that one row is multiplied with in turns: more than caches hold.
_STREAMED = 1 << 28

#: Tokens of the head's vocabulary: fewer than XGLM has, but more than caches hold.
_TOKENS = 32000

#: A level this much slower than a lower one is pointed at.
_SLOWER = 1.10


@dataclass(frozen=True)
class Load:
    """A call to time: a case, the bytes it must move and the operations it must do."""

    shape: str
    case: Case
    bytes: int
    operations: int  # multiplications and additions, where they are what limits
    copies: int = 1  # of the weights, to be used in turns


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


def loads(op: str, dtype: str) -> Iterator[Load]:
    """Yield the loads of an operation: rows 512, width 1024, or the like."""
    rng = np.random.default_rng(0)
    R, D, F, H, K = 512, 1024, 4096, 16, 64

    def drawn(shape: tuple[int, ...], stored: str = "float32") -> Array:
        return numbers(rng, shape, "normal", stored)

    def case(**arguments: Any) -> Case:
        return Case(op, dtype, arguments, "bench")

    stored = 4 if dtype == "float32" else 2
    if op == "embed":
        given = case(
            ids_BT=rng.integers(0, 32000, (1, R)), positions_BT=np.arange(R)[None],
            embed_VD=drawn((32000, D), dtype), table_PD=drawn((R + 2, D)), scale=32.0,
        )  # fmt: skip
        yield Load(f"{R} x {D}", given, R * D * (stored + 8), 0)
    elif op == "layer_norm":
        given = case(x_BTD=drawn((1, R, D)), weight_D=drawn((D,)), bias_D=drawn((D,)))
        yield Load(f"{R} x {D}", given, R * D * 8, 0)
    elif op in ("softmax", "log_softmax"):
        yield Load(f"{R} x {D}", case(x=drawn((R, D))), R * D * 8, 0)
    elif op in ACTIVATIONS:
        yield Load(f"{R * D}", case(x=drawn((R * D,))), R * D * 8, 0)
    elif op in ("linear", "linear_coarse"):
        copies = max(1, _STREAMED // (F * D * stored))
        for M, used in ((R, 1), (1, copies)):
            given = case(
                x_BTI=drawn((1, M, D)), weight_OI=drawn((F, D), dtype), bias_O=drawn((F,)),
                activation=None, residual_BTO=None,
            )  # fmt: skip
            moved = F * D * stored + 4 * (M * D + M * F)
            yield Load(f"{M} x {D} x {F}", given, moved, 2 * M * D * F, used)
    elif op in HEADS:
        head_VD = drawn((_TOKENS, D), dtype)
        for name, M, top in (("best", 1, 1), ("best 50", 1, 50), ("log-sum-exp", 64, 0)):
            given = case(x=drawn((M, D)), w=head_VD, top=min(top, _TOKENS),
                         targets=rng.integers(0, _TOKENS, M))  # fmt: skip
            moved = _TOKENS * D * stored + 4 * M * D
            yield Load(f"{name} {M} x {D} x {_TOKENS}", given, moved, 2 * M * D * _TOKENS)
    elif op == "cache_append":
        for T in (R, 1):
            given = case(k_BHTK=drawn((1, H, T, K)), v_BHTK=drawn((1, H, T, K)), start=0, S=R)
            yield Load(f"T={T}", given, 16 * H * T * K, 0)
    else:
        for T in (R, 1):
            one = {"q_BHTK": drawn((1, H, T, K)) * np.float32(K**-0.5)}
            one |= {"k_BHSK": drawn((1, H, R, K)), "v_BHSK": drawn((1, H, R, K))}
            one |= {"keys_BS": None, "visible_BTS": None}
            given = case(sequences=[one], causal=True, head_mask_H=None, return_weights=False)
            pairs = H * (R * (R + 1) // 2 if T == R else R)
            yield Load(f"T={T} S={R}", given, 4 * H * K * (2 * T + 2 * R), 4 * K * pairs)


class Runner:
    """A kernel ready to be called again and again."""

    def __init__(self, variant: Variant, load: Load) -> None:
        self._kernel = native.NativeKernel(variant.op, variant.dtype, variant.level)
        given = problem(load.case)
        self._tasks = self._kernel.tasks(given, given.inputs)
        self._outputs = {
            name: np.zeros(output.length, np.float32) for name, output in given.outputs.items()
        }
        self._inputs = [_with_own_weights(given) for _ in range(load.copies - 1)]
        self._inputs.append(given.inputs)
        self._prepared = [
            self._kernel.prepared(given, inputs, self._outputs) for inputs in self._inputs
        ]

    def __call__(self, turn: int) -> None:
        """Compute everything."""
        self._prepared[turn % len(self._prepared)](0, self._tasks)

    def empty(self, turn: int) -> None:
        """Do all but the work."""
        self._prepared[turn % len(self._prepared)](0, 0)


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
        self._arrays = arrays  # kept alive
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


def _with_own_weights(given: Problem) -> dict[str, Array]:
    return {**given.inputs, "w": given.inputs["w"].copy()}


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
    if op == "attention":
        one = {**given["sequences"][0], "causal": given["causal"]}
        return lambda turn: _nothing(function(**one))
    if op == "embed":
        return lambda turn: _nothing(function(**given, dtype=np.float32))
    if op in ACTIVATIONS or op in ("softmax", "log_softmax"):
        return lambda turn: _nothing(function(given["x"]))
    return lambda turn: _nothing(function(**given))


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
            seconds[name].append(_timed(call, turn * repeat[name], repeat[name]) / repeat[name])
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
        found += timings(group)
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
