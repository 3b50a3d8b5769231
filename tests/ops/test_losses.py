"""Log-softmax and both losses against exact sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops import naive
from strategies import arrays, arrays_for, exact, left_alone

from pyxglm.ops.reference import (
    causal_lm_loss,
    causal_lm_loss_hf_437,
    cross_entropy,
    log_softmax,
)

quick = settings(max_examples=50, deadline=None, derandomize=True)


@quick
@given(st.data(), st.sampled_from([(1, 1), (2, 7), (2, 3, 33), (0, 5), (3, 200)]))
def test_log_softmax(data: st.DataObject, shape: tuple[int, ...]) -> None:
    x = data.draw(arrays(shape, data.draw(st.sampled_from(["float32", "float64"]))))
    with left_alone({"x": x}):
        found = log_softmax(x)
    assert (found.dtype, found.shape) == (x.dtype, shape)
    u, n = float(np.finfo(x.dtype).eps), shape[-1]
    for row, scores in zip(found.reshape(-1, n), exact(x).reshape(-1, n), strict=True):
        wanted = np.array(naive.log_softmax(scores.tolist()))
        # The shift and the last difference round once each; the logarithm is of a sum of n.
        span = scores.max() - scores.min() + np.abs(scores - scores.max())
        assert np.all(np.abs(row - wanted) <= u * (2 * span + np.abs(wanted) + n + 8))


def loss_bound(logits: np.ndarray) -> float:
    """Return how far a mean of float losses may be off: as one loss, and the mean's own sums."""
    if not logits.size:
        return 0.0
    n, size = logits.shape[-1] + math.prod(logits.shape[:-1]), float(np.ptp(exact(logits)))
    return float(np.finfo(logits.dtype).eps) * (n + 8) * (3 * size + 10)


def same(found: Any, wanted: float, logits: np.ndarray) -> None:
    assert found.dtype == logits.dtype
    assert np.shape(found) == ()
    assert (math.isnan(found) and math.isnan(wanted)) or abs(found - wanted) <= loss_bound(logits)


@quick
@given(arrays_for(cross_entropy))
def test_cross_entropy(arguments: dict[str, Any]) -> None:
    logits_NV, targets_N = arguments["logits_NV"], arguments["targets_N"]
    with left_alone(arguments):
        found = cross_entropy(**arguments)
    same(found, naive.cross_entropy(exact(logits_NV), targets_N.tolist()), logits_NV)


@quick
@given(arrays_for(causal_lm_loss))
def test_the_standard_loss_judges_each_token_by_the_next(arguments: dict[str, Any]) -> None:
    logits_BTV, labels_BT = arguments["logits_BTV"], arguments["labels_BT"]
    with left_alone(arguments):
        found = causal_lm_loss(**arguments)
    pairs = [
        (logits_BTV[b, t], labels_BT[b, t + 1])
        for b in range(labels_BT.shape[0])
        for t in range(labels_BT.shape[1] - 1)
    ]
    wanted = naive.cross_entropy([exact(row) for row, _ in pairs], [label for _, label in pairs])
    same(found, wanted, logits_BTV)


@quick
@given(arrays_for(causal_lm_loss_hf_437))
def test_the_loss_of_4_37_adds_a_target_a_row(arguments: dict[str, Any]) -> None:
    logits_BTV, labels_BT = arguments["logits_BTV"], arguments["labels_BT"]
    with left_alone(arguments):
        found = causal_lm_loss_hf_437(**arguments)
    B, T = labels_BT.shape
    pairs = [
        (logits_BTV[b, t], labels_BT[b, t + 1] if t + 1 < T else arguments["pad_token_id"])
        for b in range(B)
        for t in range(T)
    ]
    wanted = naive.cross_entropy([exact(row) for row, _ in pairs], [label for _, label in pairs])
    same(found, wanted, logits_BTV)


def test_the_two_losses_differ_by_the_pad_at_the_end() -> None:
    # (sum of the real losses + sum over rows of the pad's) / (real + rows)
    generator = np.random.default_rng(1)
    logits_BTV, labels_BT = generator.standard_normal((2, 4, 6)), generator.integers(0, 6, (2, 4))
    labels_BT[0, 2] = -100
    standard, quirk = causal_lm_loss(logits_BTV, labels_BT), causal_lm_loss_hf_437(
        logits_BTV, labels_BT, 1
    )  # fmt: skip
    pads = -sum(naive.log_softmax(row[-1].tolist())[1] for row in logits_BTV)
    assert abs(quirk - (standard * 5 + pads) / 7) < 1e-14


def test_one_token_has_no_standard_loss_but_a_pad_loss() -> None:
    logits_BTV = np.log([[[0.25, 0.75]]])
    assert math.isnan(causal_lm_loss(logits_BTV, np.array([[0]])))
    assert abs(causal_lm_loss_hf_437(logits_BTV, np.array([[0]]), 1) + math.log(0.75)) < 1e-15


def test_a_mean_over_targets_that_count() -> None:
    logits_NV = np.log([[0.5, 0.5], [0.125, 0.875], [0.9, 0.1]])
    assert abs(cross_entropy(logits_NV, np.array([0, 0, -100])) - 2 * math.log(2)) < 1e-15
    assert math.isnan(cross_entropy(logits_NV, np.array([-100] * 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_confident_logits_do_not_overflow(dtype: str) -> None:
    logits_NV = np.array([[1000.0, 0.0], [0.0, 1000.0]], dtype)
    assert cross_entropy(logits_NV, np.array([0, 0])) == 500
