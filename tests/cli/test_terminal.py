"""The terminal: interrupts, broken pipes, full disks, encodings, closed streams."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

# Sampled: the best tokens may soon be a circle of some that are not shown.
ENDLESS = ("--seed", "1", "-n", "100000", "the cat")

#: Locales in which Python decodes arguments, and encodes output, as ASCII.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def read_some(process, least: int) -> bytes:
    data = b""
    while len(data) < least:
        piece = process.stdout.read1()
        assert piece, "the output ended early"
        data += piece
    return data


class TestInterrupt:
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
