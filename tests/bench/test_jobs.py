"""Jobs: which passes the model makes, and which of them are timed."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM, decoder
from pyxglm.bench import jobs, work
from pyxglm.bench.grid import Job
from pyxglm.parameters import HEAD

CONFIG = {"vocab_size": 40, "d_model": 8, "ffn_dim": 16, "num_layers": 1, "attention_heads": 2}


@pytest.fixture
def model():
    # Every token ends a text here: a job is done to its end nevertheless.
    return XGLMForCausalLM(XGLMConfig(**CONFIG, eos_token_id=2), seed=1)


@pytest.fixture
def passes(monkeypatch):
    """Record (B, T, P) of every pass; the clock counts the passes."""
    made = []
    whole = decoder.decode

    def recorded(hidden_BTD, model, run):
        B, T, _ = hidden_BTD.shape
        made.append((B, T, 0 if run.cache is None else run.cache.length))
        return whole(hidden_BTD, model, run)

    monkeypatch.setattr(decoder, "decode", recorded)
    # Else C repeats the passes of the decoder, unseen.
    monkeypatch.setattr("pyxglm.generation.repetition.recording", lambda backend: None)
    monkeypatch.setattr(jobs.time, "perf_counter_ns", lambda: len(made))
    return made


@pytest.mark.parametrize(
    ("job", "untimed", "timed"),
    [
        (Job("prompt", 6), [], [(1, 6, 0)]),
        (Job("prompt", 6, 0, 2, 4), [(2, 4, 0)], [(2, 6, 4)]),
        (Job("generate", 0, 3), [], [(1, 1, 0), (1, 1, 1), (1, 1, 2)]),
        (Job("generate", 0, 2, 3, 1), [(3, 1, 0)], [(3, 1, 1), (3, 1, 2)]),
        (Job("generate", 0, 2, 1, 5), [(1, 5, 0)], [(1, 1, 5), (1, 1, 6)]),
        (Job("both", 5, 2), [], [(1, 5, 0), (1, 1, 5), (1, 1, 6)]),
        (Job("score", 5, 0, 2), [], [(2, 5, 0)]),
    ],
)
def test_passes(model, passes, job, untimed, timed):
    sample = jobs.run(model, job)
    assert passes == untimed + timed
    assert sample.ns == len(timed)
    assert sample.first_token_ns == (None if job.kind == "score" else 1)
    # What the limits are computed from is what was timed.
    expected = [work.one_pass(model.config, 7, B, T, P, 0).cache_bytes for B, T, P in timed]
    found = list(work.passes(model.config, 7, job))
    assert [one.cache_bytes for one in found] == expected
    assert {one.weight_bytes for one in found} == {7}


@pytest.mark.parametrize(("every", "rows"), [(False, 1), (True, 6)])
def test_logits_are_those_that_were_asked_for(model, monkeypatch, every, rows):
    shapes = []
    whole = decoder.logits

    def recorded(*arguments):
        shapes.append(whole(*arguments).shape)
        return whole(*arguments)

    monkeypatch.setattr(decoder, "logits", recorded)
    jobs.run(model, Job("prompt", 6, all_logits=every))
    assert shapes == [(1, rows, 40)]


def test_tokens_are_random_and_ordinary(model):
    ids_BT = jobs.tokens(model, 3, 50)
    assert ids_BT.shape == (3, 50)
    assert 4 <= ids_BT.min() < ids_BT.max() < 40
    assert np.array_equal(ids_BT, jobs.tokens(model, 3, 50))


def test_scoring_asks_for_the_loss_alone_where_that_is_possible():
    class Older:
        def forward(self, input_ids, labels=None):
            """Take what transformers takes."""

    class Newer:
        def forward(self, input_ids, labels=None, output_logits=True):
            """Take one thing more."""

    assert jobs.loss_only(Older()) == {}
    assert jobs.loss_only(Newer()) == {"output_logits": False}
    has = "output_logits" in inspect.signature(XGLMForCausalLM.forward).parameters
    assert bool(jobs.loss_only(XGLMForCausalLM)) == has


def test_operations_are_counted():
    config = XGLMConfig(vocab_size=10, d_model=4, ffn_dim=8, num_layers=3, attention_heads=2)
    found = work.one_pass(config, 0, B=2, T=3, P=2, rows=2)
    matrices = 4 * 4 * 4 + 2 * 4 * 8
    pairs = 3 + 4 + 5  # a token sees itself and what comes before it
    layer = 2 * 3 * matrices + 2 * pairs * (4 + 4)
    assert found.operations == 2 * (3 * layer + 2 * 4 * 10)
    assert found.cache_bytes == 4 * 2 * 3 * 2 * 4 * 5


def test_a_shortlist_is_read_instead_of_the_head():
    model = XGLMForCausalLM(XGLMConfig(**CONFIG), dtype="float16")
    model.lm_head.weight.flags.writeable = False
    stored = model.num_parameters() * 2
    generate, prompt = Job("generate", 0, 3, batch=4), Job("prompt", 3)
    assert [work.read_bytes(model, job) for job in (generate, prompt)] == [stored, stored]
    model.make_shortlist()
    assert work.read_bytes(model, generate) == stored - 40 * 8 * 2 + 40 * (8 + 4 + 4)
    for job in (prompt, Job("score", 3), Job("generate", 0, 3, batch=5)):
        assert work.read_bytes(model, job) == stored


def test_a_tied_embedding_is_read_as_the_head():
    tied = XGLMForCausalLM(XGLMConfig(**CONFIG), dtype="float16")
    weights = dict(tied.named_parameters())
    assert work.weight_bytes(weights) == tied.num_parameters() * 2
    untied = XGLMForCausalLM(XGLMConfig(**CONFIG, tie_word_embeddings=False), dtype="float16")
    assert HEAD in dict(untied.named_parameters())
    assert work.weight_bytes(dict(untied.named_parameters())) == tied.num_parameters() * 2


def test_the_least_time_is_the_longer_of_reading_and_multiplying():
    one = work.Pass(weight_bytes=600, cache_bytes=400, operations=300)
    assert one.seconds(read=1000, multiply=1000) == 1.0
    assert one.seconds(read=1000, multiply=100) == 3.0
    job = Job("generate", 0, 4)
    config = XGLMConfig(**CONFIG)
    assert work.least_seconds(config, 10**6, job, 1e6, 1e12) == pytest.approx(
        sum(1 + 2 * 8 * 4 * (step + 1) / 1e6 for step in range(4))
    )
