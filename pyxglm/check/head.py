"""Verify the LM head that stores no logits: best tokens, targets, log-sum-exp.

It promises the bits of `linear`'s logits. So the best tokens and the targets'
logits must be exactly those found in the logits that the same level's `linear`
computes, and a shortlist must not show; the log of the sum has a bound of its
own (`head_cases.log_sums`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.check import native
from pyxglm.check.cases import Case
from pyxglm.check.guard import Guarded, bits_differ
from pyxglm.check.head_cases import HeadCase, cases, log_sums
from pyxglm.check.problems import problem
from pyxglm.check.verify import THREADS, Outcome
from pyxglm.dtypes import Array
from pyxglm.ops.shortlist import LARGEST, SMALLEST, TOP, Shortlist, candidates

Found = dict[str, Array]


def check(op: str, dtype: str, level: int, seed: int, count: int) -> Outcome:
    """Check the head of a level on `count` cases of every pattern."""
    outcome = Outcome()
    for case, rng in cases(op, dtype, seed, count):
        _verify(case, level, rng, outcome)
    return outcome


def _verify(case: HeadCase, level: int, rng: np.random.Generator, outcome: Outcome) -> None:
    top, targets_M, product = case.top, case.targets_M, case.product
    logits_MV = _logits(product, level)
    M, V = logits_MV.shape
    found, damage = _run(case, level, rng)
    for complaint in damage:
        outcome.add(product, f"head: {complaint}")

    # NaN is best, then the larger; of equals the lower id.
    ids_MV = np.broadcast_to(np.arange(V), (M, V))
    plain_MV = np.where(np.isnan(logits_MV), 0, logits_MV)
    best_MV = np.lexsort((ids_MV, -plain_MV, ~np.isnan(logits_MV)))
    rows_M1 = np.arange(M)[:, None]
    wanted = {
        "ids": best_MV[:, :top],
        "values": logits_MV[rows_M1, best_MV[:, :top]],
        "target_logits": np.where(
            targets_M < 0, np.float32(0), logits_MV[rows_M1[:, 0], np.maximum(targets_M, 0)]
        ),
    }
    if (found["ids"] != wanted["ids"]).any():
        outcome.add(product, "head: ids are not those of the best logits")
    for name in ("values", "target_logits"):
        if bits_differ(found[name], wanted[name]).any():
            outcome.add(product, f"head: {name} differ in a bit from linear's logits")
    _check_log_sums(case, found["log_sums"], outcome)

    for count in THREADS:
        with native.threads(count):
            again, _ = _run(case, level, rng)
        if _differ(again, found):
            outcome.add(product, f"head: {count} threads: the results differ in a bit")
    row = int(rng.integers(0, M))
    one, _ = _run(case.rows(row, 1), level, rng)
    if _differ(one, {name: array[row : row + 1] for name, array in found.items()}):
        outcome.add(product, f"head: row {row} alone: the results differ in a bit")
    if top and product.op == "linear":
        _check_shortlist(case, level, rng, found, outcome)


def _logits(case: Case, level: int) -> Array:
    """Return the logits (M, V) that the level's `linear` computes."""
    given = problem(case)
    kernel = native.NativeKernel(case.op, case.dtype, level)
    logits = np.empty(given.outputs["y"].length, np.float32)
    kernel(given, given.inputs, {"y": logits}, 0, given.tasks or 0)
    return np.asarray(logits[given.outputs["y"].places[0][0]])


def _check_shortlist(
    case: HeadCase, level: int, rng: np.random.Generator, found: Found, outcome: Outcome
) -> None:
    """Ask for the best of few rows by a shortlist, which must not show in the result.

    The result alone would not show a radius that is too short by a little: that no
    logit is outside of its interval is checked for each.
    """
    first = int(rng.integers(0, len(case.x)))
    some = case.rows(first, int(rng.integers(1, 5)))
    shortlist, damage = _shortlist(some, level, rng)
    again, more = _run(some, level, rng, shortlist)
    for complaint in (*damage, *more):
        outcome.add(some.product, f"shortlist: {complaint}")
    wanted = {name: found[name][first : first + len(some.x)] for name in ("ids", "values")}
    if (again["ids"] != wanted["ids"]).any():
        outcome.add(some.product, "shortlist: ids are not those that are found without")
    if bits_differ(again["values"], np.ascontiguousarray(wanted["values"])).any():
        outcome.add(some.product, "shortlist: values differ in a bit from those without")
    lengths_M = np.linalg.norm(some.x.astype(np.float64), axis=1)
    with np.errstate(all="ignore"):
        scores_MV = some.x.astype(np.float64) @ shortlist.codes_VD.astype(np.float64).T
        off_MV = np.abs(_logits(some.product, level) - scores_MV * shortlist.scales_V)
        reach_MV = lengths_M[:, None] * shortlist.radii_V
    served_M1 = ((lengths_M >= SMALLEST) & (lengths_M <= LARGEST))[:, None]
    if (served_M1 & np.isfinite(reach_MV) & ~(off_MV <= reach_MV)).any():
        outcome.add(some.product, "shortlist: a logit is further from its score than the radius")
    wider = shortlist._replace(radii_V=1.01 * shortlist.radii_V)
    served = served_M1.all() and case.top <= TOP  # else all are computed
    for computed, x_K in zip(again["computed"].tolist(), some.x, strict=True):
        if served and computed > len(candidates(x_K, wider, case.top)):
            outcome.add(some.product, f"shortlist: {computed} logits were computed, too many")


def _shortlist(case: HeadCase, level: int, rng: np.random.Generator) -> tuple[Shortlist, list[str]]:
    """Make a shortlist on guarded memory; return it, and what was damaged."""
    lib, ffi = native.library().lib, native.library().ffi
    V, K = case.w.shape
    outputs = {"codes": Guarded(rng, np.dtype(np.int8), V * K, False)}
    for name in ("scales", "radii"):
        outputs[name] = Guarded(rng, np.dtype(np.float32), V, False)
    w = Guarded(rng, case.w.dtype, case.w.size, True)
    w.view[:] = case.w.reshape(-1)
    arguments = ffi.new("pyxglm_shortlist_args *", {"V": V, "K": K})
    fields = dict(ffi.typeof("pyxglm_shortlist_args").fields)
    for name, one in {**outputs, "w": w}.items():
        setattr(arguments, name, ffi.cast(fields[name].type, one.view.ctypes.data))
    stored = list(native.SUFFIXES).index(case.product.dtype)
    code = lib.pyxglm_run_shortlist(arguments, stored, level)
    if code != lib.PYXGLM_OK:
        raise RuntimeError(f"pyxglm_run_shortlist returned {code}, expected 0")
    damage = [f"wrote outside {k}" for k, one in outputs.items() if not one.margins_are_whole()]
    codes, scales_V, radii_V = (one.view.copy() for one in outputs.values())
    return Shortlist(codes.reshape(V, K), scales_V, radii_V), damage


def _run(
    case: HeadCase, level: int, rng: np.random.Generator, shortlist: Shortlist | None = None
) -> tuple[Found, list[str]]:
    """Call the entry point on guarded memory; return the results, and what it should not do.

    A shortlist serves no other question than that for the best.
    """
    lib, ffi = native.library().lib, native.library().ffi
    x_MK, w_VK, top = case.x, case.w, case.top
    (M, K), V = x_MK.shape, len(w_VK)
    whole, single = np.dtype(np.int64), np.dtype(np.float32)
    shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
        "ids": (whole, (M, top)),
        "values": (single, (M, top)),
    }
    inputs = {"x": x_MK.reshape(-1), "w": w_VK.reshape(-1)}
    if shortlist is None:
        shapes |= {"target_logits": (single, (M,)), "log_sums": (single, (M,))}
        inputs["targets"] = case.targets_M
    else:
        shapes["computed"] = (whole, (M,))
    outputs = {
        name: Guarded(rng, dtype, int(np.prod(shape)), False)
        for name, (dtype, shape) in shapes.items()
    }
    guarded = {
        name: Guarded(rng, array.dtype, array.size, name == "w") for name, array in inputs.items()
    }
    for name, array in inputs.items():
        guarded[name].view[:] = array
    arguments = ffi.new("pyxglm_head_args *", {"top": top, "M": M, "V": V, "K": K})
    fields = dict(ffi.typeof("pyxglm_head_args").fields)
    for name, one in {**outputs, **guarded}.items():
        setattr(arguments, name, ffi.cast(fields[name].type, one.view.ctypes.data))
    if shortlist is not None:
        listed = native.shortlist_struct(shortlist)
        arguments.shortlist = listed
    stored = list(native.SUFFIXES).index(case.product.dtype)
    op = "head" if case.product.op == "linear" else "head_coarse"
    code = getattr(lib, f"pyxglm_run_{op}")(arguments, stored, level)
    if code != lib.PYXGLM_OK:
        raise RuntimeError(f"pyxglm_run_{op} returned {code}, expected 0")
    damage = [f"wrote outside {k}" for k, one in outputs.items() if not one.margins_are_whole()]
    damage += [
        f"changed its input {name}"
        for name, one in guarded.items()
        if not one.margins_are_whole() or one.view.tobytes() != inputs[name].tobytes()
    ]
    return {name: outputs[name].view.reshape(shape) for name, (_, shape) in shapes.items()}, damage


def _differ(found: Found, wanted: Found) -> bool:
    floats = ("values", "target_logits", "log_sums")
    return bool((found["ids"] != wanted["ids"]).any()) or any(
        bits_differ(np.ascontiguousarray(found[name]), np.ascontiguousarray(wanted[name])).any()
        for name in floats
    )


def _check_log_sums(case: HeadCase, log_sums_M: Array, outcome: Outcome) -> None:
    expected_M, bound_M = log_sums(case)
    with np.errstate(all="ignore"):
        off_M = np.abs(log_sums_M - expected_M)
        finite = np.isfinite(expected_M)
        right = np.where(finite, (off_M <= bound_M) | np.isinf(bound_M), ~np.isfinite(log_sums_M))
        share = (off_M / bound_M)[finite & np.isfinite(bound_M)]
    worst = float(np.nan_to_num(share, nan=np.inf).max(initial=0))
    if worst > outcome.worst:
        outcome.worst, outcome.worst_case = worst, f"head {case.product}"
    if not right.all():
        m = int(np.argmin(right))
        outcome.add(
            case.product,
            f"head: log_sums[{m}] is {log_sums_M[m]:.9g},"
            f" expected {expected_M[m]:.9g} within {bound_M[m]:.3g}",
        )
