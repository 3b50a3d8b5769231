"""The streamed text is the decoded text, with XGLM's own tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import XGLMTokenizer
from pyxglm.generation import IncrementalDecoder, text_pieces
from pyxglm.generation.streaming import StreamReplacer
from pyxglm.typography import CLEANUPS


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    tokenizer = XGLMTokenizer.from_pretrained(checkpoint)
    tokenizer.add_tokens(["<new>", "moon!"])
    return tokenizer


@settings(deadline=None, max_examples=250)
@given(
    st.lists(st.one_of(st.integers(0, 89), st.sampled_from([2, 3, 88, 89])), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_pieces_concatenate_to_the_decoding_of_the_whole(tokenizer, ids, skip, clean):
    options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
    assert "".join(text_pieces(tokenizer, ids, **options)) == tokenizer.decode(ids, **options)
    decoder = IncrementalDecoder(tokenizer, **options)
    halves = decoder.push(ids[: len(ids) // 2]) + decoder.push(ids[len(ids) // 2 :])
    assert halves + decoder.finish() == tokenizer.decode(ids, **options)


@settings(deadline=None, max_examples=250)
@given(st.text(" 'nt.s?!,vema", max_size=12))
def test_the_cleaning_is_the_tokenizer_s(text):
    cleaned = text
    for pair in CLEANUPS:
        replacer = StreamReplacer(*pair)
        cleaned = "".join(map(replacer.push, cleaned)) + replacer.finish()
    assert cleaned == XGLMTokenizer.clean_up_tokenization(text)
