"""The promise of the C backend: a real token's logits have the same bits, whatever is around it.

Thread counts, the batch, the padding (same position ids), chunked prefill and
cached decode, at every instruction set of this machine, for every stored dtype.
All comparisons are ``==``.
"""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyxglm import (
    KVCache,
    XGLMConfig,
    XGLMForCausalLM,
    set_num_threads,
    use_isa,
)
from pyxglm.ops.native_library import available_isas, isa

PAD, LAYERS, VOCABULARY = 1, 2, 131

SETTINGS = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

lengths = st.integers(1, 41)


@functools.cache
def model(dtype, compute="float32"):
    config = XGLMConfig(
        vocab_size=VOCABULARY, d_model=68, ffn_dim=150, attention_heads=4, num_layers=LAYERS,
        init_std=0.3, max_position_embeddings=64,
    )  # fmt: skip
    return XGLMForCausalLM(config, seed=3, dtype=dtype, compute=compute, backend="c")


@pytest.fixture(
    params=[(s, c) for s in ("float32", "float16", "bfloat16") for c in ("float32", "bfloat16")],
    ids=lambda pair: f"{pair[0]}-compute-{pair[1]}",
)
def xglm(request, level):
    return model(*request.param)


def prompt(seed, length):
    return np.random.default_rng(seed).integers(2, VOCABULARY, (1, length))


def positions(length):
    return np.arange(length)[None]


def same(found, expected):
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    assert (found == expected).all()


@SETTINGS
@given(length=lengths, seed=st.integers(0, 99))
def test_threads(xglm, length, seed):
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(xglm(prompt(seed, length)).logits)
    same(results[1], results[0])
    same(results[2], results[0])


@SETTINGS
@given(length=lengths, others=st.lists(lengths, min_size=1, max_size=3), seed=st.integers(0, 99))
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_batch_and_its_padding(xglm, side, length, others, seed):
    alone = xglm(prompt(seed, length)).logits
    longest = max(length, *others)
    rows = [(length, seed), *((n, seed + 1 + i) for i, n in enumerate(others))]
    ids_BT = np.full((len(rows), longest), PAD)
    real_BT = np.zeros((len(rows), longest), int)
    positions_BT = np.zeros((len(rows), longest), int)
    for b, (n, its_seed) in enumerate(rows):
        where = slice(longest - n, longest) if side == "left" else slice(0, n)
        ids_BT[b, where] = prompt(its_seed, n)[0]
        real_BT[b, where] = 1
        positions_BT[b, where] = positions(n)
    together = xglm(ids_BT, real_BT, positions_BT).logits
    same(together[:1][real_BT[:1] == 1][None], alone)
    # Another order of the batch, and more of it.
    order = np.r_[len(rows) - 1 : -1 : -1, 0]
    reordered = xglm(ids_BT[order], real_BT[order], positions_BT[order]).logits
    same(reordered[-1:], together[:1])


@SETTINGS
@given(length=st.integers(2, 41), cuts=st.lists(st.integers(1, 40), max_size=3))
def test_chunks_and_the_cache(xglm, length, cuts):
    ids_BT = prompt(length, length)
    whole = xglm(ids_BT).logits
    edges = [0, *sorted({cut for cut in cuts if cut < length}), length]
    for kind in ("tuple", "cache"):
        past = KVCache(LAYERS) if kind == "cache" else None
        parts = []
        for begin, end in pairwise(edges):
            result = xglm(ids_BT[:, begin:end], past_key_values=past, use_cache=True)
            past = result.past_key_values
            parts.append(result.logits)
        same(np.concatenate(parts, axis=1), whole)


@SETTINGS
@given(length=st.integers(2, 20), padding=st.integers(0, 20))
def test_token_by_token_behind_padding(xglm, length, padding):
    ids_BT = prompt(length, length)
    whole = xglm(ids_BT).logits
    past = KVCache(LAYERS, capacity=3)
    padded = np.concatenate([np.full((1, padding), PAD), ids_BT], axis=1)
    real = (np.arange(padding + length) >= padding).astype(int)[None]
    for t in range(length):
        begin = 0 if t == 0 else padding + t  # padding comes with the first token
        new = slice(begin, padding + t + 1)
        where = np.maximum(np.arange(padding + length) - padding, 0)[None, new]
        result = xglm(
            padded[:, new], real[:, : padding + t + 1], where, past_key_values=past, use_cache=True
        )
        past = result.past_key_values
        same(result.logits[:, -1:], whole[:, t : t + 1])


def test_the_logits_of_some_positions_are_those_of_all(xglm):
    ids_BT = prompt(7, 33)
    same(xglm(ids_BT, logits_to_keep=1).logits, xglm(ids_BT).logits[:, -1:])


@SETTINGS
@given(length=st.integers(2, 41), chunk_size=st.integers(1, 40), padding=st.integers(0, 5))
def test_log_probs_in_chunks(xglm, length, chunk_size, padding):
    ids_BT = prompt(length, length)
    set_num_threads(1)
    whole = xglm.log_probs(ids_BT)
    same(xglm.log_probs(ids_BT, chunk_size=chunk_size), whole)
    set_num_threads(3)
    both = np.concatenate([np.pad(ids_BT, ((0, 0), (padding, 0))), prompt(1, length + padding)])
    real = np.ones_like(both)
    real[0, :padding] = 0
    found = xglm.log_probs(both, attention_mask=real, chunk_size=chunk_size)
    same(found[:1, padding:], whole)
    # The loss is their mean, whatever else is computed.
    loss = xglm(ids_BT, labels=ids_BT, output_logits=False).loss
    assert loss == -whole.mean()


def test_levels_may_differ_but_not_by_much():
    """Otherwise the tests above might compare a level with itself."""
    before = isa()
    results = {}
    for name in available_isas():
        use_isa(name)
        results[name] = model("float32")(prompt(5, 30)).logits
    use_isa(before)
    for result in results.values():
        scale = np.abs(results["scalar"]).max()
        assert np.abs(result - results["scalar"]).max() < 1e-4 * scale
