"""Cases of the LM head that stores no logits: what it is asked, and what is right.

A case is a `linear` without bias, whose result the head must not store, and two
questions about it: which are the best of each row, how probable are targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pyxglm.check.bounds import MAX, Truth, U, chain, truth
from pyxglm.check.cases import Case
from pyxglm.check.inputs import by_chance, draw_arguments
from pyxglm.check.patterns import PATTERNS
from pyxglm.check.problems import Output, Problem
from pyxglm.dtypes import Array
from pyxglm.ops import reference

#: The names of the operation, each with the product that it is made of: no entries of the
#: table, but made of several.
HEADS = {"head": "linear", "head_coarse": "linear_coarse"}

#: Rows and vocabularies around the sizes of the library's blocks, and widths.
_SIZES = {
    "N": (1, 2, 3, 9, 127, 129),
    "V": (1, 2, 17, 300, 511, 512, 513, 1025, 1600),
    "D": (0, 1, 7, 16, 33, 64, 100),
}


@dataclass(frozen=True)
class HeadCase:
    """The logits' case, how many best ones are wanted, and targets (negative: none)."""

    product: Case
    top: int
    targets_M: Array = field(repr=False)

    @property
    def x(self) -> Array:
        """The activations."""
        x_MK: Array = self.product.arguments["x_BTI"][0]
        return x_MK

    @property
    def w(self) -> Array:
        """The head."""
        w_VK: Array = self.product.arguments["weight_OI"]
        return w_VK

    def rows(self, first: int, count: int) -> HeadCase:
        """Return the case of some rows alone."""
        some = slice(first, first + count)
        given = {**self.product.arguments, "x_BTI": self.x[None, some]}
        product = Case(self.product.op, self.product.dtype, given, self.product.origin)
        return HeadCase(product, self.top, self.targets_M[some])


def cases(
    op: str, dtype: str, seed: int, count: int
) -> Iterator[tuple[HeadCase, np.random.Generator]]:
    """Yield `count` cases of every pattern; with each, the generator to verify it with."""
    for index, pattern in enumerate(PATTERNS):
        for repeat in range(count):
            rng = np.random.default_rng([seed, index, repeat])
            choose = by_chance(rng)
            sizes = {letter: choose(options, letter) for letter, options in _SIZES.items()}
            drawn = draw_arguments(
                reference.head_log_probs, choose, rng, sizes, stored=(dtype,), patterns=(pattern,),
                # Zeros now and then: many logits are the same.
                patterns_of={"head_VD": (pattern, pattern, pattern, pattern, "zeros")},
            )  # fmt: skip
            top = min(sizes["V"], choose((0, 1, 1, 2, 5, 40, 600), "top"))
            product = {
                "x_BTI": drawn["hidden_ND"][None], "weight_OI": drawn["head_VD"],
                "bias_O": None, "activation": None, "residual_BTO": None,
            }  # fmt: skip
            origin = " ".join([pattern, *(f"{a}={n}" for a, n in sizes.items()), f"top={top}"])
            yield HeadCase(Case(HEADS[op], dtype, product, origin), top, drawn["targets_N"]), rng


def log_sums(case: HeadCase) -> Truth:
    """Return the logs of the sums (M) in float64, and how far off they may be.

        log(1 + Σ p (exp(e) - 1)) + u (Σ p d + chain(V) + 10 + 7 |y|),

    e the bound on a logit, d its distance to the largest, p its softmax.
    """
    known = truth(case.product)["y"][0]
    logits_MV, error_MV = known.expected[0], known.bound[0]
    with np.errstate(all="ignore"):
        top_M1 = logits_MV.max(axis=-1, keepdims=True)
        p_MV = reference.softmax(logits_MV)
        expected_M = top_M1[:, 0] + np.log(np.exp(logits_MV - top_M1).sum(axis=-1))
        distance_MV = np.where(p_MV > 0, top_M1 - logits_MV, 0.0)
        spread_M = np.log1p((p_MV * np.expm1(error_MV)).sum(axis=-1))
        mean_M = (p_MV * distance_MV).sum(axis=-1)
        V = logits_MV.shape[1]
        bound_M = spread_M + U * (mean_M + chain(V) + 10 + 7 * np.abs(expected_M))
        bound_M = np.where(np.abs(expected_M) + bound_M <= MAX, bound_M, np.inf)
    return Truth(expected_M, bound_M)


def laid_out(case: HeadCase) -> tuple[Problem, dict[str, list[Truth]]]:
    """Return a case as the library takes it, and its truth, for the driver in C.

    Of rows with numbers that are not finite, or may overflow, the driver only
    sees whether the results are always the same: `check.head` knows more. The
    same goes for ids, which stand as pairs of floats here.
    """
    (M, K), (V, top) = case.x.shape, (len(case.w), case.top)
    known = truth(case.product)["y"][0]
    logits_MV, error_MV = known.expected[0], known.bound[0]
    plain_M = np.isfinite(logits_MV).all(axis=-1) & np.isfinite(error_MV).all(axis=-1)
    best_MK = -np.sort(-logits_MV, axis=-1)[:, :top]
    # The k-th best of numbers that are off by e at most is off by e at most.
    worst_MK = np.repeat(error_MV.max(axis=-1)[:, None], top, axis=1)
    rows_M, asked_M = np.arange(M), np.maximum(case.targets_M, 0)
    of_targets = [
        np.where(case.targets_M < 0, 0.0, array[rows_M, asked_M]) for array in (logits_MV, error_MV)
    ]
    sums = log_sums(case)
    results = {
        "ids": Truth(np.zeros((M, 2 * top)), np.full((M, 2 * top), np.inf)),
        "values": _where(plain_M[:, None], Truth(best_MK, worst_MK)),
        "target_logits": Truth(*of_targets),
        "log_sums": _where(plain_M, sums),
    }
    outputs = {
        name: Output(one.expected.size, [np.arange(one.expected.size)])
        for name, one in results.items()
    }
    inputs = {"x": case.x.reshape(-1), "w": case.w.reshape(-1), "targets": case.targets_M}
    op = next(name for name, product in HEADS.items() if product == case.product.op)
    named = Case(op, case.product.dtype, {}, case.product.origin)
    given = Problem(named, {"top": top, "M": M, "V": V, "K": K}, inputs, outputs, 1)
    return given, {name: [one] for name, one in results.items()}


def _where(plain: Array, one: Truth) -> Truth:
    plain = plain & np.isfinite(one.expected)
    return Truth(np.where(plain, one.expected, 0.0), np.where(plain, one.bound, np.inf))
