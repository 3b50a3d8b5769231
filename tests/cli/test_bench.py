"""``pyxglm bench``: its tables and records, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from cli.test_usage import one_line

import pyxglm as pyxglm_package
from pyxglm.bench import formats, shapes
from pyxglm.check import limits
from pyxglm.cli import anew, bench
from pyxglm.ops import available_backends, native_library
from pyxglm.ops.cpus import default_threads


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Measure limits roughly; write shapes where they go away."""
    monkeypatch.setattr(limits, "_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "_ROUNDS", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(shapes.SHAPES, "564M", (1, 8, 16, 2, "gelu"))
    for name in bench.BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def records(pyxglm, checkpoint):
    """Run with ``-o jsonl`` and return the records."""

    def run(*words):
        result = pyxglm("bench", "-m", checkpoint, *words, "-o", "jsonl")
        assert (result.code, result.err) == (0, "")
        return [json.loads(line) for line in result.out.splitlines()]

    return run


def test_the_table(pyxglm, checkpoint):
    words = ("-p", 8, "-n", 4, "-pg", "4,2", "-s", 8, "-b", "1,2", "-r", 2)
    result = pyxglm("bench", "-m", checkpoint, *words)
    assert (result.code, result.err) == (0, "")
    header, rule, *rows = [line.strip("| ").split(" | ") for line in result.out.splitlines()]
    assert [word.strip() for word in header] == [
        "model", "size", "params", "backend", "threads", "test", "t/s", "peak anon",
        "first token", "of limit",
    ]  # fmt: skip
    assert all(re.fullmatch(r"-+[-:]", word) for word in rule)
    assert len({len(line) for line in result.out.splitlines()[:2]}) == 1
    assert [row[5].strip() for row in rows] == [
        "pp8", "pp8 b2", "tg4", "tg4 b2", "pp4+tg2", "pp4+tg2 b2", "score8", "score8 b2"
    ]  # fmt: skip
    for row in rows:
        model, size, params, backend, threads, test, rate, memory, first, share = (
            word.strip() for word in row
        )
        assert model == "xglm 0.0M F16"
        assert (size, params) == ("0.03 MiB", "0.02 M")
        assert backend == f"c {native_library.isa()}"
        assert threads == str(default_threads())
        assert re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d", rate)
        assert re.fullmatch(r"\d+ MB", memory)
        assert bool(re.fullmatch(r"\d+\.\d ms", first)) == (not test.startswith("score"))
        assert re.fullmatch(r"\d+%", share)


def test_the_default_is_that_of_llama_bench():
    arguments = bench.parser().parse_args([])
    assert [job.name for job in bench.wanted_jobs(arguments)] == ["pp512", "tg128"]
    assert (arguments.repetitions, arguments.no_warmup) == (5, False)


def test_with_a_shortlist_and_without(records):
    found = records("-p", 4, "-n", 3, "-b", "1,8", "-r", 1, "--shortlist", "0,1")
    tests = ["pp4", "pp4 b8", "tg3", "tg3 b8"]
    assert [(one["shortlist"], one["test"]) for one in found] == [
        (listed, test) for listed in (False, True) for test in tests
    ]


def test_a_record(records, checkpoint):
    (record,) = records("-n", 3, "-b", 2, "-d", 5, "-r", 4, "-t", 1)
    assert record["model_filename"] == str(checkpoint)
    assert record["model_type"] == "xglm 0.0M F16"
    assert (record["n_prompt"], record["n_gen"], record["n_depth"]) == (0, 3, 5)
    assert (record["n_sequences"], record["n_threads"]) == (2, 1)
    assert (record["backends"], record["isa"]) == ("c", native_library.isa())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["test_time"])
    assert re.fullmatch(r"unknown|[0-9a-f]{7,}(-dirty)?", record["build_commit"])
    assert record["cpu_info"]
    times, rates = record["samples_ns"], record["samples_ts"]
    assert len(times) == 4
    assert rates == [pytest.approx(6e9 / ns) for ns in times]
    assert record["avg_ns"] == pytest.approx(statistics.fmean(times), abs=1)
    assert record["stddev_ns"] == pytest.approx(statistics.stdev(times), abs=1)
    assert record["avg_ts"] == pytest.approx(statistics.fmean(rates))
    assert record["stddev_ts"] == pytest.approx(statistics.stdev(rates))
    assert 0 < record["first_token_ns"] < max(times)
    assert record["of_limit"] == pytest.approx(record["limit_ns"] / record["avg_ns"], rel=0.01)
    assert record["peak_anonymous"] > 1e6
    assert record["limit_read"] > 1e8  # bytes and operations a second of any machine
    assert record["limit_fma"] > 1e8
    assert record["limit_ns"] > 3 * record["model_size"] / record["limit_read"] * 1e9


@pytest.mark.parametrize("more", [(), ("--no-warmup",)])
def test_one_repetition_deviates_by_nothing(records, more):
    (record,) = records("-p", 4, "-r", 1, *more)
    assert (record["stddev_ns"], record["stddev_ts"]) == (0, 0)
    assert len(record["samples_ns"]) == 1
    assert record["peak_anonymous"] > 1e6


def test_every_format_says_the_same(pyxglm, checkpoint):
    words = ("bench", "-m", checkpoint, "-p", 4, "-n", 2, "-r", 2, "-o")
    as_json = json.loads(pyxglm(*words, "json").out)
    as_lines = [json.loads(line) for line in pyxglm(*words, "jsonl").out.splitlines()]
    as_csv = list(csv.DictReader(io.StringIO(pyxglm(*words, "csv").out)))
    assert [one.keys() for one in as_json] == [one.keys() for one in as_lines]
    assert len(as_json) == len(as_csv) == 2
    for one, line in zip(as_json, as_csv, strict=True):
        plain = {key: value for key, value in one.items() if not isinstance(value, list)}
        assert list(line) == list(plain)
        for key in ("test", "model_type", "cpu_info", "isa"):
            assert line[key] == one[key]
        for key in ("n_prompt", "n_gen", "model_size", "all_logits"):
            assert int(line[key]) == one[key]
        assert float(line["avg_ts"]) > 0


def test_a_grid_over_the_settings(records):
    isas = native_library.available_isas()[:2]
    before = native_library.isa(), native_library.get_num_threads()
    found = records("-n", "2,3", "-t", "1,3", "--isa", ",".join(isas), "-r", 1)
    assert [(one["isa"], one["n_threads"], one["n_gen"]) for one in found] == [
        (isa, threads, count) for isa in isas for threads in (1, 3) for count in (2, 3)
    ]
    assert all(one["of_limit"] > 0 for one in found)
    assert (native_library.isa(), native_library.get_num_threads()) == before


def test_all_logits_or_the_last(records):
    found = records("-p", 6, "--logits", "last,all", "-r", 1)
    assert [(one["test"], one["all_logits"]) for one in found] == [
        ("pp6", False),
        ("pp6 all", True),
    ]


def test_a_cold_start(records):
    (record,) = records("--cold", "-r", 2, "-t", 1)
    assert record["cold"]
    assert record["test"] == "cold32"
    assert len(record["samples_ns"]) == 2
    assert all(2e7 < ns < 2e10 for ns in record["samples_ns"])  # Python alone takes that long
    assert record["avg_ts"] is record["of_limit"] is None


def test_a_cold_start_that_fails_says_why(pyxglm, checkpoint, monkeypatch):
    from pyxglm.bench import cold

    monkeypatch.setattr(cold, "CODE", "raise SystemExit('no way')")
    message = one_line(pyxglm("bench", "-m", checkpoint, "--cold", "-r", 1, "-o", "json"))
    assert message == f"a cold start of {checkpoint} failed: no way"


def test_a_shape(pyxglm):
    words = ("bench", "--shape", "564M", "-p", 3, "-r", 1, "-o", "jsonl")
    first, second = pyxglm(*words), pyxglm(*words)
    assert first.err.startswith("pyxglm: writing 4.1 MB of random weights to ")
    assert second.err == ""
    assert json.loads(second.out)["model_type"] == "xglm 564M F16"
    other = pyxglm(*words, "--dtype", "bfloat16,float16")
    kinds = [json.loads(line)["model_type"] for line in other.out.splitlines()]
    assert kinds == ["xglm 564M BF16", "xglm 564M F16"]


def test_numpy_starts_anew_with_its_threads(pyxglm, checkpoint, monkeypatch):
    calls = []

    def run(command, env, check):
        calls.append((command, env))
        return type("Done", (), {"returncode": 5})

    words = ("bench", "-m", checkpoint, "-p", 3, "-r", 1, "--backend", "numpy", "-t", 1)
    with monkeypatch.context() as changed:
        changed.setattr("subprocess.run", run)
        assert pyxglm(*words).code == 5
    command, environment = calls[0]
    assert command[1:5:3] == ["-c", "bench"]
    assert environment.items() >= dict.fromkeys(bench.BLAS_THREADS, "1").items()
    for name in bench.BLAS_THREADS:
        monkeypatch.setenv(name, "1")
    result = pyxglm(*words, "-o", "jsonl")
    record = json.loads(result.out)
    assert (record["backends"], record["isa"], record["n_threads"]) == ("numpy", None, 1)
    assert record["of_limit"] > 0


def test_a_new_process_is_of_this_package(tmp_path):
    """And not of what lies in the directory that it is started in."""
    for name in ("pyxglm.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('another one')\n")
    place = str(Path(pyxglm_package.__file__).parents[1])
    command = [sys.executable, "-c", anew.CODE, place, "bench", "-p", "0", "-n", "0"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.stderr == "pyxglm: there is no test to run: all of -p, -n and -s are 0\n"


def test_the_choices_are_those_of_the_rooms_behind():
    assert set(bench.SHAPES) == set(shapes.SHAPES)
    assert set(bench.STORED) == set(shapes.DTYPES)
    assert formats.FORMATS == bench.FORMATS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"], "unrecognized arguments: x"),
        (["-p", "x"], "-p is 'x', expected whole numbers from 0 with commas between"),
        (["-p", "-1"], "-p is '-1', expected whole numbers from 0"),
        (["-n", "1,,2"], "-n is '1,,2', expected whole numbers from 0"),
        (["-b", "0"], "-b is '0', expected whole numbers from 1"),
        (["-t", "0"], "-t is '0', expected whole numbers from 1"),
        (["-t", "2000"], "-t is 2000, expected a whole number from 1 to 1024"),
        (["-r", "0"], "-r is 0, expected 1 or more"),
        (["-pg", "5"], "-pg is '5', expected two numbers with a comma between"),
        (["-pg", "0,5"], "-pg is '0,5', expected whole numbers from 1"),
        (["-p", "0", "-n", "0"], "there is no test to run: all of -p, -n and -s are 0"),
        (["-d", "8", "-s", "4"], "-d is given with -pg or -s, expected with -p and -n only"),
        (["-d", "8", "--cold"], "-d is given without -p or -n"),
        (["--logits", "some"], "--logits is 'some', expected one of: last, all"),
        (["--shape", "8B"], "--shape is '8B', expected one of: 564M, 1.7B, 2.9B, 4.5B, 7.5B"),
        (["--shape", "1.7B", "-m", "x"], "--shape and -m are given, expected one of them"),
        (["--dtype", "float16"], "--dtype is given without --shape"),
        (["--shape", "564M", "--dtype", "int8"], "--dtype is 'int8', expected one of: float16,"),
        (["--isa", "mmx"], "--isa is 'mmx', expected one of: scalar"),
        (["--backend", "gpu"], f"--backend is 'gpu', expected one of: {available_backends()[0]}"),
        (["--backend", "numpy", "--isa", "avx2"], "--isa is given for backend 'numpy', which has"),
        (["--backend", "numpy", "-t", "1,2"], "-t lists several numbers for backend 'numpy'"),
        (["--compute", "int8"], "--compute is 'int8', expected one of: float32"),
        (["--compute", "float64"], "compute is 'float64', expected 'float32' or 'bfloat16' for"),
        (["-o", "xml"], "argument -o/--output: invalid choice: 'xml'"),
        (["-m", "{tmp}/none"], "'{tmp}/none': there is no such directory"),
    ],
)
def test_bad_usage(pyxglm, tmp_path, words, message):
    result = pyxglm("bench", *(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert one_line(result).startswith(message.replace("{tmp}", str(tmp_path)))
    assert not (tmp_path / "pyxglm").exists()  # nothing was written for a run that is refused
