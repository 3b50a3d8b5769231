"""``pyxglm generate -i``: what ends a text, and what ends the session."""

from __future__ import annotations

import io
import signal
import subprocess

import pytest
from processes import read_some

from pyxglm import XGLMForCausalLM, XGLMTokenizer, generation
from pyxglm.cli import interactive
from pyxglm.generation import generate, stream

#: Sampled: the best tokens may soon be a circle of some that are not shown.
WORDS = ("-i", "--seed", "1", "-n", "100000", "the cat")


def line(process) -> str:
    return process.stdout.readline().decode()


class TestInterrupt:
    def test_a_text_is_ended_and_then_the_session(self, started, endless):
        process = started("generate", "-m", str(endless), *WORDS, stdin=subprocess.PIPE)
        begun = read_some(process, 40)
        process.send_signal(signal.SIGINT)
        text = begun.decode() + line(process)
        assert text.startswith("the cat")
        process.stdin.write(b"/text\n")
        process.stdin.flush()
        assert line(process) == text  # it is part of the text, all that was shown
        process.stdin.write(b"/undo\n/text\n")
        process.stdin.flush()
        assert line(process) == "the cat\n"
        process.send_signal(signal.SIGINT)  # where a line is expected
        assert process.wait(timeout=30) == 130  # with its input still open
        assert process.communicate() == (b"", b"")

    @pytest.fixture
    def interrupted(self, pyxglm, endless, monkeypatch):
        """Run two turns; interrupt the first one when it has chosen so many tokens."""

        def run(*places, model=endless, lines=b"\n/text\n", prompt=("the cat",)):
            due = [places]

            def spied(*given, **options):
                return sent(stream(*given, **options), due.pop() if due else ())

            def sent(steps, places):
                send(places.count(0))
                for chosen, step in enumerate(steps, 1):
                    yield step
                    send(places.count(chosen))  # now the next one would be chosen

            def send(times):
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

            monkeypatch.setattr(generation, "stream", spied)
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
            return pyxglm("generate", "-m", model, "-n", 6, "-i", *prompt)

        return run

    def text(self, directory, count):
        """The library's text, of so many new tokens."""
        tokenizer = XGLMTokenizer.from_pretrained(directory)
        model = XGLMForCausalLM.from_pretrained(directory)
        ids = generate(model, tokenizer.encode("the cat"), max_new_tokens=count)[0]
        return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @pytest.mark.parametrize("chosen", [0, 1, 4])
    def test_the_text_goes_on_where_it_was_ended(self, interrupted, endless, chosen):
        """At once before the first token; else when that which is being chosen is there."""
        result = interrupted(chosen)
        assert (result.code, result.err) == (0, "")
        first, _, whole = result.out.splitlines()
        kept = chosen + 1 if chosen else 0
        assert first == (self.text(endless, kept) if kept else "the cat")
        assert whole == self.text(endless, kept + 6)

    def test_the_beginning_of_a_text_is_not_taken_for_its_end(
        self, interrupted, checkpoint, embedded
    ):
        """An end token is taken back, for the text to go on; every text begins with the same."""
        assert interrupted(0, model=checkpoint, lines=b"\nthe cat\n", prompt=()).code == 0
        assert embedded[0] == len(XGLMTokenizer.from_pretrained(checkpoint).encode("the cat"))

    def test_a_second_one_ends_the_session(self, interrupted):
        result = interrupted(2, 2)
        assert (result.code, result.err) == (130, "")
        assert result.out.startswith("the cat")
        assert result.out.count("\n") == 1

    def test_who_has_other_plans_for_the_signal_keeps_them(self):
        with interactive.interrupts():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with interactive.interrupts():
                assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def test_bytes_that_are_no_text_end_nothing(process, endless):
    words = ("generate", "-m", str(endless), "-n", "5", "-i")
    good = process(*words, input=b"the cat\n/quit\n", text=False)
    for environment in ((), {"PYTHONIOENCODING": "utf-8:surrogateescape"}):
        result = process(
            *words, input=b"a\xffb\nthe cat\n\x80\n", text=False, environment=environment
        )
        assert (result.returncode, result.stdout) == (0, good.stdout)
        assert result.stderr == (
            b"pyxglm: line 1: byte 1 is 0xff, expected UTF-8 text\n"
            b"pyxglm: line 3: byte 0 is 0x80, expected UTF-8 text\n"
        )
