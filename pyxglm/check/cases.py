"""Cases: one call of one operation, as the reference takes its arguments.

The shapes come from the reference's own signatures: `draw` reads the suffixes
of an operation's parameters, draws a size for each letter, and fills arrays of
those shapes with a pattern of `inputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.check.inputs import draw_sizes, letters, numbers, shape, some_hidden
from pyxglm.dtypes import Array
from pyxglm.ops import coarse, reference
from pyxglm.ops.activations import gelu_tanh, silu

#: Activations with kernels, by the names of the C library's enum.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": reference.gelu,
    "gelu_tanh": gelu_tanh,
    "relu": reference.relu,
    "silu": silu,
}

#: How `linear`'s fused activations are called in configurations (`reference.ACTIVATIONS`).
FUSED = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "silu"}

#: Widths that take many steps along a vector, besides the small ones.
_WIDE = (127, 160, 255, 256, 511, 520, 1000, 1025)

#: Head widths: those of models, and some that fit no vector.
HEAD_WIDTHS = (1, 3, 7, 8, 16, 17, 20, 24, 32, 40, 64, 80, 96, 128, 200, 256)

STORED = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Case:
    """One call: `arguments` are the reference's keywords.

    Attention's are ``sequences``, a list of such keywords (each with B = 1), and
    the keywords that hold for all of them.
    """

    op: str
    dtype: str
    arguments: dict[str, Any] = field(repr=False)
    origin: str

    def __str__(self) -> str:
        return f"{self.op} {self.dtype} {self.origin}"


@dataclass(frozen=True)
class Op:
    """An operation that has kernels: its reference, its stored dtypes, its cases."""

    function: Callable[..., Any]
    dtypes: tuple[str, ...]
    fill: Callable[[np.random.Generator, str, str, dict[str, int]], dict[str, Any]]
    may_be_zero: str  # letters of sizes that may be 0


def draw(
    op: str,
    rng: np.random.Generator,
    pattern: str,
    dtype: str = "float32",
    sizes: dict[str, int] | None = None,
) -> Case:
    """Draw a case of an operation.

    Parameters
    ----------
    op, pattern, dtype
        Names from `OPS`, `inputs.PATTERNS` and the operation's dtypes.
    sizes
        Sizes by letter (`letters(OPS[op].function)`); None draws them too,
        now and then a zero or a wide one.
    """
    spec = OPS[op]
    if sizes is None:
        sizes = draw_sizes(rng, letters(spec.function))
        if spec.may_be_zero and rng.random() < 0.06:
            sizes[rng.choice(list(spec.may_be_zero))] = 0
        wide = [letter for letter in ("I", "D") if letter in sizes]
        if wide and rng.random() < 0.3:
            sizes[wide[0]] = int(rng.choice(_WIDE))
    where = " ".join(f"{letter}={size}" for letter, size in sizes.items())
    return Case(op, dtype, spec.fill(rng, pattern, dtype, sizes), f"{pattern} {where}".rstrip())


def _embed(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    V, P = sizes["V"], sizes["P"] + reference.POSITION_OFFSET
    return {
        "ids_BT": rng.integers(0, V, shape("ids_BT", sizes)),
        "positions_BT": rng.integers(0, sizes["P"], shape("positions_BT", sizes)),
        "embed_VD": numbers(rng, shape("embed_VD", sizes), pattern, dtype),
        "table_PD": numbers(rng, (P, sizes["D"]), pattern),
        "scale": float(np.float32(rng.choice([1.0, 32.0, np.sqrt(sizes["D"])]))),
    }


def _layer_norm(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    return {
        "x_BTD": numbers(rng, shape("x_BTD", sizes), pattern),
        "weight_D": numbers(rng, shape("weight_D", sizes), "normal"),
        "bias_D": numbers(rng, shape("bias_D", sizes), rng.choice(["normal", "zeros"])),
    }


def _rows(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    # The reference takes any shape here: a name with no suffix.
    rows, width = (int(n) for n in rng.choice((1, 2, 5, 8, 16, 17, 31, 33, 130, 300), 2))
    return {"x": numbers(rng, (rows * (rng.random() > 0.05), width), pattern)}


def _elements(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    return {"x": numbers(rng, (int(rng.integers(0, 400)),), pattern)}


def _linear(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    # Weights of the same pattern, or plain ones as in a model.
    of_weights = pattern if rng.random() < 0.5 and pattern != "broken" else "normal"
    x_BTI = numbers(rng, shape("x_BTI", sizes), pattern)
    weight_OI = numbers(rng, shape("weight_OI", sizes), of_weights, dtype)
    if pattern == "broken" and rng.random() < 0.5:
        x_BTI = numbers(rng, shape("x_BTI", sizes), "normal")
        weight_OI = numbers(rng, shape("weight_OI", sizes), pattern, dtype)
    given = rng.random(3) < 0.5
    return {
        "x_BTI": x_BTI,
        "weight_OI": weight_OI,
        "bias_O": numbers(rng, shape("bias_O", sizes), "normal") if given[0] else None,
        "activation": str(rng.choice(list(FUSED))) if given[1] else None,
        "residual_BTO": numbers(rng, shape("residual_BTO", sizes), "normal") if given[2] else None,
    }


def _attention(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    H = sizes["H"] = 1 + sizes["H"] % 5
    K = sizes["K"] = int(rng.choice(HEAD_WIDTHS))
    B, T, S = sizes.pop("B") % 3 + 1, sizes["T"], sizes["S"]
    causal = bool(rng.random() < 0.7)
    padded, whole = rng.random(2) < (0.5, 0.25)
    # One sequence is what the sizes say, the others are as long or shorter.
    lengths = [(T, max(S, T) if causal else S)]
    while len(lengths) < B:
        longest = lengths[0][1]
        new = int(rng.integers(1, max(T, 1) + 1))
        lengths.append((new, int(rng.integers(min(new, longest), longest + 1))))
    sequences = []
    for new, total in lengths:
        one = {"B": 1, "H": H, "K": K, "T": new, "S": total}
        sequences.append(
            {
                "q_BHTK": numbers(rng, (1, H, new, K), pattern) * np.float32(K**-0.5),
                "k_BHSK": numbers(rng, (1, H, total, K), pattern),
                "v_BHSK": numbers(rng, (1, H, total, K), pattern),
                "keys_BS": some_hidden(rng, shape("keys_BS", one)) if padded else None,
                "visible_BTS": some_hidden(rng, shape("visible_BTS", one)) if whole else None,
            }
        )
    return {
        "sequences": sequences,
        "causal": causal,
        "head_mask_H": numbers(rng, (H,), "normal") if rng.random() < 0.3 else None,
        "return_weights": bool(rng.random() < 0.4),
    }


def _cache_append(
    rng: np.random.Generator, pattern: str, dtype: str, sizes: dict[str, int]
) -> dict[str, Any]:
    # What the room holds before is of no account: only its size is given.
    sizes["T"], sizes["S"] = sorted((sizes["T"], sizes["S"]))
    return {
        "k_BHTK": numbers(rng, shape("k_BHTK", sizes), pattern),
        "v_BHTK": numbers(rng, shape("v_BHTK", sizes), pattern),
        "start": int(rng.integers(0, sizes["S"] - sizes["T"] + 1)),
        "S": sizes["S"],
    }


#: Every operation that has kernels.
OPS: dict[str, Op] = {
    "embed": Op(reference.embed, STORED, _embed, "BTD"),
    "layer_norm": Op(reference.layer_norm, STORED[:1], _layer_norm, "BT"),
    "softmax": Op(reference.softmax, STORED[:1], _rows, ""),
    "log_softmax": Op(reference.log_softmax, STORED[:1], _rows, ""),
    **{
        name: Op(function, STORED[:1], _elements, "") for name, function in ACTIVATIONS.items()
    },
    "linear": Op(reference.linear, STORED, _linear, "BTIO"),
    "linear_coarse": Op(coarse.linear, STORED, _linear, "BTIO"),
    "attention": Op(reference.attention, STORED[:1], _attention, "T"),
    "cache_append": Op(reference.cache_append, STORED[:1], _cache_append, "BT"),
}  # fmt: skip
