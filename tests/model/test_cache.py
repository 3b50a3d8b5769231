"""KVCache: growth in place, passes that fail, copies, order, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, encoder_states, lm
from strategies import left_alone

from pyxglm.cache import KVCache
from pyxglm.ops import reference


def rows(seed: int, T: int, B: int = 2, H: int = 3, K: int = 4) -> tuple[np.ndarray, np.ndarray]:
    k_BHTK, v_BHTK = np.random.default_rng(seed).standard_normal((2, B, H, T, K))
    return k_BHTK, v_BHTK


# -------------------------------------------------------------------------- by itself


@pytest.mark.parametrize("capacity", [0, 1, 4, 100])
def test_what_is_appended_is_read_back(capacity: int) -> None:
    cache = KVCache(2, capacity)
    parts: list[list[Any]] = [[], []]
    for step, T in enumerate([3, 1, 0, 1, 7, 1]):
        for layer in (0, 1):
            part = rows(10 * step + layer, T)
            found = cache.append(layer, *part)
            parts[layer].append(part)
            for i in (0, 1):
                wanted = np.concatenate([p[i] for p in parts[layer]], axis=2)
                assert np.array_equal(found[i], wanted)
        cache.commit(T)
        assert cache.get_seq_length() == cache.length == cache[0][0].shape[2]
        assert np.array_equal(cache[1][1], np.concatenate([p[1] for p in parts[1]], axis=2))


def test_memory_grows_by_doubling() -> None:
    cache = KVCache(1)
    addresses = set()
    for step in range(200):
        k_BHSK, _ = cache.append(0, *rows(step, 1))
        cache.commit(1)
        addresses.add(k_BHSK.__array_interface__["data"][0])
    assert len(addresses) <= 10  # about log2(200), not 200


def test_room_made_beforehand_is_used() -> None:
    cache = KVCache(1, 64)
    first, _ = cache.append(0, *rows(0, 60))
    cache.commit(60)
    last, _ = cache.append(0, *rows(1, 4))
    assert np.shares_memory(first, last)


def test_as_a_sequence() -> None:
    cache = KVCache(3)
    assert len(cache) == 3
    for read in (lambda: cache[0], lambda: list(cache), lambda: cache.to_tuple()):
        with pytest.raises(IndexError, match="KVCache is empty"):
            read()
    for layer in range(3):
        cache.append(layer, *rows(layer, 2))
    cache.commit(2)
    with pytest.raises(IndexError):
        cache[3]
    assert [k.shape for k, v in cache] == [(2, 3, 2, 4)] * 3
    assert isinstance(cache.to_tuple(), tuple)
    assert np.array_equal(cache[-1][0], cache[2][0])
    assert [len(entry) for entry in cache[1:]] == [2, 2]


def test_reorder() -> None:
    cache = KVCache(2, 10)
    parts = [rows(layer, 3) for layer in (0, 1)]
    for layer in (0, 1):
        cache.append(layer, *parts[layer])
        cache.set_cross(layer, *rows(5 + layer, 2))
    cache.commit(3)
    cache.reorder([1, 1, 0])
    for layer in (0, 1):
        k_BHSK, v_BHSK, k_BHEK, _ = cache[layer]
        assert np.array_equal(k_BHSK, parts[layer][0][[1, 1, 0]])
        assert np.array_equal(v_BHSK, parts[layer][1][[1, 1, 0]])
        assert np.array_equal(k_BHEK, rows(5 + layer, 2)[0][[1, 1, 0]])


def test_from_past_copies() -> None:
    past = tuple(rows(layer, 3) for layer in (0, 1))
    cache = KVCache.from_past(past, room=2)
    cache.append(0, *rows(9, 2))
    assert cache.length == 3
    for layer in (0, 1):
        assert np.array_equal(cache[layer][0], past[layer][0])
        assert not np.shares_memory(cache[layer][0], past[layer][0])


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],  # noqa: S301
)
def test_a_copy_grows_by_itself(copied: Any) -> None:
    model, cache = lm(), KVCache(3, 8)
    model(IDS, past_key_values=cache)
    cache.hold(IDS, np.ones_like(IDS))
    twin = copied(cache)
    wanted = [array.copy() for array in model(IDS[:, :1], past_key_values=twin).past_key_values[2]]
    assert (cache.length, twin.length) == (5, 6)
    with cache.in_use:  # which says nothing of the copy
        model(IDS[:, 1:2], past_key_values=twin)
    model(IDS[:, 1:3], past_key_values=cache)
    cache.reorder([1, 0])
    twin.crop(6)
    for found, array in zip(twin[2], wanted, strict=True):
        assert np.array_equal(found, array)
    twin.crop(5)
    assert np.array_equal(twin.tokens, (IDS, np.ones_like(IDS)))


# ------------------------------------------------------------------------ with a model


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["tuple", "KVCache", "lists"])
@pytest.mark.parametrize("chunks", [[1] * 5, [2, 3], [4, 1], [1, 4], [3, 1, 1], [5, 0]])
def test_any_chunks_give_the_logits_of_one_pass(chunks: list[int], kind: str, compute: str) -> None:
    model = lm(compute=compute)
    wanted = model(IDS).logits
    past: Any = KVCache(3) if kind == "KVCache" else None
    found, start = [], 0
    for T in chunks:
        output = model(IDS[:, start : start + T], past_key_values=past)
        if kind == "KVCache":
            assert output.past_key_values is past
        past = output.past_key_values
        if kind == "lists":
            past = [[array.tolist() for array in entry] for entry in past]
        start += T
        found.append(output.logits)
    assert (
        apart(np.concatenate(found, axis=1), wanted) <= {"float32": 1e-5, "float64": 1e-13}[compute]
    )


def test_a_masked_batch_step_by_step() -> None:
    model = lm()
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 1]])
    wanted = model(IDS, attention_mask=mask).logits
    past = None
    for t in range(5):
        output = model(IDS[:, t : t + 1], attention_mask=mask[:, : t + 1], past_key_values=past)
        past = output.past_key_values
        real = mask[:, t] == 1  # a query at padding sees other keys when there are fewer
        assert apart(output.logits[real, 0], wanted[real, t]) <= 1e-5


def test_a_tuple_is_left_as_it_is_and_a_cache_is_appended_to() -> None:
    model = lm()
    past = model(IDS[:, :3]).past_key_values
    assert isinstance(past, tuple)
    given = {f"{i}.{j}": a for i, entry in enumerate(past) for j, a in enumerate(entry)}
    with left_alone(given):
        longer = model(IDS[:, 3:], past_key_values=past).past_key_values
        model(IDS[:, 4:], past_key_values=past)
    assert past[0][0].shape[2] == 3
    assert longer[0][0].shape[2] == 5
    for array in given.values():  # mapped or shared caches may be read-only
        array.flags.writeable = False
    again = model(IDS[:, 3:], past_key_values=past)
    assert np.array_equal(again.past_key_values[2][1], longer[2][1])


def test_without_use_cache_a_cache_is_only_read() -> None:
    model, cache = lm(), KVCache(3)
    model(IDS[:, :3], past_key_values=cache)
    wanted = model(IDS).logits[:, 3:]
    for _ in range(2):
        output = model(IDS[:, 3:], past_key_values=cache, use_cache=False)
        assert output.past_key_values is None
        assert cache.length == 3
        assert apart(output.logits, wanted) <= 1e-5


class Broken:
    """The reference, but for a linear that fails at its n-th call."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def linear(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise MemoryError
        return reference.linear(*args, **kwargs)


@pytest.mark.parametrize("calls", [0, 3, 8, 14, 20])
def test_a_pass_that_fails_leaves_the_cache_as_it_was(
    calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lm(add_cross_attention=True)
    states = encoder_states()
    for first in (0, 2):  # in the first pass, and in a later one
        cache = KVCache(3)
        if first:
            model(IDS[:, :first], past_key_values=cache, encoder_hidden_states=states)
        monkeypatch.setattr(model.model, "_ops", Broken(calls))
        with pytest.raises(MemoryError):
            model(IDS[:, first:], past_key_values=cache, encoder_hidden_states=states + 1)
        monkeypatch.undo()
        assert cache.length == first
        # What the failed pass has written is nothing to the next, of another batch size even.
        batch = slice(None) if first else slice(0, 1)
        output = model(
            IDS[batch, first:], past_key_values=cache, encoder_hidden_states=states[batch]
        )
        wanted = model(IDS[batch], encoder_hidden_states=states[batch]).logits[:, first:]
        assert apart(output.logits, wanted) <= 1e-5


def test_a_failed_pass_with_an_encoder_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    model, cache = lm(add_cross_attention=True), KVCache(3)
    monkeypatch.setattr(model.model, "_ops", Broken(9))
    with pytest.raises(MemoryError):
        model(IDS, past_key_values=cache, encoder_hidden_states=encoder_states())
    monkeypatch.undo()
    model(IDS, past_key_values=cache)
    assert [len(entry) for entry in cache] == [2, 2, 2]


def test_the_encoder_is_read_once_and_remembered() -> None:
    model, cache, states = lm(add_cross_attention=True), KVCache(3), encoder_states()
    wanted = model(IDS, encoder_hidden_states=states).logits
    first = model(IDS[:, :2], encoder_hidden_states=states)
    model(IDS[:, :2], past_key_values=cache, encoder_hidden_states=states)
    for past in (first.past_key_values, cache):
        # Other states are not looked at, as in transformers, only their presence.
        output = model(IDS[:, 2:], past_key_values=past, encoder_hidden_states=states * 0)
        assert apart(output.logits, wanted[:, 2:]) <= 1e-5
        assert np.array_equal(output.past_key_values[0][2], first.past_key_values[0][2])


def test_reorder_cache_is_that_of_transformers() -> None:
    past = lm()(IDS).past_key_values
    swapped = type(lm())._reorder_cache(past, np.array([1, 0, 0]))
    assert isinstance(swapped, tuple)
    for (k, v), (k2, v2) in zip(past, swapped, strict=True):
        assert np.array_equal(k2, k[[1, 0, 0]])
        assert np.array_equal(v2, v[[1, 0, 0]])


# ---------------------------------------------------------------------------- refusals


def test_the_cache_of_another_model_is_refused() -> None:
    model = lm()
    others = {
        r"has 2 layers, expected 3": (bare(num_layers=2), IDS),
        r"\[0\] has shape \(2, 1, 5, 6\).*expected \(2, 2, 5, 6\)": (
            bare(attention_heads=1, d_model=6), IDS),
        r"\[0\] has shape \(2, 2, 5, 4\).*expected \(2, 2, 5, 6\)": (bare(d_model=8), IDS),
        r"\[0\] has shape \(1, 2, 5, 6\).*expected \(2, 2, 5, 6\)": (bare(), IDS[:1]),
    }  # fmt: skip
    for says, (other, ids) in others.items():
        cache = KVCache(other.config.num_layers)
        given = other(ids, past_key_values=cache).past_key_values
        for past in (given, given.to_tuple()):
            with pytest.raises(ValueError, match=f"^past_key_values.*{says}"):
                model(IDS[:, :1], past_key_values=past)
        assert cache.length == 5


def test_a_cache_of_another_arithmetic_is_refused_and_a_tuple_converted() -> None:
    cache = KVCache(3)
    bare(compute="float64")(IDS, past_key_values=cache)
    with pytest.raises(ValueError, match="in float64, expected .* in float32"):
        bare()(IDS[:, :1], past_key_values=cache)
    output = bare()(IDS[:, :1], past_key_values=cache.to_tuple())
    assert output.past_key_values[0][0].dtype == np.float32


def test_a_cache_from_before_pruning_is_refused() -> None:
    model, cache = lm(), KVCache(3)
    model(IDS, past_key_values=cache)
    model.prune_heads({1: [0]})
    with pytest.raises(ValueError, match=r"past_key_values\[1\] has shape \(2, 2, 5, 6\)"):
        model(IDS[:, :1], past_key_values=cache)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda past: 5, "is a int"),
        (lambda past: "abc", "is a str"),
        (lambda past: past[:2], "has 2 layers, expected 3"),
        (lambda past: [(k,) for k, v in past], r"\[0\] has 1 arrays, expected 2 or 4"),
        (lambda past: [(k, v, k) for k, v in past], r"\[0\] has 3 arrays, expected 2 or 4"),
        (lambda past: [past[0], (past[1][0][:, :, 1:], past[1][1]), past[2]], r"\[1\]\[0\] has sh"),
        (lambda past: [(k, v[:, :, 1:]) for k, v in past], r"\[0\]\[1\] has shape"),
        (lambda past: [(k[0], v[0]) for k, v in past], r"\[0\]\[0\] has shape"),
        (lambda past: [(1, 2)] * 3, r"\[0\]\[0\] has shape \(\)"),
    ],
)
def test_a_spoilt_past_is_refused(spoil: Any, says: str) -> None:
    model = lm()
    with pytest.raises((ValueError, TypeError), match=f"^past_key_values ?{says}"):
        model(IDS[:, :1], past_key_values=spoil(model(IDS).past_key_values))


def test_an_encoder_needs_its_part_of_the_past() -> None:
    model, states = lm(add_cross_attention=True), encoder_states()
    past = model(IDS).past_key_values
    with pytest.raises(ValueError, match=r"^past_key_values\[0\] has 2 arrays, expected 4"):
        model(IDS[:, :1], past_key_values=past, encoder_hidden_states=states)
    past = model(IDS, encoder_hidden_states=states).past_key_values
    uneven = [(k, v, ck, cv[:, :, 1:]) for k, v, ck, cv in past]
    with pytest.raises(ValueError, match=r"^past_key_values\[0\]\[3\] has shape \(2, 2, 5, 6\)"):
        model(IDS[:, :1], past_key_values=uneven, encoder_hidden_states=states)
    with pytest.raises(ValueError, match="^encoder_attention_mask has 4 columns, expected 6"):
        model(IDS[:, :1], past_key_values=past, encoder_hidden_states=states[:, :4],
              encoder_attention_mask=np.ones((2, 4)))  # fmt: skip
