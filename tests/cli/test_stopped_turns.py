"""``pyxglm generate -i``: a turn that a stop string ends, and one that cannot be had."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMTokenizer, generation, tiny
from pyxglm.cli.interactive import decoded_text, ids_of_beginning
from pyxglm.generation import stream

PROMPT = "La capitale du Japon est"  # the bundled model goes on with: Tokyo.


@pytest.fixture(scope="module")
def tokenizer():
    return XGLMTokenizer.from_pretrained(tiny.PATH)


@pytest.fixture
def talk(pyxglm, monkeypatch):
    """Say some lines to a model."""

    def run(lines, *words):
        text = "".join(f"{line}\n" for line in lines)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return pyxglm("generate", "-i", *words)

    return run


class TestStopString:
    @pytest.mark.parametrize(
        ("stop", "shown"),
        [("Tok", PROMPT), ("Tokyo.", PROMPT), ("yo", f"{PROMPT} Tok"), (".", f"{PROMPT} Tokyo")],
    )
    def test_what_is_shown_is_what_there_is(self, talk, stop, shown):
        result = talk(["/text", "/undo", "/text"], "--stop", stop, PROMPT)
        assert (result.code, result.err) == (0, "")
        assert result.out == f"{shown}\n{shown}\n{PROMPT}\n"

    def test_the_text_goes_on_where_it_was_cut(self, talk, pyxglm, tokenizer, embedded):
        """As if it had been given so; of the cut word alone something is computed anew."""
        words = ("--stop", "yo", "-n", 4)
        plain = pyxglm("generate", *words, f"{PROMPT} Tok").out
        del embedded[:]
        first, second, text = talk(["", "/text"], *words, PROMPT).out.splitlines()
        assert f"{first}{second}\n" == f"{text}\n" == plain
        assert second
        given = len(tokenizer.encode(PROMPT))
        assert [count for count in embedded if count > 1] == [
            given, len(tokenizer.encode(f"{PROMPT} Tok")) - given,
        ]  # fmt: skip

    @pytest.mark.parametrize("prompt", ["the cat", "東京", ""])
    def test_wherever_it_comes(self, talk, endless, prompt):
        words = ("-m", endless, "-n", 12, *filter(None, [prompt]))
        lines = ["/text"] if prompt else ["", "/text"]
        whole = talk(lines, *words).out.splitlines()[-1]
        for begin in range(len(prompt), len(whole)):
            stop = whole[begin : begin + 2]
            shown, text = talk(lines, *words, "--stop", stop).out.splitlines()
            assert shown == text
            assert shown == (prompt + whole[len(prompt) :].partition(stop)[0]).rstrip(" ")

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.integers(4, 4000), max_size=8), st.data())
    def test_any_beginning_of_a_text_has_ids(self, tokenizer, ids, data):
        ids = [tokenizer.bos_token_id, *ids]
        text = decoded_text(tokenizer, ids)
        cut = text[: data.draw(st.integers(0, len(text)))].rstrip(" ")
        assert decoded_text(tokenizer, ids_of_beginning(tokenizer, ids, cut)) == cut


class TestFailure:
    """The text before a turn is still good: one line says why, and the next one is expected."""

    def test_a_text_that_is_too_long(self, talk, tokenizer):
        length = len(tokenizer.encode(f"{PROMPT} Tokyo."))
        lines = ["", "one two three", "/text", "/retry", "/undo", "/text", "/undo"]
        result = talk(lines, "--max-length", length, PROMPT)
        whole = f"{PROMPT} Tokyo.\n"
        assert (result.code, result.out) == (0, f"{whole}{whole} Tokyo.\n{PROMPT}\n")
        *failed, undone = result.err.splitlines()
        given = (length, length + len(tokenizer.encode("one two three")) - 1)
        assert [line.partition(":")[2].partition(":")[0] for line in failed] == [
            f" max_length is {length} and counts the prompt, which has {count} tokens"
            for count in given
        ]
        assert undone == "pyxglm: there is no turn to take back"

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (ValueError("the scores of row 0 are broken"), "the scores of row 0 are broken"),
            (MemoryError("8 GB"), "not enough memory: 8 GB"),
        ],
    )
    @pytest.mark.parametrize("line", ["the moon", "/retry"])
    def test_one_half_way(self, talk, endless, monkeypatch, error, told, line):
        words = ("-m", endless, "-n", 5, "the cat")
        first, _, second = talk(["/text", ""], *words).out.splitlines()
        calls = []

        def spied(*given, **options):
            calls.append(given)
            steps = stream(*given, **options)
            return failing(steps) if len(calls) == 2 else steps

        def failing(steps):
            yield next(steps)
            raise error

        monkeypatch.setattr(generation, "stream", spied)
        result = talk([line, "/text", ""], *words)
        assert (result.code, result.err) == (0, f"pyxglm: {told}\n")
        shown, _half, text, more = result.out.splitlines()
        assert (shown, text, more) == (first, first, second)

    def test_a_prompt_that_cannot_be_continued_is_bad_usage(self, talk):
        result = talk(["/text"], "--max-length", 3, PROMPT)
        assert result.code == 2
        assert result.err.startswith("pyxglm: max_length is 3 and counts the prompt, which has ")
        assert result.err.count("\n") == 1
