"""Usage: help for those who ask, one line and exit code 2 for those who err."""

from __future__ import annotations

import importlib
import re
import shlex

import pytest

from pyxglm._version import __version__
from pyxglm.cli import HELP, VERBS
from pyxglm.cli.arguments import UsageError
from pyxglm.generation import GenerationConfig


def one_line(result) -> str:
    """The only line of standard error, without the program's name."""
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("pyxglm: ")
    assert result.err.endswith("\n")
    assert result.err.count("\n") == 1
    return result.err.removeprefix("pyxglm: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected a command: generate, tokenize, info, convert, check, bench (see"),
        (["genrate"], "there is no command 'genrate', did you mean 'generate'?"),
        (["frobnicate"], "there is no command 'frobnicate', expected generate, tokenize, info,"),
        (["x" * 500], f"there is no command '{'x' * 40}'..., expected"),
        (["a\nb"], r"there is no command 'a\nb', expected"),
        (["-q"], "there is no option '-q' before a command"),
        (["generate"], "expected PROMPT, -f FILE, or - for standard input"),
        (["generate", "a", "b"], "2 arguments are given, expected one PROMPT: put it in quotes"),
        (["generate", "-f", "x", "a"], "PROMPT and -f FILE are given, expected one of them"),
        (["generate", "a", "-n"], "argument -n/--max-new-tokens: expected one argument"),
        (["generate", "a", "-n", "x"], "argument -n/--max-new-tokens: invalid int value: 'x'"),
        (["generate", "a", "-n", "0"], "max_new_tokens is 0, expected 1 or more"),
        (["generate", "a", "--temp", "-1"], "temperature is -1.0, expected a finite number above"),
        (["generate", "a", "--temp", "nan"], "temperature is nan, expected a finite number above"),
        (["generate", "a", "--temp", "0"], "--temp is 0, expected a number above 0; without it"),
        (["generate", "a", "--top-k", "-3"], "top_k is -3, expected 0 or more"),
        (["generate", "a", "--top-p", "1.5"], "top_p is 1.5, expected above 0 and at most 1"),
        (["generate", "a", "--seed", "-1"], "seed is -1, expected 0 or more"),
        (["generate", "a", "--see", "1"], "unrecognized arguments: --see"),
        (
            ["generate", "a", "--line-breaks", "x"],
            "argument --line-breaks/--newline: invalid",
        ),
        (["generate", "a", "--jsonl", "x"], "PROMPT and --jsonl FILE are given, expected one of"),
        (["generate", "a", "--json", "-i"], "--interactive is given with --json or --jsonl, exp"),
        (["generate", "-i", "--no-stream"], "--interactive is given with --no-stream, expected"),
        (["generate", "-i", "-"], "- is given with --interactive, which reads its turns from"),
        (["generate", "-i", "-f", "-"], "- is given with --interactive, which reads its turns"),
        (["generate", "-i", "--beams", "2"], "--interactive is given with --beams, expected one"),
        (["generate", "-i", "--num-return", "2"], "--interactive is given with --num-return, ex"),
        (
            ["generate", "-i", "--penalty-alpha", "0.6", "--top-k", "4"],
            "--interactive is given with --penalty-alpha, expected one of them",
        ),
        (
            ["generate", "-i", "--set", "penalty_alpha=0.6", "--set", "top_k=4"],
            "--interactive is given with penalty_alpha=0.6, expected one of them",
        ),
        (["generate", "--json", "--jsonl", "x"], "--json and --jsonl are given, expected one of"),
        (["generate", "a", "--json", "--no-echo"], "--no-echo is given with --json, which tells"),
        (["generate", "--jsonl", "x", "--no-echo"], "--no-echo is given with --jsonl, which tel"),
        (["generate", "a", "--num-assistant-tokens", "2"], "--num-assistant-tokens is given witho"),
        (["generate", "a", "--negative-prompt", "b"], "--negative-prompt is given, expected a --g"),
        (["generate", "a", "-f", ""], "PROMPT and -f FILE are given, expected one of them"),
        (["generate", "-f", ""], "-f is '', expected the name of a file"),
        (["generate", "a", "--few-shot", ""], "--few-shot is '', expected the name of a file"),
        (["generate", "--jsonl", ""], "--jsonl is '', expected the name of a file"),
        (["generate", "a", "-m", ""], "'' is neither a directory nor a hub id such as"),
        (["generate", "a", "--assistant-model", ""], "'' is neither a directory nor a hub id"),
        (["info", "--offline", "-m", "a/b", "--cache-dir", ""], "--cache-dir is '', expected the"),
        (["check", "--write-cases", ""], "--write-cases is '', expected the name of a directory"),
        (["generate", "a", "--json", "--stream"], "--stream is given with --json, which tells"),
        (["generate", "a", "--num-return", "2", "--stream"], "--stream is given with --num-retur"),
        (
            ["generate", "a", "--set", "num_beams=3", "--stream"],
            "--stream is given with num_beams=3, which tells the text only at the end",
        ),
        (
            ["generate", "a", "-n", "3", "--set", "max-new-tokens=4"],
            "--set max_new_tokens is given with the option for it, expected one of them",
        ),
        (["generate", "a", "--beams", "2", "--stream"], "--stream is given with --beams, which"),
        (["generate", "a", "--set", "top_k"], "--set got 'top_k', expected NAME=JSON"),
        (["generate", "a", "--set", "top_k=x"], "--set top_k got 'x', expected a value of JSON"),
        (["generate", "a", "--set", "top_q=1"], "generate has no setting 'top_q', did you mean"),
        (
            ["generate", "a", "--set", "top_q=1", "-m", "nobody/nothing", "--offline"],
            "generate has no setting 'top_q', did you mean",  # before a model is looked for
        ),
        (["generate", "a", "--beams", "2", "--penalty-alpha", "0.5"], "num_beams is 2, expected"),
        (["generate", "a", "--force-words", "b"], "num_beams is 1, expected 2 or more: force_wo"),
        (["generate", "a", "--batch-size", "2"], "--batch-size is given without --jsonl"),
        (["generate", "a", "--num-beam-groups", "2"], "num_beams is 1, expected a multiple of"),
        (["generate", "a", "--revision", "x"], "--revision is given without -m MODEL"),
        (["info", "--cache-dir", "x"], "--cache-dir is given without -m MODEL"),
        (
            ["generate", "a", "--shortlist", "--backend", "numpy"],
            "make_shortlist: XGLMForCausalLM computes float32 on backend 'numpy', expected float32",
        ),
        (
            ["generate", "a", "--set", "suppress_tokens=" + "[" * 100_000],
            "--set suppress_tokens got '[[[[",
        ),
        (
            ["bench", "-p", "16", "-n", "0", "-b", "99999999", "-r", "1"],
            "not enough memory: the keys and values of 99999999 texts of ",
        ),
        (["bench", "--shortlist", "2"], "--shortlist is '2', expected one of: 0, 1"),
        (["bench", "--shortlist", "1", "--cold"], "--cold is given with --shortlist 1: a process"),
        (
            ["bench", "--shortlist", "0,1", "--compute", "bfloat16"],
            "make_shortlist: XGLMForCausalLM computes bfloat16 on backend 'c', expected float32 on",
        ),
        (["info", "x"], "unrecognized arguments: x"),
        (["check", "x"], "unrecognized arguments: x"),
        (["check", "--op", "matmul"], "--op is 'matmul', expected one of: embed, layer_norm"),
        (["check", "--isa", "mmx"], "--isa is 'mmx', expected one of: scalar, avx2"),
        (["check", "--dtype", "int4"], "--dtype is 'int4', expected one of: float32, float16"),
        (["check", "--cases", "0"], "--cases is 0, expected 1 or more"),
        (["check", "--seed", "-1"], "--seed is -1, expected 0 or more"),
        (["tokenize", "--ids", "--json", "a"], "--ids and --json are given, expected one of them"),
        (["tokenize", "--ids", "--decode", "2"], "--ids and --decode are given, expected one"),
        (["tokenize", "--decode", "2", "x"], "--decode got 'x', expected ids: whole numbers"),
        (["tokenize", "--decode", "9" * 30], "--decode got '99999"),
        (["tokenize", "--decode", "٣"], "--decode got '\\u0663', expected ids"),
    ],
)
def test_bad_usage(pyxglm, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert one_line(pyxglm(*words)).startswith(message)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate", "-f", "{tmp}/none.txt"], r"{tmp}/none\.txt: No such file or directory"),
        (["generate", "-f", "{tmp}"], r"{tmp}: Is a directory"),
        (["generate", "--jsonl", "{tmp}/bad.jsonl"], r"{tmp}/bad\.jsonl: line 2 is '\[1\]', expec"),
        (["generate", "--jsonl", "{tmp}/deep.jsonl"], r"{tmp}/deep\.jsonl: line 1 is '\[\[\[\["),
        (["generate", "--jsonl", "{tmp}/empty.jsonl"], r"{tmp}/empty\.jsonl has no lines, expect"),
        (["generate", "a", "--few-shot", "{tmp}/none"], r"{tmp}/none: No such file or directory"),
        (["generate", "-f", "{tmp}/bad.txt"], r"{tmp}/bad\.txt: byte 2 is 0xff, expected UTF-8"),
        (["generate", "a", "-m", "{tmp}/none"], r"'{tmp}/none': there is no such directory"),
        (["info", "-m", "{tmp}"], r"{tmp}: there is no config\.json in this directory"),
        (["tokenize", "a", "-m", "{tmp}"], r"{tmp}/sentencepiece\.bpe\.model: no such file"),
        (["generate", "a", "-m", "not an id"], r"'not an id' is neither a directory nor a hub id"),
        (
            ["info", "-m", "nobody/nothing", "--offline", "--cache-dir", "{tmp}"],
            "nobody/nothing is no directory, and its revision main is not in the cache {tmp}, and"
            " local_files_only is set",
        ),
        (["info", "-m", "nobody/nothing", "--revision", "..", "--offline"], r"revision is '\.\.'"),
        (["generate", "a", "-m", "{tmp}", "--revision", "x"], r"--revision is given with the dir"),
        (["convert", "{tmp}", "{tmp}/new", "--revision", "x"], r"--revision is given with the dir"),
        (
            ["generate", "a", "--offline", "--assistant-model", "nobody/nothing"],
            "nobody/nothing is no directory, .* local_files_only is set",
        ),
    ],
)
def test_bad_files_and_names(pyxglm, tmp_path, words, message):
    (tmp_path / "bad.txt").write_bytes(b"ab\xff")
    (tmp_path / "bad.jsonl").write_text('"a"\n[1]\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    result = pyxglm(*(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert re.match(message.replace("{tmp}", re.escape(str(tmp_path))), one_line(result))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "x", "score": 1e999}', "the number '1e999' is beyond float64"),
        ('{"prompt": "x", "score": NaN}', "NaN is not a number of JSON"),
        ('{"prompt": "x", "prompt": "y"}', "the key 'prompt' stands twice in one object"),
        (r'"\udc80"', "a string holds half of a surrogate pair"),
        (r'{"prompt": "x", "note": "\ud800"}', "a string holds half of a surrogate pair"),
    ],
)
def test_lines_that_could_not_be_written_back(pyxglm, tmp_path, line, message):
    """Refused before the first line, and by name: the job may be long."""
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'"x"\n{line}\n')
    assert one_line(pyxglm("generate", "--jsonl", path, "-n", 2)) == f"{path}: line 2: {message}"


@pytest.mark.parametrize("verb", ["generate a", "info"])
@pytest.mark.parametrize("damage", ["config.json", "model.safetensors"])
def test_damaged_checkpoints(pyxglm, checkpoint, tmp_path, verb, damage):
    for path in checkpoint.iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data[: len(data) // 2] if path.name == damage else data)
    assert damage in one_line(pyxglm(*verb.split(), "-m", tmp_path))


def test_a_damaged_tokenizer(pyxglm, checkpoint, tmp_path):
    for path in checkpoint.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"no model")
    for words in (["tokenize", "a"], ["generate", "a"]):
        assert "sentencepiece.bpe.model" in one_line(pyxglm(*words, "-m", tmp_path))


@pytest.mark.parametrize("words", [["--version"], ["--version", "ignored"]])
def test_version(pyxglm, words):
    result = pyxglm(*words)
    assert (result.code, result.out, result.err) == (0, f"pyxglm {__version__}\n", "")


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help(pyxglm, word):
    result = pyxglm(word)
    assert (result.code, result.out, result.err) == (0, HELP, "")
    assert all(re.search(rf"^  {verb} +{VERBS[verb]}$", HELP, re.MULTILINE) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_of_a_verb(pyxglm, verb, word):
    result = pyxglm(verb, word)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"usage: pyxglm {verb} [options]")


def examples() -> list[str]:
    """The command lines that the help texts show, without the program's name."""
    texts = [HELP, *(importlib.import_module(f"pyxglm.cli.{verb}").EXAMPLES for verb in VERBS)]
    return re.findall(r"^  (?:.*\| )?pyxglm ([^.\n].*)$", "".join(texts), re.MULTILINE)


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_help_are_good_usage(example):
    verb, *words = shlex.split(example)
    module = importlib.import_module(f"pyxglm.cli.{verb}")
    try:
        arguments = module.parser().parse_args(words)
    except UsageError as error:
        pytest.fail(str(error))
    if verb == "generate":
        module.wanted_settings(arguments, GenerationConfig())


def test_there_are_examples():
    assert len(examples()) >= 10


def test_usage_errors_come_before_anything_heavy(pyxglm, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "numpy", None)  # importing it would fail now
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    monkeypatch.delitem(sys.modules, "pyxglm.generation", raising=False)
    assert one_line(pyxglm("generate", "a", "b")).startswith("2 arguments are given")
