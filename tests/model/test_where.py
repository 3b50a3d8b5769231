"""Positions: counted from the cache or given, beyond the table, and under padding."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, lm

from pyxglm import inputs
from pyxglm.ops.reference import sinusoidal_positions


def test_positions_are_counted_from_the_past() -> None:
    model = lm()
    wanted = model(IDS).logits
    assert np.array_equal(model(IDS, position_ids=[[0, 1, 2, 3, 4]]).logits, wanted)
    assert np.array_equal(model(IDS, position_ids=[[0, 1, 2, 3, 4]] * 2).logits, wanted)
    past = model(IDS[:, :3]).past_key_values
    counted = model(IDS[:, 3:], past_key_values=past)
    given = model(IDS[:, 3:], past_key_values=past, position_ids=[[3, 4]])
    assert np.array_equal(given.logits, counted.logits)
    assert apart(model(IDS[:, 3:], past_key_values=past, position_ids=[[0, 1]]).logits,
                 counted.logits) > 1e-3  # fmt: skip


def test_a_position_reads_two_rows_further_on() -> None:
    model = bare()
    table_PD = sinusoidal_positions(42, 12)
    first = [
        model(IDS, position_ids=[[p] * 5], output_hidden_states=True).hidden_states[0]
        for p in (-2, -1, 0, 39)
    ]
    embeds = model.get_input_embeddings()(IDS) * np.float32(np.sqrt(12))
    for found, row in zip(first, (0, 1, 2, 41), strict=True):
        assert np.array_equal(found, embeds + table_PD[row])
    assert not table_PD[1].any()


def test_padding_on_the_left_with_positions_of_generation_is_no_padding() -> None:
    model = lm()
    alone = model(IDS[:1, 2:]).logits
    mask = np.array([[0, 0, 1, 1, 1]])
    inputs_ = model.prepare_inputs_for_generation(IDS[:1], attention_mask=mask)
    assert inputs_["position_ids"].tolist() == [[1, 1, 0, 1, 2]]
    assert apart(model(**inputs_).logits[:, 2:], alone) <= 1e-5
    # A plain call counts from the left edge, padding or not.
    assert apart(model(IDS[:1], attention_mask=mask).logits[:, 2:], alone) > 1e-3


def test_the_table_grows_with_the_text() -> None:
    short, long = lm(max_position_embeddings=4), lm(max_position_embeddings=4000)
    ids = np.random.default_rng(1).integers(2, 23, (1, 300))
    wanted = long(ids).logits
    assert np.array_equal(short(ids).logits, wanted)
    past = short(ids[:, :250]).past_key_values
    assert apart(short(ids[:, 250:], past_key_values=past).logits, wanted[:, 250:]) <= 1e-5


@pytest.mark.parametrize(
    ("past", "position", "highest"), [(0, 40, 39), (0, 10**12, 39), (37, 42, 41), (0, -3, 39)]
)
def test_a_position_beyond_the_table_is_an_error(past: int, position: int, highest: int) -> None:
    # There is room for max_position_embeddings (40), or for the tokens of the pass if they are
    # more; a position says nothing about how many tokens there are.
    model = bare()
    ids = np.full((2, 5), 7)
    given = model(np.full((2, past), 7)).past_key_values if past else None
    with pytest.raises(IndexError) as caught:
        model(ids, past_key_values=given, position_ids=[[0, 1, 2, 3, position]])
    assert str(caught.value) == f"position_ids holds {position} at [0, 4], expected -2..{highest}"
    ok = model(ids, past_key_values=given, position_ids=[[0, 1, 2, 3, highest]])
    assert np.isfinite(ok.last_hidden_state).all()


def test_a_long_text_makes_no_room_for_later_positions() -> None:
    # transformers keeps a table that has grown; here a call is judged by itself.
    model = bare()
    model(np.full((1, 100), 7))
    with pytest.raises(IndexError, match=r"position_ids holds 60 at \[0, 0\], expected -2\.\.39"):
        model([[7]], position_ids=[[60]])


def test_a_given_table() -> None:
    model = lm()
    plain = model(IDS).logits
    model.set_position_table(np.zeros((9, 12)))
    flat = model(IDS).logits
    assert apart(flat, plain) > 1e-3
    assert np.array_equal(model.model(IDS, output_hidden_states=True).hidden_states[0],
                          model.lm_head.weight[IDS] * np.float32(np.sqrt(12)))  # fmt: skip
    with pytest.raises(IndexError, match=r"expected -2\.\.6"):
        model(IDS, position_ids=[[0, 1, 2, 3, 7]])
    model.set_position_table(None)
    assert np.array_equal(model(IDS).logits, plain)


@pytest.mark.parametrize("pad", [None, 0, 5])
def test_the_zero_row_moves_with_the_padding_id(pad: int | None) -> None:
    model = bare(pad_token_id=pad)
    hidden = model([[7, 7, 7, 7, 7, 7]], position_ids=[[-2, -1, 0, 1, 2, 3]],
                   output_hidden_states=True).hidden_states[0][0]  # fmt: skip
    embedded = model.get_input_embeddings()([7]) * np.float32(np.sqrt(12))
    zero = [row for row in range(6) if np.array_equal(hidden[row], embedded[0])]
    assert zero == ([] if pad is None else [pad])


# ------------------------------------------------------------------- the padding warning


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    monkeypatch.setattr(inputs, "_warned", set())
    caplog.set_level(logging.WARNING)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "pyxglm"]


@pytest.mark.parametrize("ids", [[[1, 5, 7]], [[5, 7, 1]], [[5, 7], [1, 7]], [[1]]])
def test_padding_without_a_mask_is_warned_of_once(ids: Any, warned: Any) -> None:
    model = bare()
    for _ in range(3):
        model(ids)
    assert len(warned()) == 1
    assert "no attention_mask" in warned()[0]


@pytest.mark.parametrize(
    ("ids", "mask", "pad"),
    [
        ([[5, 1, 7]], None, 1),  # in the middle, transformers does not look
        ([[1, 5]], [[0, 1]], 1),
        ([[1, 5]], None, None),
        ([[1, 5]], None, 3),
        (np.zeros((1, 0), int), None, 1),
    ],
)
def test_no_warning_otherwise(ids: Any, mask: Any, pad: int | None, warned: Any) -> None:
    bare(pad_token_id=pad)(ids, attention_mask=mask)
    assert warned() == []
