"""Training mode: off until asked for, drawn from a generator, the same again from the same seed."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, encoder_states, lm

from pyxglm.cache import KVCache
from pyxglm.generation import repetition
from pyxglm.ops import available_backends

RATES: dict[str, Any] = {"dropout": 0.3, "attention_dropout": 0.3, "activation_dropout": 0.3}
NONE = dict.fromkeys(RATES, 0.0)
LAYERS = {**NONE, "layerdrop": 0.5, "num_layers": 8}


def logits(model: Any, **arguments: Any) -> np.ndarray:
    return model(IDS, **arguments).logits


def test_it_is_off_until_asked_for() -> None:
    model = lm(**RATES, layerdrop=0.5)
    quiet = lm(**NONE)
    wanted = logits(quiet)
    assert np.array_equal(logits(model), wanted)
    assert not model.training
    assert model.train() is model
    assert model.training
    assert model.model.training
    assert apart(logits(model), wanted) > 0.01
    assert model.eval() is model
    assert not model.training
    assert not model.model.training
    assert np.array_equal(logits(model), wanted)
    assert not model.train(False).training
    # Without any rate, training mode computes the same.
    assert apart(logits(quiet.train()), wanted) <= 1e-6


def test_evaluation_runs_the_backends_own_operations() -> None:
    model = bare(**RATES)
    assert model._operations(None) == (model._ops, frozenset())


def test_a_bare_model_has_the_mode_too() -> None:
    model = bare(**RATES)
    wanted = model(IDS)[0]
    assert apart(model.train(rng=1)(IDS)[0], wanted) > 0.01
    assert np.array_equal(model.eval()(IDS)[0], wanted)
    language = lm(**RATES)
    language.model.train(rng=1)  # as in torch: a part alone
    assert not language.training
    assert not np.array_equal(logits(language), logits(language))


def test_seeds_reproduce() -> None:
    model = lm(**RATES, layerdrop=0.2)
    first, second = logits(model.train(rng=5)), logits(model)
    assert not np.array_equal(first, second)
    for rng in (5, np.int64(5), np.random.default_rng(5)):
        model.train(rng=rng)
        assert np.array_equal(logits(model), first)
        assert np.array_equal(logits(model), second)
    assert not np.array_equal(logits(model.train(rng=6)), first)
    # Without a generator: the one that the model had, and seed 0 if it had none.
    model.train(rng=5)
    logits(model)
    assert np.array_equal(logits(model.eval().train()), second)
    fresh = [lm(**RATES).train(**given) for given in ({}, {"rng": 0})]
    assert np.array_equal(*map(logits, fresh))


def test_one_call_may_be_in_training_mode() -> None:
    model = lm(**RATES)
    wanted = logits(model)
    once = logits(model, rng=5)
    assert np.array_equal(once, logits(model, rng=np.random.default_rng(5)))
    assert np.array_equal(once, logits(copy.deepcopy(model).train(rng=5)))
    assert not model.training
    assert np.array_equal(logits(model), wanted)
    assert np.array_equal(model.model(IDS, rng=5)[0], model.model(IDS, rng=5)[0])
    random = np.random.default_rng(5)
    assert not np.array_equal(logits(model, rng=random), logits(model, rng=random))
    # A call's own generator leaves the model's alone.
    model.train(rng=5)
    logits(model, rng=9)
    assert np.array_equal(logits(model), once)


def test_the_same_draws_on_every_backend() -> None:
    found = []
    for backend in available_backends():
        model = lm(**RATES)
        found.append(type(model).from_weights(model.config, model.state_dict(), backend=backend))
    for one in found:
        assert apart(logits(one, rng=3), logits(found[0], rng=3)) <= 1e-5
        assert apart(logits(one, rng=3), logits(one)) > 0.01


def test_the_mode_is_copied() -> None:
    model = lm(**RATES).train(rng=4)
    logits(model)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]  # noqa: S301  # our own
    wanted = logits(model)
    for other in copies:
        assert other.training
        assert np.array_equal(logits(other), wanted)


def test_what_is_left_out_of_the_first_hidden_state() -> None:
    model = bare(**{**NONE, "dropout": 0.25})
    whole = model(IDS, output_hidden_states=True).hidden_states[0]
    part = model(IDS, output_hidden_states=True, rng=1).hidden_states[0]
    gone = part == 0
    assert 0 < gone.mean() < 0.5
    assert apart(part[~gone], whole[~gone] / 0.75) <= 1e-6


# ------------------------------------------------------------------------------- LayerDrop


def test_a_layer_left_out_leaves_no_trace_but_its_input() -> None:
    model = bare(**LAYERS, add_cross_attention=True)
    states, counts = encoder_states(), set()
    for seed in range(6):
        found = model(
            IDS, encoder_hidden_states=states, output_hidden_states=True, output_attentions=True,
            rng=seed,
        )  # fmt: skip
        hidden = found.hidden_states
        assert len(hidden) == 9
        equal = [np.array_equal(a, b) for a, b in pairwise(hidden[:-1])]
        ran = len(found.attentions)
        counts.add(ran)
        assert len(found.cross_attentions) == len(found.past_key_values) == ran
        # The last layer's own output is not shown: it may be the one that ran.
        assert ran - equal.count(False) in (0, 1)
        assert all(len(entry) == 4 for entry in found.past_key_values)
    assert len(counts) > 1


def test_without_any_layer_the_norm_is_left() -> None:
    model = bare(**{**LAYERS, "layerdrop": 1.0})
    found = model(IDS, output_hidden_states=True, output_attentions=True, rng=1)
    assert found.past_key_values == found.attentions == ()
    first, last = found.hidden_states[0].astype(np.float64), found.hidden_states[-1]
    norm = model.state_dict()
    centred = first - first.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    wanted = scaled * norm["layer_norm.weight"] + norm["layer_norm.bias"]
    assert apart(last, wanted) <= 1e-6


def test_a_cache_in_training_mode() -> None:
    model = bare(**RATES)
    wanted = model.train(rng=3)(IDS, use_cache=True)
    cache = KVCache(3)
    found = model.train(rng=3)(IDS, past_key_values=cache)
    assert found.past_key_values is cache
    assert np.array_equal(found[0], wanted[0])
    step = model.train(rng=4)(IDS[:, :1], past_key_values=cache)
    tupled = model.train(rng=4)(IDS[:, :1], past_key_values=wanted.past_key_values)
    assert np.array_equal(step[0], tupled[0])
    assert cache.length == 6


def test_layers_cannot_be_left_out_of_a_cache_that_grows() -> None:
    model = bare(**{**LAYERS, "layerdrop": 0.01}).train()
    with pytest.raises(ValueError, match="past_key_values is a KVCache, expected a tuple or None"):
        model(IDS, past_key_values=KVCache(8))
    past = model.eval()(IDS).past_key_values
    model.config.layerdrop = 0.5
    found = model.train(rng=2)(IDS[:, :1], past_key_values=past).past_key_values
    assert 0 < len(found) < 8
    assert all(entry[0].shape[2] == 6 for entry in found)
    kept = [k for k, _ in past]
    assert all(any(np.array_equal(k[:, :, :5], old) for old in kept) for k, _ in found)


# ----------------------------------------------------------------- what builds on a forward


def test_generation_draws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lm(**{**RATES, "dropout": 0.5}, eos_token_id=None)
    prompts: Any = [[2, 5, 7], [2, 9]]
    wanted = model.generate(prompts, max_new_tokens=8)

    def refuse(*_: Any) -> None:
        raise AssertionError("a step in training mode was recorded")

    monkeypatch.setattr(repetition, "recording", refuse)
    runs = [model.train(rng=s).generate(prompts, max_new_tokens=8).tolist() for s in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert wanted.tolist() not in runs
    model.config.update(NONE)
    assert np.array_equal(model.generate(prompts, max_new_tokens=8), wanted)
    model.config.layerdrop = 0.5
    with pytest.raises(ValueError, match="in generate: use_cache=False"):
        model.generate(prompts, max_new_tokens=2)
    assert model.generate(prompts, max_new_tokens=2, use_cache=False).shape == (2, 5)


def test_losses_are_of_the_same_pass_with_and_without_logits() -> None:
    model = lm(**RATES)
    wanted = model(IDS, labels=IDS, rng=3).loss
    assert apart(model(IDS, labels=IDS, rng=3, output_logits=False).loss, wanted) <= 1e-6
    assert apart(model(IDS, labels=IDS).loss, wanted) > 1e-3


def test_scores_are_never_random() -> None:
    model = lm(**RATES)
    model.log_probs(IDS)
    with pytest.raises(ValueError, match="model is in training mode, expected eval"):
        model.train().log_probs(IDS)


# ---------------------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("rng", "kind", "message"),
    [
        ("7", TypeError, r"^rng is a str, expected a numpy\.random\.Generator or a seed$"),
        (0.5, TypeError, "^rng is a float, expected"),
        (-1, ValueError, "^rng is -1, expected a seed from 0$"),
        (np.random.RandomState(0), TypeError, "^rng is a RandomState, expected"),
    ],
)
def test_what_is_no_generator(rng: Any, kind: type[Exception], message: str) -> None:
    model = lm(**RATES)
    with pytest.raises(kind, match=message):
        model.train(rng=rng)
    assert not model.training
    with pytest.raises(kind, match=message):
        model(IDS, rng=rng)


def test_there_is_no_gradient_checkpointing() -> None:
    model = lm()
    assert not model.supports_gradient_checkpointing
    assert not model.is_gradient_checkpointing
    with pytest.raises(ValueError, match="XGLMForCausalLM does not support gradient checkpointing"):
        model.gradient_checkpointing_enable()
    model.gradient_checkpointing_disable()
