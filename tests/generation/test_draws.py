"""Draws follow the formula of every setting that narrows them: chi-square over 100,000."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyxglm.generation import GenerationConfig
from pyxglm.generation.choice import candidates, draw, generators
from pyxglm.generation.processors.order import Narrowing

DRAWS = 100_000

#: Descending probabilities 0.3 … and what each rule leaves of them, by its definition.
P = np.array([0.3, 0.22, 0.16, 0.1, 0.08, 0.06, 0.04, 0.025, 0.015])
ENTROPY = -sum(p * math.log(p) for p in P)


def tempered(probabilities, temperature):
    powered = [p ** (1 / temperature) for p in probabilities]
    return [p / sum(powered) for p in powered]


def kept(condition, probabilities=P):
    left = [p if condition(i, p) else 0.0 for i, p in enumerate(probabilities)]
    return [p / sum(left) for p in left]


def typical(mass):
    order = sorted(range(len(P)), key=lambda i: abs(-math.log(P[i]) - ENTROPY))
    held, chosen = 0.0, set()
    for i in order:
        chosen.add(i)
        held += P[i]
        if held >= mass:
            break
    return kept(lambda i, p: i in chosen)


WARM = tempered(P, 1.7)
CASES = {
    "nothing": ({}, list(P)),
    "temperature": ({"temperature": 0.6}, tempered(P, 0.6)),
    "top_k": ({"top_k": 4}, kept(lambda i, p: i < 4)),
    # 0.3 + 0.22 + 0.16 = 0.68 is not enough for 0.7.
    "top_p": ({"top_p": 0.7}, kept(lambda i, p: i < 4)),
    "min_p": ({"min_p": 0.25}, kept(lambda i, p: p >= 0.25 * 0.3)),
    "typical_p": ({"typical_p": 0.5}, typical(0.5)),
    "epsilon": ({"epsilon_cutoff": 0.05}, kept(lambda i, p: p >= 0.05)),
    "eta": (
        {"eta_cutoff": 0.1},
        kept(lambda i, p: p >= min(0.1, math.sqrt(0.1) * math.exp(-ENTROPY))),
    ),
    # Top-k sees warmed probabilities, and top-p what top-k leaves of them.
    "three": (
        {"temperature": 1.7, "top_k": 5, "top_p": 0.6},
        kept(lambda i, p: i < 3, [p if i < 5 else 0 for i, p in enumerate(WARM)]),
    ),
    "renormalised": ({"top_k": 3, "renormalize_logits": True}, kept(lambda i, p: i < 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_frequencies(name):
    asked, expected = CASES[name]
    order = np.random.default_rng(3).permutation(len(P))
    scores_V = np.log(P)[order].astype(np.float32) + 7
    narrowing = Narrowing(GenerationConfig(do_sample=True, **{"top_k": 0, **asked}))
    scores_1K, ids_K = candidates(scores_V, narrowing)
    left_NK = np.broadcast_to(narrowing.of_candidates(scores_1K), (DRAWS, len(ids_K)))
    (random,) = generators(11, range(1))
    drawn = ids_K[draw(left_NK, random.random(DRAWS))]
    counts = np.bincount(drawn, minlength=len(P))
    wanted = DRAWS * np.array(expected)[order]
    assert (counts[wanted == 0] == 0).all()
    real = wanted > 0
    chi_square = ((counts - wanted)[real] ** 2 / wanted[real]).sum()
    # Exceeded with a probability below 1e-4 at 8 degrees of freedom or fewer.
    assert chi_square < 31.9
    if name not in ("nothing", "temperature"):
        assert (~real).any()
