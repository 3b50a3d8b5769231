"""The checker must be able to fail: every mistake is found, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from check.stand_ins import Broken, StandIn
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chooser, seeds

from pyxglm.check import plan
from pyxglm.check.cases import OPS, draw
from pyxglm.check.patterns import PATTERNS
from pyxglm.check.verify import Outcome, verify

#: Mistakes that any kernel can make, and words of the complaint that each must draw.
EVERYWHERE = {
    "wrong in one element": "are wrong, first at",
    "writes one element too far": "wrote outside",
    "all zeros": "are wrong, first at",
    "changes its input": "changed its input",
    "ignores the range": "in ranges: [",
    "writes twice": "in ranges: [",
    "loses NaN": "expected infinity or NaN",
}
ROWS = ["embed", "layer_norm", "softmax", "log_softmax", "linear", "linear_coarse", "attention"]

MISTAKES = [(op, mistake, words) for op in OPS for mistake, words in EVERYWHERE.items()]
MISTAKES += [(op, "off by one row", "are wrong, first at") for op in ROWS]
MISTAKES += [
    (op, "depends on M", "alone: ") for op in ("embed", "layer_norm", "linear", "linear_coarse")
]
MISTAKES += [
    (op, "writes between rows", "wrote between the rows")
    for op in ("linear", "linear_coarse", "attention", "cache_append")
]
MISTAKES += [
    (op, "half precision", "are wrong, first at")
    for op in OPS
    if op not in ("attention", "relu", "cache_append")
]
MISTAKES += [
    ("linear", mistake, "are wrong, first at")
    for mistake in ("bfloat16 activations", "drops the last product")
]
MISTAKES += [
    ("linear_coarse", mistake, "are wrong, first at")
    for mistake in ("rounds nothing", "cuts and does not round")
]
MISTAKES += [
    ("attention", mistake, "are wrong, first at")
    for mistake in ("ignores the mask", "sees one key too many", "hides the last key")
]
MISTAKES += [("attention", "depends on the padding", "more keys of padding: ")]


@pytest.mark.parametrize("op", OPS)
def test_a_right_kernel_passes(op):
    outcome = plan.check(StandIn(), op, OPS[op].dtypes[-1], seed=1, count=1)
    assert outcome.complaints == []
    assert outcome.worst <= 1


@pytest.mark.parametrize(("op", "mistake", "words"), MISTAKES, ids=str)
def test_a_mistake_is_found(op, mistake, words):
    outcome = Outcome()
    for case, rng in plan.cases(op, OPS[op].dtypes[-1], seed=1, count=3):
        if mistake == "loses NaN" and "broken" not in case.origin:
            continue  # for time's sake: nothing else has NaN
        verify(Broken(mistake), case, rng, outcome)
        if any(words in complaint for complaint in outcome.complaints):
            return
    raise AssertionError(outcome.complaints)


def test_hypothesis_finds_a_mistake_too_and_makes_it_simple():
    tried = []

    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(data=st.data())
    def holds(data):
        choose, rng = chooser(data.draw), np.random.default_rng(data.draw(seeds))
        case = draw("relu", rng, choose(list(PATTERNS), "pattern"), choose=choose)
        outcome = Outcome()
        verify(Broken("wrong in one element"), case, rng, outcome)
        tried.append(case.origin)
        assert outcome.complaints == []

    with pytest.raises(AssertionError, match="are wrong, first at"):
        holds()
    assert tried[-1] == "normal D=1"
