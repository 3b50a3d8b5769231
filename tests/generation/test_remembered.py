"""Caches that are used again: the same bits as from scratch, and only what is new computed."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import KVCache, XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate

CONFIG = XGLMConfig(
    vocab_size=23, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, init_std=0.5,
    max_position_embeddings=64,
)  # fmt: skip
ASKED = {"max_new_tokens": 7, "return_dict_in_generate": True, "output_log_probs": True}


@functools.cache
def model():
    return XGLMForCausalLM(CONFIG, seed=3, backend="c")


texts = st.lists(st.integers(3, 22), min_size=1, max_size=10)


@settings(deadline=None, max_examples=40)
@given(texts, st.lists(texts, min_size=1, max_size=4), st.booleans())
def test_a_text_that_is_edited_and_continued_is_that_from_scratch(first, edits, do_sample):
    """Whatever the next prompt has in common with what is remembered."""
    asked = {**ASKED, "do_sample": do_sample}
    cache = KVCache(CONFIG.num_layers)
    text = first
    for edit in edits:
        found = generate(model(), text, past_key_values=cache, **asked)
        expected = generate(model(), text, **asked)
        assert found.sequences.tolist() == expected.sequences.tolist()
        assert found.log_probs.tobytes() == expected.log_probs.tobytes()
        assert found.past_key_values is cache
        kept = len(edit) * 2 % found.sequences.shape[1]
        text = [*found.sequences[0, :kept].tolist(), *edit]


def test_only_what_is_new_goes_through_the_model(embedded):
    cache = KVCache(CONFIG.num_layers)
    ids = generate(model(), [5, 6, 7, 8], past_key_values=cache, max_new_tokens=3,
                   eos_token_id=None)[0]  # fmt: skip
    assert embedded == [4, 1, 1]
    assert cache.tokens[0].tolist() == [ids[:6].tolist()]
    embedded.clear()
    generate(model(), [*ids, 9], past_key_values=cache, max_new_tokens=1)
    assert embedded == [2]
    embedded.clear()
    generate(model(), [5, 6, 9], past_key_values=cache, max_new_tokens=1)
    assert embedded == [1]
    embedded.clear()
    generate(model(), [5, 6, 9], past_key_values=cache, max_new_tokens=1)
    assert embedded == [1]  # the last token at least
    embedded.clear()
    generate(model(), [6, 6], past_key_values=cache, max_new_tokens=1)
    assert embedded == [2]


@settings(deadline=None, max_examples=30)
@given(texts, st.lists(texts, min_size=1, max_size=4), st.integers(1, 3))
def test_a_beginning_that_prompts_share(beginning, ends, copies):
    cache = KVCache(CONFIG.num_layers)
    generate(model(), beginning, past_key_values=cache, max_new_tokens=1)
    before = [[part.tobytes() for part in layer] for layer in cache]
    prompts = [[*beginning, *end] for end in ends]
    asked = {**ASKED, "do_sample": True, "num_return_sequences": copies}
    found = generate(model(), prompts, past_key_values=cache, **asked)
    expected = generate(model(), prompts, **asked)
    assert found.sequences.tolist() == expected.sequences.tolist()
    assert found.log_probs.tobytes() == expected.log_probs.tobytes()
    if len(ends) > 1:
        assert [[part.tobytes() for part in layer] for layer in cache] == before


def test_a_shared_beginning_is_computed_once(embedded):
    cache = KVCache(CONFIG.num_layers)
    generate(model(), [5, 6, 7, 8], past_key_values=cache, max_new_tokens=1)
    embedded.clear()
    prompts = [[5, 6, 7, 8, 9], [5, 6, 7, 8], [5, 6, 7, 4, 4]]
    generate(model(), prompts, past_key_values=cache, max_new_tokens=1)
    assert embedded == [5 + 4 + 5 - 3 * 3]
    embedded.clear()
    generate(model(), [[5, 6], [4, 6]], past_key_values=cache, max_new_tokens=1)
    assert embedded == [4]


def test_a_batch_that_goes_on(embedded):
    cache = KVCache(CONFIG.num_layers)
    prompts = [[5, 6, 7], [8], [9, 9]]
    asked = {"eos_token_id": None, "past_key_values": cache}
    ids = generate(model(), prompts, max_new_tokens=4, **asked)
    mask = [[1] * 7, [0, 0, *[1] * 5], [0, *[1] * 6]]
    embedded.clear()
    more = generate(model(), ids, attention_mask=mask, max_new_tokens=3, **asked)
    assert embedded == [3, 3, 3]
    whole = generate(model(), prompts, max_new_tokens=7, eos_token_id=None)
    assert more.tolist() == whole.tolist()
    # Another mask is another text.
    embedded.clear()
    mask[1][0] = 1
    generate(model(), ids, attention_mask=mask, max_new_tokens=1, **asked)
    assert embedded == [19]


def test_a_tuple_is_left_alone():
    outputs = model()([[5, 6, 7]])
    past = outputs.past_key_values
    before = [[part.tobytes() for part in layer] for layer in past]
    found = generate(model(), [5, 6, 7, 8], past_key_values=past, max_new_tokens=5)
    assert found.tolist() == generate(model(), [5, 6, 7, 8], max_new_tokens=5).tolist()
    assert [[part.tobytes() for part in layer] for layer in past] == before


class TestOnDisk:
    def test_what_is_loaded_goes_on(self, tmp_path, embedded):
        cache = KVCache(CONFIG.num_layers)
        prompts = [[5, 6, 7], [8]]
        generate(model(), prompts, past_key_values=cache, max_new_tokens=2)
        cache.save(tmp_path / "prompt.safetensors")
        assert [path.name for path in tmp_path.iterdir()] == ["prompt.safetensors"]
        again = KVCache.load(tmp_path / "prompt.safetensors", room=9)
        for layer, other in zip(cache, again, strict=True):
            for one, two in zip(layer, other, strict=True):
                assert one.tobytes() == two.tobytes()
        embedded.clear()
        found = generate(model(), prompts, past_key_values=again, max_new_tokens=2)
        assert embedded[0] == 2
        assert found.tolist() == generate(model(), prompts, max_new_tokens=2).tolist()

    def test_of_unknown_tokens(self, tmp_path):
        cache = KVCache(CONFIG.num_layers)
        model()([[5, 6, 7]], past_key_values=cache)
        cache.save(tmp_path / "a")
        assert KVCache.load(tmp_path / "a").tokens is None

    def test_an_empty_one_is_not_saved(self, tmp_path):
        with pytest.raises(ValueError, match="^the cache is empty, expected keys and values"):
            KVCache(2).save(tmp_path / "a")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: t.pop("layers.0.values"), "layer 0 has ['keys'], expected keys and values"),
            (lambda t: t.update(other=t["ids"]), "the tensor 'other' is no part of a saved cache"),
            (lambda t: t.pop("mask"), "found ids, expected ids and mask, or neither"),
            (lambda t: t.update(ids=t["ids"][:, 1:]), "ids has shape (1, 2) in int64, expected"),
            (
                lambda t: t.update({"layers.1.values": t["layers.1.values"][:, :, 1:]}),
                "layers.1.values has shape (1, 2, 2, 8) in float32, expected (B, H, S, K) as in",
            ),
            (
                lambda t: [t.pop(f"layers.0.{part}") for part in ("keys", "values")],
                "layers [1], expected 0, 1, … of a saved cache",
            ),
        ],
    )
    def test_other_files_are_refused(self, tmp_path, change, message):
        from safetensors.numpy import load_file, save_file

        cache = KVCache(CONFIG.num_layers)
        generate(model(), [5, 6, 7], past_key_values=cache, max_new_tokens=1)
        cache.save(tmp_path / "a")
        tensors = {name: np.array(part) for name, part in load_file(tmp_path / "a").items()}
        change(tensors)
        save_file({name: np.ascontiguousarray(part) for name, part in tensors.items()},
                  tmp_path / "a")  # fmt: skip
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            KVCache.load(tmp_path / "a")
        assert str(caught.value).startswith(f"{tmp_path / 'a'}: {message}")


def test_what_does_not_fit_is_refused():
    cache = KVCache(CONFIG.num_layers)
    model()([[5, 6, 7], [5, 6, 8]], past_key_values=cache)
    asked = {"past_key_values": cache, "max_new_tokens": 1}
    with pytest.raises(ValueError, match="^past_key_values has 2 rows, expected 3, one for each"):
        generate(model(), [[5, 6, 7, 8]] * 3, **asked)
    with pytest.raises(ValueError, match="^past_key_values holds 3 tokens, expected fewer than"):
        generate(model(), [[5, 6, 7]] * 2, **asked)
    cache = KVCache(CONFIG.num_layers)
    model()([[5, 6, 7]], past_key_values=cache)
    with pytest.raises(ValueError, match="^past_key_values has 1 row, expected 2, one for each"):
        generate(model(), [[5, 6, 7, 8]] * 2, past_key_values=cache, max_new_tokens=1)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_reordering_and_cropping_move_what_they_say(data):
    """Against lists of the tokens' own keys: rows exchanged, doubled, dropped, cut, gone on."""
    rows = data.draw(st.integers(1, 4))
    fresh = itertools.count(1)
    cache, expected = KVCache(1), [[] for _ in range(rows)]
    for action in data.draw(st.lists(st.sampled_from("arcr"), min_size=1, max_size=12)):
        if action == "a" or cache.length == 0:
            new = [[next(fresh) for _ in range(2)] for _ in expected]
            k_BHTK = np.array(new, np.float32)[:, None, :, None]
            cache.begin()
            cache.append(0, k_BHTK, -k_BHTK)
            cache.commit(2)
            expected = [[*row, *more] for row, more in zip(expected, new, strict=True)]
        elif action == "r":
            B = len(expected)
            size = data.draw(st.sampled_from([B, B, B, max(1, B - 1), B + 1]))
            order = data.draw(st.lists(st.integers(0, B - 1), min_size=size, max_size=size))
            cache.reorder(order)
            expected = [expected[i] for i in order]
        else:
            length = data.draw(st.integers(1, cache.length))
            cache.crop(length)
            expected = [row[:length] for row in expected]
        keys, others = cache[0]
        assert keys[:, 0, :, 0].tolist() == expected
        assert others[:, 0, :, 0].tolist() == [[-value for value in row] for row in expected]


def test_rows_that_were_alike_may_differ_after_tokens_are_taken_back():
    cache = KVCache(1)
    for values in ([0, 1, 2], [3, 4]):
        keys = np.array([[values], [values]], np.float32)[..., None]
        cache.append(0, keys, keys)
        cache.commit(len(values))
        cache.reorder([1, 1])
    cache.crop(2)
    keys = np.array([[[5, 6, 7]], [[8, 9, 10]]], np.float32)[..., None]
    cache.append(0, keys, keys)
    cache.commit(3)
    cache.reorder([1, 0])
    assert cache[0][0][:, 0, :, 0].tolist() == [[0, 1, 8, 9, 10], [0, 1, 5, 6, 7]]


def test_only_what_differs_moves():
    cache = KVCache(1)
    keys = np.arange(8, dtype=np.float32).reshape(1, 1, 4, 2)
    cache.append(0, keys, keys)
    cache.commit(4)
    cache.reorder([0, 0, 0])
    step = np.arange(6, dtype=np.float32).reshape(3, 1, 1, 2)
    cache.append(0, step, step)
    cache.commit(1)
    room = cache.room(0)[0]
    room[:, :, :4] = np.nan  # would be seen if it were copied
    room[1, :, :4] = 7
    cache.reorder([1, 1, 2])
    assert np.isnan(room[0, :, :4]).all()
    assert room[0, 0, 4].tolist() == [2, 3]
    with pytest.raises(ValueError, match="^length is 6, expected 0 to 5, as many as there"):
        cache.crop(6)
    for odd in (1.5, -1, True, "1"):
        with pytest.raises(ValueError, match="^length is .*, expected 0 to 5, as many as there"):
            cache.crop(odd)
