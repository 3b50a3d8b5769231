"""Generation by a shortlist: the same tokens, wherever the best are asked for."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM, XGLMModel
from pyxglm.generation import generate

CONFIG = XGLMConfig(
    vocab_size=1500, d_model=32, ffn_dim=24, num_layers=2, attention_heads=4, init_std=0.4
)
PROMPTS = [[2, 5, 6, 7, 30], [2, 17], [2, 9, 9]]
OPTIONS = {"max_new_tokens": 12, "eos_token_id": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    XGLMForCausalLM(CONFIG, seed=3, dtype="float16").save_pretrained(folder)
    return folder


@pytest.fixture
def model(folder):
    return XGLMForCausalLM.from_pretrained(folder, backend="c")


@pytest.fixture
def given(monkeypatch, model):
    """What is asked of the operations that find the best: which, rows, and how many tokens."""
    calls = []

    def spied(name):
        find = getattr(model._ops, name)

        def spy(hidden_ND, head_VD, k, *rest):
            calls.append((name, len(hidden_ND), k))
            return find(hidden_ND, head_VD, k, *rest)

        return spy

    for name in ("head_top", "head_top_by_shortlist"):
        monkeypatch.setattr(model._ops, name, spied(name))
    return calls


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, (3, 1)),
        ({"do_sample": True, "top_k": 20, "seed": 5}, (3, 21)),
        ({"do_sample": True, "top_k": 50, "top_p": 0.9, "seed": 5}, (3, 51)),
        ({"penalty_alpha": 0.6, "top_k": 4}, None),
        ({"num_beams": 3}, None),
        ({"prompt_lookup_num_tokens": 3}, None),
    ],
)
def test_every_search_finds_the_same(model, given, options, asked):
    prompts = PROMPTS[:1] if "prompt_lookup_num_tokens" in options else PROMPTS
    wanted = generate(model, prompts, **OPTIONS, **options)
    assert {name for name, *_ in given} <= {"head_top"}
    given.clear()
    model.make_shortlist()
    found = generate(model, prompts, **OPTIONS, **options)
    np.testing.assert_array_equal(found, wanted)
    assert {name for name, *_ in given} <= {"head_top_by_shortlist"}
    if asked is not None:
        assert ("head_top_by_shortlist", *asked) in given


def test_it_is_of_the_head_as_it_is(model):
    assert model.shortlist is None
    made = model.make_shortlist()
    assert model.shortlist is made
    assert made.nbytes == 1500 * (32 + 8)
    head = model.lm_head.weight
    model.set_output_embeddings(np.ones_like(head))
    assert model.shortlist is None
    model.set_output_embeddings(head)
    assert model.shortlist is made
    model.half()  # it is float16 already
    assert model.shortlist is made
    model.drop_shortlist()
    assert model.shortlist is None
    assert model.make_shortlist() is model.shortlist
    model.float()
    assert model.shortlist is None


def test_a_head_that_may_change_has_none(model):
    wide = XGLMForCausalLM(CONFIG, seed=3, backend="c")
    with pytest.raises(ValueError, match="has a head that can be written to, expected one that"):
        wide.make_shortlist()
    wide.lm_head.weight.flags.writeable = False
    assert wide.make_shortlist() is wide.shortlist
    wide.lm_head.weight.flags.writeable = True
    assert wide.shortlist is None


def test_copies_make_their_own(model):
    model.make_shortlist()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert other.shortlist is None
        np.testing.assert_array_equal(
            generate(other, PROMPTS, **OPTIONS), generate(model, PROMPTS, **OPTIONS)
        )


def test_what_can_have_none(folder):
    with pytest.raises(ValueError, match=r"^make_shortlist: XGLMModel has no output head$"):
        XGLMModel.from_pretrained(folder).make_shortlist()
    for settings in (
        {"backend": "numpy"},
        {"compute": "float64"},
        {"compute": "bfloat16", "backend": "c"},
    ):
        other = XGLMForCausalLM.from_pretrained(folder, **settings)
        with pytest.raises(ValueError, match="^make_shortlist: XGLMForCausalLM computes .* 'c'$"):
            other.make_shortlist()
