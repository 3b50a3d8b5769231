"""Every kernel of this machine against the float64 reference, by hypothesis.

The cases are those of ``pyxglm check``; here hypothesis chooses the sizes, the
kinds of numbers and what is given, and shrinks them when something is wrong.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import chooser, seeds

from pyxglm.check import head, plan
from pyxglm.check.cases import OPS, draw
from pyxglm.check.native import NativeKernel
from pyxglm.check.patterns import PATTERNS
from pyxglm.check.verify import Outcome, verify

VARIANTS = [variant for variant in plan.variants(plan.Filter()) if variant.op in OPS]
HEADS = plan.variants(plan.Filter(op="head*"))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_a_kernel_is_within_its_bound(variant, data):
    choose, rng = chooser(data.draw), np.random.default_rng(data.draw(seeds, label="seed"))
    pattern = choose(list(PATTERNS), "pattern")
    case = draw(variant.op, rng, pattern, variant.dtype, choose)
    outcome = Outcome()
    verify(NativeKernel(variant.op, variant.dtype, variant.level), case, rng, outcome)
    assert outcome.complaints == []


def test_every_entry_of_the_table_is_covered(capsys):
    """Scalar C serves everything, and this machine's levels are all tried."""
    of_scalar = {(variant.op, variant.dtype) for variant in VARIANTS if variant.isa == "scalar"}
    assert of_scalar == {(op, dtype) for op, spec in OPS.items() for dtype in spec.dtypes}
    with capsys.disabled():
        print(f"\nkernels that this machine cannot run: {', '.join(plan.unavailable()) or 'none'}")


@pytest.mark.parametrize("variant", HEADS, ids=str)
def test_the_head_finds_what_the_logits_say(variant):
    outcome = head.check(variant.op, variant.dtype, variant.level, seed=4, count=1)
    assert outcome.complaints == []


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.op == "gelu"], ids=str)
def test_gelu_keeps_its_promise_everywhere(variant):
    """|error| <= 1e-7 |x|, on a fine net over all float32 numbers that matter."""
    bits = np.arange(0x3000_0000, 0x4200_0000, 0x1003, dtype=np.uint32)  # 4.7e-10 to 32
    x = bits.view(np.float32)
    x = np.concatenate([x, -x, [0.0, 1e-45, 1e38]]).astype(np.float32)
    kernel = NativeKernel("gelu", "float32", variant.level)
    outcome = Outcome()
    case = plan.Case("gelu", "float32", {"x": x}, "net")
    verify(kernel, case, np.random.default_rng(0), outcome)
    assert outcome.complaints == []
