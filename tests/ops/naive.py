"""The operations once more, with loops and exact sums: slow, and hard to get wrong.

Each function takes float64 arrays (`strategies.exact` of what an operation got)
and returns float64: sums are `math.fsum`, correctly rounded whatever the order.
Where a bound is returned too, it is the sum of the magnitudes that were added:
what an error of rounding is measured in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pyxglm.dtypes import Array


def dot(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    """Return the sum of products, and the sum of their magnitudes."""
    products = [a * b for a, b in zip(left, right, strict=True)]
    return math.fsum(products), math.fsum(map(abs, products))


def linear(x_BTI: Array, weight_OI: Array, bias_O: Array, residual_BTO: Array):
    y_BTO, size_BTO = np.empty_like(residual_BTO), np.empty_like(residual_BTO)
    rows_OI = weight_OI.tolist()
    for b, t in np.ndindex(x_BTI.shape[:2]):
        row_I = x_BTI[b, t].tolist()
        for o, weight_I in enumerate(rows_OI):
            total, size = dot(row_I, weight_I)
            y_BTO[b, t, o] = total + bias_O[o] + residual_BTO[b, t, o]
            size_BTO[b, t, o] = size + abs(bias_O[o]) + abs(residual_BTO[b, t, o])
    return y_BTO, size_BTO


def layer_norm(x_D: Sequence[float], weight_D: Sequence[float], bias_D: Sequence[float]):
    """Return the normalised vector, its mean and its variance."""
    mean = math.fsum(x_D) / len(x_D)
    variance = math.fsum((x - mean) ** 2 for x in x_D) / len(x_D)
    scale = 1 / math.sqrt(variance + 1e-5)
    triples = zip(x_D, weight_D, bias_D, strict=True)
    return [(x - mean) * scale * w + b for x, w, b in triples], mean, variance


def softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]


def log_softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    total = math.log(math.fsum(math.exp(score - highest) for score in scores))
    return [(score - highest) - total for score in scores]


def seen(
    t: int, T: int, S: int, causal: bool, keys_S: Array | None, visible_TS: Array | None
) -> list[int]:
    """Return the places that query t may see, after the words of transformers' documentation."""
    if visible_TS is not None:  # a whole mask replaces every other rule
        return [s for s in range(S) if visible_TS[t, s]]
    places = range(S - T + t + 1) if causal and T > 1 else range(S)
    return [s for s in places if keys_S is None or keys_S[s]]


def attention(q_TK: Array, k_SK: Array, v_SK: Array, seen_T: Sequence[Sequence[int]]):
    """Return one head's output and weights, and each query's largest sum of |q k|."""
    T, S = len(q_TK), len(k_SK)
    out_TK, weights_TS, size_T = np.zeros_like(q_TK), np.zeros((T, S)), np.zeros(T)
    for t, places in enumerate(seen_T):
        # A query that may see nothing looks at everything alike, the future included.
        scores = [dot(q_TK[t].tolist(), k_SK[s].tolist()) for s in places]
        chosen = softmax([score for score, _ in scores]) if places else [1 / S] * S
        for s, weight in zip(places or range(S), chosen, strict=True):
            weights_TS[t, s] = weight
        size_T[t] = max((size for _, size in scores), default=0.0)
        for k in range(q_TK.shape[1]):
            out_TK[t, k] = dot(weights_TS[t].tolist(), v_SK[:, k].tolist())[0]
    return out_TK, weights_TS, size_T


def cross_entropy(logits_NV: Array, targets_N: Sequence[int]) -> float:
    losses = [
        -log_softmax(row.tolist())[target]
        for row, target in zip(logits_NV, targets_N, strict=True)
        if target != -100
    ]
    return math.fsum(losses) / len(losses) if losses else math.nan


def normal_cdf(x: float) -> float:
    """Return Φ(x) without cancellation."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _tanh_gelu(x: float, constant: float = math.sqrt(2 / math.pi)) -> float:
    # x (1 + tanh u) / 2 = x σ(2u), in which nothing cancels
    return x * _sigmoid(2 * constant * (x + 0.044715 * x**3))


def _gelu(x: float) -> float:
    return x * normal_cdf(x)


#: What transformers 4.37 computes under each name, as its documentation and the papers say.
ACTIVATIONS = {
    "gelu": _gelu,
    "gelu_10": lambda x: min(max(_gelu(x), -10.0), 10.0),
    "gelu_accurate": _tanh_gelu,
    "gelu_fast": lambda x: _tanh_gelu(x, 0.7978845608),  # ten digits of sqrt(2/pi)
    "gelu_new": _tanh_gelu,
    "gelu_python": _gelu,
    "gelu_pytorch_tanh": _tanh_gelu,
    "laplace": lambda x: normal_cdf((x - 0.707107) / 0.282095),
    "leaky_relu": lambda x: x if x > 0 else x / 100,
    "linear": lambda x: x,
    "mish": lambda x: x * math.tanh(x + math.log1p(math.exp(-x)) if x > 0 else
                                    math.log1p(math.exp(x))),
    "quick_gelu": lambda x: x * _sigmoid(1.702 * x),
    "relu": lambda x: x if x > 0 else 0.0,
    "relu2": lambda x: x * x if x > 0 else 0.0,
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "tanh": math.tanh,
}  # fmt: skip
