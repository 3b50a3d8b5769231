"""On the bundled model, with its tokenizer: what is streamed is the whole."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import KVCache, XGLMForCausalLM, XGLMTokenizer
from pyxglm.generation import TextStreamer, generate, row_pieces, stream, text_pieces
from pyxglm.tiny import PATH


@functools.cache
def opened():
    return XGLMForCausalLM.from_pretrained(PATH), XGLMTokenizer.from_pretrained(PATH)


TEXTS = ["la capitale du Japon est", "chat = cat\nmaison = house\nchien =", "2 + 2 =", "Όχι, "]


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.sampled_from(["space", "eos"]),
    st.fixed_dictionaries(
        {"max_new_tokens": st.integers(1, 12)},
        optional={
            "do_sample": st.just(True),
            "seed": st.integers(0, 5),
            "repetition_penalty": st.just(1.3),
            "min_new_tokens": st.just(1),
        },
    ),
    st.booleans(),
)
def test_streaming_is_the_whole(texts, newline, asked, clean):
    model, tokenizer = opened()
    asked = {**asked, "newline": newline, "tokenizer": tokenizer}
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": clean}
    whole = generate(model, texts, **asked)
    width = whole.shape[1] - len(list(stream(model, texts, **asked)))
    pieces = [""] * len(texts)
    prompts = whole[:, :width].tolist()
    for row, piece in row_pieces(tokenizer, stream(model, texts, **asked), prompt_ids=prompts,
                                 **options):  # fmt: skip
        pieces[row] += piece
    for row, ids in enumerate(whole.tolist()):
        text = tokenizer.decode(ids, **options)
        assert text.endswith(pieces[row])
        # What is not yielded is what was certain of the prompt.
        before = tokenizer.decode(prompts[row], **options)
        assert before.startswith(text[: len(text) - len(pieces[row])])


def test_examples_on_lines_of_their_own(capsys):
    model, tokenizer = opened()
    text = "chat = cat\nmaison = house\nchien ="
    asked = {"tokenizer": tokenizer, "max_new_tokens": 8}
    ids = generate(model, text, newline="eos", **asked)[0].tolist()
    encoded = [id_ for line in text.split("\n") for id_ in tokenizer.encode(line)]
    assert ids[: len(encoded)] == encoded
    assert tokenizer.decode(ids, skip_special_tokens=True).endswith("chien = dog")
    generate(model, text, streamer=TextStreamer(tokenizer, skip_prompt=True,
             skip_special_tokens=True), newline="eos", **asked)  # fmt: skip
    assert capsys.readouterr().out == "dog\n"


@pytest.mark.parametrize("stop", ["yo", "T", "ky"])
def test_a_string_within_a_word(stop):
    model, tokenizer = opened()
    asked = {"tokenizer": tokenizer, "max_new_tokens": 12}
    plain = tokenizer.decode(generate(model, TEXTS[0], **asked)[0], skip_special_tokens=True)
    assert plain.endswith("est Tokyo.")
    steps = stream(model, TEXTS[0], stop_strings=stop, **asked)
    prompt = tokenizer.encode(TEXTS[0])
    found = "".join(text_pieces(tokenizer, steps, prompt_ids=prompt, stop_strings=stop))
    assert found == " Tokyo.".partition(stop)[0]


def test_a_draft_of_the_same_model_and_a_remembered_prompt():
    model, tokenizer = opened()
    prompt = tokenizer.encode(TEXTS[0])
    plain = generate(model, prompt, max_new_tokens=20, eos_token_id=None)
    cache = KVCache(model.config.num_layers)
    for proposing in ({"assistant_model": model}, {"prompt_lookup_num_tokens": 5}, {}):
        found = generate(model, prompt, max_new_tokens=20, eos_token_id=None,
                         past_key_values=cache, **proposing)  # fmt: skip
        assert found.tolist() == plain.tolist()
