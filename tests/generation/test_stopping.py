"""What ends a row: ids, lengths, the time, strings across tokens, and functions."""

from __future__ import annotations

import threading
from queue import Empty

import numpy as np
import pytest
from fakes import BytesTokenizer, FakeModel, FakeTokenizer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyxglm.generation import (
    GenerationConfig,
    TextIteratorStreamer,
    TextStreamer,
    generate,
    row_pieces,
    stream,
    text_pieces,
)
from pyxglm.generation.stopping import Stopping, text_after
from pyxglm.generation.streaming import StreamStopper

PIECES = ["</s>", "▁a", "b", "ab", "▁", "c", "▁b", "a", ".", "\n", "▁ab", "▁c"]
TOKENIZER = FakeTokenizer(PIECES, specials=("</s>",), added=("</s>",))
NEVER = {"eos_token_id": None}

ids_lists = st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=20)
stop_lists = st.lists(st.text("ab c.", min_size=1, max_size=4), min_size=1, max_size=3)


def generated_text(prompt, ids):
    """The text of ids behind a prompt, from the decoding of the whole."""
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    return TOKENIZER.decode([*prompt, *ids], **options)[len(TOKENIZER.decode(prompt, **options)) :]


@settings(deadline=None, max_examples=150)
@given(ids_lists, stop_lists)
def test_a_row_ends_with_the_token_that_completes_a_string(ids, stops):
    prompt = [3, 5]
    stopping = Stopping(GenerationConfig(stop_strings=stops, **NEVER), 2, TOKENIZER)
    for count in range(1, len(ids) + 1):
        ids_BS = np.array([[*prompt, *ids[:count]]] * 2)
        text = generated_text(prompt, ids[:count])
        expected = any(stop in text for stop in stops)
        assert stopping(ids_BS).tolist() == [expected] * 2
        if expected:
            return


def test_only_generated_text_counts():
    stopping = Stopping(GenerationConfig(stop_strings="abc", **NEVER), 3, TOKENIZER)
    assert not stopping(np.array([[3, 5, 3, 5]])).any()  # "ab" of the prompt, then "c"
    assert stopping(np.array([[3, 5, 3, 3, 5]])).all()


def test_the_text_after_a_place_has_its_spaces():
    assert text_after(TOKENIZER, np.array([3, 6]), 1) == " b"
    assert text_after(TOKENIZER, np.array([4, 6]), 1) == "b"  # nothing to put a space after
    assert text_after(TOKENIZER, np.array([0, 2]), 1) == " b"
    assert text_after(BytesTokenizer(), np.array([97, *"é".encode()]), 1) == "é"


@settings(deadline=None, max_examples=150)
@given(ids_lists, stop_lists)
@example([0, 5, 0], ["c", " c "])  # the longer one begins earlier, and would be complete later
def test_what_is_streamed_is_the_text_before_the_string(ids, stops):
    options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    pieces = list(text_pieces(TOKENIZER, ids, prompt_ids=[3], stop_strings=stops, **options))
    # The token that completes a string is the last one that counts.
    for count in range(1, len(ids) + 1):
        text = generated_text([3], ids[:count])
        places = [text.find(stop) for stop in stops if stop in text]
        if places:
            break
    assert "".join(pieces) == text[: min(places, default=len(text))]


def test_the_first_of_several_strings_counts():
    for stops in (["b", "a"], ["a", "b"], ["ab", "b"]):
        stopper = StreamStopper(stops)
        assert [stopper.push("xyabz"), stopper.push("a"), stopper.finish()] == ["xy", "", ""]


class Letters(BytesTokenizer):
    """Every id is a letter."""

    def decode(self, ids, skip_special_tokens=False, clean_up_tokenization_spaces=None):
        return "".join(chr(97 + id_) for id_ in ids)


def free(steps=30, prompts=([5, 6],), **options):
    ids = generate(FakeModel(), list(prompts), max_new_tokens=steps, **NEVER, **options)
    return ids[:, max(map(len, prompts)) :]


class TestGenerate:
    def test_rows_end_where_their_string_is_complete(self):
        prompts = [[5, 6], [7, 7, 8], [3]]
        rows = free(prompts=prompts)
        texts = [Letters().decode(row) for row in rows]
        stops = [texts[0][7:10], texts[1][3:5]]
        ids = generate(FakeModel(), prompts, stop_strings=stops, tokenizer=Letters(),
                       max_new_tokens=30, **NEVER)  # fmt: skip
        for row, text, found in zip(rows, texts, ids[:, 3:].tolist(), strict=True):
            end = min([text.find(stop) + len(stop) for stop in stops if stop in text], default=30)
            assert found[:end] == row[:end].tolist()
            assert set(found[end:]) <= {1}

    def test_strings_need_a_tokenizer(self):
        with pytest.raises(ValueError, match="^stop_strings are given without a tokenizer, expec"):
            generate(FakeModel(), [5], stop_strings="a")

    def test_users_functions_end_all_rows_or_some(self):
        prompts = [[5, 6], [7, 8]]
        seen = []

        def after_six(ids, scores):
            seen.append((ids.shape, scores))
            return ids.shape[1] == 6

        ids = generate(FakeModel(), prompts, stopping_criteria=[after_six], **NEVER)
        assert ids.shape == (2, 6)
        assert seen == [((2, n), None) for n in (3, 4, 5, 6)]

        def first_after_four(ids, scores):
            return np.array([ids.shape[1] >= 4, False])

        ids = generate(FakeModel(), prompts, stopping_criteria=[first_after_four],
                       max_new_tokens=5, **NEVER)  # fmt: skip
        assert ids[0, 4:].tolist() == [1, 1, 1]
        assert ids[1].tolist() == [7, 8, *free(5, prompts)[1]]

    def test_scores_so_far_are_shown_if_they_are_kept(self):
        counts = []
        generate(FakeModel(), [5], max_new_tokens=3, output_scores=True, **NEVER,
                 return_dict_in_generate=True,
                 stopping_criteria=[lambda ids, scores: counts.append(len(scores))])  # fmt: skip
        assert counts == [1, 2, 3]

    def test_the_time_is_looked_at_after_each_token(self, monkeypatch):
        now = iter([100.0, *np.arange(100.1, 200, 0.3)])
        monkeypatch.setattr("pyxglm.generation.stopping.time.monotonic", lambda: next(now))
        ids = generate(FakeModel(), [5], max_time=1.0, max_new_tokens=30, **NEVER)
        assert ids.shape == (1, 1 + 5)  # at 100.1, 100.4, 100.7, 101.0, and over at 101.3

    def test_every_eos_id_ends_a_row(self):
        row = free()[0].tolist()
        ends = [row[9], row[4]]
        ids = generate(FakeModel(), [5, 6], max_new_tokens=30, eos_token_id=ends)
        assert ids[0, 2:].tolist() == row[: min(row.index(end) for end in ends) + 1]


class TestStreaming:
    def test_the_string_is_not_written(self):
        text = Letters().decode(free()[0])
        stop = text[7:10]
        cut = text[: text.find(stop)]
        asked = {"stop_strings": [stop], "tokenizer": Letters(), "max_new_tokens": 30, **NEVER}
        steps = stream(FakeModel(), [5, 6], **asked)
        assert "".join(text_pieces(Letters(), steps, stop_strings=stop)) == cut
        written = []
        streamer = TextStreamer(Letters(), True, written.append, stop_strings=stop)
        generate(FakeModel(), [5, 6], streamer=streamer, **asked)
        assert "".join(written) == cut + "\n"

    def test_several_rows(self):
        prompts = [[5, 6], [7, 8]]
        rows = free(12, prompts)
        found = ["", ""]
        stop = Letters().decode(rows[0][5:8])
        steps = stream(FakeModel(), prompts, max_new_tokens=12, **NEVER)
        for row, piece in row_pieces(Letters(), steps, prompt_ids=prompts, stop_strings=stop):
            assert piece
            found[row] += piece
        texts = [Letters().decode(row) for row in rows]
        assert found == [text.partition(stop)[0] for text in texts]
        assert list(row_pieces(TOKENIZER, [[1, 4], [2, 6]])) == [(0, "a"), (0, "b"), (1, "b")]
        with pytest.raises(ValueError, match=r"^a step has ids of shape \(2,\), expected one for"):
            list(row_pieces(Letters(), [[5, 6]], prompt_ids=[[5]]))

    def test_iterating_in_another_thread(self):
        streamer = TextIteratorStreamer(Letters(), skip_prompt=True, timeout=10)
        options = {"streamer": streamer, "max_new_tokens": 12, **NEVER}
        thread = threading.Thread(target=generate, args=(FakeModel(), [5, 6]), kwargs=options)
        thread.start()
        text = "".join(streamer)
        thread.join()
        assert text == Letters().decode(free(12)[0])
        with pytest.raises(Empty):
            next(TextIteratorStreamer(Letters(), timeout=0.01))
        with pytest.raises(ValueError, match="^TextIteratorStreamer got 2 rows, expected one"):
            streamer.put(np.array([[5], [6]]))
