"""Contrastive search: against whole forward passes, in batches, with little memory."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import KVCache, XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate, stream
from pyxglm.generation.contrastive import likeliest, similarity

CONFIG = XGLMConfig(
    vocab_size=40, d_model=16, ffn_dim=24, num_layers=2, attention_heads=4, init_std=0.4
)
PROMPTS = st.lists(st.lists(st.integers(3, 39), min_size=1, max_size=5), min_size=1, max_size=3)
KINDS = st.fixed_dictionaries(
    {
        "top_k": st.sampled_from([2, 4, 60]),
        "penalty_alpha": st.sampled_from([0.1, 0.6, 1.0]),
        "eos_token_id": st.sampled_from([2, [2, 7, 8, 9, 30, 31, 32]]),
    }
)


@functools.cache
def model(compute="float32"):
    return XGLMForCausalLM(CONFIG, seed=3, compute=compute)


def ones(prompts):
    return [[1] * len(prompt) for prompt in prompts]


def states(ids):
    """Logits and last hidden states of a text, from one forward pass."""
    outputs = model("float64")([ids], output_hidden_states=True)
    return outputs.logits[0, -1], outputs.hidden_states[-1][0]


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def by_hand(prompt, steps, k, alpha, ends):
    """Try every candidate with a forward pass over the whole text."""
    ids = list(prompt)
    for _ in range(steps):
        logits, hidden = states(ids)
        p = np.exp(logits - logits.max())
        p /= p.sum()
        found = []
        for id_ in np.argsort(-p)[:k].tolist():
            own = states([*ids, id_])[1][-1]
            penalty = max(cosine(own, other) for other in hidden)
            found.append(((1 - alpha) * p[id_] - alpha * penalty, id_))
        ids.append(max(found)[1])
        if ids[-1] in ends:
            break
    return ids


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize(("k", "alpha"), [(2, 0.6), (5, 0.3), (5, 1.0)])
def test_it_is_the_best_of_all_candidates(k, alpha, low_memory):
    for prompt in ([2, 9, 17], [30]):
        ids = generate(
            model("float64"), [prompt], attention_mask=[[1] * len(prompt)], max_new_tokens=6,
            top_k=k, penalty_alpha=alpha, low_memory=low_memory,
        )  # fmt: skip
        assert ids.tolist() == [by_hand(prompt, 6, k, alpha, [2])]


def test_all_tokens_are_candidates():
    options = {"max_new_tokens": 2, "top_k": 99, "penalty_alpha": 0.6}
    ids = generate(model("float64"), [[2, 9, 17]], **options)
    assert ids.tolist() == [by_hand([2, 9, 17], 2, 40, 0.6, [2])]


@settings(deadline=None, max_examples=10)
@given(PROMPTS, KINDS, st.booleans())
def test_a_batch_is_its_prompts(prompts, options, low_memory):
    options = {**options, "max_new_tokens": 6, "ignore_padding": True, "low_memory": low_memory}
    together = generate(model(), prompts, attention_mask=ones(prompts), **options)
    width = max(map(len, prompts))
    for prompt, row in zip(prompts, together[:, width:].tolist(), strict=True):
        alone = generate(model(), [prompt], attention_mask=[[1] * len(prompt)], **options)
        alone = alone[0, len(prompt) :].tolist()
        assert row == alone + [1] * (len(row) - len(alone))


@settings(deadline=None, max_examples=8)
@given(PROMPTS, KINDS)
def test_little_memory_changes_nothing(prompts, options):
    """Nor do rows that stay because somebody looks at them."""
    options = {**options, "max_new_tokens": 6}
    ids = generate(model(), prompts, attention_mask=ones(prompts), **options)
    for other in (
        {"low_memory": True},
        {"stopping_criteria": [lambda ids, scores: False]},
    ):
        found = generate(model(), prompts, attention_mask=ones(prompts), **options, **other)
        assert found.tolist() == ids.tolist()


@pytest.mark.parametrize("low_memory", [False, True])
def test_what_is_collected_belongs_to_the_texts(low_memory):
    prompts = [[2, 9, 17], [30]]
    found = generate(
        model(), prompts, max_new_tokens=4, top_k=3, penalty_alpha=0.5, eos_token_id=None,
        return_dict_in_generate=True, output_scores=True, output_logits=True,
        output_log_probs=True, output_hidden_states=True, output_attentions=True,
        low_memory=low_memory,
    )  # fmt: skip
    mask = np.array([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]])
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
    whole = model()(
        found.sequences, attention_mask=mask, position_ids=positions, output_hidden_states=True
    )
    for step in range(4):
        expected = whole.logits[:, 2 + step]
        np.testing.assert_allclose(found.logits[step], expected, atol=1e-5)
        assert found.scores[step].tolist() == found.logits[step].tolist()
        log_sums = np.log(np.exp(expected).sum(axis=-1))
        chosen = expected[[0, 1], found.sequences[:, 3 + step]] - log_sums
        np.testing.assert_allclose(found.log_probs[:, step], chosen, atol=1e-5)
        last = found.hidden_states[step][-1][:, -1]
        np.testing.assert_allclose(last, whole.hidden_states[-1][:, 2 + step], atol=1e-5)
    assert len(found.hidden_states) == len(found.attentions) == 4
    assert [len(layers[0]) for layers in found.attentions] == [2] * 4
    assert found.past_key_values[0][0].shape[:3] == (2, 4, 6)


@pytest.mark.parametrize("low_memory", [False, True])
@pytest.mark.parametrize("hidden_states", [False, True])
def test_attentions_are_those_of_the_texts_alone(low_memory, hidden_states):
    """With or without hidden states: a row for each text and an entry for each step."""
    found = generate(
        model(), [[2, 9, 17], [30, 5, 8]], max_new_tokens=4, top_k=3, penalty_alpha=0.5,
        eos_token_id=None, return_dict_in_generate=True, output_attentions=True,
        output_hidden_states=hidden_states, low_memory=low_memory,
    )  # fmt: skip
    whole = model()(found.sequences, output_attentions=True)
    assert (found.hidden_states is not None) is hidden_states
    assert len(found.attentions) == 4
    for step, layers in enumerate(found.attentions):
        first = 0 if step == 0 else 2 + step
        for layer, array in zip(layers, whole.attentions, strict=True):
            expected = array[:, :, first : 3 + step, : 3 + step]
            np.testing.assert_allclose(layer, expected, atol=1e-5)


@pytest.mark.parametrize("low_memory", [False, True])
def test_who_looks_at_texts_sees_padding_behind_their_ends(low_memory):
    """And scores are kept as for that, as in transformers; the model goes on with candidates."""
    seen = []

    def look(ids_BS, scores):
        seen.append(ids_BS.copy())
        return scores

    found = generate(
        model(), [[2, 9, 17], [30, 5, 8]], max_new_tokens=6, top_k=3, penalty_alpha=0.5,
        eos_token_id=13, low_memory=low_memory, repetition_penalty=1.5,
        logits_processor=look, stopping_criteria=lambda ids_BS, _: look(ids_BS, False),
        return_dict_in_generate=True, output_scores=True, output_logits=True,
    )  # fmt: skip
    ids, lengths = found.sequences, (found.sequences != 1).sum(axis=1)
    assert lengths.tolist() == [9, 5]
    widths = [part.shape[1] for part in seen]
    assert widths == [width for step in range(len(found.scores)) for width in (3 + step, 4 + step)]
    for part in seen:
        assert part.tolist() == ids[:, : part.shape[1]].tolist()
    for step, (scores, logits) in enumerate(zip(found.scores, found.logits, strict=True)):
        for row in (0, 1):
            changed = np.flatnonzero(scores[row] != logits[row])
            # Padding's own logit is 0, which no penalty changes.
            assert set(changed) == set(ids[row, : 3 + step].tolist()) - {1}


def test_it_can_be_streamed():
    options = {"max_new_tokens": 5, "top_k": 3, "penalty_alpha": 0.5}
    steps = list(stream(model(), [[2, 9, 17]], **options))
    whole = generate(model(), [[2, 9, 17]], **options)
    assert np.stack(steps, axis=1).tolist() == whole[:, 3:].tolist()


def test_the_likeliest_and_the_lower_id_among_equals():
    p_BV = np.array([[0.1, 0.4, 0.1, 0.4], [0.7, 0.1, 0.1, 0.1]])
    p_BK, ids_BK = likeliest(p_BV, 3)
    assert ids_BK.tolist() == [[1, 3, 0], [0, 1, 2]]
    assert p_BK.tolist() == [[0.4, 0.4, 0.1], [0.7, 0.1, 0.1]]
    assert likeliest(p_BV, 9)[1].shape == (2, 4)


def test_only_what_counts_is_similar():
    seen_BSD = np.array([[[1.0, 0.0], [0.0, 1.0]]] * 2)
    counts_BS = np.array([[True, True], [False, True]])
    found = similarity(np.array([[[0.8, 0.6]]] * 2), seen_BSD, counts_BS)
    assert found.tolist() == [[0.8], [0.6]]


def test_a_cache_holds_no_hidden_states():
    with pytest.raises(ValueError, match="past_key_values is given, expected None: contrastive"):
        stream(model(), [[2, 9]], top_k=3, penalty_alpha=0.5, past_key_values=KVCache(2))


def test_memory_is_counted_for_every_candidate(monkeypatch):
    rows = []

    def count(config, backend, number, texts, prompt, tokens):
        rows.append(texts)

    monkeypatch.setattr("pyxglm.generation.planning.check_generation", count)
    options = {"penalty_alpha": 0.5, "max_new_tokens": 1}
    generate(model(), [[2, 9], [3, 9]], top_k=5, **options)
    generate(model(), [[2, 9], [3, 9]], top_k=500, **options)
    generate(model(), [[2, 9], [3, 9]], top_k=5, low_memory=True, **options)
    assert rows == [10, 80, 2]


def test_rows_that_have_ended_are_not_computed():
    asked = []

    def any_of_all(prompt, ids_S):
        asked.append((prompt, len(ids_S)))
        return range(40)

    ends = list(range(0, 40, 5))
    ids = generate(
        model(), [[id_] for id_ in range(3, 11)], max_new_tokens=12, top_k=3, penalty_alpha=0.5,
        eos_token_id=ends, prefix_allowed_tokens_fn=any_of_all, pad_token_id=1,
    )  # fmt: skip
    lengths = [next((n for n, id_ in enumerate(row[1:], 1) if id_ in ends), 12) for row in ids]
    assert len(set(lengths)) > 2, "rows should end at different steps"
    assert sorted(asked) == [(p, n) for p, most in enumerate(lengths) for n in range(1, most + 1)]
