"""Prompts: padding, the automatic mask, positions, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FakeModel

from pyxglm.generation import GenerationConfig, generate
from pyxglm.generation.prompts import positions, prepare

DEFAULTS = GenerationConfig()


def prepared(input_ids, attention_mask=None, settings=DEFAULTS):
    prompts = prepare(input_ids, attention_mask, settings, 12)
    assert prompts.ids_BT.dtype == prompts.mask_BT.dtype == np.int64
    return prompts.ids_BT.tolist(), prompts.mask_BT.tolist()


@pytest.mark.parametrize(
    "one",
    [
        [2, 5],
        (2, 5),
        [[2, 5]],
        np.array([2, 5], np.uint8),
        np.array([[2, 5]], np.int32),
        [np.array([2, 5])],
        ((2, 5),),
    ],
)
def test_every_way_to_write_one_prompt(one):
    assert prepared(one) == ([[2, 5]], [[1, 1]])


@pytest.mark.parametrize("empty", [None, [], [[]], np.zeros((1, 0), np.int64), ()])
def test_an_empty_prompt_is_bos(empty):
    assert prepared(empty) == ([[0]], [[1]])


def test_an_empty_prompt_among_others():
    assert prepared([[2, 5], []]) == ([[2, 5], [1, 0]], [[1, 1], [0, 1]])


def test_an_empty_prompt_without_bos_is_refused():
    with pytest.raises(ValueError, match="^bos_token_id is None, expected an id: a prompt is em"):
        prepare(None, None, GenerationConfig(bos_token_id=None), 12)


class TestAutomaticMask:
    def test_ids_that_are_padding(self):
        assert prepared([[1, 1, 5], [2, 1, 6]])[1] == [[0, 0, 1], [1, 0, 1]]

    def test_padding_that_also_ends_rows_is_real(self):
        for eos in (1, [2, 1]):
            settings = GenerationConfig(eos_token_id=eos)
            assert prepared([[1, 5]], settings=settings)[1] == [[1, 1]]

    def test_no_padding_id(self):
        assert prepared([[1, 5]], settings=GenerationConfig(pad_token_id=None))[1] == [[1, 1]]

    def test_lists_of_unequal_length_say_themselves_what_is_padding(self):
        assert prepared([[2, 1, 5], [1]])[1] == [[1, 1, 1], [0, 0, 1]]


class TestGivenMask:
    @pytest.mark.parametrize("kind", [int, bool, float, np.int8])
    def test_any_kind_of_ones_and_zeros(self, kind):
        mask = np.array([[0, 1], [1, 1]]).astype(kind)
        assert prepared([[2, 5], [2, 6]], mask)[1] == [[0, 1], [1, 1]]

    @pytest.mark.parametrize("value", [0.5, np.nan, -1])
    def test_anything_between_is_refused(self, value):
        with pytest.raises(ValueError, match=r"^attention_mask\[0\]\[0\] is"):
            prepared([[2, 5]], [[value, 1]])

    def test_text_is_refused(self):
        with pytest.raises(TypeError, match="^attention_mask holds str"):
            prepared([[2, 5]], [["1", "1"]])

    def test_it_overrides_the_automatic_one(self):
        assert prepared([[1, 5]], [[1, 1]])[1] == [[1, 1]]

    def test_rows_of_unequal_length(self):
        assert prepared([[2, 5, 6], [2, 7]], [[1, 1, 1], [0, 1]]) == (
            [[2, 5, 6], [1, 2, 7]],
            [[1, 1, 1], [0, 0, 1]],
        )

    @pytest.mark.parametrize("mask", [[[1]], [[1, 1, 1]], [[1, 1], [1, 1]], [1]])
    def test_another_shape_is_refused(self, mask):
        with pytest.raises(ValueError, match=r"^attention_mask has rows of lengths .*: \[2\]$"):
            prepared([[2, 5]], mask)

    def test_other_values_are_refused(self):
        with pytest.raises(ValueError, match=r"^attention_mask\[0\]\[1\] is 2, expected 0 or 1$"):
            prepared([[2, 5]], [[1, 2]])

    def test_a_row_without_a_token_is_refused(self):
        with pytest.raises(ValueError, match="^attention_mask masks every token of row 1"):
            prepared([[2, 5], [2, 6]], [[1, 1], [0, 0]])
        with pytest.raises(ValueError, match="^attention_mask masks every token of row 0"):
            prepared([[1, 1]])

    def test_padding_on_the_right_is_told(self):
        with pytest.warns(UserWarning, match="padded on the right") as caught:
            generate(FakeModel(), [[2, 5], [2, 1]], max_new_tokens=1)
        assert caught[0].filename == __file__


class TestRefusedIds:
    @pytest.mark.parametrize(
        ("ids", "message"),
        [
            ([2, 12], r"input_ids[0][1] is 12, expected an id from 0 to 11"),
            ([[2], [5, -1]], r"input_ids[1][1] is -1, expected an id from 0 to 11"),
            (np.array([[2**64 - 1]], np.uint64), "input_ids[0][0] is 18446744073709551615"),
            ([[2, [5]]], "input_ids is nested unevenly"),
            ([2, [5]], "input_ids has rows of 0 dimensions"),
            ([[[2]]], "input_ids has rows of 2 dimensions"),
            (np.zeros((1, 1, 1), int), "input_ids has rows of 3 dimensions"),
            (5, "input_ids has rows of 0 dimensions"),
            (np.zeros((0, 3), int), "input_ids has no rows"),
        ],
    )
    def test_values(self, ids, message):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            prepared(ids)
        assert str(caught.value).startswith(message)

    @pytest.mark.parametrize("ids", [[2.0], ["2"], [[2], ["x"]], [None], [True], "text", [2**70]])
    def test_types(self, ids):
        with pytest.raises((TypeError, ValueError), match="^input_ids"):
            prepared(ids)


class TestPaddingId:
    def test_without_one_the_first_end_fills_up(self):
        settings = GenerationConfig(pad_token_id=None, eos_token_id=[4, 2])
        with pytest.warns(UserWarning, match="pad_token_id is None: filling up with eos_token_id"):
            assert prepared([[2, 5], [6]], settings=settings)[0] == [[2, 5], [4, 6]]

    def test_without_any_unequal_prompts_are_refused(self):
        settings = GenerationConfig(pad_token_id=None, eos_token_id=None)
        with pytest.raises(ValueError, match="^pad_token_id is None, expected an id"):
            prepared([[2, 5], [6]], settings=settings)

    def test_without_any_equal_prompts_need_none(self):
        options = {"pad_token_id": None, "eos_token_id": None, "max_new_tokens": 3}
        assert generate(FakeModel(), [[2, 5], [2, 6]], **options).shape == (2, 5)


def test_positions_count_real_tokens_gaps_included():
    mask_BS = np.array([[0, 0, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]])
    assert positions(mask_BS).tolist() == [[1, 1, 0, 1, 1, 2], [0, 1, 2, 3, 4, 5]]
