"""What callers give to `generate` to be called: lists of it, and what it must return."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeModel

from pyxglm import (
    LogitsProcessor,
    LogitsProcessorList,
    MaxLengthCriteria,
    MaxTimeCriteria,
    MinLengthLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
    XGLMConfig,
    XGLMForCausalLM,
)
from pyxglm.generation import generate

PROMPTS = [[3, 5, 6], [7, 4, 8]]
V = 12
ONE, TWO = {"num_beams": 1}, {"num_beams": 2, "use_cache": False}
#: A search by one token after another, and one by beams.
both = pytest.mark.parametrize(("options", "rows"), [(ONE, 2), (TWO, 4)])


class Loud(LogitsProcessor):
    """Adds 50 to one token."""

    def __init__(self, id_):
        self.id = id_

    def __call__(self, input_ids, scores):
        scores[:, self.id] += 50  # in place, as many programs do
        return scores


class After(StoppingCriteria):
    """Ends rows with a token."""

    def __init__(self, id_):
        self.id = id_

    def __call__(self, input_ids, scores, **kwargs):
        return input_ids[:, -1] == self.id


def refused(kind, message, **options):
    with pytest.raises(kind) as caught:
        generate(FakeModel(), PROMPTS, max_new_tokens=3, **options)
    assert str(caught.value) == message


class TestLists:
    def test_of_processors(self):
        processors = LogitsProcessorList([Loud(9), Loud(4)])
        processors.append(MinLengthLogitsProcessor(5, eos_token_id=9))
        ids = generate(FakeModel(), PROMPTS, max_new_tokens=4, logits_processor=processors,
                       eos_token_id=None)  # fmt: skip
        assert set(ids[:, 3:5].ravel().tolist()) == {4}
        assert set(ids[:, 5:].ravel().tolist()) <= {4, 9}
        scores = processors(np.array([[5]]), np.zeros((1, V)))
        assert scores[0, [4, 9, 5]].tolist() == [50, -np.inf, 0]

    def test_of_criteria(self):
        rules = StoppingCriteriaList([After(4), MaxLengthCriteria(6)])
        asked = {"stopping_criteria": rules, "eos_token_id": None, "max_length": 20}
        ids = generate(FakeModel(), PROMPTS, logits_processor=Loud(9), **asked)
        assert ids[:, 3:].tolist() == [[9, 9, 9]] * 2
        ids = generate(FakeModel(), PROMPTS, logits_processor=Loud(4), **asked)
        assert ids[:, 3:].tolist() == [[4]] * 2
        assert rules.max_length == 6
        assert StoppingCriteriaList([After(4)]).max_length is None
        assert StoppingCriteriaList([lambda ids, scores: None])(np.array([[3]]), None) is False
        assert rules(np.array([[3, 4], [3, 5]]), None).tolist() == [True, False]
        assert StoppingCriteriaList([MaxLengthCriteria(2)])(np.array([[3, 4]]), None) is True

    def test_a_list_within_a_list(self):
        whole = [LogitsProcessorList([Loud(9)]), Loud(9)]
        ids = generate(FakeModel(), PROMPTS, max_new_tokens=2, logits_processor=whole)
        assert ids[:, 3:].tolist() == [[9, 9]] * 2

    @pytest.mark.parametrize("given", [None, [], LogitsProcessorList(), StoppingCriteriaList()])
    def test_none_is_none(self, given):
        plain = generate(FakeModel(), PROMPTS, max_new_tokens=3).tolist()
        for name in ("logits_processor", "stopping_criteria"):
            assert (
                generate(FakeModel(), PROMPTS, max_new_tokens=3, **{name: given}).tolist() == plain
            )

    def test_least_lengths_are_as_the_setting_has_it(self):
        for eos in (2, [2, 9]):
            asked = {"max_new_tokens": 9, "eos_token_id": eos}
            least = generate(FakeModel(eos_bonus=9.0), PROMPTS, min_length=7, **asked)
            processor = MinLengthLogitsProcessor(7, eos)
            found = generate(FakeModel(eos_bonus=9.0), PROMPTS, logits_processor=processor, **asked)
            assert found.tolist() == least.tolist()
            assert not np.isin(found[:, 3:7], eos).any()

    def test_time(self, monkeypatch):
        monkeypatch.setattr("time.time", lambda: 100.0)
        over, within = MaxTimeCriteria(5.0, initial_timestamp=94.0), MaxTimeCriteria(5.0)
        assert over(np.array([[3]]), None)
        assert not within(np.array([[3]]), None)
        monkeypatch.setattr("time.time", lambda: 105.5)
        assert within(np.array([[3]]), None)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: MinLengthLogitsProcessor(-1, 2), "min_length is -1, expected 0 or more"),
            (lambda: MinLengthLogitsProcessor(1, [2, -3]), "eos_token_id is -3, expected 0 or mo"),
            (lambda: MaxLengthCriteria(0), "max_length is 0, expected 1 or more"),
        ],
    )
    def test_impossible_numbers(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    def test_a_class_without_a_call_is_none(self):
        with pytest.raises(TypeError, match="abstract"):
            type("Silent", (StoppingCriteria,), {})()
        with pytest.raises(TypeError, match="abstract"):
            type("Silent", (LogitsProcessor,), {})()


def test_a_processor_may_change_what_it_is_given():
    """The model's own scores, which others are told, stay what they are."""
    config = XGLMConfig(vocab_size=40, d_model=16, ffn_dim=24, num_layers=2, attention_heads=4)
    kept = {"return_dict_in_generate": True, "output_logits": True, "output_log_probs": True}

    def of_a_copy(ids_BS, scores_BV):
        return Loud(9)(ids_BS, scores_BV.copy())

    model = XGLMForCausalLM(config, seed=3)
    for search in ({}, {"num_beams": 2}, {"penalty_alpha": 0.5, "top_k": 3}):
        asked = {"max_new_tokens": 3, "eos_token_id": None, **kept, **search}
        changed = generate(model, PROMPTS, logits_processor=Loud(9), **asked)
        copied = generate(model, PROMPTS, logits_processor=of_a_copy, **asked)
        assert changed.sequences.tolist() == copied.sequences.tolist()
        assert [a.tolist() for a in changed.logits] == [a.tolist() for a in copied.logits]
        assert changed.log_probs.tolist() == copied.log_probs.tolist()
        assert changed.log_probs.max() < 0
    asked = {"max_new_tokens": 3, "eos_token_id": None, **kept}
    told = generate(FakeModel(), PROMPTS, logits_processor=Loud(9), **asked).log_probs
    assert (told < -0.5).all()


@pytest.mark.parametrize("name", ["logits_processor", "stopping_criteria"])
@pytest.mark.parametrize("given", [5, "abc", {"a": 1}])
def test_what_cannot_be_called(name, given):
    kind = type(given).__name__
    refused(
        TypeError, f"{name} is a {kind}, expected a function or a list of them", **{name: given}
    )
    message = f"{name}[1] is a {kind}, expected a function"
    refused(TypeError, message, **{name: [lambda ids, scores: scores, given]})
    refused(TypeError, f"prefix_allowed_tokens_fn is a {kind}, expected a function",
            prefix_allowed_tokens_fn=given)  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "kind", "found"),
    [
        (lambda scores: None, TypeError, "NoneType, expected floating-point scores of shape"),
        (lambda scores: "x", TypeError, "str, expected floating-point scores of shape"),
        (lambda scores: 3.5, ValueError, "scores of shape (), expected"),
        (lambda scores: scores > 0, TypeError, "bool values, expected floating-point scores of sh"),
        (lambda scores: scores.astype(int), TypeError, "int64 values, expected floating-point sco"),
        (lambda scores: scores.astype(object), TypeError, "object values, expected floating-point"),
        (lambda scores: scores + 1j, TypeError, "complex64 values, expected floating-point scores"),
        (lambda scores: scores[0], ValueError, "scores of shape (12,), expected"),
        (lambda scores: scores[:1], ValueError, "scores of shape (1, 12), expected"),
        (lambda scores: scores[..., None], ValueError, "scores of shape (ROWS, 12, 1), expected"),
        (lambda scores: [[1.0], [1.0, 2.0]], ValueError, "uneven lists, expected scores of shape"),
    ],
)
@both
def test_scores_that_are_none(spoil, kind, found, options, rows):
    processors = [lambda ids, scores: scores, lambda ids, scores: spoil(scores)]
    with pytest.raises(kind) as caught:
        generate(FakeModel(), PROMPTS, logits_processor=processors, max_new_tokens=3, **options)
    message = f"logits_processor[1] returned {found}".replace("ROWS", str(rows))
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(f" ({rows}, 12)")


def test_scores_may_be_lists_or_of_another_precision():
    plain = generate(FakeModel(), PROMPTS, max_new_tokens=3).tolist()
    for change in (np.ndarray.tolist, lambda scores: scores.astype(np.float64)):
        processor = [lambda ids, scores, change=change: change(scores)]
        found = generate(FakeModel(), PROMPTS, max_new_tokens=3, logits_processor=processor)
        assert found.tolist() == plain


@pytest.mark.parametrize(
    ("returned", "kind", "found"),
    [
        ("no", TypeError, "str"),
        (0.5, TypeError, "float"),
        ([0.5, 1.0], TypeError, "float64 values"),
        ([True] * 3, ValueError, "an array of shape (3,)"),
        ([True], ValueError, "an array of shape (1,)"),
        ([[True], [False]], ValueError, "an array of shape (2, 1)"),
        ([[True], [False, True]], ValueError, "uneven lists"),
    ],
)
@both
def test_answers_that_are_none(returned, kind, found, options, rows):
    message = (
        f"stopping_criteria[0] returned {found}, expected True or False, or one for each of {rows}"
        " rows"
    )
    refused(kind, message, stopping_criteria=lambda ids, scores: returned, **options)


@pytest.mark.parametrize("returned", [True, 1, np.True_, [True, True], np.ones(2, np.int8)])
def test_answers(returned):
    ids = generate(FakeModel(), PROMPTS, max_new_tokens=3, eos_token_id=None,
                   stopping_criteria=lambda ids, scores: returned)  # fmt: skip
    assert ids.shape == (2, 4)


def test_no_answer_is_no():
    """As in transformers: a function may say True somewhere, and end without a word."""
    plain = generate(FakeModel(), PROMPTS, max_new_tokens=3).tolist()
    found = generate(FakeModel(), PROMPTS, max_new_tokens=3, stopping_criteria=lambda i, s: None)
    assert found.tolist() == plain


@pytest.mark.parametrize(
    ("returned", "kind", "found"),
    [
        (None, TypeError, "returned NoneType for prompt 0, expected a list of ids"),
        ("abc", TypeError, "returned str for prompt 0, expected a list of ids"),
        ({5, 6}, TypeError, "returned set for prompt 0, expected a list of ids"),
        ([1.0], TypeError, "returned float64 values for prompt 0, expected a list of ids"),
        ([[1], [1, 2]], ValueError, "returned uneven lists for prompt 0, expected a list of ids"),
        ([], ValueError, "allowed no token for prompt 0, expected at least one"),
        (np.zeros(V, bool), ValueError, "allowed no token for prompt 0, expected at least one"),
        ([True, False], ValueError, "returned a mask of shape (2,) for prompt 0, expected (12,)"),
        ([5, 12], ValueError, "returned the id 12 for prompt 0, expected ids from 0 to 11"),
        ([5, -1], ValueError, "returned the id -1 for prompt 0, expected ids from 0 to 11"),
    ],
)
@both
def test_ids_that_are_none(returned, kind, found, options, rows):
    refused(kind, f"prefix_allowed_tokens_fn {found}",
            prefix_allowed_tokens_fn=lambda prompt, ids: returned, **options)  # fmt: skip


@pytest.mark.parametrize("returned", [4, [4], np.array([4], np.uint8), np.arange(V) == 4])
def test_ids(returned):
    ids = generate(FakeModel(), PROMPTS, max_new_tokens=2,
                   prefix_allowed_tokens_fn=lambda prompt, ids: returned)  # fmt: skip
    assert ids[:, 3:].tolist() == [[4, 4]] * 2


class Endless:
    """Takes ids, and cannot be told that there are no more."""

    def put(self, value):
        raise AssertionError("it should have been refused before")


@pytest.mark.parametrize(
    ("streamer", "message"),
    [
        (
            5,
            "streamer is a int without the method put, expected an object with put and end, as "
            "TextStreamer has them",
        ),
        (
            print,
            "streamer is a builtin_function_or_method without the method put, expected an "
            "object with put and end, as TextStreamer has them",
        ),
        (
            Endless(),
            "streamer is a Endless without the method end, expected an object with put and end",
        ),
        (TextStreamer, "streamer is the class TextStreamer, expected an object of it"),
    ],
)
def test_what_ids_cannot_be_told_to(streamer, message):
    with pytest.raises(TypeError) as caught:
        generate(FakeModel(), [PROMPTS[0]], max_new_tokens=2, streamer=streamer)
    assert str(caught.value).startswith(message)
