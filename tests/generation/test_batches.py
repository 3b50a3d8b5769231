"""Batches: rows do not know of each other, finished ones cost nothing, long lists keep order."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from fakes import BytesTokenizer, FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.generation import generate
from pyxglm.generation.processors.guidance import Guidance

CONFIG = XGLMConfig(
    vocab_size=23, d_model=16, ffn_dim=24, num_layers=2, attention_heads=2, init_std=0.5,
    max_position_embeddings=64,
)  # fmt: skip


@functools.cache
def model():
    return XGLMForCausalLM(CONFIG, seed=3, backend="c")


lists = st.lists(st.lists(st.integers(3, 22), min_size=1, max_size=7), min_size=1, max_size=5)

#: Settings that look at a row's past.
HISTORY = {
    "repetition_penalty": st.sampled_from([0.6, 1.4]),
    "encoder_repetition_penalty": st.just(1.5),
    "no_repeat_ngram_size": st.integers(1, 3),
    "encoder_no_repeat_ngram_size": st.integers(1, 2),
    "bad_words_ids": st.just([[5], [7, 9], [1, 8]]),
    "sequence_bias": st.just([[[6], 2.0], [[1, 1, 4], 9.0], [[9, 4], 5.0]]),
    "forced_bos_token_id": st.just(6),
    "forced_eos_token_id": st.just(2),
    "forced_decoder_ids": st.just([[2, 9], [5, 11]]),
    "exponential_decay_length_penalty": st.just([1, 1.8]),
    "begin_suppress_tokens": st.just([4, 5, 6, 7, 8, 9]),
    "guidance_scale": st.just(1.5),
    "renormalize_logits": st.just(True),
    "prefix_allowed_tokens_fn": st.just(lambda prompt, ids: [2, *range(3 + len(ids) % 5, 23, 2)]),
}
LENGTHS = [{"max_new_tokens": 9}, {"max_length": 11}, {"max_length": 12, "min_length": 9}]
DRAWS = {"do_sample": True, "top_k": 8, "seed": 4}


@settings(deadline=None, max_examples=50)
@given(
    lists,
    st.fixed_dictionaries({}, optional=HISTORY),
    st.sampled_from(LENGTHS),
    st.sampled_from([{}, DRAWS]),
    st.sampled_from([None, 1, 2, 3]),
)
def test_with_ignore_padding_every_row_is_independent_of_its_batch(
    prompts, history, length, drawing, batch_size
):
    asked = {**history, **length, **drawing, "ignore_padding": True, "output_log_probs": True}
    asked["return_dict_in_generate"] = True
    result = generate(model(), prompts, batch_size=batch_size, **asked)
    width = max(map(len, prompts))
    plain = {**asked, "return_dict_in_generate": False}  # then rows that have ended leave
    ids = generate(model(), prompts, batch_size=batch_size, **plain)
    assert ids.tolist() == result.sequences.tolist()
    for row, prompt in enumerate(prompts):
        copies = [prompt] * (row + 1) if drawing else [prompt]
        alone = generate(model(), copies, **asked)
        expected = alone.sequences[-1, len(prompt) :].tolist()
        found = result.sequences[row, width:].tolist()
        assert found[: len(expected)] == expected[: len(found)]
        assert set(found[len(expected) :]) | set(expected[len(found) :]) <= {1}
        steps = min(len(found), len(expected))
        log_probs = result.log_probs[row, :steps]
        assert log_probs.tolist() == alone.log_probs[-1, :steps].tolist()


@settings(deadline=None, max_examples=30)
@given(lists, st.sampled_from([{}, DRAWS]), st.integers(1, 3), st.sampled_from([None, 1, 2]))
def test_without_a_look_at_the_past_rows_are_independent_anyway(prompts, drawing, several, size):
    several = several if drawing else 1
    asked = {
        "max_new_tokens": 8,
        "num_return_sequences": several,
        "suppress_tokens": [5],
        **drawing,
    }
    together = generate(model(), prompts, batch_size=size, **asked)
    assert len(together) == len(prompts) * several
    width = max(map(len, prompts))
    for row, prompt in enumerate(prompts):
        copies = [prompt] * (row + 1) if drawing else [prompt]
        alone = generate(model(), copies, **asked)[-several:, len(prompt) :]
        for copy in range(several):
            found = together[row * several + copy].tolist()
            padding = width - len(prompt)
            assert found[:width] == [1] * padding + prompt
            expected = alone[copy].tolist()
            assert found[width:][: len(expected)] == expected[: len(found) - width]


def test_padding_counts_as_in_transformers_unless_told_otherwise():
    prompts = [[5, 6, 7, 8], [9]]
    asked = {"max_new_tokens": 12, "sequence_bias": [[[1], 90.0]], "repetition_penalty": 50.0,
             "eos_token_id": None}  # fmt: skip
    counting = generate(model(), prompts, **asked)
    ignoring = generate(model(), prompts, ignore_padding=True, **asked)
    # The pads of the second prompt are penalised before the first one is generated.
    assert counting[1, 4] != 1
    assert ignoring[1, 4] == 1


ASKED = {
    "max_new_tokens": 30, "do_sample": True, "top_k": 0, "temperature": 3.0,
    "eos_token_id": [2, 5],
}  # fmt: skip


class TestFinishedRows:
    @pytest.fixture
    def rows(self, monkeypatch):
        """How many rows each step embeds."""
        from pyxglm import decoder

        seen = []
        embed = decoder.embed

        def spy(ids, *rest):
            seen.append(len(ids))
            return embed(ids, *rest)

        monkeypatch.setattr(decoder, "embed", spy)
        return seen

    PROMPTS = ([5, 6], [7, 8], [9, 4], [11, 12], [13, 13])

    def ends(self, ids):
        ended = np.isin(ids[:, 2:], [2, 5])
        assert ended.any(axis=1).all()
        return [int(row.argmax()) + 1 for row in ended]

    def test_they_leave_the_batch(self, rows):
        ids = generate(model(), self.PROMPTS, **ASKED)
        ends = self.ends(ids)
        assert len(set(ends)) > 2
        expected = [5, *(sum(end > step for end in ends) for step in range(1, max(ends)))]
        assert rows == expected

    @pytest.mark.parametrize(
        "watching",
        [
            {"logits_processor": [lambda ids, scores: scores]},
            {"stopping_criteria": [lambda ids, scores: False]},
            {"return_dict_in_generate": True},
        ],
    )
    def test_unless_somebody_looks_at_all_rows(self, rows, watching):
        found = generate(model(), self.PROMPTS, **ASKED, **watching)
        ids = found.sequences if "return_dict_in_generate" in watching else found
        assert set(rows) == {5}
        assert ids.tolist() == generate(model(), self.PROMPTS, **ASKED).tolist()

    def test_not_one_of_many(self, rows):
        prompts = [[3 + i % 20, 3 + i // 20] for i in range(40)]
        generate(model(), prompts, **ASKED)
        steps = list(itertools.pairwise(rows))
        assert all(before == after or 8 * (before - after) >= before for before, after in steps)
        assert len({before - after for before, after in steps}) > 1


class TestManyPrompts:
    PROMPTS = ([5], [5, 6, 7, 8, 9], [7, 7], [4, 3], [9, 8, 7])

    def test_the_longest_first_in_order_and_with_progress(self):
        told, seen = [], []

        class Spy(FakeModel):
            def __call__(self, **inputs):
                if inputs["past_key_values"] is None:
                    seen.append(inputs["input_ids"].tolist())
                return super().__call__(**inputs)

        asked = {"max_new_tokens": 4, "eos_token_id": None}
        ids = generate(
            Spy(), self.PROMPTS, batch_size=2, progress=lambda *n: told.append(n), **asked
        )
        assert seen == [[[5, 6, 7, 8, 9], [1, 1, 9, 8, 7]], [[7, 7], [4, 3]], [[5]]]
        assert told == [(2, 5), (4, 5), (5, 5)]
        assert ids.tolist() == generate(FakeModel(), self.PROMPTS, **asked).tolist()

    def test_progress_on_standard_error(self, capsys):
        generate(FakeModel(), self.PROMPTS, batch_size=3, progress=True, max_new_tokens=1)
        assert capsys.readouterr().err == "\r3/5 prompts\r5/5 prompts\n"

    def test_masks_and_texts(self):
        ids = np.array([[1, 5, 1, 6], [7, 8, 9, 9]])
        mask = np.array([[0, 1, 1, 1], [1, 0, 1, 1]])
        asked = {"max_new_tokens": 3, "eos_token_id": None}
        for given_mask in (None, mask):
            found = generate(FakeModel(), ids, attention_mask=given_mask, batch_size=1, **asked)
            expected = generate(FakeModel(), ids, attention_mask=given_mask, **asked)
            assert found.tolist() == expected.tolist()

        class Tokenizer(BytesTokenizer):
            def encode(self, text):
                return [2, *(byte % 8 + 3 for byte in text.encode())]

        asked["tokenizer"] = Tokenizer()
        found = generate(FakeModel(), ["ab\nc", "d"], newline="eos", batch_size=1, **asked)
        assert found[:, :5].tolist() == [[2, 4, 5, 2, 6], [1, 1, 1, 2, 7]]
        one = generate(FakeModel(), "d", **asked)
        assert one[0].tolist() == found[1, 3:].tolist()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 0}, "batch_size is 0, expected 1 or more"),
            ({"streamer": object()}, "streamer is given with batch_size, expected one of them"),
            ({"past_key_values": 1}, "past_key_values is given with batch_size, expected one"),
            (
                {"output_scores": True, "return_dict_in_generate": True},
                "output_scores is True, expected False with batch_size: batches differ",
            ),
            ({"input_ids": np.zeros((0, 3), int)}, "input_ids has no rows, expected at least one"),
            ({"input_ids": [[5], [12]]}, r"input_ids\[1\]\[0\] is 12, expected an id from 0 to 11"),
        ],
    )
    def test_what_cannot_be(self, options, message):
        given = {"input_ids": self.PROMPTS, "batch_size": 2, **options}
        with pytest.raises(ValueError, match=f"^{message}"):
            generate(FakeModel(), **given)


def test_texts_need_a_tokenizer_and_no_company():
    with pytest.raises(ValueError, match="^a prompt is a text, expected ids, or tokenizer=…"):
        generate(FakeModel(), "la capitale")
    with pytest.raises(TypeError, match="^prompt 1 is a list, expected a text"):
        generate(FakeModel(), ["a", [5]], tokenizer=BytesTokenizer())


def test_negative_prompts_are_independent_of_their_batch_too():
    prompts, negative = [[5, 6, 7], [8, 9]], [[4], [7, 3, 9]]
    asked = {"max_new_tokens": 8, "guidance_scale": 2.5, "output_scores": True,
             "return_dict_in_generate": True}  # fmt: skip
    given_too = {"negative_prompt_ids": negative, **asked}
    together = generate(model(), prompts, ignore_padding=True, **given_too)
    for row, prompt in enumerate(prompts):
        alone = generate(model(), prompt, negative_prompt_ids=negative[row], **asked)
        expected = alone.sequences[0, len(prompt) :].tolist()
        assert together.sequences[row, 3 : 3 + len(expected)].tolist() == expected
        for step, scores in enumerate(alone.scores):
            assert together.scores[step][row].tobytes() == scores.tobytes()
    # The positions of a padded negative prompt are others in transformers.
    counting = generate(model(), prompts, **given_too)
    assert counting.scores[0][0].tobytes() != together.scores[0][0].tobytes()
    with pytest.raises(ValueError, match="^negative_prompt_ids has 3 rows, expected one for each"):
        generate(model(), prompts, **{**given_too, "negative_prompt_ids": [[4]] * 3})


def test_guidance_follows_a_text_that_changes():
    """Longer, shorter, another one, the same again: as if it had never seen anything else."""
    prompts = [[5, 6], [7, 8]]
    scores_BV = np.random.default_rng(1).standard_normal((2, 23)).astype(np.float32)

    def fresh():
        ones = np.ones((2, 1), np.int64)
        return Guidance(model(), 1.7, np.array([[4], [9]]), ones, 2, True)

    guidance = fresh()
    texts = ("", ""), ("34", "56"), ("3", "5"), ("37", "56"), ("37", "56"), ("9", "9")
    for new in texts:
        rows = zip(prompts, new, strict=True)
        ids_BS = np.array([[*prompt, *map(int, more)] for prompt, more in rows])
        found = guidance(ids_BS, scores_BV)
        assert found.tobytes() == fresh()(ids_BS, scores_BV).tobytes()
