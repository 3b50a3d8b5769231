"""The terminal: interrupts, broken pipes, full disks, encodings, closed streams."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from processes import read_some

from pyxglm import generation
from pyxglm.cli import main
from pyxglm.cli.terminal import Output, Progress, say
from pyxglm.generation import stream

# Sampled: the best tokens may soon be a circle of some that are not shown.
ENDLESS = ("--seed", "1", "-n", "100000", "the cat")

#: Locales in which Python decodes arguments, and encodes output, as ASCII.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_json_cannot_say_is_not_written(capsys, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        Output().write_json({"worst": number})
    assert capsys.readouterr().out == ""


class TestInterrupt:
    def test_a_line_of_json_is_written_whole(self, monkeypatch):
        """Other threads, BLAS's above all, take a signal that the main one does not."""
        written = []

        def write(self, text):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            written.append(text)

        monkeypatch.setattr(Output, "write", write)
        with pytest.raises(KeyboardInterrupt):
            Output().write_json([1])
        assert written == ["[1]\n"]

    def test_text_so_far_is_kept_and_its_line_ended(self, started, endless):
        process = started("generate", "-m", str(endless), *ENDLESS)
        begun = read_some(process, 40)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        text = (begun + rest).decode()
        assert process.returncode == 130
        assert errors == b""
        assert text.startswith("the cat")
        assert text.endswith("\n")
        assert text.count("\n") == 1

    def test_one_that_python_ignores_comes_again(self, pyxglm, endless, monkeypatch):
        """What is raised while an object is let go, goes no further."""

        class Mortal:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)

        def spied(*given, **options):
            for count, step in enumerate(stream(*given, **options)):
                yield step
                if count == 3:
                    Mortal()
                time.sleep(0.001)

        monkeypatch.setattr(generation, "stream", spied)
        hook = sys.unraisablehook
        result = pyxglm("generate", "-m", endless, "-n", 1500, "the cat")
        assert (result.code, result.err) == (130, "")
        assert sys.unraisablehook is hook

    def test_json_is_whole_or_absent(self, started, endless):
        process = started("generate", "-m", str(endless), "--json", *ENDLESS)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)  # until it is surely generating
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (b"", b"")
        assert process.returncode == 130


class TestOutput:
    def test_a_reader_that_goes_away_ends_it_quietly(self, started, endless):
        process = started("generate", "-m", str(endless), *ENDLESS)
        read_some(process, 20)
        process.stdout.close()
        process.stdout = None
        assert process.wait(timeout=30) == 141
        assert process.stderr.read() == b""

    @pytest.mark.parametrize("words", [["--version"], ["--help"], ["generate", "--help"]])
    def test_a_full_disk(self, process, words):
        result = process(*words, redirect=">/dev/full")
        assert result.returncode == 1
        assert result.stderr == "pyxglm: standard output: No space left on device\n"

    def test_closed(self, process):
        result = process("--version", redirect=">&-")
        assert (result.returncode, result.stderr) == (1, "pyxglm: standard output is closed\n")

    def test_closed_standard_error_does_no_harm(self, process):
        result = process("--version", redirect="2>&-")
        assert (result.returncode, result.stdout[:7]) == (0, "pyxglm ")
        assert process("nonsense", redirect="2>&-").returncode == 2

    def test_streaming(self, started, endless):
        """Text is there as it comes, not when a buffer is full."""
        process = started("generate", "-m", str(endless), *ENDLESS)
        assert len(process.stdout.read1()) < 1000
        assert process.poll() is None


class TestEncodings:
    @pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii"}])
    def test_what_the_output_cannot_show_is_escaped(self, process, checkpoint, environment):
        words = ("generate", "-n", "3", "-m", str(checkpoint), "東京は a")
        plain = process(*words)
        result = process(*words, environment=environment)
        assert plain.stdout.startswith("東京は a")
        assert result.returncode == 0
        assert result.stdout.encode("ascii") == plain.stdout.encode("ascii", "backslashreplace")
        assert result.stderr.startswith("pyxglm: warning: the output's encoding is ")
        assert result.stderr.count("\n") == 1

    def test_json_stays_json(self, process, checkpoint):
        words = ("tokenize", "--json", "-m", str(checkpoint), "東京は")
        plain, ascii_ = process(*words), process(*words, environment=ASCII)
        assert ascii_.stdout.isascii()
        assert ascii_.stderr == ""
        assert json.loads(ascii_.stdout) == json.loads(plain.stdout)
        assert "東京は" in plain.stdout

    @pytest.mark.parametrize("environment", [(), ASCII])
    def test_arguments_that_are_not_utf_8(self, process, environment):
        result = process("generate", b"caf\xe9 noir", environment=environment)
        assert result.returncode == 2
        assert result.stderr == "pyxglm: PROMPT: byte 3 is 0xe9, expected UTF-8 text\n"

    def test_a_model_s_name_that_is_not_utf_8(self, process):
        result = process("info", "-m", b"\xff")
        assert result.returncode == 2
        assert result.stderr == "pyxglm: -m: byte 0 is 0xff, expected UTF-8 text\n"

    def test_errors_about_names_in_any_script(self, process):
        result = process("generate", "-f", "東京.txt", environment=ASCII)
        assert result.returncode == 2
        assert result.stderr.isascii()
        assert result.stderr.count("\n") == 1


class TestInput:
    def tokens(self, process, checkpoint, data: bytes, words=("-",), **options):
        words = ("tokenize", "--json", "-m", str(checkpoint), *words)
        return process(*words, input=data, text=False, **options)

    @pytest.mark.parametrize("words", [("-",), ("-f", "-")])
    def test_standard_input(self, process, checkpoint, words):
        result = self.tokens(process, checkpoint, "東京は\n".encode(), words)
        assert json.loads(result.stdout)["text"] == "東京は\n"

    def test_in_the_c_locale_it_is_still_utf_8(self, process, checkpoint):
        result = self.tokens(process, checkpoint, "東京は".encode(), environment=ASCII)
        assert json.loads(result.stdout)["text"] == "東京は"

    def test_a_byte_order_mark_is_no_text(self, process, checkpoint):
        result = self.tokens(process, checkpoint, b"\xef\xbb\xbfcat")
        assert json.loads(result.stdout)["text"] == "cat"

    def test_other_bytes_are_refused(self, process, checkpoint):
        result = self.tokens(process, checkpoint, b"a\x80")
        assert result.returncode == 2
        assert result.stderr == b"pyxglm: standard input: byte 1 is 0x80, expected UTF-8 text\n"

    def test_closed(self, process):
        result = process("generate", "-", redirect="<&-")
        assert result.returncode == 2
        assert result.stderr == "pyxglm: standard input is closed, expected a text\n"


class Terminal(io.StringIO):
    """What a terminal is sent that shows both streams."""

    encoding = "utf-8"

    @classmethod
    def instead_of_both(cls, monkeypatch) -> Terminal:
        found = cls()
        monkeypatch.setattr("sys.stdout", found)
        monkeypatch.setattr("sys.stderr", found)
        return found

    def isatty(self) -> bool:
        return True


class TestMessagesOnATerminal:
    def test_they_begin_a_line_of_their_own(self, monkeypatch):
        screen = Terminal.instead_of_both(monkeypatch)
        output = Output()
        output.write("some te")
        say("a message")
        say("another")
        output.write("xt\n")
        say("the end")
        shown = "some te\npyxglm: a message\npyxglm: another\nxt\npyxglm: the end\n"
        assert screen.getvalue() == shown

    def test_progress_makes_way_for_them(self, monkeypatch):
        screen = Terminal.instead_of_both(monkeypatch)
        progress = Progress()
        progress.show(0.5, "a.bin")
        say("a message")
        progress.show(1, "a.bin")
        progress.end()
        say("the end")
        gone = "\r\x1b[K"
        assert screen.getvalue() == (
            f"{gone} 50% a.bin{gone}pyxglm: a message\n{gone}100% a.bin{gone}pyxglm: the end\n"
        )

    def test_text_in_a_file_is_left_as_it_is(self, monkeypatch):
        screen = Terminal.instead_of_both(monkeypatch)
        monkeypatch.setattr("sys.stdout", io.StringIO())
        output = Output()
        output.write("some te")
        say("a message")
        output.write("xt\n")
        assert sys.stdout.getvalue() == "some text\n"
        assert screen.getvalue() == "pyxglm: a message\n"

    def test_speed_and_warnings(self, monkeypatch, endless):
        screen = Terminal.instead_of_both(monkeypatch)
        words = ["generate", "-m", str(endless), "-n", "4", "-v", "--length-penalty", "2"]
        assert main([*words, "the cat"]) == 0
        warning, text, speed, rest = screen.getvalue().split("\n")
        assert warning.startswith("pyxglm: warning: length_penalty without num_beams")
        assert text.startswith("the cat")
        assert speed.startswith("pyxglm: 4 tokens in ")
        assert rest == ""

    def test_characters_that_are_escaped(self, monkeypatch, endless):
        screen = Terminal.instead_of_both(monkeypatch)
        monkeypatch.setattr(Terminal, "encoding", "ascii")
        assert main(["generate", "-m", str(endless), "-n", "4", "--no-echo", "the cat"]) == 0
        warning, text, rest = screen.getvalue().split("\n")
        assert warning.startswith("pyxglm: warning: the output's encoding is ascii")
        assert (text.isascii(), rest) == (True, "")
        screen.truncate(0)
        screen.seek(0)
        output = Output()
        output.write("cat ")
        output.write("\u6771\n")
        before, warning, text, rest = screen.getvalue().split("\n")
        assert (before, text, rest) == ("cat ", r"\u6771", "")

    def test_lines_of_json_are_their_own_progress(self, monkeypatch, endless, tmp_path):
        screen = Terminal.instead_of_both(monkeypatch)
        path = tmp_path / "prompts.jsonl"
        path.write_text('"the cat"\n"the moon"\n')
        assert main(["generate", "-m", str(endless), "-n", "4", "-v", "--jsonl", str(path)]) == 0
        first, second, speed, rest = screen.getvalue().split("\n")
        assert json.loads(first)["prompt"] == "the cat"
        assert json.loads(second)["prompt"] == "the moon"
        assert speed.startswith("pyxglm: 8 tokens in ")
        assert rest == ""
