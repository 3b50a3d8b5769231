"""Structured results: what each step was decided from, and what the model thought of it."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate
from pyxglm.generation.outputs import transition_scores
from pyxglm.ops import available_backends

CONFIG = XGLMConfig(
    vocab_size=23, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, init_std=0.5,
    max_position_embeddings=64,
)  # fmt: skip
PROMPTS = [[5, 6, 7], [8, 9], [4]]
WIDTH = 3
ASKED = {"max_new_tokens": 6, "return_dict_in_generate": True}


@functools.cache
def model(backend="c"):
    return XGLMForCausalLM(CONFIG, seed=3, backend=backend)


def log_softmax(row):
    return row - np.log(np.exp(row.astype(np.float64)).sum())


@pytest.fixture(params=available_backends())
def backend(request):
    return request.param


@pytest.mark.parametrize("drawing", [{}, {"do_sample": True, "top_k": 4, "seed": 1}])
def test_logits_scores_and_log_probs_are_those_of_plain_passes(backend, drawing):
    result = generate(model(backend), PROMPTS, **ASKED, **drawing, repetition_penalty=1.3,
                      output_scores=True, output_logits=True, output_log_probs=True)  # fmt: skip
    steps = result.sequences.shape[1] - WIDTH
    assert len(result.scores) == len(result.logits) == steps
    assert result.log_probs.shape == (3, steps)
    for row, prompt in enumerate(PROMPTS):
        padding = WIDTH - len(prompt)
        ids = result.sequences[row].tolist()
        for step in range(steps):
            before = ids[padding : WIDTH + step]
            if 2 in before[len(prompt) :]:
                assert result.log_probs[row, step] == 0
                continue
            logits = model(backend)([before]).logits[0, -1]
            np.testing.assert_allclose(result.logits[step][row], logits, atol=1e-5)
            chosen = ids[WIDTH + step]
            expected = log_softmax(logits)[chosen]
            np.testing.assert_allclose(result.log_probs[row, step], expected, atol=1e-5)
            scores = result.scores[step][row]
            penalised = logits.copy()
            for id_ in {*before, *([1] if padding else [])}:
                penalised[id_] *= 1.3 if penalised[id_] < 0 else 1 / 1.3
            if drawing:
                assert np.isfinite(scores).sum() == 4
                assert np.isfinite(scores[chosen])
            else:
                assert scores.argmax() == chosen
            real = np.isfinite(scores)
            np.testing.assert_allclose(scores[real], penalised[real], atol=1e-5)


def test_what_is_kept_changes_no_choice():
    drawing = {"do_sample": True, "top_p": 0.9, "typical_p": 0.95, "seed": 7}
    plain = generate(model(), PROMPTS, max_new_tokens=12, **drawing)
    for kept in ("output_scores", "output_logits", "output_log_probs", "output_hidden_states"):
        found = generate(model(), PROMPTS, **{**ASKED, "max_new_tokens": 12}, **drawing,
                         **{kept: True})  # fmt: skip
        assert found.sequences.tolist() == plain.tolist()


def test_hidden_states_and_attentions_have_an_entry_for_each_step(backend):
    prompts = [[5, 6, 7], [8, 9, 10]]
    result = generate(model(backend), prompts, **ASKED, eos_token_id=None,
                      output_hidden_states=True, output_attentions=True)  # fmt: skip
    whole = model(backend)(
        result.sequences[:, :-1], output_hidden_states=True, output_attentions=True
    )
    for name in ("hidden_states", "attentions"):
        assert len(result[name]) == 6
        for step, entry in enumerate(result[name]):
            columns = slice(0, WIDTH) if step == 0 else slice(WIDTH + step - 1, WIDTH + step)
            assert len(entry) == len(whole[name])
            for one, every in zip(entry, whole[name], strict=True):
                expected = every[..., columns, :]
                if name == "attentions":
                    expected = expected[..., : WIDTH + step]
                np.testing.assert_allclose(one, expected, atol=1e-5)


def test_only_what_was_asked_for_is_there():
    result = generate(model(), PROMPTS, **ASKED)
    assert result.keys() == ["sequences", "past_key_values"]
    assert result[0] is result.sequences
    assert len(result.past_key_values[0][0]) == 3
    result = generate(model(), PROMPTS, **ASKED, use_cache=False)
    assert result.keys() == ["sequences"]


def test_copies_of_a_prompt_come_together():
    drawing = {"do_sample": True, "num_return_sequences": 3, "seed": 2}
    result = generate(model(), PROMPTS, **ASKED, **drawing, output_scores=True,
                      output_attentions=True)  # fmt: skip
    assert result.sequences.shape[0] == result.scores[0].shape[0] == 9
    assert {len(entry[0]) for entry in result.attentions} == {9}
    assert result.sequences[:, :WIDTH].tolist() == [
        [1] * (WIDTH - len(prompt)) + prompt for prompt in PROMPTS for _ in range(3)
    ]
    copied = generate(model(), [p for p in PROMPTS for _ in range(3)], do_sample=True, seed=2,
                      max_new_tokens=6)  # fmt: skip
    assert copied.tolist() == result.sequences.tolist()


def test_a_prompt_with_copies_is_computed_once(embedded):
    generate(model(), PROMPTS, do_sample=True, num_return_sequences=4, max_new_tokens=3,
             eos_token_id=None)  # fmt: skip
    assert embedded == [3 + 2 + 1, 12, 12]


class TestTransitionScores:
    scores = tuple(np.random.default_rng(5).standard_normal((3, 4, 7)))

    @pytest.mark.parametrize("normalize", [False, True])
    def test_of_beams(self, normalize):
        sequences = np.array([[9, 9, 3, 1, 5], [9, 9, 2, 6, 0]])
        beams = np.array([[0, 3, 2, -1], [1, 2, -1, -1]])
        found = transition_scores(sequences, self.scores, beams, normalize)
        expected = np.zeros((2, 3))
        for row in range(2):
            for step in range(3):
                beam = beams[row, step]
                if beam >= 0:
                    told = self.scores[step][beam]
                    told = log_softmax(told) if normalize else told
                    expected[row, step] = told[sequences[row, 2 + step]]
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_without_beams_rows_are_rows(self):
        sequences = np.arange(20).reshape(4, 5) % 7
        found = transition_scores(sequences, self.scores)
        assert found[2].tolist() == [self.scores[i][2, sequences[2, 2 + i]] for i in range(3)]

    @pytest.mark.parametrize(
        ("sequences", "scores", "message"),
        [
            (np.zeros((4, 5), int), (), "scores are empty, expected those of a result with"),
            (np.zeros((3, 5), int), scores, r"sequences have shape \(3, 5\), expected \(4, 3 or"),
            (np.zeros((4, 2), int), scores, r"sequences have shape \(4, 2\), expected \(4, 3 or"),
        ],
    )
    def test_what_cannot_be(self, sequences, scores, message):
        with pytest.raises(ValueError, match=f"^{message}"):
            model().compute_transition_scores(sequences, scores)
