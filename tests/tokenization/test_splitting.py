"""The splitter against what it says of itself."""

from __future__ import annotations

import re

from counting import lines_run
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.tokenization.splitting import Splitter


def split(strings: list[str], text: str) -> list[str]:
    splitter = Splitter()
    for string in strings:
        splitter.add(string)
    return splitter.split(text)


@given(
    st.lists(st.text("abc", max_size=3).map("<{}>".format), min_size=1, max_size=4),
    st.text("<abc>", max_size=30),
)
@settings(max_examples=150, deadline=None)
def test_strings_that_cannot_overlap(strings: list[str], text: str) -> None:
    """If only one match can be under way, it is the leftmost longest match of a regex."""
    pattern = "|".join(re.escape(s) for s in sorted(strings, key=len, reverse=True))
    expected = [part for part in re.split(f"({pattern})", text) if part]
    assert split(strings, text) == expected


@given(st.lists(st.text("ab", max_size=5), max_size=5), st.text("ab?", max_size=20))
@settings(max_examples=150, deadline=None)
def test_parts_are_the_text(strings: list[str], text: str) -> None:
    parts = split(strings, text)
    assert "".join(parts) == text
    assert all(parts)
    if not any(string and string in text for string in strings):
        assert parts == ([text] if text else [])


def test_second_chance() -> None:
    """The corner that the module describes: a failed candidate skips one character."""
    assert split(["abcd", "b"], "ab?cd") == ["ab?cd"]
    assert split(["abcd", "b"], "ab?ce") == ["a", "b", "?ce"]


def test_longest_wins_then_leftmost() -> None:
    assert split(["ab", "abcd"], "abcx abcd") == ["ab", "cx ", "abcd"]
    assert split(["abc", "bcde"], "abcde") == ["abc", "de"]


def test_time_is_linear() -> None:
    strings = ["<" + "a" * n + ">" for n in range(30)]
    text = "<aaa><a text<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 50
    made = lines_run(split, strings, "")
    once, four_times = (lines_run(split, strings, text * n) - made for n in (1, 4))
    assert once > len(text)
    assert four_times <= 4 * once + 100
