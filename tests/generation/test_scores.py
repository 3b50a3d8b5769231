"""What a step asks of the model: fewer scores, and the same choices as from all of them."""

from __future__ import annotations

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate, one_by_one
from pyxglm.generation.choice import candidates, candidates_of_best, draw_among
from pyxglm.generation.processors.order import Narrowing
from pyxglm.generation.scores import HiddenScores
from pyxglm.generation.settings import GenerationConfig
from pyxglm.ops import available_backends, backend_module, reference

CONFIG = XGLMConfig(
    vocab_size=600, d_model=16, ffn_dim=24, num_layers=2, attention_heads=4, init_std=0.4
)
PROMPTS = [[2, 5, 6, 7, 30], [2, 17], [2, 9, 9]]
GREEDY = {"max_new_tokens": 10, "eos_token_id": None}
SAMPLING = [
    {},
    {"top_k": 1},
    {"top_k": 3, "temperature": 2.5},
    {"top_k": 40, "top_p": 0.8, "temperature": 1e-3},
    {"top_k": 128, "top_p": 0.95},
    {"top_k": 129},
    {"top_k": 600},
    {"top_k": 0, "top_p": 0.7},
    {"top_k": None},
]


class AllOfThem(XGLMForCausalLM):
    """A model with a `forward` of its own: it is asked for all scores."""

    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs)

    __call__ = forward


@pytest.fixture(params=available_backends())
def models(request):
    return [kind(CONFIG, seed=3, dtype="float16", backend=request.param)
            for kind in (XGLMForCausalLM, AllOfThem)]  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """What is asked of own models: how many best scores, or "all"."""
    seen = []
    best, every = HiddenScores.best, HiddenScores.all
    monkeypatch.setattr(HiddenScores, "best", lambda self, k: seen.append(k) or best(self, k))
    monkeypatch.setattr(HiddenScores, "all", lambda self: seen.append("all") or every(self))
    return seen


def test_greedy_asks_for_the_best_only(models, asked):
    own, other = models
    found = generate(own, PROMPTS, **GREEDY)
    assert asked == [1] * 10
    assert found.tolist() == generate(other, PROMPTS, **GREEDY).tolist()
    assert len(asked) == 10


@pytest.mark.parametrize("settings", SAMPLING, ids=str)
def test_a_draw_is_the_same(models, asked, settings):
    own, other = models
    for seed in range(3):
        options = {**GREEDY, "do_sample": True, "seed": seed, **settings}
        assert generate(own, PROMPTS, **options).tolist() == (
            generate(other, PROMPTS, **options).tolist()
        )
    k = settings.get("top_k", 50)
    assert set(asked) == ({k + 1} if k and k <= one_by_one.MOST_BEST else {"all"})


def test_processors_see_all_scores(models, asked):
    own, _ = models
    shapes = []

    def forbid(ids_BS, scores_BV):
        shapes.append(scores_BV.shape)
        return np.where(np.arange(600) == 7, scores_BV + 100, scores_BV)

    found = generate(own, PROMPTS, logits_processor=[forbid], **GREEDY)
    assert (found[:, 5:] == 7).all()
    assert set(shapes) == {(3, 600)}
    assert set(asked) == {"all"}


def test_a_model_that_changes_its_logits_is_heard():
    class Stubborn(XGLMForCausalLM):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.logits[..., 11] = 1e6
            return output

        __call__ = forward

    assert (generate(Stubborn(CONFIG, seed=3), PROMPTS, **GREEDY)[:, 5:] == 11).all()


@pytest.mark.parametrize("settings", [{}, {"do_sample": True}, {"do_sample": True, "top_k": 0}])
@pytest.mark.parametrize(
    ("scores", "words"),
    [(np.nan, "maximum nan"), (np.inf, "maximum (inf|nan)"), (-np.inf, "maximum (-inf|nan)")],
)
def test_scores_that_are_broken_are_refused_alike(scores, words, settings, models):
    messages = []
    for model in models:
        head = np.zeros((600, 16), np.float32)
        head[:, 0] = scores
        model.set_output_embeddings(head)
        message = f"^the scores of row 0 have the {words}, expected a finite number"
        with pytest.raises(ValueError, match=message) as caught:
            generate(model, PROMPTS, **GREEDY, **settings)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_equal_scores_at_the_edge_of_the_best():
    """With ties there, the best ones do not tell who else is as good: all scores do."""
    narrowing = Narrowing(GenerationConfig(do_sample=True, top_k=3))
    scores_V = np.array([1.0, 2, 2, 0, 2, 5, 2], np.float32)
    assert candidates(scores_V, narrowing)[1].tolist() == [1, 2, 4, 5, 6]
    ids = np.argsort(-scores_V, kind="stable")[:4]
    assert candidates_of_best(scores_V[ids], ids, narrowing) is None
    # Different as float32, the same once the best one is subtracted.
    scores_V = np.array([1.0, 1e-30, 2e-30, -1, -2], np.float32)
    ids = np.array([0, 2, 1])
    narrowing = Narrowing(GenerationConfig(do_sample=True, top_k=2))
    assert candidates_of_best(scores_V[ids], ids, narrowing) is None
    assert candidates(scores_V, narrowing)[1].tolist() == [0, 1, 2]


def test_ties_are_drawn_from_alike(asked):
    """A head whose rows repeat: every score is there three times."""
    models = [kind(CONFIG, seed=3) for kind in (XGLMForCausalLM, AllOfThem)]
    head = np.repeat(models[0].lm_head.weight[:200], 3, axis=0)
    found = []
    for model in models:
        model.set_output_embeddings(head)
        options = {**GREEDY, "do_sample": True, "top_k": 4, "temperature": 3.0}
        found.append([generate(model, PROMPTS, seed=s, **options).tolist() for s in range(4)])
        found.append(generate(model, PROMPTS, **GREEDY).tolist())
    assert found[:2] == found[2:]
    assert "all" in asked
    assert 5 in asked
    assert all(id_ % 3 == 0 for row in found[1] for id_ in row[5:])


@pytest.mark.parametrize("seed", range(20))
def test_candidates_of_the_best_have_the_same_bits(seed):
    generator = np.random.default_rng(seed)
    scores_V = generator.normal(0, 4, 500).astype(np.float32).round(int(generator.integers(1, 6)))
    k = int(generator.integers(1, 60))
    temperature = float(generator.choice([1.0, 0.3, 1e-300, 7.0]))
    settings = GenerationConfig(do_sample=True, top_k=k, top_p=0.9, temperature=temperature)
    narrowing = Narrowing(settings)
    values, ids = reference.head_top(np.ones((1, 1), np.float32), scores_V[:, None], k + 1)
    few = candidates_of_best(values[0], ids[0], narrowing)
    every = candidates(scores_V, narrowing)
    if few is None:
        assert len(every[1]) > k or temperature == 1e-300
        return
    assert few[1].tolist() == every[1].tolist()
    assert few[0].tobytes() == every[0].tobytes()
    for uniform in generator.random(9):
        assert draw_among(*few, narrowing, uniform) == draw_among(*every, narrowing, uniform)


@pytest.mark.parametrize("backend", available_backends())
def test_the_values_are_those_of_all_scores(backend):
    generator = np.random.default_rng(5)
    hidden_BTD = generator.standard_normal((3, 2, 40), dtype=np.float32)
    for dtype in ("float32", "float16"):
        head_VD = generator.standard_normal((3000, 40), dtype=np.float32).astype(dtype)
        scores = HiddenScores(hidden_BTD, head_VD, backend_module(backend))
        every, (values, ids) = scores.all(), scores.best(60)
        assert (values == np.take_along_axis(every, ids, -1)).all()
        assert (values[:, :-1] >= values[:, 1:]).all()
        assert (np.sort(every, axis=-1)[:, :-61:-1] == values).all()
        assert scores.best(3001) is None
