"""The search as a whole: against all texts there are, and against itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation import GenerationConfig, PhrasalConstraint, generate
from pyxglm.generation.beams.search import beam_search
from pyxglm.generation.plan import Extras
from pyxglm.generation.planning import plan_of

EOS, STEPS = 2, 3


class BeamModel(FakeModel):
    """A model whose rows can be put in another order."""

    def _reorder_cache(self, past, beam_idx):
        return [past[row] for row in beam_idx]


def log_probs(model, ids):
    scores = model.scores(list(enumerate(ids))).astype(np.float64)
    return scores - np.log(np.exp(scores).sum())


def every_text(model, prompt, steps=STEPS):
    """All continuations that end, or are as long as may be: (sum, tokens, ids)."""
    found = []
    V = model.config.vocab_size
    for length in range(1, steps + 1):
        for new in product(range(V), repeat=length):
            ends = new[-1] == EOS
            if EOS in new[:-1] or not (ends or length == steps):
                continue
            total, ids = 0.0, list(prompt)
            for id_ in new:
                total += log_probs(model, ids)[id_]
                ids.append(id_)
            found.append((total, length, ids))
    return found


@pytest.mark.parametrize("penalty", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("prompt", [[3, 1], [0]])
def test_with_enough_beams_nothing_is_missed(penalty, prompt):
    model = BeamModel(vocab_size=4, eos_bonus=0.5)
    texts = [(total / length**penalty, ids) for total, length, ids in every_text(model, prompt)]
    texts.sort(key=lambda text: -text[0])
    found = generate(
        model, [prompt], attention_mask=[[1] * len(prompt)], max_new_tokens=STEPS, num_beams=64,
        num_return_sequences=20, length_penalty=penalty, pad_token_id=EOS,
        return_dict_in_generate=True,
    )  # fmt: skip
    for row, (_, ids) in zip(found.sequences.tolist(), texts, strict=False):
        assert row[: len(ids)] == ids
        assert set(row[len(ids) :]) <= {EOS}
    np.testing.assert_allclose(found.sequences_scores, [s for s, _ in texts[:20]], rtol=1e-5)


def by_hand(model, prompt, steps, beams):
    """Beam search without ends: a sorted list of all continuations, cut off at every step."""
    kept = [(0.0, list(prompt))]
    for _ in range(steps):
        kept = [
            (total + float(p), [*ids, id_])
            for total, ids in kept
            for id_, p in enumerate(log_probs(model, ids))
        ]
        kept.sort(key=lambda one: -one[0])
        kept = kept[:beams]
    return kept


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(3, 11), min_size=1, max_size=4), st.integers(2, 5), st.integers(1, 5))
def test_without_ends_it_is_a_sorted_list_that_is_cut_off(prompt, beams, steps):
    model = BeamModel(dtype="float64")
    found = generate(
        model, [prompt], max_new_tokens=steps, num_beams=beams, num_return_sequences=beams,
        eos_token_id=None, length_penalty=0.0, return_dict_in_generate=True,
    )  # fmt: skip
    expected = by_hand(model, prompt, steps, beams)
    assert found.sequences.tolist() == [ids for _, ids in expected]
    np.testing.assert_allclose(found.sequences_scores, [total for total, _ in expected])


FREE = {"max_new_tokens": 6, "num_beams": 4, "return_dict_in_generate": True}
BATCH = [[3, 5, 6], [4], [7, 8]]


def test_dropping_prompts_that_are_done_changes_nothing():
    """Rows are only dropped while nobody looks at all of them."""
    watched, free = BeamModel(eos_bonus=0.2), BeamModel(eos_bonus=0.2)
    prompts, mask = [[id_] for id_ in range(3, 12)], [[1]] * 9
    options = {"max_new_tokens": 16, "num_beams": 4, "num_return_sequences": 4}
    configured = GenerationConfig(early_stopping=True, **options)
    kept, found = (
        beam_search(plan_of(model, prompts, mask, configured, extras, {}))
        for model, extras in (
            (watched, Extras(stopping_criteria=[lambda ids, scores: False])),
            (free, Extras()),
        )
    )
    assert kept.sequences.tolist() == found.sequences.tolist()
    assert kept.beam_indices.tolist() == found.beam_indices.tolist()
    lengths = (found.beam_indices >= 0).sum(axis=1)
    assert (np.diff(lengths) > 0).any(), "an earlier prompt should be done before a later one"
    rows = [len(call.ids) for call in free.calls[1:]]
    assert rows[-1] < rows[0] == 36
    assert {len(call.ids) for call in watched.calls[1:]} == {36}


def test_processors_know_which_prompts_are_left():
    def allowed(prompt, ids_S):
        return [EOS, 3, 4] if prompt % 2 == 0 else [5, 6, 7, 8]

    options = {"max_new_tokens": 8, "early_stopping": True, "num_beams": 2}
    model = BeamModel(eos_bonus=3.0)
    found = generate(model, [[9], [10], [11]], prefix_allowed_tokens_fn=allowed, **options)
    assert len(model.calls[-1].ids) == 2, "prompts with an end should be done by now"
    assert set(found[1, 1:].tolist()) <= {5, 6, 7, 8}


def test_without_the_cache_the_same():
    cached, uncached = BeamModel(eos_bonus=1.0), BeamModel(eos_bonus=1.0)
    one = generate(cached, BATCH, **FREE)
    other = generate(uncached, BATCH, use_cache=False, **FREE)
    assert one.sequences.tolist() == other.sequences.tolist()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"num_beam_groups": 2, "diversity_penalty": 0.5},
        {"force_words_ids": [[9]]},
        {"do_sample": True, "top_k": 5, "temperature": 0.7},
        {"repetition_penalty": 1.3},
    ],
)
def test_scores_of_the_steps_add_up_along_beam_indices(more):
    """As transformers' documentation of compute_transition_scores has it."""
    from pyxglm.generation.outputs import transition_scores

    options = {**FREE, "num_return_sequences": 3, "output_scores": True, "length_penalty": 2.0}
    found = generate(BeamModel(eos_bonus=1.0), BATCH, **options, **more)
    width = max(map(len, BATCH))
    assert found.beam_indices.shape == found.sequences.shape
    assert all(step.shape == (12, 12) for step in found.scores)
    for row, origins in enumerate(found.beam_indices.tolist()):
        n = origins.index(-1)
        assert {beam // 4 for beam in origins[:n]} == {row // 3}
        ids = found.sequences[row, width : width + n]
        total = sum(found.scores[t][origins[t], ids[t]] for t in range(n))
        assert found.sequences_scores[row] == pytest.approx(total / n**2, rel=1e-5)
    parts = transition_scores(found.sequences, found.scores, found.beam_indices)
    lengths = (found.beam_indices >= 0).sum(axis=1)
    np.testing.assert_allclose(parts.sum(axis=1) / lengths**2, found.sequences_scores, rtol=1e-5)


def test_groups_are_kept_apart():
    options = {**FREE, "eos_token_id": None, "num_return_sequences": 4, "num_beam_groups": 4}
    found = generate(BeamModel(), BATCH, diversity_penalty=50.0, **options)
    for texts in found.sequences[:, 3:].reshape(3, 4, 6).transpose(0, 2, 1).tolist():
        assert all(len(set(column)) == 4 for column in texts), "no token twice in a step"


def test_groups_are_guided_as_beams_are():
    """A single group's scores, with nothing to keep it apart from, are those of a beam search."""
    options = {**FREE, "guidance_scale": 1.7, "num_return_sequences": 2}
    beams = generate(BeamModel(), BATCH, **options | {"num_beams": 2})
    groups = generate(
        BeamModel(), BATCH, num_beam_groups=2, diversity_penalty=1e-9, **options
    )  # two groups of two that choose the same
    assert groups.sequences[::2].tolist() == beams.sequences[::2].tolist()
    plain = generate(BeamModel(), BATCH, **options | {"num_beams": 2, "guidance_scale": 1})
    assert plain.sequences.tolist() != beams.sequences.tolist()


@pytest.mark.parametrize("words", [[[9]], [[9, 10]], [[9, 10], [[5], [6, 7]]]])
def test_what_is_forced_is_there(words):
    options = {**FREE, "max_new_tokens": 10, "eos_token_id": None, "num_beams": 6}
    found = generate(BeamModel(), BATCH, force_words_ids=words, **options)
    for row in found.sequences.tolist():
        for word in words:
            choices = word if isinstance(word[0], list) else [word]
            assert any(
                row[i : i + len(c)] == c for c in choices for i in range(len(row) - len(c) + 1)
            )


def test_constraints_are_forced_words():
    one = generate(BeamModel(), BATCH, force_words_ids=[[9, 10]], **FREE)
    other = generate(BeamModel(), BATCH, constraints=[PhrasalConstraint([9, 10])], **FREE)
    assert one.sequences.tolist() == other.sequences.tolist()


def test_padding_is_read_by_constraints_unless_it_is_ignored():
    options = {**FREE, "force_words_ids": [[1]], "eos_token_id": None}
    read = generate(BeamModel(), BATCH, **options).sequences
    ignored = generate(BeamModel(), BATCH, ignore_padding=True, **options).sequences
    assert 1 in ignored[1, 3:]
    assert 1 not in read[1, 3:]


def test_a_rule_of_the_caller_s_keeps_a_beam_and_ends_it():
    def after_nine(ids_BS, scores):
        return ids_BS[:, -1] == 9

    options = {**FREE, "num_return_sequences": 4, "eos_token_id": None, "max_new_tokens": 8}
    found = generate(BeamModel(), [[3, 5]], stopping_criteria=[after_nine], **options)
    ended = [row for row in found.sequences.tolist() if 9 in row]
    assert ended
    for row in ended:
        assert set(row[row.index(9) + 1 :]) <= {1}


def test_time_is_up_for_all_beams():
    options = {**FREE, "max_new_tokens": 50, "num_return_sequences": 4, "eos_token_id": None}
    found = generate(BeamModel(), BATCH, max_time=1e-9, **options)
    assert found.sequences.shape == (12, 4)
    assert len({tuple(row) for row in found.sequences.tolist()}) == 12


def test_an_end_token_follows_beams_that_a_rule_ends_but_not_those_as_long_as_can_be():
    """As in transformers 4.37.2, which fills up whatever is shorter than the longest text."""

    def of_five(ids_BS, scores):
        return ids_BS.shape[1] >= 5

    options = {"num_beams": 3, "pad_token_id": 1, "min_new_tokens": 5, "stopping_criteria": of_five}
    free = {**options, "min_new_tokens": None, "eos_token_id": None}
    plain = generate(BeamModel(), [[3, 5]], **{**free, "max_new_tokens": 8}).tolist()
    assert len(plain[0]) == 5
    ended = generate(BeamModel(), [[3, 5]], **options, max_new_tokens=8, eos_token_id=[11, 10])
    assert ended[0, 5] == 11
    assert ended.shape == (1, 6)
    assert not set(ended[0, :5].tolist()) & {10, 11}
    full = generate(BeamModel(), [[3, 5]], **{**options, "min_new_tokens": 3}, max_new_tokens=3)
    assert full.shape == (1, 5)
    assert 2 not in full[0]


def test_only_what_is_allowed():
    def allowed(prompt, ids_S):
        return [3, 4] if prompt == 0 else [5, 6, 2]

    options = {**FREE, "num_return_sequences": 2}
    found = generate(BeamModel(), [[7], [8]], prefix_allowed_tokens_fn=allowed, **options)
    assert set(found.sequences[:2, 1:].ravel().tolist()) <= {3, 4}
    assert set(found.sequences[2:, 1:].ravel().tolist()) <= {5, 6, 2, 1}


def test_a_seed_is_a_search():
    options = {**FREE, "do_sample": True, "top_k": 0}
    first, again, other = (
        generate(BeamModel(), BATCH, seed=seed, **options).sequences.tolist() for seed in (4, 4, 5)
    )
    assert first == again != other


def test_max_length_is_a_prompt_s_own_if_padding_is_ignored():
    options = {"max_length": 7, "num_beams": 3, "eos_token_id": None, "ignore_padding": True}
    found = generate(BeamModel(), BATCH, **options)
    assert found.shape == (3, 9)
    assert (found[1, 2:9] != 1).all()
    assert (found[0, 7:] == 1).all()


def test_prompts_a_few_at_a_time():
    options = {"max_new_tokens": 6, "num_beams": 3, "num_return_sequences": 2}
    prompts = [[3, 5, 6], [4], [7, 8], [9], [3]]
    whole = generate(BeamModel(eos_bonus=1.0), prompts, **options)
    parts = generate(BeamModel(eos_bonus=1.0), prompts, batch_size=2, **options)
    assert parts.tolist() == whole.tolist()


class TestErrors:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_scores_that_are_no_numbers(self, bad):
        broken = [lambda ids, scores: np.full_like(scores, bad)]
        with pytest.raises(ValueError, match=f"the scores of prompt 0 have the maximum {bad}, exp"):
            generate(BeamModel(), [[3]], logits_processor=broken, **FREE)

    def test_one_nan_is_enough(self):
        def spoil(ids_BS, scores_BV):
            scores_BV = scores_BV.copy()
            scores_BV[-1, 3] = np.nan
            return scores_BV

        with pytest.raises(ValueError, match="the scores of prompt 2 have the maximum nan"):
            generate(BeamModel(), BATCH, logits_processor=[spoil], **FREE)

    def test_a_dead_end_behind_complete_texts_is_none(self):
        def only_the_end(ids_BS, scores_BV):
            return np.where(np.arange(12) == EOS, scores_BV, -np.inf)

        found = generate(BeamModel(), [[3]], logits_processor=[only_the_end], **FREE)
        assert found.sequences.tolist() == [[3, EOS]]

    def test_where_nothing_can_follow_there_are_still_as_many_texts_as_asked_for(self):
        def one_more_token(ids_BS, scores_BV):
            allowed = [EOS, 5] if ids_BS.shape[1] == 1 else []
            return np.where(np.isin(np.arange(12), allowed), scores_BV, -np.inf)

        options = {**FREE, "num_beams": 3, "num_return_sequences": 3}
        found = generate(BeamModel(), [[3], [4]], logits_processor=[one_more_token], **options)
        assert [row[:2] for row in found.sequences.tolist()[::3]] == [[3, EOS], [4, EOS]]
        assert found.sequences[:, 0].tolist() == [3, 3, 3, 4, 4, 4]
        assert np.isfinite(found.sequences_scores[::3]).all()

    def test_a_vocabulary_that_only_ends(self):
        options = {**FREE, "eos_token_id": [0, 1, 2, 3]}
        with pytest.raises(ValueError, match="continuations do not end, expected 4"):
            generate(BeamModel(vocab_size=4), [[3]], **options)

    def test_a_forced_word_that_is_none(self):
        with pytest.raises(ValueError, match="99"):
            generate(BeamModel(), [[3]], force_words_ids=[[99]], **FREE)
        with pytest.raises(ValueError, match="a constraint advances with 99, expected an id from"):
            generate(BeamModel(), [[3]], constraints=[PhrasalConstraint([99])], **FREE)
