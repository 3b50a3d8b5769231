"""``pyxglm generate``: strategies by flag, many prompts, and turns; compared with the library."""

from __future__ import annotations

import io
import json
import re

import pytest

from pyxglm import XGLMForCausalLM, XGLMTokenizer
from pyxglm.cli.arguments import Parser
from pyxglm.cli.generation_options import (
    GROUPS,
    add_generation_options,
    settings_of_words,
    wanted_settings,
)
from pyxglm.generation import GenerationConfig, generate
from pyxglm.generation.settings import SETTINGS

PROMPT = "la capitale du Japon"
PROMPTS = [PROMPT, "the cat", "one two three four five six", "東京は"]


@pytest.fixture(scope="module")
def opened(endless):
    return XGLMForCausalLM.from_pretrained(endless), XGLMTokenizer.from_pretrained(endless)


def texts_of(opened, prompt, count=8, **settings):
    """What the library adds to a prompt: a list of (ids, text)."""
    model, tokenizer = opened
    prompt_ids = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    before = tokenizer.decode(prompt_ids, **options)
    rows = generate(model, prompt_ids, max_new_tokens=count, **settings).tolist()
    return [(row[len(prompt_ids) :], tokenizer.decode(row, **options).removeprefix(before))
            for row in rows]  # fmt: skip


def test_a_shortlist_does_not_show(pyxglm, endless, monkeypatch):
    made = []
    make = XGLMForCausalLM.make_shortlist
    monkeypatch.setattr(
        XGLMForCausalLM, "make_shortlist", lambda model: made.append(model) or make(model)
    )
    found = [pyxglm("generate", "-m", endless, "-n", 12, *words, PROMPT)
             for words in ((), ("--shortlist",))]  # fmt: skip
    assert [one.code for one in found] == [0, 0]
    assert found[0].out == found[1].out != ""
    assert len(made) == 1


WORDS = [
    (["--beams", "3"], {"num_beams": 3}),
    (["--num-beams", "3", "--length-penalty", "2", "--early-stopping", "true"],
     {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True}),
    (["--beams", "4", "--num-beam-groups", "2", "--diversity-penalty", "1.5"],
     {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.5}),
    (["--beams", "2", "--num-return", "2"], {"num_beams": 2, "num_return_sequences": 2}),
    (["--beams", "2", "--sample", "--seed", "3"],
     {"num_beams": 2, "do_sample": True, "seed": 3}),
    (["--penalty-alpha", "0.6", "--top-k", "4"], {"penalty_alpha": 0.6, "top_k": 4}),
    (["--num-return", "3", "--min-p", "0.1"],
     {"num_return_sequences": 3, "do_sample": True, "min_p": 0.1}),
    (["--repetition-penalty", "1.5", "--no-repeat-ngram-size", "2"],
     {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2}),
    (["--set", "suppress_tokens=[5,6,7]", "--set", "begin-suppress-tokens=[9]"],
     {"suppress_tokens": [5, 6, 7], "begin_suppress_tokens": [9]}),
    (["--prompt-lookup-num-tokens", "3"], {}),
    (["--typical-p", "0.5", "--temperature", "2"],
     {"do_sample": True, "typical_p": 0.5, "temperature": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "settings"), WORDS, ids=lambda value: str(value)[:40])
def test_strategies_by_flag(pyxglm, endless, opened, words, settings):
    result = pyxglm("generate", "-m", endless, "-n", 8, "--json", *words, PROMPT)
    assert (result.code, result.err) == (0, "")
    told = json.loads(result.out)
    found = told.get("results", [told])
    expected = texts_of(opened, PROMPT, **settings)
    assert [(one["ids"], one["text"]) for one in found] == expected
    plain = pyxglm("generate", "-m", endless, "-n", 8, "--no-stream", *words, PROMPT).out
    assert plain == "".join(f"{PROMPT}{text}\n" for _, text in expected)


def test_every_option_is_a_setting():
    options = [option for _, group in GROUPS for option in group]
    assert {option.setting for option in options} <= set(SETTINGS)
    parser = Parser("generate", "", "")
    add_generation_options(parser)
    own = GenerationConfig()
    parser.set_defaults(newline=None)
    assert wanted_settings(parser.parse_args([]), own) == {"max_new_tokens": 64}
    given = wanted_settings(parser.parse_args(["--max-length", "9", "--top-k", "3"]), own)
    assert given == {"max_length": 9, "max_new_tokens": None, "top_k": 3, "do_sample": True}


def test_words(pyxglm, endless, opened):
    _, text = texts_of(opened, PROMPT, 30)[0]
    stop = text[9:12]
    words = ("generate", "-m", endless, "-n", 30)
    assert pyxglm(*words, "--stop", stop, PROMPT).out == PROMPT + text.partition(stop)[0] + "\n"
    told = json.loads(pyxglm(*words, "--stop", stop, "--json", PROMPT).out)
    assert (told["text"], told["finish_reason"]) == (text.partition(stop)[0], "stop")
    tokenizer = opened[1]
    parser = Parser("generate", "", "")
    add_generation_options(parser)
    given = parser.parse_args(["--bad-words", "the moon", "--bad-words", "москва"])
    bad = [tokenizer.encode(word, add_special_tokens=False) for word in ("the moon", "москва")]
    assert settings_of_words(given, tokenizer) == {"bad_words_ids": bad}
    capital = ("generate", "La capitale du Japon est")
    assert pyxglm(*capital).out == "La capitale du Japon est Tokyo.\n"
    assert "Tokyo" not in pyxglm(*capital, "--bad-words", "Tokyo").out
    moon = tokenizer.encode("moon", add_special_tokens=False)
    expected = texts_of(opened, PROMPT, 8, num_beams=3, force_words_ids=[moon])[0][1]
    forced = ("-n", 8, "--beams", 3, "--force-words", "moon", PROMPT)
    assert pyxglm(*words[:3], *forced).out == f"{PROMPT}{expected}\n"
    assert expected != texts_of(opened, PROMPT, 8, num_beams=3)[0][1]
    negative = tokenizer.encode("the cat")
    expected = texts_of(opened, PROMPT, 8, guidance_scale=3.0, negative_prompt_ids=negative)[0][1]
    guided = ("-n", 8, "--guidance-scale", 3, "--negative-prompt", "the cat", PROMPT)
    assert pyxglm(*words[:3], *guided).out == f"{PROMPT}{expected}\n"


def test_an_assistant_changes_nothing(pyxglm, endless, checkpoint):
    words = ("generate", "-m", endless, "-n", 12)
    plain = pyxglm(*words, PROMPT).out
    assert pyxglm(*words, "--assistant-model", checkpoint, PROMPT).out == plain


def test_how_it_is_computed(pyxglm, endless, checkpoint, monkeypatch):
    opened, threads = [], []

    def spy(name, **keywords):
        opened.append((keywords["compute"], keywords["backend"]))
        return from_pretrained(name, **keywords)

    from_pretrained = XGLMForCausalLM.from_pretrained
    monkeypatch.setattr(XGLMForCausalLM, "from_pretrained", spy)
    monkeypatch.setattr("pyxglm.set_num_threads", threads.append, raising=False)
    words = ("generate", "-m", endless, "-n", 4, "--assistant-model", checkpoint, PROMPT)
    plain = pyxglm(*words).out
    assert pyxglm(*words, "--compute", "float64", "--backend", "numpy", "-t", 1).out == plain
    assert opened == [("float32", None)] * 2 + [("float64", "numpy")] * 2
    assert threads == [1]
    done = pyxglm(*words, "--threads", 0)
    assert done.code == 2
    assert done.err == "pyxglm: -t is 0, expected a whole number from 1 to 1024\n"


class TestManyPrompts:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "prompts.jsonl"
        lines = [json.dumps(PROMPTS[0]), "", json.dumps({"id": 7, "prompt": PROMPTS[1]})]
        lines += [json.dumps(prompt) for prompt in PROMPTS[2:]]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    def test_lines_end_where_those_of_files_do(self, pyxglm, endless, tmp_path):
        """JSON may hold what `str.splitlines` takes for an end."""
        texts = ["a\u2028b", "c\x85d", "e"]
        path = tmp_path / "odd.jsonl"
        lines = "".join(json.dumps(text, ensure_ascii=False) + "\r\n" for text in texts)
        path.write_bytes(lines.encode())
        found = pyxglm("generate", "-m", endless, "-n", 1, "--jsonl", path)
        assert [json.loads(line)["prompt"] for line in found.out.split("\n")[:-1]] == texts

    @pytest.mark.parametrize("words", [["--json", "a"], ["--beams", "2", "a"]])
    def test_a_setting_of_what_is_returned_is_no_matter(self, pyxglm, endless, words):
        found = pyxglm("generate", "-m", endless, "-n", 2, *words)
        others = ("--set", "return_dict_in_generate=true")
        assert pyxglm("generate", "-m", endless, "-n", 2, *others, *words).out == found.out != ""

    @pytest.mark.parametrize("size", [1, 3, 8])
    @pytest.mark.parametrize("drawing", [[], ["--seed", "3", "--repetition-penalty", "1.5"]])
    def test_a_line_each_in_order(self, pyxglm, endless, opened, file, size, drawing):
        words = ("-m", endless, "-n", 6, "--batch-size", size, *drawing)
        lines = pyxglm("generate", "--jsonl", file, *words).out.splitlines()
        found = [json.loads(line) for line in lines]
        assert [one["prompt"] for one in found] == PROMPTS
        assert [one.get("id") for one in found] == [None, 7, None, None]
        for index, one in enumerate(found):
            settings = {"do_sample": True, "seed": 3, "repetition_penalty": 1.5} if drawing else {}
            ids = opened[1].encode(PROMPTS[index])
            rows = generate(opened[0], [ids] * (index + 1), max_new_tokens=6, **settings)
            assert one["ids"] == rows[-1, len(ids) :].tolist()
            assert one["finish_reason"] == "length"

    def test_from_standard_input_one_at_a_time(self, pyxglm, endless, opened, monkeypatch):
        text = "\n".join(map(json.dumps, PROMPTS))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        words = ("-m", endless, "-n", 6, "--prompt-lookup-num-tokens", 2, "--num-return", 1)
        lines = pyxglm("generate", "--jsonl", "-", *words).out.splitlines()
        assert [json.loads(line)["text"] for line in lines] == [
            texts_of(opened, prompt, 6)[0][1] for prompt in PROMPTS
        ]

    def test_several_texts_for_each(self, pyxglm, endless, opened, file):
        words = ("-m", endless, "-n", 5, "--beams", 3, "--num-return", 2)
        lines = pyxglm("generate", "--jsonl", file, *words).out.splitlines()
        for line, prompt in zip(lines, PROMPTS, strict=True):
            expected = texts_of(opened, prompt, 5, num_beams=3, num_return_sequences=2)
            found = json.loads(line)["results"]
            assert [(one["ids"], one["text"]) for one in found] == expected

    def test_examples_before_every_prompt(self, pyxglm, endless, opened, file, tmp_path):
        examples = tmp_path / "examples.txt"
        examples.write_text("one two\nthree four\n\n", encoding="utf-8")
        words = ("-m", endless, "-n", 4, "--few-shot", examples, "--newline", "eos")
        told = json.loads(pyxglm("generate", *words, "--json", "five").out)
        ids = [id_ for line in ("one two", "three four", "five") for id_ in opened[1].encode(line)]
        assert told["prompt_ids"] == ids
        assert told["ids"] == texts_of(opened, ids, 4)[0][0]
        first = json.loads(pyxglm("generate", "--jsonl", file, *words).out.splitlines()[0])
        assert first["prompt"] == f"one two\nthree four\n{PROMPT}"

    @pytest.mark.parametrize("nothing", [b"", b"\n\r\n", b" \n", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("newline", ["space", "eos"])
    def test_no_examples_add_nothing(self, pyxglm, endless, opened, tmp_path, nothing, newline):
        examples = tmp_path / "examples.txt"
        examples.write_bytes(nothing)
        words = ("-m", endless, "-n", 1, "--few-shot", examples, "--newline", newline, "--json")
        told = json.loads(pyxglm("generate", *words, "five").out)
        assert (told["prompt"], told["prompt_ids"]) == ("five", opened[1].encode("five"))


@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--json"], ["--beams", "2"]])
def test_speed_is_told_on_standard_error(pyxglm, endless, way):
    result = pyxglm("generate", "-m", endless, "-n", 5, "-v", *way, PROMPT)
    first = r", the first after \d+\.\d{3} s" if not way else ""
    pattern = rf"pyxglm: 5 tokens in \d+\.\d\d s: \d+\.\d tokens/s{first}\n"
    assert re.fullmatch(pattern, result.err)


class TestTurns:
    @pytest.fixture
    def talk(self, pyxglm, endless, monkeypatch):
        def run(lines, *words):
            text = "".join(f"{line}\n" for line in lines)
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            return pyxglm("generate", "-m", endless, "-n", 5, "-i", *words)

        return run

    def goes_on(self, opened, ids, **settings):
        (new, text) = texts_of(opened, ids, 5, **settings)[0]
        return [*ids, *new], text

    def test_the_text_goes_on(self, talk, opened):
        encode = opened[1].encode
        ids, first = self.goes_on(opened, encode("the cat"))
        ids, second = self.goes_on(opened, [*ids, *encode("the moon", add_special_tokens=False)])
        ids, third = self.goes_on(opened, ids)
        result = talk(["the cat", "the moon", ""])
        assert (result.code, result.err) == (0, "")
        assert result.out == f"{first}\n{second}\n{third}\n"
        assert talk(["the moon", "", "/text"], "the cat").out.splitlines()[-1] == opened[1].decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def test_turns_are_taken_back_and_texts_put_in_their_place(self, talk, opened):
        encode = opened[1].encode
        begun, first = self.goes_on(opened, encode("the cat"))
        _, second = self.goes_on(opened, [*begun, *encode("b", add_special_tokens=False)])
        _, third = self.goes_on(opened, [*begun, *encode("c", add_special_tokens=False)])
        edited = [*encode("the cat"), *encode("sat", add_special_tokens=False)]
        _, fourth = self.goes_on(opened, edited)
        lines = ["b", "/undo", "c", "/undo", "/edit sat", "", "/undo", "/undo", "/undo"]
        result = talk(lines, "the cat")
        assert result.out == f"the cat{first}\n{second}\n{third}\n{fourth}\n"
        assert result.err == "pyxglm: there is no turn to take back\n"

    def test_another_try_is_another_draw(self, talk, opened):
        ids = opened[1].encode("the cat")
        drawn = [self.goes_on(opened, ids, do_sample=True, seed=seed)[1] for seed in (4, 5, 6)]
        result = talk(["/retry", "/retry", "/quit", "x"], "the cat", "--seed", "4")
        assert result.out == "the cat" + "".join(f"{text}\n" for text in drawn)

    def test_lines_of_their_own(self, talk, opened, embedded):
        encode = opened[1].encode
        ids, first = self.goes_on(opened, encode("the cat"))
        _, second = self.goes_on(opened, [*ids, *encode("the moon")])
        assert talk(["the moon"], "the cat", "--newline", "eos").out == (
            f"the cat{first}\n{second}\n"
        )
        # Without a prompt there is one </s> before the first line, not two.
        del embedded[:]
        assert talk(["the cat"], "--newline", "eos").out == f"{first}\n"
        assert embedded[0] == len(encode("the cat"))
        assert talk([], "the cat", "--no-echo").out == f"{first}\n"

    def test_only_what_is_new_is_computed(self, talk, embedded):
        talk(["", "/undo", ""], "the cat")
        assert embedded[5:] == [1] * 10

    def test_what_is_no_command(self, talk):
        result = talk(["/frob", "/help"])
        assert result.err.startswith("pyxglm: there is no /frob: /help shows what there is")
        assert "/undo            take back the last turn\n" in result.out
