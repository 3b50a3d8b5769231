"""What is timed: each operation on the shapes it serves in a model of 564M parameters.

What a model reads from memory, weights and the cache, is read from memory here too:
there are as many copies of it as caches do not hold, used in turns, by the kernels
and the reference alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyxglm import pages
from pyxglm.check.cases import ACTIVATIONS, Case
from pyxglm.check.head_cases import HEADS
from pyxglm.check.patterns import numbers
from pyxglm.dtypes import Array
from pyxglm.ops.shortlist import make_shortlist

#: Bytes of weights that one row is multiplied with in turns, and of keys and values that
#: one query sees: more than caches hold.
_STREAMED = 1 << 28

#: Which of the arrays those are, in a case and in the problem made of it.
_STREAMS = {"weight_OI", "k_BHSK", "v_BHSK", "w", "k", "v"}

#: Tokens of the head's vocabulary: fewer than XGLM has, but more than caches hold.
_TOKENS = 32000


@dataclass(frozen=True)
class Load:
    """A call to time: a case, the bytes it must move and the operations it must do."""

    shape: str
    case: Case
    bytes: int
    operations: int  # multiplications and additions, where they are what limits
    copies: int = 1  # of what is streamed, to be used in turns

    def in_turns(self, arrays: dict[str, Any]) -> list[dict[str, Any]]:
        """Return arguments `copies` times, each with memory of its own for what is streamed."""
        streams = {name: arrays[name] for name in _STREAMS & arrays.keys()}
        return [
            {**arrays, **{name: _copy(array) for name, array in streams.items()}}
            for _ in range(self.copies)
        ]


def loads(op: str, dtype: str) -> Iterator[Load]:
    """Yield the loads of an operation: rows 512, width 1024, or the like."""
    rng = np.random.default_rng(0)
    R, D, F, H, K = 512, 1024, 4096, 16, 64

    def drawn(shape: tuple[int, ...], stored: str = "float32") -> Array:
        return _copy(numbers(rng, shape, "normal", stored))

    def projected(T: int) -> Array:
        """Return a (1, H, T, K) array as projections leave them: tokens first in memory."""
        tokens_first_BTHK = drawn((1, T, H, K))
        return np.swapaxes(tokens_first_BTHK, 1, 2)

    def case(**arguments: Any) -> Case:
        return Case(op, dtype, arguments, "bench")

    stored = {"float32": 4, "int8": 1}.get(dtype, 2)
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
        if op == "head":  # whose bytes are the codes', and two numbers a token
            given = case(x=drawn((1, D)), w=head_VD, top=1, shortlist=make_shortlist(head_VD))
            moved = _TOKENS * (D + 8) + 4 * D
            yield Load(f"best by shortlist 1 x {D} x {_TOKENS}", given, moved, 2 * D * _TOKENS)
    elif op == "cache_append":
        for T in (R, 1):
            given = case(k_BHTK=projected(T), v_BHTK=projected(T), start=0, S=R)
            yield Load(f"T={T}", given, 16 * H * T * K, 0)
    elif op == "attention":
        for T in (R, 1):
            one = {"q_BHTK": projected(T) * np.float32(K**-0.5)}
            one |= {"k_BHSK": drawn((1, H, R, K)), "v_BHSK": drawn((1, H, R, K))}
            one |= {"keys_BS": None, "visible_BTS": None}
            given = case(sequences=[one], causal=True, head_mask_H=None, return_weights=False)
            pairs = H * (R * (R + 1) // 2 if T == R else R)
            moved = 4 * H * K * (2 * T + 2 * R)
            copies = 1 if T == R else max(1, _STREAMED // moved)
            yield Load(f"T={T} S={R}", given, moved, 4 * K * pairs, copies)
    else:
        raise ValueError(
            f"{op} has no load to be timed with, expected one in pyxglm/check/loads.py"
        )


def _copy(array: Array) -> Array:
    copied = pages.empty_on_large(array.shape, array.dtype)
    copied[...] = array
    return copied
