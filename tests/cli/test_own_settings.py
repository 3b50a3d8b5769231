"""``pyxglm generate`` heeds what a checkpoint's generation_config.json asks for."""

from __future__ import annotations

import json

import pytest

from pyxglm import XGLMForCausalLM, XGLMTokenizer
from pyxglm.generation import generate

PROMPT = "la capitale du Japon"


def texts(directory, **settings):
    """The ids that the library adds to the prompt, of each text."""
    ids = XGLMTokenizer.from_pretrained(directory).encode(PROMPT)
    rows = generate(XGLMForCausalLM.from_pretrained(directory), [ids], **settings).tolist()
    return [row[len(ids) :] for row in rows]


def told(result):
    """The ids that a result in JSON tells, of each text."""
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    return [one["ids"] for one in found.get("results", [found])]


def test_beams_are_told_at_the_end(pyxglm, with_settings):
    model = with_settings(num_beams=3, repetition_penalty=1.5, eos_token_id=None)
    words = ("generate", "-m", model, "-n", 8)
    expected = texts(model, max_new_tokens=8)
    assert expected != texts(model, max_new_tokens=8, num_beams=1)
    assert told(pyxglm(*words, "--json", PROMPT)) == expected
    plain = pyxglm(*words, PROMPT)
    assert (plain.code, plain.err) == (0, "")
    assert plain.out == pyxglm(*words, "--no-stream", PROMPT).out
    for option in ("--stream", "--interactive"):
        result = pyxglm(*words, option, PROMPT)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"pyxglm: {option} is given with num_beams=3, ")
    assert pyxglm(*words, "--beams", 1, "--stream", PROMPT).code == 0


def test_several_texts_are_all_shown(pyxglm, with_settings):
    model = with_settings(num_return_sequences=2, do_sample=True, eos_token_id=None)
    words = ("generate", "-m", model, "-n", 8)
    expected = texts(model, max_new_tokens=8)
    assert told(pyxglm(*words, "--json", PROMPT)) == expected
    lines = pyxglm(*words, PROMPT).out.splitlines()
    assert len(lines) == 2
    assert len(set(lines)) == 2
    result = pyxglm(*words, "-i", PROMPT)
    assert result.err == (
        "pyxglm: --interactive is given with num_return_sequences=2, expected one of them\n"
    )


def test_turns_do_not_go_on_by_a_contrastive_search(pyxglm, with_settings, monkeypatch):
    model = with_settings(penalty_alpha=0.6, top_k=4, eos_token_id=None)
    monkeypatch.setattr(XGLMForCausalLM, "from_pretrained", None)  # it need not be opened
    result = pyxglm("generate", "-m", model, "-n", 4, "-i")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "pyxglm: --interactive is given with penalty_alpha=0.6, expected one of them\n"
    )


@pytest.mark.parametrize(
    ("own", "words", "settings"),
    [
        # Several texts are the best beams, if there are beams, and not draws.
        ({"num_beams": 3}, ["--num-return", 2], {"num_return_sequences": 2}),
        # The best tokens are candidates of a contrastive search, if that is asked for.
        ({"penalty_alpha": 0.6, "top_k": 4}, ["--top-k", 3], {"top_k": 3}),
        ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0},
         ["--diversity-penalty", 2], {"diversity_penalty": 2.0}),
    ],
)  # fmt: skip
def test_options_mean_what_they_do_beside_them(pyxglm, with_settings, own, words, settings):
    model = with_settings(eos_token_id=None, **own)
    result = pyxglm("generate", "-m", model, "-n", 8, "--json", *words, PROMPT)
    assert told(result) == texts(model, max_new_tokens=8, **settings)


def test_words_are_forced_into_its_beams(pyxglm, with_settings):
    model = with_settings(num_beams=3, eos_token_id=None)
    words = ("generate", "-m", model, "-n", 8, "--force-words", "moon", "--json", PROMPT)
    moon = XGLMTokenizer.from_pretrained(model).encode("moon", add_special_tokens=False)
    assert told(pyxglm(*words)) == texts(model, max_new_tokens=8, force_words_ids=[moon])


def test_a_length_that_is_given_counts(pyxglm, with_settings):
    model = with_settings(max_new_tokens=3, eos_token_id=None)
    given = ("generate", "-m", model, "--json", "--max-length", 25, PROMPT)
    assert told(pyxglm(*given)) == texts(model, max_length=25, max_new_tokens=None)
    by_name = ("generate", "-m", model, "--json", "--set", "max_length=25", PROMPT)
    assert told(pyxglm(*by_name)) == told(pyxglm(*given))


def test_line_breaks(pyxglm, with_settings):
    model = with_settings(newline="eos", eos_token_id=None)
    encode = XGLMTokenizer.from_pretrained(model).encode
    for words, expected in (
        ([], [*encode("a"), *encode("b")]),
        (["--newline", "space"], encode("a b")),
        (["--newline", "eos"], [*encode("a"), *encode("b")]),
    ):
        result = pyxglm("generate", "-m", model, "-n", 1, "--json", *words, "a\nb")
        assert json.loads(result.out)["prompt_ids"] == expected


def test_a_damaged_file_is_named(pyxglm, with_settings):
    model = with_settings()
    (model / "generation_config.json").write_text('{"num_beams": 0}')
    result = pyxglm("generate", "-m", model, "a")
    assert (result.code, result.out) == (2, "")
    path = model / "generation_config.json"
    assert result.err == f"pyxglm: {path}: num_beams is 0, expected 1 or more\n"


def test_null_asks_for_the_default(pyxglm):
    asked = pyxglm("generate", "--set", "num_beams=null", "La capitale du Japon est")
    assert asked == pyxglm("generate", "La capitale du Japon est")
    assert asked.code == 0
