"""``pyxglm generate --jsonl``: each line as soon as it is known, whole, in order, and true."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import read_some

from pyxglm import XGLMForCausalLM, XGLMTokenizer, generation
from pyxglm.cli.call import AHEAD, in_order
from pyxglm.generation import generate

PROMPTS = ["la capitale du Japon", "the cat", "one two three four five six", "東京は", "a"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(f"{json.dumps(prompt)}\n" for prompt in PROMPTS), encoding="utf-8")
    return path


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(1, 3))
def test_batches_hold_every_prompt_once_and_the_first_that_is_left(lengths, size):
    left = list(range(len(lengths)))
    for batch in in_order(lengths, size):
        ahead = left[: AHEAD * size]
        assert len(batch) == min(size, len(left))
        assert left[0] in batch
        assert set(batch) <= set(ahead)
        first = lengths[left[0]]
        others = [abs(lengths[number] - first) for number in ahead if number not in batch]
        assert all(abs(lengths[n] - first) <= min(others, default=9) for n in batch)
        left = [number for number in left if number not in batch]
    assert left == []


def test_a_batch_holds_one_prompt_at_least(pyxglm, file):
    result = pyxglm("generate", "--jsonl", file, "--batch-size", 0)
    assert (result.code, result.out) == (2, "")
    assert result.err == "pyxglm: batch_size is 0, expected 1 or more\n"


class TestAsSoonAsTheyAreKnown:
    @pytest.fixture
    def interrupted(self, monkeypatch):
        """Interrupt the run before a batch; keep which prompts were begun."""
        begun = []

        def run(*given, before, **options):
            if len(begun) == before:
                raise KeyboardInterrupt
            begun.append(options["numbers"])
            return generate(*given, **options)

        def interrupt(before):
            monkeypatch.setattr(
                generation, "generate",
                lambda *given, **options: run(*given, before=before, **options),
            )  # fmt: skip
            return begun

        return interrupt

    @pytest.mark.parametrize("words", [["--batch-size", "1"], ["--prompt-lookup-num-tokens", "2"]])
    def test_an_interrupted_run_keeps_what_is_done(self, pyxglm, endless, file, interrupted, words):
        words = ("generate", "-m", endless, "-n", 4, "--jsonl", file, *words)
        all_lines = pyxglm(*words).out.splitlines(keepends=True)
        begun = interrupted(before=3)
        result = pyxglm(*words)
        assert begun == [[0], [1], [2]]
        assert (result.code, result.err) == (130, "")
        assert result.out.splitlines(keepends=True) == all_lines[:3]

    def test_lines_wait_for_those_before_them(self, pyxglm, endless, file, interrupted):
        words = ("generate", "-m", endless, "-n", 4, "--jsonl", file, "--batch-size", 2)
        all_lines = pyxglm(*words).out.splitlines(keepends=True)
        # In length: 0 and 2 are the longest; 1 and 3 or 4 follow.
        begun = interrupted(before=1)
        result = pyxglm(*words)
        assert begun[0][0] == 0
        (other,) = begun[0][1:]
        assert other != 1
        assert result.out == all_lines[0]

    def test_half_a_line_is_not_written(self, started, endless, tmp_path):
        """A pipe that is full may break a line off in its middle, were an interrupt let in."""
        path = tmp_path / "prompts.jsonl"
        line = json.dumps({"prompt": "the cat", "note": "x" * 1_000_000})
        path.write_text(f"{line}\n{line}\n")
        process = started("generate", "-m", str(endless), "-n", "1", "--jsonl", str(path))
        begun = read_some(process, 1)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (130, b"")
        whole = (begun + rest).split(b"\n")
        assert whole.pop() == b""
        assert [json.loads(one)["note"] for one in whole] == ["x" * 1_000_000]

    def test_a_full_disk(self, process, endless, file):
        words = ("generate", "-m", str(endless), "-n", "4", "--jsonl", str(file))
        result = process(*words, "-v", "--batch-size", "1", redirect=">/dev/full")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == "pyxglm: standard output: No space left on device\n"

    def test_a_reader_that_goes_away(self, started, endless, tmp_path):
        path = tmp_path / "many.jsonl"
        path.write_text('"the cat"\n' * 500)
        words = ("generate", "-m", str(endless), "-n", "20", "--jsonl", str(path))
        process = started(*words, "--batch-size", "1")
        assert json.loads(process.stdout.readline())["prompt"] == "the cat"
        assert process.poll() is None
        process.stdout.close()
        process.stdout = None
        assert process.wait(timeout=30) == 141
        assert process.stderr.read() == b""

    def test_what_fails_half_way_fails_at_once(self, pyxglm, endless, file):
        words = ("generate", "-m", endless, "--jsonl", file, "--batch-size", 1)
        width = len(XGLMTokenizer.from_pretrained(endless).encode(PROMPTS[2]))
        result = pyxglm(*words, "--max-length", width)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"pyxglm: max_length is {width} and counts the prompt, which")
        assert result.err.count("\n") == 1

    def test_progress_is_told_of_tenths(self, pyxglm, endless, file):
        found = pyxglm("generate", "-m", endless, "-n", 2, "-v", "--jsonl", file)
        *parts, speed = found.err.splitlines()
        assert parts == [f"pyxglm: {20 * n} % done, {n} of 5 prompts" for n in range(1, 6)]
        assert speed.startswith("pyxglm: 10 tokens in ")


class TestWhyATextEnded:
    def told(self, pyxglm, model, *words):
        result = pyxglm("generate", "-m", model, *words)
        assert result.code == 0
        return [json.loads(line) for line in result.out.splitlines()]

    def test_time(self, pyxglm, endless):
        words = ("--stop", "no such text", "--max-time", "1e-9", "--json", "-n", 9, "the cat")
        (found,) = self.told(pyxglm, endless, *words)
        assert (len(found["ids"]), found["finish_reason"]) == (1, "length")

    def test_time_ends_beams(self, pyxglm, checkpoint):
        """They are followed by an end token, which nobody chose."""
        words = ("--beams", 3, "--num-return", 3, "--max-time", "1e-9", "--json", "-n", 9, "a")
        (found,) = self.told(pyxglm, checkpoint, *words)
        ends = [(len(one["ids"]), one["finish_reason"]) for one in found["results"]]
        assert ends == [(1, "length")] * 3
        assert all(one["ids"] != [2] for one in found["results"])

    @pytest.mark.parametrize("time", [[], ["--max-time", "1000"]])
    def test_an_end_token_of_a_beam_is_one(self, pyxglm, with_settings, time):
        model = with_settings(eos_token_id=list(range(84)))
        (found,) = self.told(pyxglm, model, "--beams", 2, "--json", *time, "-n", 9, "a")
        assert (found["ids"][-1], found["finish_reason"]) == (0, "stop")  # the first stands for all

    def test_nothing_follows_a_beam(self, pyxglm, endless, monkeypatch):
        """A row is filled up then; what fills it up is not of the text."""

        def generated(_model, prompts, **_options):
            return np.array([[*prompts[0], 5, 6, 1, 1], [*prompts[0], 5, 6, 7, 8]])

        monkeypatch.setattr(generation, "generate", generated)
        words = ("--beams", 2, "--num-return", 2, "--json", "-n", 9, "a")
        (found,) = self.told(pyxglm, endless, *words)
        assert [one["ids"] for one in found["results"]] == [[5, 6], [5, 6, 7, 8]]

    @pytest.mark.parametrize(("more", "reason"), [(0, "stop"), (-1, "length")])
    def test_a_stop_string_that_comes_last(self, pyxglm, endless, more, reason):
        (plain,) = self.told(pyxglm, endless, "-n", 20, "--json", "the cat")
        stop = plain["text"][9:12]
        (found,) = self.told(pyxglm, endless, "-n", 20, "--json", "--stop", stop, "the cat")
        count = len(found["ids"])
        assert count < 20
        words = ("-n", count + more, "--stop", stop, "--json", "the cat")
        (found,) = self.told(pyxglm, endless, *words)
        assert found["ids"] == plain["ids"][: count + more]
        assert found["finish_reason"] == reason

    def test_an_end_token_that_comes_last(self, pyxglm, abrupt):
        (found,) = self.told(pyxglm, abrupt, "-n", 1, "--json", "the cat")
        assert (len(found["ids"]), found["finish_reason"]) == (1, "stop")

    @pytest.mark.parametrize("own", [{}, {"pad_token_id": None}, {"pad_token_id": 40}])
    @pytest.mark.parametrize("limit", [["--max-length", "26"], ["--stop", "e", "-n", "9"]])
    def test_what_fills_up_a_batch_is_no_end(self, pyxglm, with_settings, file, own, limit):
        """A row that ended before others is filled up, with its end token if there is no other."""
        words = (with_settings(**own), "--jsonl", file, *limit)
        together = self.told(pyxglm, *words)
        assert together == self.told(pyxglm, *words, "--batch-size", 1)
        encode = XGLMTokenizer.from_pretrained(words[0]).encode
        reasons = []
        for one in together:
            most = 9 if "-n" in limit else 26 - len(encode(one["prompt"]))
            reasons.append(one["finish_reason"])
            assert len(one["ids"]) == most or reasons[-1] == "stop"
            assert 2 not in one["ids"][:-1]
        assert len({len(one["ids"]) for one in together}) > 1
        assert ("length" if "-n" not in limit else "stop") in reasons

    def test_a_text_may_name_the_padding(self, pyxglm, endless):
        """It is a token as any other, as it is for a tokenizer's mask."""
        (found,) = self.told(pyxglm, endless, "-n", 6, "--json", "the <pad> cat")
        ids = found["prompt_ids"]
        assert 1 in ids
        model = XGLMForCausalLM.from_pretrained(endless)
        rows = generate(model, [ids], attention_mask=[[1] * len(ids)], max_new_tokens=6)
        assert found["ids"] == rows[0, len(ids) :].tolist()
        plain = pyxglm("generate", "-m", endless, "-n", 6, "the <pad> cat").out
        assert plain == f"the <pad> cat{found['text']}\n"
