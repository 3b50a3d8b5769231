"""Activations that no published XGLM uses, but that a configuration may name.

As transformers 4.37 defines them (`activations.py`). Those of the published
models, GELU and ReLU, stand in `ops/reference.py`, and so does the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.special import erf


def gelu_tanh(x: Array) -> Array:
    """GELU by its tanh approximation: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))).

    >>> gelu_tanh(np.array([-1.0, 0.0, 2.0])).round(6)
    array([-0.158808,  0.      ,  1.954598])
    """
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_fast(x: Array) -> Array:
    """GELU by the tanh approximation, with sqrt(2/pi) rounded to ten digits.

    >>> gelu_fast(np.array([-1.0, 0.0, 2.0])).round(6)
    array([-0.158808,  0.      ,  1.954598])
    """
    return 0.5 * x * (1.0 + np.tanh(0.7978845608 * x * (1.0 + 0.044715 * x * x)))


def sigmoid(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), written so that nothing overflows.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small).astype(x.dtype, copy=False) / (1.0 + small)


def silu(x: Array) -> Array:
    """Sigmoid linear unit, or swish: x σ(x).

    >>> silu(np.array([-1.0, 0.0, 2.0])).round(6)
    array([-0.268941,  0.      ,  1.761594])
    """
    return x * sigmoid(x)


def mish(x: Array) -> Array:
    """Mish, of Misra 2019: x tanh(log(1 + exp(x))).

    >>> mish(np.array([-1.0, 0.0, 2.0])).round(6)
    array([-0.303401,  0.      ,  1.943959])
    """
    return x * np.tanh(np.logaddexp(0, x))


def laplace(x: Array) -> Array:
    """Laplace attention function of MEGA: (1 + erf((x - µ) / (σ sqrt 2))) / 2.

    µ = sqrt(1/2) and σ = sqrt(1/(4 pi)), as rounded there. (Ma et al. 2022, eq. 16.)

    >>> laplace(np.array([0.0, 0.707107, 2.0])).round(6)
    array([0.006094, 0.5     , 0.999998])
    """
    return 0.5 * (1.0 + erf((x - 0.707107) / (0.282095 * math.sqrt(2.0))))


#: The activations that are neither the error function's GELU nor plain rectifiers, by name.
FURTHER_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu_accurate": gelu_tanh,
    "gelu_fast": gelu_fast,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "laplace": laplace,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x).astype(x.dtype, copy=False),
    "linear": lambda x: x,
    "mish": mish,
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": sigmoid,
    "silu": silu,
    "swish": silu,
    "tanh": np.tanh,
}
