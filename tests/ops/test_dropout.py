"""Dropout and LayerDrop: how much is left out, what becomes of the rest, from which draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from ops import naive

from pyxglm.config import XGLMConfig
from pyxglm.ops import available_backends, backend_module
from pyxglm.ops.dropout import DropoutOps, dropout, dropped_layers

N = 40_000
#: A fair draw is further from its mean than this many deviations once in 1.7 million times.
DEVIATIONS = 5


def generator(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def near(count: float, p: float, n: int) -> bool:
    """Whether so many of n, each with probability p, are no surprise."""
    return abs(count - n * p) <= DEVIATIONS * math.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_so_many_numbers_are_left_out_and_the_others_scaled_up(p: float, dtype: str) -> None:
    x = np.random.default_rng(1).standard_normal(N).astype(dtype)
    y = dropout(x, p, generator())
    assert y.dtype == dtype
    gone = y == 0
    assert near(gone.sum(), p, N)
    assert np.array_equal(y[~gone], (x * np.asarray(1 / (1 - p), dtype))[~gone])
    # Neighbours are left out independently of each other.
    assert near((gone[1:] & gone[:-1]).sum(), p * p, N)


def test_nothing_and_everything() -> None:
    x, random = np.ones((3, 4), np.float32), generator()
    before = random.bit_generator.state
    assert dropout(x, 0, random) is x
    assert random.bit_generator.state == before
    assert not dropout(x, 1, random).any()
    assert (x == 1).all()


def test_numbers_left_out_together() -> None:
    y = dropout(np.ones((5, 6, 200), np.float32), 0.5, generator(), (1, 6, 200))
    assert (y == y[0]).all()
    assert near((y[0] == 0).sum(), 0.5, 1200)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_so_many_layers_are_left_out(rate: float) -> None:
    config, random = XGLMConfig(num_layers=10, layerdrop=rate), generator()
    found = [dropped_layers(config, random) for _ in range(400)]
    assert near(sum(map(len, found)), rate, 4000)
    for layer in range(10):
        assert near(sum(layer in one for one in found), rate, 400)


def test_all_layers_and_none() -> None:
    random = generator()
    before = random.bit_generator.state
    assert dropped_layers(XGLMConfig(num_layers=3, layerdrop=0), random) == frozenset()
    assert random.bit_generator.state == before
    assert dropped_layers(XGLMConfig(num_layers=3, layerdrop=1.0), random) == {0, 1, 2}


class Counting(np.random.Generator):
    """A generator that remembers which shapes it drew."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
        self.shapes: list[tuple[int, ...]] = []

    def random(self, size: Any = None, *args: Any) -> Any:
        self.shapes.append(size)
        return super().random(size, *args)


RATES = {"dropout": 0.25, "attention_dropout": 0.5, "activation_dropout": 0.75}


def some(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32) + 3


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("named", [*RATES, None])
def test_each_rate_is_of_its_own_places(named: str | None, backend: str) -> None:
    """With one rate at 1 and the others at 0, exactly its places are empty."""
    rates = {name: float(name == named) for name in RATES}
    ops = DropoutOps(backend_module(backend), XGLMConfig(**rates), generator())
    x, W, b, residual = some(1, 3, 4), some(5, 4), some(5), some(1, 3, 5)
    plain = x @ W.T + b

    def same(a: np.ndarray, b: np.ndarray) -> bool:
        return bool(np.abs(a - b).max() <= 1e-5 * np.abs(b).max())

    assert same(ops.linear(x, W, b), plain)
    assert same(ops.linear(x, W), x @ W.T)
    assert same(ops.linear(x, W, b, residual_BTO=residual), residual + plain * (named != "dropout"))
    activated = ops.linear(x, W, b, activation="relu")
    assert same(activated, naive_relu(plain) * (named != "activation_dropout"))
    table, ids, places = some(8, 4), np.array([[1, 2]]), np.array([[0, 1]])
    embedded = table[ids] * np.float32(2) + table[places + 2]
    kept = named != "dropout"
    assert same(ops.embed(ids, places, table, table, 2.0, np.float32), embedded * kept)
    assert same(
        ops.add_positions(some(1, 2, 4), places, table), (some(1, 2, 4) + table[places + 2]) * kept
    )
    q = some(1, 2, 3, 4)
    wanted, weights = backend_module("numpy").attention(q, q, q, return_weights=True)
    out, shown = ops.attention(q, q, q, return_weights=True)
    assert same(out, wanted * (named != "attention_dropout"))
    assert same(shown, weights)
    assert ops.attention(q, q, q)[1] is None
    assert ops.layer_norm is backend_module(backend).layer_norm


def naive_relu(x: np.ndarray) -> np.ndarray:
    return np.vectorize(naive.ACTIVATIONS["relu"])(x)


def test_what_is_drawn() -> None:
    """Never for a rate of 0; for attention once a weight, or in Flax's manner once a pair."""
    q = some(2, 3, 5, 4)
    for as_flax, shape in ((False, (2, 3, 5, 5)), (True, (1, 1, 5, 5))):
        random = Counting()
        ops = DropoutOps(backend_module("numpy"), XGLMConfig(**RATES), random, as_flax=as_flax)
        _, shown = ops.attention(q, q, q, return_weights=True)
        assert random.shapes == [shape]
        lower = np.tril(np.ones((5, 5), bool))
        assert (shown[..., lower] == 0).any() == as_flax
        if as_flax:
            assert ((shown[..., lower] == 0) == (shown[0, 0][lower] == 0)).all()
    random = Counting()
    ops = DropoutOps(backend_module("numpy"), XGLMConfig(dropout=0, attention_dropout=0), random)
    ops.attention(q, q, q)
    ops.linear(q, some(6, 4), activation="gelu", residual_BTO=some(2, 3, 5, 6))
    assert random.shapes == []


def test_the_values_gathered_are_those_of_the_weights_that_are_left() -> None:
    q, config = some(2, 3, 5, 4), XGLMConfig(attention_dropout=0.5)
    numpy = backend_module("numpy")
    out, weights = DropoutOps(numpy, config, generator(9)).attention(q, q, q, return_weights=True)
    kept = generator(9).random(weights.shape) >= 0.5
    assert np.allclose(out, (weights * kept * 2) @ q, rtol=1e-6)
