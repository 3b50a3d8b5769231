"""One cache in two threads: an error for the second of them, and never garbage."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from model.small import IDS, lm

from pyxglm import KVCache, decoder
from pyxglm.ops.native_steps import Program

MESSAGE = (
    "past_key_values is a KVCache that another thread is using, expected one of its own for each"
    " thread"
)


def elsewhere(step: Callable[[], Any]) -> Any:
    """Return what a step says in another thread: its result, or its error."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(step())
        except (RuntimeError, TypeError) as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def refused(found: Any) -> bool:
    return type(found) is RuntimeError and str(found) == MESSAGE


def meeting(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, step: Callable[[], Any]) -> Any:
    """Let another thread do a step in the middle of a function; return the list of what it says."""
    said: list[Any] = []
    right = getattr(owner, name)

    def met(*args: Any, **kwargs: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            said.append(elsewhere(step))
        return right(*args, **kwargs)

    monkeypatch.setattr(owner, name, met)
    return said


def test_what_a_second_thread_may_not_do_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lm()
    cache = KVCache(model.config.num_layers)
    model(IDS[:, :3], past_key_values=cache)
    steps: list[Callable[[], Any]] = [
        lambda: model(IDS[:, 3:], past_key_values=cache),
        lambda: model(IDS[:, 3:], past_key_values=cache, use_cache=False),
        lambda: model.generate(IDS, past_key_values=cache),
        lambda: cache.crop(1),
        lambda: cache.reorder([1, 0]),
    ]
    wanted = model(IDS).logits[:, 3:]
    for step in steps:
        with monkeypatch.context() as patch:
            said = meeting(patch, decoder, "decode", step)
            found = model(IDS[:, 3:], past_key_values=cache).logits
        assert len(said) == 1
        assert refused(said[0])
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert cache.length == 5
        cache.crop(3)


def test_a_repeated_step_is_not_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lm()
    wanted = model.generate(IDS, max_new_tokens=8, min_new_tokens=8)
    cache = KVCache(model.config.num_layers)
    said = meeting(monkeypatch, Program, "repeat", lambda: cache.crop(0))
    found = model.generate(IDS, max_new_tokens=8, min_new_tokens=8, past_key_values=cache)
    assert len(said) > 3
    assert all(map(refused, said))
    assert np.array_equal(found, wanted)


def test_one_after_the_other_is_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a failure: it leaves the cache to whoever comes next."""
    model = lm()
    cache = KVCache(model.config.num_layers)
    wanted = model(IDS).logits
    elsewhere(lambda: model(IDS[:, :2], past_key_values=cache))
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "decode", None)
        failed = elsewhere(lambda: model(IDS[:, 2:4], past_key_values=cache))
        assert isinstance(failed, TypeError)
    found = elsewhere(lambda: model(IDS[:, 2:4], past_key_values=cache).logits)
    np.testing.assert_allclose(found, wanted[:, 2:4], atol=1e-5)
    np.testing.assert_allclose(
        model(IDS[:, 4:], past_key_values=cache).logits, wanted[:, 4:], atol=1e-5
    )


def test_a_copy_is_not_in_use() -> None:
    model = lm()
    cache = KVCache(model.config.num_layers)
    model(IDS[:, :3], past_key_values=cache)
    with cache.in_use:
        copies = [copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))]  # noqa: S301
        copies.append(cache.gathered([0, 1]))
        assert refused(elsewhere(lambda: cache.crop(1)))
        for one in copies:
            elsewhere(lambda one=one: one.crop(2))
            assert (one.length, cache.length) == (2, 3)
        # A tuple is copied before it is used.
        past = cache.to_tuple()
        found = elsewhere(lambda: model(IDS[:, 3:], past_key_values=past).logits)
        np.testing.assert_allclose(found, model(IDS).logits[:, 3:], atol=1e-5)
