"""Streamed text: whatever comes when, it concatenates to the decoding of the whole."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fakes import BytesTokenizer, FakeModel, FakeTokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyxglm.generation import IncrementalDecoder, TextStreamer, generate, stream, text_pieces
from pyxglm.generation.streaming import StreamReplacer
from pyxglm.typography import CLEANUPS

# Every piece that cleaning up or joining could trip over.
PIECES = [
    "</s>", "<unk>", "<added>", "▁", "a", "▁b", "n", "▁n", "'", "▁'", "'t", "t", "▁.", ".", "!",
    "▁!", "▁,", "s", "'s", "ve", "v", "e", "re", "▁'v", "m", "日本", "▁▁", "\u3000", "�",
]  # fmt: skip
XGLM_LIKE = FakeTokenizer(PIECES, specials=("</s>", "<unk>"), added=("<added>",))

ids_lists = st.lists(st.integers(0, len(PIECES) - 1), max_size=14)


@settings(deadline=None, max_examples=400)
@given(ids_lists, st.booleans(), st.booleans(), st.lists(st.integers(1, 4), max_size=14))
@example([PIECES.index(p) for p in ("a", "▁", "▁'", "▁", "s")], True, True, [])
@example([PIECES.index(p) for p in ("<added>", "▁", "<added>", "a", "▁")], False, False, [])
def test_pieces_concatenate_to_the_decoding_of_the_whole(ids, skip, clean, sizes):
    options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
    decoder = IncrementalDecoder(XGLM_LIKE, **options)
    pieces, left = [], list(ids)
    for size in [*sizes, *itertools.repeat(1, len(ids))]:
        pieces.append(decoder.push(left[:size]))
        left = left[size:]
    pieces.append(decoder.finish())
    assert "".join(pieces) == XGLM_LIKE.decode(ids, **options)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["ä", "日", "🙂", "a", " "]), max_size=8), st.data())
def test_characters_in_parts(characters, data):
    ids = list("".join(characters).encode())
    if ids and data.draw(st.booleans()):
        del ids[data.draw(st.integers(0, len(ids) - 1))]  # some character is broken for good
    decoder = IncrementalDecoder(BytesTokenizer())
    pieces = [decoder.push([id_]) for id_ in ids]
    assert "".join([*pieces, decoder.finish()]) == bytes(ids).decode(errors="replace")


def test_text_comes_as_soon_as_it_is_certain():
    decoder = IncrementalDecoder(XGLM_LIKE, clean_up_tokenization_spaces=True)
    told = [decoder.push([PIECES.index(piece)]) for piece in ("a", "▁n", "'t", "▁", "▁b", "日本")]
    assert told == ["a", "", "n't", "", "  b", "日本"]


def test_half_a_character_is_held_back():
    decoder = IncrementalDecoder(BytesTokenizer())
    assert [decoder.push([byte]) for byte in "é".encode()] == ["", "é"]


def test_the_tokenizer_s_own_choice_of_cleaning_is_the_default():
    tokenizer = FakeTokenizer(["a", "▁!"])
    for clean in (True, False):
        tokenizer.clean_up_tokenization_spaces = clean
        assert "".join(text_pieces(tokenizer, [0, 1])) == tokenizer.decode([0, 1])
    assert tokenizer.decode([0, 1]) == "a !"


class CountingTokenizer(FakeTokenizer):
    """Remembers how many ids it decoded."""

    decoded = 0

    def decode(self, ids, **options):
        self.decoded += len(ids)
        return super().decode(ids, **options)


def test_the_work_does_not_grow_with_the_text():
    tokenizer = CountingTokenizer(["a", "▁b"])
    text = "".join(text_pieces(tokenizer, [0, 1] * 500))
    assert text == FakeTokenizer(["a", "▁b"]).decode([0, 1] * 500)
    assert tokenizer.decoded < 10 * 1000


class TestStreamReplacer:
    @settings(deadline=None, max_examples=150)
    @given(st.sampled_from(CLEANUPS), st.lists(st.text(" 'nt.sve", max_size=4), max_size=8))
    def test_it_is_str_replace(self, pair, pieces):
        replacer = StreamReplacer(*pair)
        told = [replacer.push(piece) for piece in pieces]
        assert "".join([*told, replacer.finish()]) == "".join(pieces).replace(*pair)

    def test_it_holds_back_no_more_than_it_must(self):
        replacer = StreamReplacer(" n't", "n't")
        assert [replacer.push(c) for c in "a nn't"] == ["a", "", "", " nn", "'", "t"]


class TestTextPieces:
    def test_from_a_stream_after_a_prompt(self):
        tokenizer = FakeTokenizer([f"▁w{i}" for i in range(12)])
        prompt = [2, 5]
        options = {"max_new_tokens": 6, "eos_token_id": None}
        pieces = list(
            text_pieces(tokenizer, stream(FakeModel(), prompt, **options), prompt_ids=prompt)
        )
        whole = tokenizer.decode(generate(FakeModel(), prompt, **options)[0].tolist())
        assert "w2 w5" + "".join(pieces) == whole
        assert pieces[0].startswith(" ")

    def test_no_piece_is_empty(self):
        pieces = text_pieces(XGLM_LIKE, [0, 4, 0, 3, 4], skip_special_tokens=True)
        assert list(pieces) == ["a", " a"]

    def test_several_rows_are_refused(self):
        with pytest.raises(ValueError, match=r"ids of shape \(2,\), expected one row's"):
            list(text_pieces(XGLM_LIKE, [np.array([4, 4])]))


WORDS = FakeTokenizer(["<s>", "<pad>", "</s>", *(f"▁w{i}" for i in range(9))], ("</s>",))
FIVE = {"max_new_tokens": 5, "eos_token_id": None}


class TestTextStreamer:
    @pytest.mark.parametrize("skip_prompt", [True, False])
    def test_it_writes_the_text_and_a_line_end(self, skip_prompt):
        written = []
        streamer = TextStreamer(WORDS, skip_prompt=skip_prompt, write=written.append)
        for _ in range(2):  # a streamer can be used again
            written.clear()
            ids = generate(FakeModel(), [2, 5], streamer=streamer, **FIVE)[0].tolist()
            # Without the prompt, it is as if there were none (as in transformers).
            assert "".join(written) == WORDS.decode(ids[2 if skip_prompt else 0 :]) + "\n"
            assert len(written) >= 5

    def test_by_default_to_standard_output(self, capsys):
        streamer = TextStreamer(WORDS, skip_special_tokens=True)
        ids = generate(FakeModel(), [2, 5], streamer=streamer, **FIVE)[0].tolist()
        assert capsys.readouterr().out == WORDS.decode(ids, skip_special_tokens=True) + "\n"

    def test_a_batch_is_refused(self):
        with pytest.raises(ValueError, match="TextStreamer got 2 rows, expected one prompt"):
            generate(FakeModel(), [[2], [3]], streamer=TextStreamer(WORDS))
