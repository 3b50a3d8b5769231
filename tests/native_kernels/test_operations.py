"""The operations as the decoder calls them: any layout and dtype, checked by derived bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import arrays_for, left_alone

from pyxglm.check.bounds import truth
from pyxglm.check.cases import FUSED, Case, by_sequence
from pyxglm.check.head_cases import HEADS, HeadCase, log_sums
from pyxglm.check.patterns import PATTERNS, numbers
from pyxglm.ops import native, native_coarse, reference

SETTINGS = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def assert_close(result, one):
    """Hold a result against its truth, with a little more room for conversions of weights."""
    expected, bound = one
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    finite = np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        right = (np.abs(result - expected) <= bound) | np.isinf(bound)
    assert np.where(finite, right, ~np.isfinite(result)).all()


def case_of(op, arguments):
    """The truth's case: weights of float64 reach a kernel as float32."""
    narrowed = {
        name: value.astype(np.float32) if getattr(value, "dtype", None) == np.float64 else value
        for name, value in arguments.items()
    }
    return Case(op, "float32", narrowed, "normal")


@SETTINGS
@given(arguments=arrays_for(reference.linear, dtype="float32", patterns=PATTERNS))
def test_linear(level, arguments):
    if arguments["activation"] not in (None, *FUSED):
        arguments["activation"] = "gelu"
    with left_alone(arguments):
        result = native.linear(**arguments)
    assert_close(result, truth(case_of("linear", arguments))["y"][0])


@SETTINGS
@given(arguments=arrays_for(reference.linear, dtype="float32", patterns=PATTERNS))
def test_linear_coarse(level, arguments):
    if arguments["activation"] not in (None, *FUSED):
        arguments["activation"] = "gelu"
    with left_alone(arguments):
        result = native_coarse.linear(**arguments)
    assert_close(result, truth(case_of("linear_coarse", arguments))["y"][0])


@pytest.mark.parametrize("rows", [1, 5, 40])
def test_what_rounds_to_the_smallest_normal_number_is_not_lost(level, rows):
    """Instructions for bfloat16 count what they round as 0 if it is subnormal."""
    largest = np.nextafter(np.float32(2.0**-126), np.float32(0))
    x_BTI = np.full((1, rows, 48), largest)
    weight_OI = np.ones((70, 48), np.float32)
    found = native_coarse.linear(x_BTI, weight_OI, None, activation=None, residual_BTO=None)
    assert (found == 48 * 2.0**-126).all()


@SETTINGS
@given(arguments=arrays_for(reference.layer_norm, dtype="float32", patterns=PATTERNS))
def test_layer_norm(level, arguments):
    with left_alone(arguments):
        result = native.layer_norm(**arguments)
    assert_close(result, truth(case_of("layer_norm", arguments))["y"][0])


@SETTINGS
@given(arguments=arrays_for(reference.embed, dtype="float32", patterns=PATTERNS))
def test_embed(level, arguments):
    with left_alone(arguments):
        result = native.embed(**arguments)
    arguments["scale"] = float(np.float32(arguments["scale"]))
    with np.errstate(all="ignore"):  # the promise is the same bits at every level
        np.testing.assert_array_equal(result, reference.embed(**arguments))
    arguments.pop("dtype")
    assert_close(result, truth(case_of("embed", arguments))["hidden"][0])


@SETTINGS
@given(
    arguments=arrays_for(
        reference.attention, dtype="float32", patterns=PATTERNS, return_weights=True
    )
)
def test_attention(level, arguments):
    with left_alone(arguments):
        out_BHTK, weights_BHTS = native.attention(**arguments)
    known = truth(Case("attention", "float32", by_sequence(arguments), "normal"))
    assert len(known["out"]) == len(out_BHTK)
    for b, (out, weights) in enumerate(zip(known["out"], known["weights"], strict=True)):
        assert_close(out_BHTK[b], out)
        assert_close(weights_BHTS[b], weights)


@pytest.mark.parametrize("T", [1, 8, 19])
@pytest.mark.parametrize("K", [16, 64, 128])
def test_attention_whose_roundings_all_go_one_way(level, T, K):
    """Half a unit in the last place of 64 and a little, or less, at each of K - 1 additions."""
    q_BHTK = np.ones((1, 1, T, K), np.float32)
    k_BHSK = np.float32([0.51 * 2**-17, 0.49 * 2**-17]).reshape(1, 1, 2, 1).repeat(K, axis=-1)
    k_BHSK[..., 0] = 64
    v_BHSK = np.float32([1, 0]).reshape(1, 1, 2, 1).repeat(K, axis=-1)
    arguments = {"q_BHTK": q_BHTK, "k_BHSK": k_BHSK, "v_BHSK": v_BHSK, "causal": False}
    out_BHTK, _ = native.attention(**arguments)
    rest = dict.fromkeys(("keys_BS", "visible_BTS", "head_mask_H", "return_weights"))
    case = Case("attention", "float32", by_sequence(rest | arguments), "normal")
    assert_close(out_BHTK[0], truth(case)["out"][0])


@SETTINGS
@given(
    arguments=arrays_for(reference.attention, dtype="float32", patterns=PATTERNS),
    edges=st.tuples(*[st.integers(0, 2)] * 4),
    transposed=st.booleans(),
)
def test_attention_into_a_part_of_an_array(level, arguments, edges, transposed):
    """The same bits in any place whose rows are contiguous, and nothing beside it."""
    expected, _ = native.attention(**arguments)
    B, H, T, K = expected.shape
    b, h, t, k = edges
    around = np.full((B + b, H + 2 * h, T + 2 * t, K + k), np.float32(7))
    if transposed:
        around = np.full((B + b, T + 2 * t, H + 2 * h, K + k), np.float32(7)).swapaxes(1, 2)
    part_BHTK = around[:B, h : h + H, t : t + T, :K]
    with left_alone(arguments):
        found, _ = native.attention(**{**arguments, "out_BHTK": part_BHTK})
    assert found is part_BHTK
    np.testing.assert_array_equal(found, expected)
    part_BHTK[...] = 7
    assert np.all(around == 7)


@pytest.mark.parametrize("T", [4, 17, 67])
def test_queries_know_nothing_of_each_other(level, T):
    """Wherever in a block of keys a query's end, its bits are those that it has alone."""
    rng = np.random.default_rng(0)
    q_BHTK = rng.standard_normal((1, 1, T, 24), np.float32) / 5  # so that every key counts
    k_BHSK, v_BHSK = rng.standard_normal((2, 1, 1, 66 + T, 24), np.float32)
    for past in range(66):
        together, _ = native.attention(q_BHTK, *(a[:, :, : past + T] for a in (k_BHSK, v_BHSK)))
        for t in range(T):
            seen = slice(past + t + 1)
            alone, _ = native.attention(
                q_BHTK[:, :, t : t + 1], k_BHSK[:, :, seen], v_BHSK[:, :, seen]
            )
            assert alone[0, 0, 0].tobytes() == together[0, 0, t].tobytes(), (past, t)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "relu"])
@SETTINGS
@given(arguments=arrays_for(reference.gelu, dtype="float32", patterns=PATTERNS))
def test_elements_and_rows(level, name, arguments):
    if name.endswith("softmax") and (not arguments["x"].ndim or not arguments["x"].shape[-1]):
        return  # NumPy has no maximum of nothing
    with left_alone(arguments):
        result = getattr(native, name)(**arguments)
    assert_close(result, truth(case_of(name, arguments))["y"][0])


@pytest.mark.parametrize(("op", "ops"), [("head", native), ("head_coarse", native_coarse)])
@SETTINGS
@given(
    arguments=arrays_for(reference.head_log_probs, dtype="float32", patterns=PATTERNS, zeros="ND"),
    top=st.integers(0, 33),
)
def test_head(level, op, ops, arguments, top):
    arguments["targets_N"] = np.maximum(arguments["targets_N"], 0)
    verify_head(op, ops, arguments, top)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("op", "ops"), [("head", native), ("head_coarse", native_coarse)])
def test_head_of_several_blocks(level, op, ops, dtype):
    """More rows and tokens than are computed at a time."""
    rng = np.random.default_rng(3)
    hidden_ND = numbers(rng, (130, 37), "normal", "float32")
    head_VD = numbers(rng, (1100, 37), "normal", dtype)
    arguments = {"hidden_ND": hidden_ND, "head_VD": head_VD}
    verify_head(op, ops, {**arguments, "targets_N": rng.integers(0, 1100, 130)}, top=7)
    if op == "head_coarse":
        assert (ops.linear(hidden_ND, head_VD) != native.linear(hidden_ND, head_VD)).any()


@pytest.mark.parametrize("at", [0, 300, 511])
def test_a_nan_among_minus_infinities_shows(level, at):
    """Also in a block that has nothing else, and adds nothing to the sum without it."""
    head_VD = np.zeros((1100, 1), np.float32)
    head_VD[:512] = -np.inf
    ones = np.ones((1, 1), np.float32)
    _, log_sums_N = native.head_log_probs(ones, head_VD, np.array([600]))
    np.testing.assert_allclose(log_sums_N, np.log(588), rtol=1e-6)
    head_VD[at] = np.nan
    _, log_sums_N = native.head_log_probs(ones, head_VD, np.array([600]))
    assert np.isnan(log_sums_N).all()


def verify_head(op, ops, arguments, top):
    hidden_ND, head_VD = arguments["hidden_ND"], arguments["head_VD"]
    targets_N = arguments["targets_N"]
    top = min(top, len(head_VD))
    with np.errstate(invalid="ignore", over="ignore"), left_alone(arguments):
        values_NK, ids_NK = ops.head_top(hidden_ND, head_VD, top)
        log_probs_N, log_sums_N = ops.head_log_probs(**arguments)
    assert (values_NK.dtype, ids_NK.dtype) == (np.float32, np.int64)
    assert (log_probs_N.dtype, log_sums_N.dtype) == (np.float32, np.float32)
    # The bits of the logits; NaN is best, then the larger, of equals the lower id.
    logits_NV = ops.linear(hidden_ND, head_VD)
    keys = (-np.where(np.isnan(logits_NV), 0, logits_NV), ~np.isnan(logits_NV))
    np.testing.assert_array_equal(ids_NK, np.lexsort(keys, axis=-1)[:, :top])
    np.testing.assert_array_equal(values_NK, np.take_along_axis(logits_NV, ids_NK, -1))
    with np.errstate(invalid="ignore", over="ignore"):
        wanted_N = logits_NV[np.arange(len(targets_N)), targets_N] - log_sums_N
    np.testing.assert_array_equal(log_probs_N, wanted_N)
    given = {"x_BTI": hidden_ND[None], "weight_OI": head_VD, "bias_O": None, "activation": None}
    product = case_of(HEADS[op], {**given, "residual_BTO": None})
    assert_close(log_sums_N, log_sums(HeadCase(product, top, targets_N)))


@SETTINGS
@given(
    arguments=arrays_for(
        reference.cache_append, dtype="float32", patterns=PATTERNS,
        k_room_BHSK=None, v_room_BHSK=None, start=None,
    ),
    start=st.integers(0, 9),
)  # fmt: skip
def test_cache_append(level, arguments, start):
    new = arguments["k_BHTK"], arguments["v_BHTK"]
    B, H, T, K = new[0].shape
    found, wanted = (np.full((2, B, H, T + 9, K), -7, np.float32) for _ in range(2))
    with left_alone(arguments):
        native.cache_append(*found, *new, start)
    reference.cache_append(*wanted, *new, start)
    np.testing.assert_array_equal(found, wanted)
