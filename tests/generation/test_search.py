"""generate and stream, on a model whose scores betray every mistake."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation import GenerationConfig, generate, stream

NEVER = {"eos_token_id": None}
PROMPTS = [[2, 5, 6, 7], [2], [2, 9]]


def by_hand(model, prompt, steps, choose=np.argmax, eos=2):
    """Continue one prompt, one token at a time, with no cache, mask or batch."""
    ids = list(prompt)
    for _ in range(steps):
        ids.append(int(choose(model.scores(list(enumerate(ids))))))
        if ids[-1] == eos:
            break
    return ids


@pytest.mark.parametrize("prompt", [[2, 5, 6], [2], [3, 3, 3, 11]])
@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_is_the_repeated_argmax(prompt, use_cache):
    model = FakeModel()
    ids = generate(model, prompt, max_new_tokens=9, use_cache=use_cache, **NEVER)
    assert ids.dtype == np.int64
    assert ids.tolist() == [by_hand(model, prompt, 9, eos=None)]


def test_with_the_cache_only_the_new_token_goes_through_the_model():
    cached, uncached = FakeModel(), FakeModel()
    generate(cached, [[2, 5, 6]], max_new_tokens=4, **NEVER)
    generate(uncached, [[2, 5, 6]], max_new_tokens=4, use_cache=False, **NEVER)
    assert [call.ids.shape[1] for call in cached.calls] == [3, 1, 1, 1]
    assert [call.ids.shape[1] for call in uncached.calls] == [3, 4, 5, 6]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 11), max_size=6), min_size=1, max_size=4),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_batch_is_its_rows(prompts, steps, do_sample, seed):
    """Padding, neighbours and finished rows change nothing; row 0 also draws alone."""
    model = FakeModel(eos_bonus=1.0)
    options = {"max_new_tokens": steps, "do_sample": do_sample, "seed": seed}
    together = generate(model, prompts, attention_mask=ones(prompts), **options)
    width = max(1, *map(len, prompts))
    for row, (prompt, ids) in enumerate(zip(prompts, together.tolist(), strict=True)):
        prompt = prompt or [0]
        padding, rest = ids[: width - len(prompt)], ids[width - len(prompt) :]
        assert padding == [1] * len(padding)
        if do_sample:
            copies = [prompt] * (row + 1)
            alone = generate(model, copies, attention_mask=ones(copies), **options)[row].tolist()
        else:
            alone = by_hand(model, prompt, steps)
        alone += [1] * (len(rest) - len(alone))
        assert rest == alone[: len(rest)]
        assert set(alone[len(rest) :]) <= {1}


def ones(prompts):
    return [[1] * len(prompt) for prompt in prompts]


def test_a_finished_row_is_filled_with_pad_and_the_search_ends_with_the_last():
    model = FakeModel(eos_bonus=1.0)
    ids = generate(model, PROMPTS, max_new_tokens=60)
    lengths = [len(by_hand(model, prompt, 60)) - len(prompt) for prompt in PROMPTS]
    assert len(set(lengths)) > 1, "the rows should end at different steps"
    assert ids.shape[1] == 4 + max(lengths)
    for row, length in zip(ids[:, 4:].tolist(), lengths, strict=True):
        assert row.index(2) == length - 1
        assert row[length:] == [1] * (len(row) - length)


def test_only_generated_tokens_stop():
    model = FakeModel()
    prompt = [2, 4, 2, 2]
    assert generate(model, [prompt], max_new_tokens=3, **NEVER).shape == (1, 7)
    assert generate(model, [prompt], max_new_tokens=3).tolist() == [by_hand(model, prompt, 3)]


def test_one_of_several_ids_stops():
    model = FakeModel()
    free = by_hand(model, [2, 5], 9, eos=None)[2:]
    ends = [free[4], 99 if free[6] in free[:4] else free[6]]
    steps = free.index(ends[0]) + 1
    ids = generate(model, [2, 5], max_new_tokens=9, eos_token_id=ends)
    assert ids.tolist() == [[2, 5, *free[:steps]]]


class TestLength:
    def test_the_default_is_20_with_the_prompt(self):
        assert generate(FakeModel(), [2, 5, 6], **NEVER).shape == (1, 20)

    def test_max_length_counts_the_prompt(self):
        assert generate(FakeModel(), PROMPTS, max_length=6, **NEVER).shape == (3, 6)

    @pytest.mark.parametrize("max_length", [1, 3, 4])
    def test_a_prompt_that_fills_it_is_refused(self, max_length):
        message = f"max_length is {max_length} and counts the prompt, which has 4 tokens: expected"
        with pytest.raises(ValueError, match=message):
            generate(FakeModel(), PROMPTS, max_length=max_length)

    def test_max_new_tokens_takes_precedence(self):
        with pytest.warns(UserWarning, match="max_length is ignored") as caught:
            ids = generate(FakeModel(), PROMPTS, max_length=2, max_new_tokens=3, **NEVER)
        assert ids.shape == (3, 7)
        assert caught[0].filename == __file__


class TestSampling:
    def test_a_seed_is_a_text(self):
        options = {"max_new_tokens": 12, "do_sample": True, **NEVER}
        first, again, other = (
            generate(FakeModel(), [2, 5], seed=seed, **options).tolist() for seed in (4, 4, 5)
        )
        assert first == again != other

    def test_draws_follow_the_documented_recipe(self):
        model = FakeModel()
        source = np.random.Generator(np.random.PCG64(np.random.SeedSequence(9, spawn_key=(0,))))

        def choose(scores):
            kept = np.where(scores < np.sort(scores)[-6], 0.0, np.exp(scores / 1.5))
            return np.searchsorted(np.cumsum(kept), source.random() * kept.sum(), side="right")

        ids = generate(
            model, [2, 5], max_new_tokens=15, do_sample=True, temperature=1.5, top_k=6, seed=9
        )
        assert ids.tolist() == [by_hand(model, [2, 5], 15, choose)]

    def test_top_k_1_is_greedy(self):
        options = {"max_new_tokens": 9, **NEVER}
        greedy = generate(FakeModel(), PROMPTS, **options)
        sampled = generate(FakeModel(), PROMPTS, do_sample=True, top_k=1, seed=3, **options)
        assert sampled.tolist() == greedy.tolist()

    def test_the_smallest_temperature_is_greedy(self):
        model = FakeModel(dtype="float64")
        options = {"max_new_tokens": 9, **NEVER}
        sampled = generate(model, PROMPTS, do_sample=True, temperature=5e-324, **options)
        assert sampled.tolist() == generate(model, PROMPTS, **options).tolist()

    def test_without_do_sample_its_settings_are_idle(self):
        with pytest.warns(UserWarning, match="temperature, top_p without do_sample=True"):
            ids = generate(FakeModel(), [2, 5], max_new_tokens=5, temperature=0.5, top_p=0.3)
        assert ids.tolist() == generate(FakeModel(), [2, 5], max_new_tokens=5).tolist()


class TestSettings:
    def test_the_model_s_own_are_used(self):
        model = FakeModel()
        model.generation_config = GenerationConfig(max_new_tokens=2, eos_token_id=None)
        assert generate(model, [2, 5]).shape == (1, 4)
        assert generate(model, [2, 5], max_new_tokens=3).shape == (1, 5)
        given_settings = GenerationConfig(max_new_tokens=1)
        assert generate(model, [2, 5], generation_config=given_settings).shape == (1, 3)

    def test_special_ids_come_from_the_model_s_config(self):
        model = FakeModel()
        free = by_hand(model, [2, 5], 9, eos=None)[2:]
        model.config.eos_token_id = free[3]
        ids = generate(model, [2, 5], max_new_tokens=9)
        assert ids[0, -1] == free[3]

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(TypeError, match="no setting 'max_new_token', did you mean"):
            generate(FakeModel(), [2], max_new_token=3)


def test_stream_yields_the_columns_of_generate():
    options = {"max_new_tokens": 8, "do_sample": True, "seed": 1, "eos_token_id": 4}
    steps = list(stream(FakeModel(), PROMPTS, **options))
    whole = generate(FakeModel(), PROMPTS, **options)
    assert np.stack(steps, axis=1).tolist() == whole[:, 4:].tolist()


def test_stream_computes_no_further_than_it_is_read():
    model = FakeModel()
    steps = stream(model, [2, 5], max_new_tokens=8, **NEVER)
    assert model.calls == []
    next(steps)
    assert len(model.calls) == 1


def test_stream_checks_before_the_first_step():
    with pytest.raises(ValueError, match="max_new_tokens is 0"):
        stream(FakeModel(), [2, 5], max_new_tokens=0)


def test_a_streamer_is_told_prompt_steps_and_end():
    told = []
    streamer = SimpleNamespace(
        put=lambda ids: told.append(ids.tolist()), end=lambda: told.append("end")
    )
    ids = generate(FakeModel(), [2, 5], max_new_tokens=3, streamer=streamer, **NEVER).tolist()
    assert told == [[[2, 5]], *([id_] for id_ in ids[0][2:]), "end"]


def test_logits_processors_see_ids_and_scores_in_order():
    seen = []

    def forbid(id_):
        def processor(ids_BS, scores_BV):
            seen.append((id_, ids_BS.shape, scores_BV.shape))
            return np.where(np.arange(12) == id_, -np.inf, scores_BV)

        return processor

    free = generate(FakeModel(), [2, 5], max_new_tokens=1, **NEVER)[0, -1]
    scores = FakeModel().scores([(0, 2), (1, 5)])
    ids = generate(
        FakeModel(), [2, 5], max_new_tokens=1, logits_processor=[forbid(free), forbid(7)], **NEVER
    )
    assert ids[0, -1] == next(i for i in np.argsort(-scores) if i not in (free, 7))
    assert seen == [(free, (1, 2), (1, 12)), (7, (1, 2), (1, 12))]


def test_scores_that_are_no_numbers_are_an_error():
    broken = [lambda ids, scores: scores * np.nan]
    with pytest.raises(ValueError, match="the scores of row 0 have the maximum nan"):
        generate(FakeModel(), [2, 5], logits_processor=broken)


@pytest.mark.parametrize("do_sample", [False, True])
def test_finished_rows_are_left_alone(do_sample):
    """Their scores may be anything, and they draw nothing."""

    def spoil(ids_BS, scores_BV):
        finished = (ids_BS[:, 4:] == 2).any(axis=1)
        return np.where(finished[:, None], np.nan, scores_BV)

    options = {"max_new_tokens": 30, "do_sample": do_sample}
    model = FakeModel(eos_bonus=1.0)
    ids = generate(model, PROMPTS, logits_processor=[spoil], **options)
    assert ids.tolist() == generate(model, PROMPTS, **options).tolist()
    assert (ids[:, -1] == 1).any(), "some row should be finished before the last"


def test_a_model_that_can_is_asked_for_the_last_logits_only():
    kept = []

    class Model(FakeModel):
        def __call__(self, *, logits_to_keep=0, **arguments):
            kept.append(logits_to_keep)
            return super().__call__(**arguments)

    model = Model()
    ids = generate(model, PROMPTS, max_new_tokens=3, **NEVER)
    assert kept == [1, 1, 1]
    assert ids.tolist() == generate(FakeModel(), PROMPTS, max_new_tokens=3, **NEVER).tolist()


def test_callers_arrays_are_left_alone():
    ids = np.array([[2, 5, 6], [1, 2, 7]])
    mask = np.array([[1, 1, 1], [0, 1, 1]])
    generate(FakeModel(), ids, attention_mask=mask, max_new_tokens=3)
    assert (ids.tolist(), mask.tolist()) == ([[2, 5, 6], [1, 2, 7]], [[1, 1, 1], [0, 1, 1]])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("suppress_tokens", [3, 12]),
        ("begin_suppress_tokens", [12]),
        ("bad_words_ids", [[3], [4, 12]]),
        ("sequence_bias", {(12,): 1.0}),
        ("forced_bos_token_id", 12),
        ("forced_eos_token_id", [2, 12]),
        ("forced_decoder_ids", [[1, 12]]),
        ("pad_token_id", 12),
    ],
)
def test_ids_that_the_model_does_not_have(name, value):
    message = rf"^{name}(\[\d\])? has the id 12, expected one from 0 to 11$"
    with pytest.raises(ValueError, match=message):
        generate(FakeModel(), [2, 5], **{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_length": 9, "max_length": 8}, "min_length is 9, expected at most 8: no row gets"),
        ({"min_new_tokens": 7, "max_length": 8}, "min_new_tokens is 7, expected at most 6: no"),
        ({"inputs": [5], "input_ids": [5]}, "inputs and input_ids are given, expected one of"),
        ({"input_ids": np.zeros((0, 2), int)}, "input_ids has no rows, expected at least one"),
    ],
)
def test_what_cannot_be_in_a_call(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        generate(FakeModel(), **{"input_ids": [2, 5], **settings})


def test_a_configuration_of_another_kind():
    with pytest.raises(TypeError, match="^generation_config is a dict, expected a GenerationCon"):
        generate(FakeModel(), [2, 5], {"max_new_tokens": 3})


def test_a_single_function_need_not_be_in_a_list():
    def seven(ids, scores):
        return np.where(np.arange(12) == 7, scores + 99, scores)

    options = {"logits_processor": seven, "stopping_criteria": lambda ids, _: ids.shape[1] == 4}
    assert generate(FakeModel(), [2, 5], **options).tolist() == [[2, 5, 7, 7]]


def test_beams_settings_without_beams_are_idle():
    with pytest.warns(UserWarning, match="^early_stopping, length_penalty without num_beams") as w:
        generate(FakeModel(), [2, 5], early_stopping=True, length_penalty=2.0)
    assert w[0].filename == __file__


def test_a_model_with_own_settings_for_draws_is_told_nothing(recwarn):
    model = FakeModel()
    model.generation_config = GenerationConfig(temperature=0.5, length_penalty=2.0)
    generate(model, [2, 5])
    assert not recwarn.list
