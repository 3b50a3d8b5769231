"""Packed texts: the hidden states of each alone, and no padding computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from model.small import IDS, lm

from pyxglm import KVCache
from pyxglm.generation import generate
from pyxglm.ops import available_backends, backend_module
from pyxglm.packing import decode_packed, join

TEXTS = [[2, 5, 7, 9, 4], [2], [11, 3, 8, 20]]
LENGTHS = [5, 1, 4]
PADDED = np.array([[2, 5, 7, 9, 4], [1, 1, 1, 1, 2], [1, 11, 3, 8, 20]])
REAL = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 1, 1, 1, 1]])


@pytest.fixture(params=available_backends())
def model(request: pytest.FixtureRequest) -> Any:
    model = lm()
    for part in (model, model.model):
        part.backend, part._ops = request.param, backend_module(request.param)
    return model


def alike(model: Any, found: np.ndarray, wanted: np.ndarray) -> bool:
    if model.backend == "c":
        return bool((found == wanted).all())
    return bool(np.abs(found - wanted).max(initial=0) < 1e-5)


def packed(model: Any, texts: list[list[int]], caches: Any = None, past: Any = None) -> Any:
    lengths = [len(text) for text in texts]
    starts = past or [0] * len(texts)
    positions = [np.arange(s, s + n) for s, n in zip(starts, lengths, strict=True)]
    ids_N = np.concatenate([np.array(text, int) for text in texts])
    hidden_ND = decode_packed(model.model, ids_N, np.concatenate(positions), lengths, caches)
    return np.split(hidden_ND, np.cumsum(lengths)[:-1])


def test_each_text_is_computed_as_if_alone(model: Any) -> None:
    for text, found in zip(TEXTS, packed(model, TEXTS), strict=True):
        assert alike(model, found, model.model([text]).last_hidden_state[0])
    (found,) = packed(model, TEXTS[:1])
    assert alike(model, found, model.model(TEXTS[:1]).last_hidden_state[0])


def test_texts_may_come_in_parts_of_any_length(model: Any) -> None:
    caches = [KVCache(3) for _ in TEXTS]
    cuts = [2, 0, 3]
    first = packed(model, [t[:c] for t, c in zip(TEXTS, cuts, strict=True)], caches)
    assert [cache.length for cache in caches] == cuts
    rest = packed(model, [t[c:] for t, c in zip(TEXTS, cuts, strict=True)], caches, cuts)
    assert [cache.length for cache in caches] == LENGTHS
    for text, *parts in zip(TEXTS, first, rest, strict=True):
        assert alike(model, np.concatenate(parts), model.model([text]).last_hidden_state[0])


def test_a_joined_cache_goes_on_as_the_padded_batch_does(model: Any) -> None:
    caches = [KVCache(3) for _ in TEXTS]
    packed(model, TEXTS, caches)
    batch = KVCache(3, 9)
    join(caches, REAL == 1, batch)
    assert batch.length == 5
    places = np.maximum(REAL.cumsum(axis=1) - 1, 0)
    padded = model(PADDED, REAL, places, use_cache=True).past_key_values
    for found, wanted in zip(batch, padded, strict=True):
        for part in (0, 1):
            real = np.broadcast_to(REAL[:, None, :, None] == 1, found[part].shape)
            assert alike(model, found[part][real], wanted[part][real])
            assert (found[part][~real] == 0).all()
    mask = np.pad(REAL, ((0, 0), (0, 1)), constant_values=1)
    after = [model([[6], [7], [8]], mask, REAL.sum(axis=1)[:, None], past_key_values=past)
             for past in (batch, padded)]  # fmt: skip
    assert alike(model, after[0].logits, after[1].logits)


def rows_of(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Watch how many vectors go through each linear part of the decoder."""
    seen: list[int] = []
    linear = model._ops.linear

    def spy(x: Any, *rest: Any, **how: Any) -> Any:
        seen.append(int(np.prod(x.shape[:-1])))
        return linear(x, *rest, **how)

    monkeypatch.setattr(model._ops, "linear", spy)
    return seen


@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_computes_no_padding(
    model: Any, use_cache: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_new_tokens": 3, "eos_token_id": None, "use_cache": use_cache}
    alone = [generate(model, text, **options)[0, -3:].tolist() for text in TEXTS]
    # Else C repeats what the model does for a token, unseen.
    monkeypatch.setattr("pyxglm.generation.repetition.recording", lambda backend: None)
    seen = rows_of(model, monkeypatch)
    assert generate(model, TEXTS, **options)[:, -3:].tolist() == alone
    steps = [10, 3, 3] if use_cache else [10, 13, 16]
    assert [seen[i] for i in range(0, len(seen), 18)] == steps  # 3 layers of 6 linear parts


def test_scoring_computes_no_padding(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = rows_of(model, monkeypatch)
    model.log_probs(PADDED, attention_mask=REAL)
    assert set(seen) == {4 + 0 + 3}  # the last column is not computed either


def test_a_batch_that_ends_in_padding_is_computed_whole(model: Any) -> None:
    """The next token is read at the last column, whatever is there."""
    mask = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    with pytest.warns(UserWarning, match="padded on the right"):
        found = generate(model, IDS, attention_mask=mask, max_new_tokens=1, eos_token_id=None)
    places = np.array([[0, 1, 2, 3, 1], [0, 1, 2, 3, 4]])
    assert found[:, 5].tolist() == model(IDS, mask, places).logits[:, -1].argmax(-1).tolist()
