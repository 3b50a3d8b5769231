"""Cases: one call of one operation, as the reference takes its arguments.

`inputs` draws the arguments from the reference's own signature; here stands
what a kernel's contract says beyond that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.check.inputs import (
    ROWS,
    STORED,
    Choose,
    by_chance,
    draw_arguments,
    draw_sizes,
    letters,
    suffix,
)
from pyxglm.check.patterns import EXTREME
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

#: Dtypes of weights that there are kernels for; float64 is narrowed on the way.
KERNEL_DTYPES = STORED[:3]


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
    fill: Callable[[Draw], dict[str, Any]]
    zeros: str = ROWS  # letters of sizes that may be 0
    any_shape: str = ""  # letters of the shape, where the reference takes any
    largest: dict[str, int] = field(default_factory=dict)

    @property
    def letters(self) -> str:
        """The letters of the sizes that a case has."""
        return letters(self.function) or self.any_shape


@dataclass(frozen=True)
class Draw:
    """What a case is drawn with: who chooses, numbers, and what has been settled."""

    op: str
    choose: Choose
    rng: np.random.Generator
    pattern: str
    dtype: str
    sizes: dict[str, int]

    def arguments(self, **changes: Any) -> dict[str, Any]:
        """Draw the reference's arguments; `changes` as `draw_arguments` takes them."""
        settled: dict[str, Any] = {
            "stored": (self.dtype,),
            "patterns": (self.pattern,),
            "any_shape": OPS[self.op].any_shape,
        }
        function = OPS[self.op].function
        return draw_arguments(function, self.choose, self.rng, self.sizes, **{**settled, **changes})

    @property
    def of_others(self) -> tuple[str, ...]:
        """The patterns of what is only added or multiplied with at the end."""
        # As many for every pattern: fewer would be simpler in the eyes of hypothesis.
        return ("normal", "zeros", "normal" if self.pattern in EXTREME else self.pattern)


def draw(
    op: str,
    rng: np.random.Generator,
    pattern: str,
    dtype: str = "float32",
    choose: Choose | None = None,
) -> Case:
    """Draw a case of an operation.

    Parameters
    ----------
    op, pattern, dtype
        Names from `OPS`, `patterns.PATTERNS` and the operation's dtypes.
    rng
        What the numbers come from.
    choose
        Who chooses sizes, and what is given; None leaves that to `rng`, too.
    """
    spec, choose = OPS[op], choose or by_chance(rng)
    sizes = draw_sizes(choose, spec.letters, largest=spec.largest, zeros=spec.zeros)
    where = " ".join(f"{letter}={size}" for letter, size in sizes.items())
    arguments = spec.fill(Draw(op, choose, rng, pattern, dtype, sizes))
    return Case(op, dtype, arguments, f"{pattern} {where}".rstrip())


def _plain(draw: Draw) -> dict[str, Any]:
    return draw.arguments()


def _embed(draw: Draw) -> dict[str, Any]:
    arguments = draw.arguments()
    del arguments["dtype"]  # a kernel's is float32, the truth's is float64
    arguments["scale"] = float(np.float32(arguments["scale"]))
    return arguments


def _layer_norm(draw: Draw) -> dict[str, Any]:
    return draw.arguments(patterns_of={"weight_D": draw.of_others, "bias_D": draw.of_others})


def _linear(draw: Draw) -> dict[str, Any]:
    # Both factors of the pattern, or one: the other is plain, as in a model.
    of_x, of_weight = draw.choose(
        ((draw.pattern, "normal"), (draw.pattern, draw.pattern), ("normal", draw.pattern)),
        "patterns of x_BTI and weight_OI",
    )
    patterns_of = {
        "x_BTI": (of_x,), "weight_OI": (of_weight,),
        "bias_O": draw.of_others, "residual_BTO": draw.of_others,
    }  # fmt: skip
    activation = draw.choose((None, *FUSED), "activation")
    return draw.arguments(patterns_of=patterns_of, given={"activation": activation})


def _attention(draw: Draw) -> dict[str, Any]:
    arguments = draw.arguments(patterns_of={"head_mask_H": draw.of_others})
    B, _, T, K = arguments["q_BHTK"].shape
    S = arguments["k_BHSK"].shape[2]
    arguments["q_BHTK"] *= np.float32(K**-0.5)
    # One sequence is what the sizes say, the others are as long or shorter.
    lengths = [(T, S)]
    while len(lengths) < B:
        new = draw.choose(range(1, T + 1) or (0,), "tokens")
        past = draw.choose(range(S - T + 1), "past")
        lengths.append((new, new + past))
    if not arguments["causal"]:  # then there may be fewer keys than queries
        lengths = [
            (new, draw.choose(range(total, 0, -1) or (0,), "keys")) for new, total in lengths
        ]
    return by_sequence(arguments, lengths)


def by_sequence(
    arguments: dict[str, Any], lengths: list[tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Return the arguments of a case from those of `reference.attention`.

    `lengths` are the tokens and keys of each sequence, the first ones of those
    given; None keeps all.
    """
    (B, _, T, _), S = arguments["q_BHTK"].shape, arguments["k_BHSK"].shape[2]
    sequences = []
    for b, (new, total) in enumerate([(T, S)] * B if lengths is None else lengths):
        kept = {"B": slice(b, b + 1), "T": slice(new), "S": slice(total)}
        sequences.append(
            {
                name: None
                if array is None
                else array[tuple(kept.get(letter, slice(None)) for letter in suffix(name))]
                for name, array in arguments.items()
                if "B" in suffix(name)
            }
        )
    shared = {name: value for name, value in arguments.items() if "B" not in suffix(name)}
    return {"sequences": sequences, **shared}


def _cache_append(draw: Draw) -> dict[str, Any]:
    # What the room holds before is of no account: only its size is given.
    S = draw.sizes["S"]
    start = draw.choose(range(S - draw.sizes["T"] + 1), "start")
    drawn = draw.arguments(given={"k_room_BHSK": None, "v_room_BHSK": None, "start": start})
    return {"k_BHTK": drawn["k_BHTK"], "v_BHTK": drawn["v_BHTK"], "start": start, "S": S}


#: Every operation that has kernels.
OPS: dict[str, Op] = {
    "embed": Op(reference.embed, KERNEL_DTYPES, _embed, "BTD"),
    "layer_norm": Op(reference.layer_norm, ("float32",), _layer_norm),
    "softmax": Op(reference.softmax, ("float32",), _plain, any_shape="ND"),
    "log_softmax": Op(reference.log_softmax, ("float32",), _plain, any_shape="ND"),
    **{
        name: Op(function, ("float32",), _plain, "D", any_shape="D")
        for name, function in ACTIVATIONS.items()
    },
    "linear": Op(reference.linear, (*KERNEL_DTYPES, "int8"), _linear, "BTIO"),
    "linear_coarse": Op(coarse.linear, KERNEL_DTYPES, _linear, "BTIO"),
    "attention": Op(reference.attention, ("float32",), _attention, "T", largest={"B": 3}),
    "cache_append": Op(reference.cache_append, ("float32",), _cache_append, "BT"),
}
