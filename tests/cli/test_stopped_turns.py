"""``pyxglm generate -i``: a turn that a stop string ends, and one that cannot be had."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMTokenizer, tiny
from pyxglm.cli.interactive import decoded_text, ids_of_beginning

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
