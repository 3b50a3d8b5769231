"""A decoding step that is recorded and repeated: the bits of a step that is not."""

from __future__ import annotations

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.cache import KVCache
from pyxglm.generation.repetition import Repetition
from pyxglm.ops.native_calls import settle, settled
from pyxglm.ops.native_steps import Program

CONFIG = XGLMConfig(
    vocab_size=97, d_model=24, ffn_dim=40, num_layers=3, attention_heads=3, init_std=0.3,
    max_position_embeddings=40,
)  # fmt: skip


@pytest.fixture
def repeated(monkeypatch):
    """The steps that C has repeated."""
    seen = []
    repeat = Program.repeat
    monkeypatch.setattr(Program, "repeat", lambda self, h: seen.append(self) or repeat(self, h))
    return seen


class Decoding:
    """The same tokens by `Repetition` and by the model itself, each with its own cache."""

    def __init__(self, model, B=2, padding=1, capacity=30):
        self.model, self.repetition = model.model, Repetition()
        self.caches = [KVCache(CONFIG.num_layers, capacity) for _ in range(2)]
        self.rng = np.random.default_rng(0)
        self.mask = np.ones((B, 5), np.int64)
        self.mask[0, :padding] = 0
        ids = self.rng.integers(3, 97, (B, 5))
        for cache in self.caches:
            self.model(**self.inputs(ids, cache))

    def inputs(self, ids, cache):
        positions = np.maximum(np.cumsum(self.mask, axis=-1) - 1, 0)[:, -ids.shape[1] :]
        return {"input_ids": ids, "attention_mask": self.mask, "position_ids": positions,
                "past_key_values": cache, "use_cache": True}  # fmt: skip

    def step(self):
        """Decode one token both ways, and compare them."""
        ids = self.rng.integers(3, 97, (len(self.mask), 1))
        self.mask = np.pad(self.mask, ((0, 0), (0, 1)), constant_values=1)
        first, second = self.caches
        found, cache = self.repetition.step(self.model, **self.inputs(ids, first))
        expected = self.model(**self.inputs(ids, second)).last_hidden_state
        np.testing.assert_array_equal(found, expected)
        assert cache is first
        assert first.length == second.length
        for layer in range(len(first)):
            for one, other in zip(first[layer], second[layer], strict=True):
                np.testing.assert_array_equal(one, other)


def model_of(dtype="float32", config=CONFIG, **settings):
    return XGLMForCausalLM(config, seed=1, dtype=dtype, backend="c", **settings)


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
@pytest.mark.parametrize(("B", "padding"), [(1, 0), (1, 2), (3, 0), (3, 4)])
def test_same_bits(repeated, B, padding, compute):
    decoding = Decoding(model_of(compute=compute), B, padding)
    for _ in range(12):
        decoding.step()
    assert len(repeated) == 11  # all but the first, which is recorded


def test_from_a_file(repeated, tmp_path):
    model_of("float16").save_pretrained(tmp_path)
    decoding = Decoding(XGLMForCausalLM.from_pretrained(tmp_path, backend="c"))
    for _ in range(4):
        decoding.step()
    assert len(repeated) == 3


def test_a_full_cache_grows_and_is_recorded_again(repeated):
    decoding = Decoding(model_of(), capacity=7)
    for _ in range(12):
        decoding.step()
    assert len({id(program) for program in repeated}) > 1


def test_positions_beyond_the_table(repeated):
    decoding = Decoding(model_of(), capacity=60)
    for _ in range(45):
        decoding.step()
    assert repeated


def test_other_parameters_are_seen(repeated):
    model = model_of()
    decoding = Decoding(model)
    decoding.step()
    decoding.step()
    count = len(repeated)
    model.set_input_embeddings(np.asarray(model.get_input_embeddings().weight) * np.float32(2))
    decoding.step()
    assert len(repeated) == count  # recorded anew
    name = "model.layers.1.fc1.weight"
    model._parameters[name] = model._parameters[name] * np.float32(0.5)
    decoding.step()
    decoding.step()
    assert len(repeated) == count + 1


def test_parameters_changed_in_place_are_seen(repeated):
    model = model_of()
    decoding = Decoding(model)
    for _ in range(4):
        decoding.step()
        for name in ("layers.0.fc2.weight", "layers.2.fc1.bias", "layer_norm.weight"):
            model._parameters[f"model.{name}"][...] *= np.float32(1.25)
    assert len(repeated) == 3


def test_a_cache_that_has_moved_is_seen(repeated):
    decoding = Decoding(model_of(), B=3)
    decoding.step()
    decoding.step()
    for cache in decoding.caches:
        cache.reorder([2, 0, 0])  # in place
    decoding.step()
    assert len(repeated) == 2
    for cache in decoding.caches:
        cache.reorder([2, 0, 0, 1])
        cache.reorder([0, 1, 3])
    decoding.step()
    assert len(repeated) == 2
    decoding.step()
    assert len(repeated) == 3


def test_tokens_taken_back_are_seen(repeated):
    decoding = Decoding(model_of(), B=3)
    decoding.step()
    decoding.step()
    for cache in decoding.caches:
        cache.crop(5)
    decoding.mask = decoding.mask[:, :5]
    for _ in range(4):
        decoding.step()
    assert len(repeated) == 1 + 3


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        ("float16", {}),  # small vectors are widened for each call
        ("float32", {"activation_function": "mish"}),  # NumPy applies it
    ],
)
def test_what_cannot_be_repeated_is_computed(repeated, dtype, changes):
    decoding = Decoding(model_of(dtype, XGLMConfig.from_dict({**CONFIG.to_dict(), **changes})))
    for _ in range(3):
        decoding.step()
    assert not repeated


def test_numpy_in_between_is_noticed(repeated, monkeypatch):
    model = model_of()
    multiply = model._ops.multiply

    def by_numpy(x, factor):
        y = multiply(x, 1.0)
        settle()
        return settled(y * np.float32(factor))

    monkeypatch.setattr(model._ops, "multiply", by_numpy)
    decoding = Decoding(model)
    for _ in range(3):
        decoding.step()
    assert not repeated
