"""From measuring to the README: scripts run on small jobs, and the tables made of the results."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pyxglm.bench.grid import Job
from pyxglm.check import bench, limits
from pyxglm.cli.check import ONE_THREAD

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def measured(script, monkeypatch, tmp_path):
    """Run a script on the bundled model with few and small jobs; return its result."""
    monkeypatch.setattr(limits, "_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "_ROUNDS", 1000)
    monkeypatch.setattr(bench, "_SECONDS", 0.01)
    runtimes, rows = script("runtimes"), script("rows")
    monkeypatch.setattr(runtimes, "PAUSE", 0)
    small = {"generation": rows.Row("generation", Job("both", 4, 2))}
    monkeypatch.setattr(runtimes, "MEMORY", small)
    greedy = rows.Row("greedy", Job("greedy", 0, 2, 1, 3))
    monkeypatch.setitem(rows.GENERATION, "greedy", greedy)
    monkeypatch.setattr(script("model"), "CONTEXTS", {0: JOB, 8: Job("generate", 0, 2, 1, 8)})
    for name in ("prompt_512_last", "decode_b1"):
        monkeypatch.setitem(rows.ROWS, name, rows.ROWS[name]._replace(job=JOB))
    for name, value in ONE_THREAD.items():
        monkeypatch.setenv(name, value)

    def run(name, *words):
        arguments = [f"{name}.py", "--results", str(tmp_path), "--machine", "here", *words]
        monkeypatch.setattr(sys, "argv", arguments)
        script(name).main()
        return json.loads((tmp_path / "here" / f"{name}.json").read_text())

    return run


JOB = Job("generate", 0, 2)


def test_results_of_every_script_and_the_tables_of_them(measured, script, tmp_path):
    small = ("--tiny", "-r", "1", "-t", "2", "--rows")
    kernels = measured("kernels", "--op", "relu")
    model = measured("model", *small, "decode_b1", "prompt_512_last")
    peers = measured("peers", *small, "decode_b1")
    generation = measured("generation", "-r", "1", "-t", "1", "--rows", "greedy", "beams")
    for one in (kernels, model, peers, generation):
        assert {"cpu", "cpus", "isa", "compiler", "numpy", "python", "commit", "date"} <= set(
            one["environment"]
        )
        assert one["limits"]["read"]["1"] > 0
    assert {one["op"] for one in kernels["timings"]} == {"relu"}
    assert [one["name"] for one in model["rows"][:2]] == ["decode_b1", "prompt_512_last"]
    assert len(model["rows"]) == 3  # and one in bfloat16, or why there is none
    assert [one["depth"] for one in model["contexts"]] == [0, 8]
    assert sorted({one["threads"] for one in model["threads"]}) == [1, 2]
    for one in (*model["rows"][:2], *model["contexts"], *model["threads"]):
        assert one["median_ns"] == one["samples_ns"][0]
        assert one["of_limit"] > 0
    assert model["cold"]["median_ns"] > 2e7
    assert model["memory"][0]["peak_anonymous"] > 1e6
    own, other = peers["runtimes"]
    assert own["runtime"] == "pyxglm"
    assert other == {"runtime": "torch float32", "absent": "no --torch-python was given"}
    by_runtime = peers["rows"][0]["runtimes"]
    assert by_runtime["pyxglm"]["tokens_per_second"] > 0
    assert by_runtime["torch float32"] == {"error": "no --torch-python was given"}

    assert [(one["name"], one["tokens"]) for one in generation["rows"]] == [
        ("greedy", 2), ("beams", 256)
    ]  # fmt: skip
    greedy = generation["rows"][0]["runtimes"]
    assert greedy["transformers"] == {"error": "no --torch-python was given"}

    text = script("readme").generated(tmp_path, tmp_path, tmp_path)
    rate = script("readme").number(greedy["pyxglm"]["tokens_per_second"])
    assert f"| greedy | 1 | {rate} | – | – |\n" in text
    rate = script("readme").number(by_runtime["pyxglm"]["tokens_per_second"])
    assert f"| decode, batch 1 (tokens/s) | {rate} |\n" in text
    assert "Absent: torch float32: no --torch-python was given." in text
    assert f"{model['rows'][0]['of_limit']:.0%} |\n" in text
    assert "| relu | float32 | 524288 |" in text
    assert "<picture>" not in text


def made_up(rate, runtimes, error=None):
    """A result of one row for each runtime."""
    environment = {"cpu": "X", "cpus": 2, "isa": "amx", "compiler": "GCC", "python": "3",
                   "numpy": "2", "commit": "c", "date": "2026-01-01"}  # fmt: skip
    one = {name: {"tokens_per_second": rate / (i + 1)} for i, name in enumerate(runtimes)}
    if error:
        one[error] = {"error": "crashed"}
    return {
        "environment": environment,
        "limits": {"read": {"1": 1e9, "2": 2e9}, "fma": {"1": {"amx": 5e9}, "2": {"amx": 1e10}}},
        "threads": 2,
        "runtimes": [{"runtime": name, "name": name, "weights": "w"} for name in runtimes],
        "rows": [{"name": "r", "title": "a row", "tokens": 1, "runtimes": one}],
        "cold": {"title": "cold", "runtimes": {
            name: {"median_ns": 1e9 * (i + 1)} for i, name in enumerate(runtimes)}},
        "memory": {name: [] for name in runtimes},
    }  # fmt: skip


def test_ratios_are_larger_where_pyxglm_is_better(script):
    readme = script("readme")
    text = readme.beside(made_up(30, ["pyxglm", "one", "two"]))
    assert text.splitlines()[0] == "| 2 threads | pyxglm | one | two | × one | × two |"
    assert "| a row (tokens/s) | 30.0 | 15.0 | 10.0 | 2.00 | 3.00 |" in text
    assert "| cold (s) | 1.00 | 2.00 | 3.00 | 2.00 | 3.00 |" in text
    text = readme.beside(made_up(30, ["pyxglm", "one", "two"], error="one"))
    assert "| a row (tokens/s) | 30.0 | – | 10.0 | – | 3.00 |" in text


def test_the_machine_stands_above_its_tables(script, tmp_path):
    (tmp_path / "results" / "x").mkdir(parents=True)
    (tmp_path / "results" / "x" / "peers.json").write_text(json.dumps(made_up(30, ["pyxglm"])))
    plots = tmp_path / "plots" / "x"
    plots.mkdir(parents=True)
    for theme in ("light", "dark"):
        (plots / f"context-{theme}.svg").write_text("<svg/>")
    text = script("readme").generated(tmp_path / "results", tmp_path / "plots", tmp_path)
    assert text.startswith("#### X, 2 CPUs, amx\n\n2026-01-01, commit c, GCC, Python 3, numpy 2.")
    assert "1 thread: 1.0 GB/s, 5 GFLOP/s; 2 threads: 2.0 GB/s, 10 GFLOP/s." in text
    assert '<img src="plots/x/context-light.svg" alt="milliseconds a token' in text
    assert text.count("<picture>") == 1


def test_the_readme_is_what_the_results_make(script):
    """After new results: ``python benchmarks/readme.py``."""
    readme, common = script("readme"), script("common")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    made = readme.generated(common.RESULTS, common.PLOTS, ROOT)
    assert readme.replaced(text, made) == text


def test_the_marks_must_be_there_once(script):
    readme = script("readme")
    assert readme.replaced(f"a\n{readme.BEGIN}old\n{readme.END}b\n", "new\n") == (
        f"a\n{readme.BEGIN}new\n{readme.END}b\n"
    )
    for text in ("", readme.BEGIN, readme.END + readme.BEGIN, (readme.BEGIN + readme.END) * 2):
        with pytest.raises(ValueError, match="expected the two marks of this script, once each"):
            readme.replaced(text, "")
