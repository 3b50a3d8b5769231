"""``pyxglm check``: what it prints, what it returns, and that it can be repeated."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from check.stand_ins import Broken

from pyxglm.check import bench, limits, loads, native
from pyxglm.check.patterns import PATTERNS
from pyxglm.cli import main
from pyxglm.cli.check import ONE_THREAD


@pytest.fixture
def check(capsys):
    def run(*words):
        code = main(["check", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_right_library_passes(check):
    code, out, err = check("--op", "*softmax", "--isa", "scalar", "--cases", 1, "--seed", 3)
    assert (code, err) == (0, "")
    assert "seed 3\n" in out
    assert "2 kernels, 0 wrong" in out


def test_a_wrong_kernel_is_shown_and_fails(check, monkeypatch):
    monkeypatch.setattr(native, "NativeKernel", lambda *which: Broken("all zeros"))
    code, out, _ = check("--op", "relu", "--isa", "scalar", "--cases", 1, "--seed", 3)
    assert code == 1
    assert "relu  float32   WRONG\n" in out
    assert "scalar: relu float32 zeros D=256: " in out
    assert " of 256 elements of y are wrong, first at (" in out
    code, out, _ = check("--op", "relu", "--isa", "scalar", "--cases", 1, "--seed", 3, "--json")
    record = json.loads(out)
    assert code == 1
    assert record["right"] is record["kernels"][0]["right"] is False
    assert record["kernels"][0]["complaints"]


def test_what_cannot_run_here_is_said(check):
    missing = [isa for isa, level in native.levels().items() if level is None]
    _, out, _ = check("--op", "relu", "--isa", "scalar", "--cases", 1)
    assert ("this machine cannot run: " + ", ".join(missing) in out) == bool(missing)
    _, out, _ = check("--op", "relu", "--isa", "scalar", "--cases", 1, "--json")
    assert json.loads(out)["unavailable"] == missing


def test_a_seed_repeats_everything(check, tmp_path):
    words = ("--op", "linear", "--dtype", "float16", "--isa", "scalar", "--cases", 1, "--json")
    first = check(*words, "--seed", 8)
    assert check(*words, "--seed", 8) == first
    assert json.loads(check(*words, "--seed", 9)[1])["kernels"] != json.loads(first[1])["kernels"]
    assert json.loads(first[1])["seed"] == 8
    # Without one, a seed is drawn, and named.
    seeds = {json.loads(check("--op", "relu", "--cases", 1, "--json")[1])["seed"] for _ in "ab"}
    assert len(seeds) == 2
    for folder in ("a", "b"):
        code, out, _ = check(
            "--op", "silu", "--cases", 1, "--seed", 8, "--write-cases", tmp_path / folder
        )
        assert (code, out) == (0, f"{len(PATTERNS)} cases (seed 8) in {tmp_path / folder}\n")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == len(PATTERNS)
    for name in names:
        a, b = (Path(tmp_path, folder, name).read_bytes() for folder in ("a", "b"))
        assert a == b


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--op", "nope"], "--op is 'nope', expected one of: embed, "),
        (["--dtype", "nope"], "--dtype is 'nope', expected one of: float32, "),
        (["--op", "relu", "--dtype", "int8"], "no case is wanted by --op and --dtype"),
        (["--isa", "scalar"], "--isa is given with --write-cases, whose cases are for all of them"),
    ],
)
def test_cases_that_cannot_be_written_are_refused(check, tmp_path, words, message):
    code, out, err = check(*words, "--cases", 1, "--write-cases", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"pyxglm: {message}")
    assert list(tmp_path.iterdir()) == []


def test_cases_are_written_where_no_kernel_is_built(check, monkeypatch, tmp_path):
    """`csrc/check/run.py` asks for them in a tree without the extension."""
    monkeypatch.setattr(native, "levels", lambda: pytest.fail("the kernels were asked for"))
    code, out, _ = check("--op", "relu", "--cases", 1, "--write-cases", tmp_path)
    assert code == 0
    assert out.endswith(f" in {tmp_path}\n")


@pytest.fixture
def quick(monkeypatch):
    """Time little, on one thread."""
    monkeypatch.setattr(bench, "_SECONDS", 0.01)
    monkeypatch.setattr(limits, "_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "_ROUNDS", 1000)
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)


def test_the_bench_sets_kernels_beside_their_limits(check, quick):
    code, out, _ = check("--op", "relu", "--cases", 1, "--bench")
    assert code == 0
    assert "limits read GB/s scalar GFLOP/s" in " ".join(out.split())
    assert "1 thread " in out
    timed = [line.split() for line in out.splitlines() if line.startswith("relu") and "%" in line]
    assert [line[3] for line in timed][:2] == ["numpy", "scalar"]
    assert all(len(line) == 9 for line in timed)
    assert timed[1][5] == "1.00"  # x scalar of itself


def test_the_bench_as_json(check, quick):
    code, out, _ = check("--op", "gelu_tanh", "--isa", "scalar", "--cases", 1, "--bench", "--json")
    record = json.loads(out)["bench"]
    assert code == 0
    assert record["limits"]["read"]["1"] > 0
    numpy, scalar = record["timings"]
    assert (numpy["isa"], scalar["isa"]) == ("numpy", "scalar")
    assert scalar["times_numpy"] == pytest.approx(numpy["microseconds"] / scalar["microseconds"])
    assert scalar["bytes_per_second"] == pytest.approx(
        512 * 1024 * 8 / scalar["microseconds"] * 1e6
    )


def test_the_bench_times_the_head_and_the_cache(check, quick, monkeypatch):
    monkeypatch.setattr(loads, "_TOKENS", 700)
    words = ("--isa", "scalar", "--cases", 1, "--bench", "--json")
    code, out, _ = check("--op", "head", "--dtype", "float16", *words)
    timings = json.loads(out)["bench"]["timings"]
    assert code == 0
    assert [timing["shape"] for timing in timings if timing["isa"] == "scalar"] == [
        "best 1 x 1024 x 700", "best 50 1 x 1024 x 700", "log-sum-exp 64 x 1024 x 700",
        "best by shortlist 1 x 1024 x 700",
    ]  # fmt: skip
    assert all(timing["of_read"] > 0 for timing in timings)
    assert all(timing["of_peak"] > 0 for timing in timings if timing["isa"] == "scalar")
    assert timings[-3]["bytes"] == 700 * 1024 * 2 + 64 * 1024 * 4
    assert timings[-1]["bytes"] == 700 * (1024 + 8) + 1024 * 4
    code, out, _ = check("--op", "cache_append", *words)
    timings = json.loads(out)["bench"]["timings"]
    assert code == 0
    assert [timing["shape"] for timing in timings] == ["T=512", "T=512", "T=1", "T=1"]


def test_the_bench_times_each_operation_in_a_process_of_its_own(monkeypatch):
    monkeypatch.setattr(bench, "timings", lambda group: iter([(os.getpid(), group)]))
    (one, first), (other, second) = (*bench.timings_apart(["a"]), *bench.timings_apart(["b"]))
    assert len({os.getpid(), one, other}) == 3
    assert (first, second) == (["a"], ["b"])


def test_the_bench_starts_itself_anew_for_numpy_on_one_thread(check, monkeypatch):
    calls = []

    def run(command, env, check):
        calls.append((command, env))
        return type("Done", (), {"returncode": 7})

    for name in ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("subprocess.run", run)
    assert check("--bench", "--op", "relu")[0] == 7
    command, environment = calls[0]
    assert [command[1], *command[4:7]] == ["-c", "check", "--bench", "--op"]
    assert "--seed" in command
    assert environment.items() >= ONE_THREAD.items()
