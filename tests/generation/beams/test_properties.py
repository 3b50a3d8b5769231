"""Beam search on XGLM itself, in C: what must be equal is, to the bit."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation import GenerationConfig, generate
from pyxglm.generation.beams.search import beam_search
from pyxglm.generation.plan import Extras
from pyxglm.generation.planning import plan_of

CONFIG = XGLMConfig(
    vocab_size=40, d_model=16, ffn_dim=24, num_layers=2, attention_heads=4, init_std=0.4
)
PROMPTS = st.lists(st.lists(st.integers(3, 39), min_size=1, max_size=5), min_size=1, max_size=3)
OPTIONS = st.fixed_dictionaries(
    {
        "num_beams": st.sampled_from([2, 4]),
        "length_penalty": st.sampled_from([0.0, 1.0]),
        "early_stopping": st.sampled_from([False, True, "never"]),
        "eos_token_id": st.sampled_from([2, [2, 7, 8, 9, 30, 31, 32], None]),
    }
)


@functools.cache
def model():
    return XGLMForCausalLM(CONFIG, seed=3, backend="c")


def ones(prompts):
    return [[1] * len(prompt) for prompt in prompts]


@settings(deadline=None, max_examples=20)
@given(
    PROMPTS,
    OPTIONS,
    st.sampled_from(
        [
            {},
            {"do_sample": True, "top_k": 9},
            {"num_beam_groups": 2, "diversity_penalty": 0.6},
            {"force_words_ids": [[11, 12]]},
            {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
        ]
    ),
)
def test_a_batch_is_its_prompts(prompts, options, more):
    """To the bit. A draw's numbers depend on the row, so the prompt must stay in its place."""
    options = {**options, **more, "max_new_tokens": 6, "return_dict_in_generate": True}
    options |= {"num_return_sequences": 2, "ignore_padding": True}
    together = generate(model(), prompts, attention_mask=ones(prompts), **options)
    width = max(map(len, prompts))
    for place, prompt in enumerate(prompts):
        before = prompts[:place] if "do_sample" in more else []
        own = [prompt[:1] for _ in before] + [prompt]
        alone = generate(model(), own, attention_mask=ones(own), **options)
        for row in range(2):
            one, other = alone.sequences[2 * len(before) + row], together.sequences[2 * place + row]
            one, other = one[max(map(len, own)) :].tolist(), other[width:].tolist()
            shorter = min(len(one), len(other))
            assert one[:shorter] == other[:shorter]
            assert {*one[shorter:], *other[shorter:]} <= {1}
        scores = slice(2 * len(before), 2 * len(before) + 2)
        assert alone.sequences_scores[scores].tolist() == (
            together.sequences_scores[2 * place : 2 * place + 2].tolist()
        )


@settings(deadline=None, max_examples=20)
@given(PROMPTS, OPTIONS, st.booleans())
def test_one_beam_is_greedy(prompts, options, early):
    """Unless it goes on behind an end, in search of a better text: ``"never"``."""
    options = {**options, "early_stopping": early, "num_beams": 1, "max_new_tokens": 8}
    expected = generate(
        model(), prompts, attention_mask=ones(prompts), eos_token_id=options["eos_token_id"],
        max_new_tokens=8,
    )  # fmt: skip
    configured = GenerationConfig(**options)
    plan = plan_of(model(), prompts, ones(prompts), configured, Extras(), {})
    ids = beam_search(plan).sequences
    ends = options["eos_token_id"] if isinstance(options["eos_token_id"], list) else [2]
    same = np.where(np.isin(expected, ends), ends[0], expected)  # beams write the first end
    width = max(map(len, prompts))
    assert ids[:, width:].tolist() == same[:, width:].tolist()


@settings(deadline=None, max_examples=20)
@given(PROMPTS, OPTIONS)
def test_a_score_is_the_sum_of_the_tokens_log_probabilities(prompts, options):
    """Of a forward pass over the finished text."""
    options = {**options, "length_penalty": 0.0, "max_new_tokens": 6}
    options |= {"num_return_sequences": 2, "return_dict_in_generate": True}
    found = generate(
        model(), prompts, attention_mask=ones(prompts), output_log_probs=True, **options
    )
    width = max(map(len, prompts))
    for row, ids_S in enumerate(found.sequences):
        real = ids_S[width - len(prompts[row // 2]) :]
        log_probs_N = found.log_probs[row][: (found.beam_indices[row] >= 0).sum()]
        if isinstance(options["eos_token_id"], int) or options["eos_token_id"] is None:
            n = len(log_probs_N)  # with several ends the text does not say which it was
            text = real[: len(prompts[row // 2]) + n]
            logits = model()([text.tolist()]).logits[0].astype(np.float64)
            p_TV = np.exp(logits - logits.max(axis=-1, keepdims=True))
            p_TV /= p_TV.sum(axis=-1, keepdims=True)
            expected = np.log(p_TV[np.arange(-n - 1, -1), text[-n:]])
            np.testing.assert_allclose(log_probs_N, expected, atol=2e-5)
        assert found.sequences_scores[row] == pytest.approx(log_probs_N.sum(), abs=2e-5)
