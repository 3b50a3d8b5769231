"""Calls that are put off and made in a row: the same bits, and nothing read too early."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.cache import KVCache
from pyxglm.ops import native, native_attention, native_calls, native_linear
from pyxglm.ops.native_calls import in_a_row, settle, settled, witnessed
from pyxglm.packing import decode_packed

CONFIG = XGLMConfig(
    vocab_size=97, d_model=24, ffn_dim=40, num_layers=3, attention_heads=3, init_std=0.3,
    max_position_embeddings=40,
)  # fmt: skip

IDS = np.random.default_rng(0).integers(3, 97, (2, 11))
MASK = np.array([[0] * 3 + [1] * 8, [1] * 11])


@pytest.fixture
def runs(monkeypatch):
    """How many calls each program had that was run."""
    seen = []
    run = native_calls.run
    monkeypatch.setattr(native_calls, "run", lambda steps: seen.append(len(steps)) or run(steps))
    return seen


@pytest.fixture
def numbers():
    random = np.random.default_rng(1)
    return [random.standard_normal(shape, np.float32) for shape in ((5, 24), (40, 24), (24, 40))]


@pytest.fixture
def poisoned(monkeypatch):
    """Results that are NaN until they are computed, not what was there before by chance."""
    for module in (native, native_linear, native_attention):
        empty = module.empty
        monkeypatch.setattr(module, "empty", lambda shape, f=empty: np.full_like(f(shape), np.nan))


def model_of(**changes):
    config = XGLMConfig.from_dict({**CONFIG.to_dict(), **changes})
    return XGLMForCausalLM(config, seed=1, backend="c")


def outputs_of(model):
    outputs = model(IDS, attention_mask=MASK, output_hidden_states=True, output_attentions=True)
    arrays = [outputs.logits, *outputs.hidden_states, *outputs.attentions]
    return arrays + [array for past in outputs.past_key_values for array in past]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("activation", ["gelu", "mish"])  # NumPy applies the second
@pytest.mark.parametrize("room", [5000, 1 << 30])
def test_same_bits_as_at_once(monkeypatch, runs, activation, room):
    model = model_of(activation_function=activation)
    monkeypatch.setattr(native_calls, "PUT_OFF", 0)
    expected = outputs_of(model)
    assert set(runs) == {1}
    calls = sum(runs)
    runs.clear()
    monkeypatch.setattr(native_calls, "PUT_OFF", room)
    assert_same(outputs_of(model), expected)
    assert sum(runs) == calls
    if activation == "gelu":
        assert len(runs) == 2 if room == 1 << 30 else 2 < len(runs) < calls  # and the logits


def test_nothing_is_read_before_it_is_computed(request):
    model = model_of()
    expected = outputs_of(model)
    request.getfixturevalue("poisoned")
    assert_same(outputs_of(model), expected)


def test_generation_of_one_prompt_is_in_a_row(runs):
    model_of().generate(IDS[1:], max_new_tokens=2)
    assert max(runs) > 30


@pytest.mark.parametrize("caches", [True, False])
def test_packed_texts_are_in_a_row(runs, caches):
    model, lengths = model_of(), [4, 1, 3]
    texts = np.split(IDS[0, :8], np.cumsum(lengths)[:-1])
    kept = [KVCache(CONFIG.num_layers) for _ in texts] if caches else None
    positions = np.concatenate([np.arange(length) for length in lengths])
    found = decode_packed(model.model, IDS[0, :8], positions, lengths, kept)
    assert len(runs) == 1
    for text, hidden in zip(texts, np.split(found, np.cumsum(lengths)[:-1]), strict=True):
        np.testing.assert_array_equal(hidden, model.model([text]).last_hidden_state[0])


def test_a_copy_that_was_not_settled_is_refused(numbers):
    x, weight, _ = numbers
    with (
        pytest.raises(RuntimeError, match="linear: an input was computed outside of the library"),
        in_a_row(x),
    ):
        native.linear(native.multiply(x, 2.0) * np.float32(1), weight)


def test_an_array_in_the_place_of_one_that_is_gone_is_refused(numbers):
    x, weight, _ = numbers
    with in_a_row(x):
        gone = native.multiply(x, 2.0)
        settle()
        known = id(gone)
        del gone
        copies = []
        while not (copies and id(copies[-1]) == known) and len(copies) < 1000:
            copies.append(np.array(x))
        with pytest.raises(RuntimeError, match="outside of the library"):
            native.linear(copies[-1], weight)


def test_what_was_settled_may_be_used(numbers):
    x, weight, back = numbers
    with in_a_row(x):
        y = native.linear(x, weight)
        settle()
        found = native.linear(settled(y * np.float32(3)), back)
    np.testing.assert_array_equal(
        found, native.linear(native.linear(x, weight) * np.float32(3), back)
    )


@pytest.mark.parametrize("op", ["linear", "gelu", "softmax", "head_top"])
@pytest.mark.usefixtures("poisoned")
def test_what_operations_read_themselves_is_there(op, numbers):
    """A view that must be copied, and kernels that no program contains."""
    x, weight, back = numbers

    def computed():
        y = native.linear(x, weight)
        if op == "linear":
            return native.linear(y[:, ::2], weight[:, :20])
        return native.head_top(y, back, 1)[0] if op == "head_top" else getattr(native, op)(y)

    expected = computed()
    with in_a_row(x):
        found = computed()
    np.testing.assert_array_equal(found, expected)


def test_after_an_error_nothing_is_left(numbers, runs):
    x, weight, _ = numbers
    with pytest.raises(ValueError, match="weight_OI has shape"), in_a_row(x):
        native.linear(native.linear(x, weight), weight)
    assert runs == []
    native.linear(x, weight)
    assert runs == [1]


def test_another_thread_does_not_wait(numbers, runs):
    x, weight, _ = numbers
    found = []
    with in_a_row(x):
        native.linear(x, weight)
        other = threading.Thread(target=lambda: found.append(native.linear(x, weight)))
        other.start()
        other.join()
        assert runs == [1]
    assert runs == [1, 1]
    np.testing.assert_array_equal(found[0], native.linear(x, weight))


def test_a_witness_sees_what_is_put_off(numbers):
    x, weight, _ = numbers
    with witnessed() as calls, in_a_row(x):
        native.multiply(native.linear(x, weight), 2.0)
    assert [call.op for call in calls] == ["linear", "multiply"]
