"""The slow tokenizer's offsets: sentencepiece's alignment, in characters of the original text."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from golden.record_fast_tokenizer import results
from golden.tokenizer_texts import TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.tokenization import AddedToken, XGLMTokenizer

ALIGNMENTS = results()["alignments"]
SOME = st.text("ab </s>ﬁ½é\u0301東\u200d👩\n\x00​ ", max_size=40) | st.text(max_size=30)


@pytest.mark.parametrize("model", [*ALIGNMENTS])
def test_the_librarys_own_alignment(model: str, models: Path) -> None:
    """Where no token is cut out, the offsets are those that sentencepiece recorded."""
    tokenizer = XGLMTokenizer(models / f"{model}.model", split_special_tokens=True)
    for text, recorded in zip(TEXTS, ALIGNMENTS[model], strict=True):
        _, offsets = tokenizer.tokenize_with_offsets(text)
        assert [list(span) for span in offsets] == recorded, text


@given(text=SOME)
@settings(max_examples=200, deadline=None)
def test_spans_are_the_text_in_order(shared: XGLMTokenizer, text: str) -> None:
    tokens, offsets = shared.tokenize_with_offsets(text)
    assert tokens == shared.tokenize(text)
    done = 0
    for start, end in offsets:
        assert done <= start <= end <= len(text)
        # What stands for no token is white space, or what the normaliser drops: marks, controls.
        for character in text[done:start]:
            assert character == "▁" or unicodedata.category(character)[0] in "ZCM"
        done = end
    for token, (start, end) in zip(tokens, offsets, strict=True):
        if token in shared.added_tokens_encoder:
            assert text[start:end] == token


@given(words=st.lists(st.sampled_from(["a", "be", "東京", "é", "<sep>", "xyz"]), max_size=9))
@settings(max_examples=80, deadline=None)
def test_a_naive_count(models: Path, words: list[str]) -> None:
    """Without normalisation, pieces and spaces can be counted off."""
    tokenizer = XGLMTokenizer(models / "identity.model")
    text = " ".join(words)
    place, expected = 0, []
    for token in tokenizer.tokenize(text):
        length = len(token) - (token[0] == "▁" and place == 0)  # no space before the first word
        expected.append((place, place + length))
        place += length
    assert tokenizer.tokenize_with_offsets(text)[1] == expected


def test_around_added_tokens(models: Path) -> None:
    tokenizer = XGLMTokenizer(models / "large.model")
    tokenizer.add_tokens(
        [
            AddedToken("<l>", lstrip=True),
            AddedToken("<r>", rstrip=True),
            AddedToken("<lw>", lstrip=True, single_word=True),
        ]
    )
    text = "a  <l>b<r>  c</s>e\t<lw>e"
    tokens, offsets = tokenizer.tokenize_with_offsets(text)
    spans = zip(tokens, offsets, strict=True)
    found = [(token, text[start:end], start) for token, (start, end) in spans]
    assert found[:2] == [("▁a", "a", 0), ("<l>", "<l>", 3)]
    assert ("<r>", "<r>", 7) in found
    assert ("▁c", "c", 12) in found
    assert ("</s>", "</s>", 13) in found
    # The tab is gone between "e" and the token that was none: what follows keeps its place.
    assert found[-6:] == [
        ("▁e", "e", 17),
        ("<", "<", 19),
        ("l", "l", 20),
        ("w", "w", 21),
        (">", ">", 22),
        ("▁e", "e", 23),  # a stretch of its own
    ]


def test_a_character_that_becomes_several_pieces(shared: XGLMTokenizer) -> None:
    tokens, offsets = shared.tokenize_with_offsets("a½")
    assert tokens == ["▁a", "1", "⁄", "2"]
    assert offsets == [(0, 1), (1, 1), (1, 1), (1, 2)]


def test_options_of_the_library(models: Path) -> None:
    """The alignment knows neither added control tokens nor another order: we count them in."""
    path = models / "large.model"
    plain = XGLMTokenizer(path).tokenize_with_offsets("The ☃")
    assert plain == (["▁Th", "e", "▁", "☃"], [(0, 2), (2, 3), (3, 4), (4, 5)])
    for options, tokens, offsets in (
        ({"add_bos": True}, ["<s>", *plain[0]], [(0, 0), *plain[1]]),
        ({"add_eos": True}, [*plain[0], "</s>"], [*plain[1], (5, 5)]),
        ({"reverse": True}, plain[0][::-1], plain[1][::-1]),
        ({"emit_unk_piece": True}, ["▁Th", "e", "▁", "<unk>"], plain[1]),
    ):
        tokenizer = XGLMTokenizer(path, sp_model_kwargs=options)
        assert tokenizer.tokenize_with_offsets("The ☃") == (tokens, offsets)
        assert tokenizer.tokenize("The ☃") == tokens
    sampling = {"enable_sampling": True, "nbest_size": -1, "alpha": 0.01}
    sampled = XGLMTokenizer(path, sp_model_kwargs=sampling)
    drawn = set()
    for _ in range(20):
        tokens, offsets = sampled.tokenize_with_offsets("The capital")
        drawn.add(tuple(tokens))
        assert [token.strip("▁") for token in tokens] == [
            "The capital"[start:end].strip() for start, end in offsets
        ]
    assert len(drawn) > 5


@pytest.mark.parametrize("side", ["right", "left"])
def test_in_encodings(models: Path, side: str) -> None:
    tokenizer = XGLMTokenizer(models / "large.model", padding_side=side, truncation_side=side)
    text, pair = "The dog runs", "over ﬁelds</s>"
    whole, spans = tokenizer.tokenize_with_offsets(text)
    _, pair_spans = tokenizer.tokenize_with_offsets(pair)
    encoding = tokenizer(text, pair, return_offsets_mapping=True, return_tensors="np")
    expected = [(0, 0), *spans, (0, 0), (0, 0), *pair_spans]
    assert encoding.offset_mapping.tolist() == [[list(span) for span in expected]]
    assert tokenizer(text).get("offset_mapping") is None
    bare = tokenizer(text, pair, add_special_tokens=False, return_offsets_mapping=True)
    assert bare.offset_mapping == [*spans, *pair_spans]

    cut = tokenizer(text, max_length=4, truncation=True, return_offsets_mapping=True)
    assert cut.offset_mapping == [(0, 0), *(spans[:3] if side == "right" else spans[-3:])]
    options = {"max_length": 12, "truncation": "only_second", "return_offsets_mapping": True}
    cut = tokenizer(text, pair, **options)
    left = 12 - 3 - len(spans)
    assert 0 < left < len(pair_spans)
    kept = pair_spans[:left] if side == "right" else pair_spans[-left:]
    assert cut.offset_mapping == [(0, 0), *spans, (0, 0), (0, 0), *kept]

    batch = tokenizer(["a", text], padding=True, return_offsets_mapping=True)
    short, padding = [(0, 0), (0, 1)], [(0, 0)] * (len(whole) - 1)
    assert batch.offset_mapping[0] == (short + padding if side == "right" else padding + short)
    words = tokenizer(
        ["The", "dog"], is_split_into_words=True, return_offsets_mapping=True
    ).offset_mapping
    assert words == [
        (0, 0),
        *tokenizer.tokenize_with_offsets("The")[1],
        *tokenizer.tokenize_with_offsets("dog")[1],
    ]
