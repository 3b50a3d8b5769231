"""What a kernel may be off by: the float64 reference, and a bound derived for each operation.

All of it is first-order rounding analysis (Higham 2002, "Accuracy and Stability
of Numerical Algorithms", ch. 3). With u = 2⁻²⁴, half the spacing of float32:

    operation    bound on |kernel - reference|
    -----------  -----------------------------------------------------------------------
    sums         chain(n) u Σ|aᵢbᵢ|, chain(n) = n/8 + 5: kernels add up in 8 lanes or more,
                 but for attention, where lanes are queries: one by one, n + 1
    embed        2u (|E s| + |p|)
    layer_norm   |w z| (chain u + (δ/σ)² + 8u) + |w| δ/σ + 2u (|w z| + |b|), where
                 z = (x - µ)/σ and δ = chain u mean|x| is the error of the mean
    softmax      p (u d + Σ p u d + (chain + 10) u),  d = max - x
    log_softmax  u d + Σ p u d + (chain + 4) u + 5u log Σ + 2u |y|
    gelu         1e-7 |x|: a promise of the library, not a derivation
    gelu_tanh    |x|/2 (6u |t| sech² t + 6u) + 2u |y|, t the argument of tanh
    relu         0 (cache_append too)
    silu         8u |y|
    linear       slope (max(chain(K), tiles(K)) + 1) u (Σ|x w| + |b|) + the activation's bound
                 + u |y|; slope is the largest derivative of the activation, tiles(K) the
                 roundings of bf16 tiles and the product that they leave out
    linear_coarse   the same, against the product of the rounded numbers
    attention    Σ |v| min(p (E + (2n + 8) u), 1), n visible keys; a weight's error is
                 E = exp(e) (1 + Σ p (exp(e) - 1)) - 1, or e + Σ p e if that is small, and
                 e = (K + 1) u Σ|q k| + u d + 5u (n/64 + 1): a score, its distance to the
                 maximum, and the rescaling at every block of 64 keys

Elementary functions are granted 4u. To all of it comes TINY = 2⁻¹²⁶ a term:
subnormal numbers may be lost. Where an intermediate result exceeds float32
the bound is infinite. Where the reference is infinite or NaN, so must be the
kernel; there is one exception, and the invariance asks for it: what a query
may not see does not reach its result, not even if it is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyxglm.check.cases import ACTIVATIONS, FUSED, Case
from pyxglm.dtypes import Array
from pyxglm.ops import reference
from pyxglm.ops.stored import round_to_bfloat16, widen

U = 2.0**-24
TINY = 2.0**-126
MAX = float(np.finfo(np.float32).max)

_SLOPES = {"gelu": 1.13, "gelu_tanh": 1.13, "relu": 1.0, "silu": 1.1}


class Truth(NamedTuple):
    """The reference's result in float64, and how far a kernel may be from it."""

    expected: Array
    bound: Array


def truth(case: Case) -> dict[str, list[Truth]]:
    """Return the truth of every output: a list, one entry a sequence (else one in all)."""
    with np.errstate(all="ignore"):
        found = _TRUTHS[case.op](case)
    return {name: [_settled(one) for one in truths] for name, truths in found.items()}


def _settled(one: Truth) -> Truth:
    """Replace bounds that are no numbers, or whose values exceed float32, by infinity."""
    with np.errstate(all="ignore"):
        beyond = ~(np.abs(one.expected) + one.bound <= MAX)
    return Truth(one.expected, np.where(beyond, np.inf, one.bound))


def chain(n: int) -> float:
    """Return the most roundings that a term of a sum of n products meets, in 8 lanes or more."""
    return n / 8 + 5


def coarse_tiles(K: int) -> float:
    """Return the most roundings that a term meets in tiles of rounded numbers.

    As in `tiles`, with one product a step that leaves nothing out, and 256 inputs an
    accumulator:

    (min(K, 16) - 1) + 1 + (steps - 1) + K/256 + 1
    """
    return min(K, 16) + max(min(-(-K // 32), 8), 1) + K / 256


def tiles(K: int) -> float:
    """Return the most roundings that a term meets in bf16 tiles (`csrc/x86/linear_amx.c`).

    A TDPBF16PS takes 32 inputs in two chains of fma: 16 roundings, the first of which is
    exact, and one where the chains meet. Five of them a step of 32 inputs are added to an
    accumulator, at most 4 steps, the first time to 0; of the first step only the last, and
    largest, product rounds at full size. After 128 inputs the accumulator is added to the
    sum. The four smaller products of a term are at most 2⁻⁸ of it each, so that all their
    roundings together count as one; and the product that is left out is at most 2⁻²⁴ of the
    term, as a rounding is. Together:

    (min(K, 16) - 1) + 1 + (5 (steps - 1) + 1) + K/128 + 1 + 1
    """
    steps = min(-(-K // 32), 4)
    return min(K, 16) + 5 * max(steps, 1) - 2 + K / 128


def _wide(array: Array) -> Array:
    return reference.widen(array, np.float64)


# ------------------------------------------------------------------------------- by rows


def _embed(case: Case) -> dict[str, list[Truth]]:
    given = case.arguments
    expected = reference.embed(**given, dtype=np.float64)
    token = np.abs(_wide(given["embed_VD"][given["ids_BT"]]) * given["scale"])
    place = np.abs(_wide(given["table_PD"][given["positions_BT"] + reference.POSITION_OFFSET]))
    bound = np.where(token + place > MAX, np.inf, 2 * U * (token + place) + TINY)
    return {"hidden": [Truth(expected, bound)]}


def _layer_norm(case: Case) -> dict[str, list[Truth]]:
    x_BTD, weight_D, bias_D = (_wide(case.arguments[k]) for k in ("x_BTD", "weight_D", "bias_D"))
    expected = reference.layer_norm(x_BTD, weight_D, bias_D)
    D = x_BTD.shape[-1]
    size = np.abs(x_BTD).mean(axis=-1, keepdims=True)
    centred = x_BTD - x_BTD.mean(axis=-1, keepdims=True)
    sigma = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + reference.LAYER_NORM_EPS)
    shift = chain(D) * U * size / sigma  # δ / σ
    scaled = np.abs(weight_D * centred / sigma)
    bound = scaled * ((chain(D) + 8) * U + shift**2) + np.abs(weight_D) * shift
    bound += 2 * U * (scaled + np.abs(bias_D)) + TINY * (1 + np.abs(weight_D) / sigma)
    overflows = (D * size > MAX) | (D * sigma**2 > MAX)
    return {"y": [Truth(expected, np.where(overflows, np.inf, bound))]}


def _softmax(case: Case) -> dict[str, list[Truth]]:
    x = _wide(case.arguments["x"])
    expected = reference.softmax(x)
    distance, mean_distance = _distances(x, expected)
    bound = expected * U * (distance + mean_distance + chain(x.shape[-1]) + 10)
    return {"y": [Truth(expected, bound + 2 * TINY)]}


def _log_softmax(case: Case) -> dict[str, list[Truth]]:
    x = _wide(case.arguments["x"])
    expected = reference.log_softmax(x)
    distance, mean_distance = _distances(x, reference.softmax(x))
    log_sum = np.abs(-distance - expected)
    bound = U * (distance + mean_distance + chain(x.shape[-1]) + 4 + 5 * log_sum)
    return {"y": [Truth(expected, bound + 2 * U * np.abs(expected) + TINY)]}


def _distances(x: Array, weights: Array) -> tuple[Array, Array]:
    """Return how far each score is below the maximum, and the weighted mean of that."""
    distance = x.max(axis=-1, keepdims=True) - x
    # 0 * inf, a score of -inf, counts nothing.
    weighted = np.where(weights > 0, weights * distance, 0.0)
    return np.where(np.isinf(distance), 0.0, distance), weighted.sum(axis=-1, keepdims=True)


# --------------------------------------------------------------------------- activations


def _activation_bound(name: str, x: Array, y: Array) -> Array:
    size = np.abs(x)
    if name == "gelu":
        return 1e-7 * size + TINY
    if name == "relu":
        return np.zeros_like(size)
    if name == "silu":
        return 8 * U * np.abs(y) + TINY * (1 + size)
    t = np.minimum(np.sqrt(2 / np.pi) * (size + 0.044715 * size**3), 100.0)
    bent = 6 * U * t * (1 - np.tanh(t) ** 2)
    return np.asarray(size / 2 * (bent + 6 * U) + 2 * U * np.abs(y) + TINY)


def _activation(case: Case) -> dict[str, list[Truth]]:
    x = _wide(case.arguments["x"])
    expected = ACTIVATIONS[case.op](x)
    return {"y": [Truth(expected, _activation_bound(case.op, x, expected))]}


# --------------------------------------------------------------------- sums of products


def _linear_coarse(case: Case) -> dict[str, list[Truth]]:
    """Bound the product of rounded numbers; pairs (VDPBF16PS) meet no more roundings than lanes.

    There a term meets two for 32 inputs, its own and its neighbour's, and 5 in the tree.
    """
    given = case.arguments
    rounded = {name: round_to_bfloat16(widen(given[name], np.float32))
               for name in ("x_BTI", "weight_OI")}  # fmt: skip
    K = given["x_BTI"].shape[-1]
    return _product({**given, **rounded}, max(chain(K), coarse_tiles(K)))


def _linear(case: Case) -> dict[str, list[Truth]]:
    K = case.arguments["x_BTI"].shape[-1]
    return _product(case.arguments, max(chain(K), tiles(K)))


def _product(given: dict[str, Any], roundings: float) -> dict[str, list[Truth]]:
    """Bound a `linear` in whose sums a term meets so many roundings."""
    x_BTI, weight_OI = _wide(given["x_BTI"]), _wide(given["weight_OI"])
    bias_O = 0.0 if given["bias_O"] is None else np.abs(_wide(given["bias_O"]))
    residual_BTO = given["residual_BTO"]
    wide_residual = None if residual_BTO is None else _wide(residual_BTO)
    expected = reference.linear(
        x_BTI, given["weight_OI"], given["bias_O"],
        activation=given["activation"], residual_BTO=wide_residual,
    )  # fmt: skip
    K = x_BTI.shape[-1]
    size = np.abs(x_BTI) @ np.abs(weight_OI).T + bias_O
    # What is lost if subnormal factors count as 0, or results of steps on the way: in tiles,
    # of five products, each of 34 roundings for 32 inputs.
    lost = np.abs(x_BTI).sum(axis=-1, keepdims=True) + np.abs(weight_OI).sum(axis=-1)
    lost += 5 * 34 / 32 * (K + 32) + 1
    # The parts of numbers are rounded: a product of two may be 1% larger than theirs.
    bound = np.where(1.01 * size > MAX, np.inf, (roundings + 1) * U * size + TINY * lost)
    if given["activation"] is not None:
        name = FUSED[given["activation"]]
        sums = reference.linear(x_BTI, given["weight_OI"], given["bias_O"])
        bound = _SLOPES[name] * bound + _activation_bound(name, sums, ACTIVATIONS[name](sums))
    if residual_BTO is not None:
        bound = bound + U * np.abs(expected)
    return {"y": [Truth(expected, bound)]}


def _attention(case: Case) -> dict[str, list[Truth]]:
    shared = {name: case.arguments[name] for name in ("causal", "head_mask_H")}
    pairs = [_one_sequence(one, **shared) for one in case.arguments["sequences"]]
    found = {"out": [out for out, _ in pairs]}
    if case.arguments["return_weights"]:
        found["weights"] = [weights for _, weights in pairs]
    return found


def _one_sequence(
    one: dict[str, Any], *, causal: bool, head_mask_H: Array | None
) -> tuple[Truth, Truth]:
    q_HTK, k_HSK, v_HSK = (_wide(one[name])[0] for name in ("q_BHTK", "k_BHSK", "v_BHSK"))
    (_, T, K), S = q_HTK.shape, k_HSK.shape[1]
    keys_BS, visible_BTS = one["keys_BS"], one["visible_BTS"]
    seen = reference.visible_keys(T, S, causal=causal, keys_BS=keys_BS, visible_BTS=visible_BTS)
    seen_TS = np.ones((T, S), bool) if seen is None else np.broadcast_to(seen[0], (T, S))
    factor_H11 = np.ones((1, 1, 1)) if head_mask_H is None else _wide(head_mask_H)[:, None, None]
    if all(np.isfinite(array).all() for array in (q_HTK, k_HSK, v_HSK)):
        out_BHTK, weights_BHTS = reference.attention(
            q_HTK[None], k_HSK[None], v_HSK[None],
            causal=causal, keys_BS=keys_BS, visible_BTS=visible_BTS, return_weights=True,
        )  # fmt: skip
        assert weights_BHTS is not None  # noqa: S101  # they were asked for
        out_HTK, p_HTS = out_BHTK[0], weights_BHTS[0]
    else:
        out_HTK, p_HTS = _query_by_query(q_HTK, k_HSK, v_HSK, seen_TS, masked=seen is not None)

    # A query that sees nothing takes the mean of all values: equal scores, no errors in them.
    none_T1 = ~seen_TS.any(axis=-1, keepdims=True)
    counted_TS = seen_TS | none_T1
    scores = np.where(none_T1, 0.0, q_HTK @ k_HSK.swapaxes(-1, -2))
    size = np.where(none_T1, 0.0, np.abs(q_HTK) @ np.abs(k_HSK).swapaxes(-1, -2))
    top = np.where(counted_TS, scores, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    n_T1 = counted_TS.sum(axis=-1, keepdims=True)
    error = U * ((K + 1) * size + (top - scores) + 5 * (n_T1 / 64 + 1))
    error = np.where(p_HTS > 0, error, 0.0)
    # Exactly, not to first order: large scores may have large errors.
    of_sum = np.log1p((p_HTS * np.expm1(error)).sum(axis=-1, keepdims=True))
    p_bound = np.minimum(p_HTS * (np.expm1(error + of_sum) + (2 * n_T1 + 8) * U), 1.0)

    mass = counted_TS[None].astype(float) @ np.abs(v_HSK)
    out_bound = p_bound @ np.abs(v_HSK) + TINY * (mass + n_T1)
    overflows = (np.where(counted_TS, size, 0.0) > MAX).any(axis=-1, keepdims=True)
    out_bound = np.where(overflows | (mass > MAX), np.inf, out_bound)
    p_bound = np.where(overflows, np.inf, p_bound + 2 * TINY)
    scale = np.abs(factor_H11) * (1 + U)
    return (
        Truth(out_HTK * factor_H11, out_bound * scale + TINY),
        Truth(p_HTS * factor_H11, p_bound * scale + TINY),
    )


def _query_by_query(
    q_HTK: Array, k_HSK: Array, v_HSK: Array, seen_TS: Array, *, masked: bool
) -> tuple[Array, Array]:
    """Attend, without what a query may not see: in the reference 0 * NaN would come through."""
    H, T, K = q_HTK.shape
    S = k_HSK.shape[1]
    out_HTK, p_HTS = np.empty((H, T, K)), np.empty((H, T, S))
    for t in range(T):
        visible_BTS = seen_TS[None, t : t + 1] if masked else None
        q_BHTK, seen_S1 = q_HTK[None, :, t : t + 1], seen_TS[t][:, None]
        k_BHSK = np.where(seen_S1, k_HSK, 0.0)[None]
        for attempt in range(2):  # first for the weights, which say what counts
            counts = seen_S1 | (p_HTS[:, t, :, None] > 0) if attempt else seen_S1
            v_BHSK = np.where(counts, v_HSK, 0.0)[None]
            out_BHTK, p_BHTS = reference.attention(
                q_BHTK, k_BHSK, v_BHSK, causal=False, visible_BTS=visible_BTS, return_weights=True
            )
            assert p_BHTS is not None  # noqa: S101  # they were asked for
            out_HTK[:, t], p_HTS[:, t] = out_BHTK[0, :, 0], p_BHTS[0, :, 0]
    return out_HTK, p_HTS


def _cache_append(case: Case) -> dict[str, list[Truth]]:
    copied = {name: _wide(case.arguments[f"{name}_BHTK"]) for name in ("k", "v")}
    return {f"{name}_room": [Truth(array, np.zeros_like(array))] for name, array in copied.items()}


_TRUTHS: dict[str, Callable[[Case], dict[str, list[Truth]]]] = {
    "embed": _embed,
    "layer_norm": _layer_norm,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    **dict.fromkeys(ACTIVATIONS, _activation),
    "linear": _linear,
    "linear_coarse": _linear_coarse,
    "attention": _attention,
    "cache_append": _cache_append,
}
