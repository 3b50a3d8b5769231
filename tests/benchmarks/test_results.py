"""From measuring to the README: scripts run on small jobs, and the tables made of the results."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from pyxglm import XGLMConfig, tiny
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
    monkeypatch.setattr(script("contexts"), "CONTEXTS", (0, 8))
    monkeypatch.setattr(script("contexts"), "TURNS", 3)
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


@pytest.fixture
def beside_itself(measured, script, monkeypatch):
    """Run the script of peers with pyxglm's own NumPy backend as the peer, and one that is not."""
    peers = script("peers")
    two = {
        "numpy": peers.Peer("pyxglm_worker.py", "numpy", ("backend=numpy",)),
        "nobody": peers.Peer("pyxglm_worker.py", "nothing", beside="pyxglm bfloat16"),
    }
    monkeypatch.setattr(peers, "PEERS", two)

    def run(*words):
        given = ("--tiny", "-r", "1", "-t", "2", "--numpy-python", sys.executable)
        return measured("peers", *given, "--rows", *words)

    return run


def test_results_of_every_script_and_the_tables_of_them(measured, beside_itself, script, tmp_path):
    small = ("--tiny", "-r", "1", "-t", "2", "--rows")
    kernels = measured("kernels", "--op", "relu")
    model = measured("model", *small, "decode_b1", "prompt_512_last")
    peers = beside_itself("decode_b1", "memory")
    generation = measured("generation", "-r", "1", "-t", "1", "--rows", "greedy", "beams")
    for one in (kernels, model, peers, generation):
        assert {"cpu", "cpus", "isa", "compiler", "numpy", "python", "commit", "date"} <= set(
            one["environment"]
        )
        assert one["limits"]["read"]["1"] > 0
    assert {one["op"] for one in kernels["timings"]} == {"relu"}
    assert [one["name"] for one in model["rows"]] == [
        "decode_b1",
        "decode_b1, shortlist",
        "prompt_512_last",
        "prompt_512_last, compute bfloat16",
    ]
    first, second = model["contexts"]["tokens"]
    assert (first["depth"], second["depth"]) == (0, 8)
    assert first["growth_ns"] == first["reading_ns"] == 0
    differences = [b - a for a, b in zip(first["samples_ns"], second["samples_ns"], strict=True)]
    assert second["growth_ns"] == sorted(differences)[1]
    # Keys and values of 8 tokens, 4 bytes a number.
    config = XGLMConfig.from_pretrained(tiny.PATH)
    bytes_read = 8 * 2 * 4 * config.num_layers * config.d_model
    assert second["reading_ns"] == pytest.approx(1e9 * bytes_read / model["contexts"]["read"])
    assert sorted({one["threads"] for one in model["threads"]}) == [1, 2]
    for one in (*model["rows"][:3], *model["threads"]):
        assert one["median_ns"] == one["samples_ns"][0]
        assert one["of_limit"] > 0
    # All weights and the cache are read once a token, at the rate found between the turns.
    decoding = model["rows"][0]
    cache = sum(bytes_read / 8 * (step + 1) for step in range(JOB.generate))
    least_ns = 1e9 * (2 * model["model"]["weight_bytes"] + cache) / decoding["read"]
    assert decoding["of_limit"] == pytest.approx(least_ns / decoding["median_ns"])
    assert model["cold"]["median_ns"] > 2e7
    assert model["memory"][0]["peak_anonymous"] > 1e6
    own, other, absent = peers["runtimes"]
    assert (own["runtime"], other["runtime"], other["beside"]) == ("pyxglm", "numpy", "pyxglm")
    assert absent == {"runtime": "nobody", "absent": "no --nothing-python was given"}
    assert peers["model"] == "tiny"
    pair = peers["rows"][0]["pairs"]["numpy"]
    assert list(pair) == ["pyxglm", "numpy"]
    for name, one in pair.items():
        assert one["median_ns"] == one["samples_ns"][0]
        assert peers["memory"][name][0]["peak_anonymous"] > 1e6

    assert [(one["name"], one["tokens"]) for one in generation["rows"]] == [
        ("greedy", 2), ("beams", 256)
    ]  # fmt: skip
    greedy = generation["rows"][0]["runtimes"]
    assert greedy["transformers"] == {"error": "no --torch-python was given"}

    text = script("readme").generated(tmp_path, tmp_path, tmp_path)
    read = max(one["limits"]["read"]["1"] for one in (kernels, model, peers, generation))
    assert f"the best of all runs: 1 thread: {read / 1e9:.1f} GB/s, " in text
    rate = script("readme").number(greedy["pyxglm"]["tokens_per_second"])
    assert f"| greedy | 1 | {rate} | – | – |\n" in text
    rates = [script("readme").number(one["tokens_per_second"]) for one in pair.values()]
    times = script("readme").number(pair["numpy"]["median_ns"] / pair["pyxglm"]["median_ns"])
    assert f"| decode, batch 1 (tokens/s) | {rates[0]} | {rates[1]} ({times} ×) |\n" in text
    assert "Absent: nobody: no --nothing-python was given." in text
    assert f"{model['rows'][0]['of_limit']:.0%} |\n" in text
    (growth,) = re.findall(r"\| a token behind 8 others, .* ms \| (-?\d+%) \|", text)
    assert growth == f"{second['reading_ns'] / second['growth_ns']:.0%}"
    assert "| relu | float32 | 524288 |" in text
    assert "<picture>" not in text


class Known:
    """A worker that takes as long as is known."""

    asked: ClassVar[list[str]] = []

    def __init__(self, script, **settings):
        self.name = " ".join(settings.get("options", ()))
        self.about = {"name": self.name, "weights": "float32"}

    def ask(self, job, *, memory=False):
        self.asked.append(job.kind)
        return {"peak_anonymous": 5} if memory else {"ns": 7}

    def close(self):
        self.asked.append("closed")


@pytest.fixture
def known(beside_itself, script, monkeypatch):
    """Run the script of peers on such workers, which say the same."""
    peers, runtimes = script("peers"), script("runtimes")
    monkeypatch.setattr(peers, "started", Known)
    monkeypatch.setattr(peers, "refusal", lambda *_: None)
    monkeypatch.setattr(runtimes, "Worker", Known)
    Known.asked.clear()
    return beside_itself


def test_a_run_continues_one_of_the_same_kind_only(known):
    begun = known("decode_b1", "cold", "memory")
    more = known("prompt_512_last", "--continue")
    assert more["rows"][0] == begun["rows"][0]
    assert (more["cold"], more["memory"]) == (begun["cold"], begun["memory"])
    assert [row["name"] for row in more["rows"]] == ["decode_b1", "prompt_512_last"]
    assert more["limits"]["read"]["2"] >= begun["limits"]["read"]["2"]
    with pytest.raises(SystemExit, match="peers.json: threads is 2, expected 1 to continue"):
        known("decode_b1", "--continue", "-t", "1")
    with pytest.raises(SystemExit, match="there is no such file, expected one to continue"):
        known("decode_b1", "--continue", "--machine", "elsewhere")
    anew = known("prompt_512_all")
    assert [row["name"] for row in anew["rows"]] == ["prompt_512_all"]
    assert (anew["cold"]["pairs"], anew["memory"]) == ({}, {})


def test_what_a_row_found_is_written_before_the_next_begins(known, script, monkeypatch):
    peers = script("peers")

    def interrupted(workers, jobs, rounds):
        if "prompt_512_last" in jobs:
            raise KeyboardInterrupt
        return in_turns(workers, jobs, rounds)

    in_turns = peers.in_turns
    monkeypatch.setattr(peers, "in_turns", interrupted)
    with pytest.raises(KeyboardInterrupt):
        known("decode_b1", "prompt_512_last")
    monkeypatch.setattr(peers, "in_turns", in_turns)
    found = known("prompt_512_all", "--continue")
    assert [row["name"] for row in found["rows"]] == ["decode_b1", "prompt_512_all"]


def test_slow_rows_have_fewer_rounds_and_models_are_closed(known):
    found = known("prompt_2048_last", "decode_b8", "-r", "4")
    rounds = {row["name"]: len(row["pairs"]["numpy"]["numpy"]["samples_ns"])
              for row in found["rows"]}  # fmt: skip
    assert rounds == {"decode_b8": 4, "prompt_2048_last": 3}
    assert Known.asked.count("closed") == 2


def test_a_runtime_that_computes_something_else_is_absent(known, script, monkeypatch):
    monkeypatch.setattr(script("peers"), "refusal", lambda *_: "it says other things")
    found = known("decode_b1", "cold", "memory")
    assert found["runtimes"][1]["absent"] == "it says other things"
    assert (found["rows"], found["cold"]["pairs"], found["memory"]) == ([], {}, {})
    assert Known.asked == ["closed"] * 2


def made_up(rates, error=None):
    """A result of one row: what pyxglm and another reached in their turns."""
    environment = {"cpu": "X", "cpus": 2, "isa": "amx", "compiler": "GCC", "python": "3",
                   "numpy": "2", "commit": "c", "date": "2026-01-01"}  # fmt: skip

    def took(seconds):
        return {"samples_ns": [1e9 * seconds], "median_ns": 1e9 * seconds}

    pairs = {
        peer: {"pyxglm": took(1 / own), peer: took(1 / other)}
        for peer, (own, other) in rates.items()
    }
    cold = {peer: {"pyxglm": took(1), peer: took(i + 2)} for i, peer in enumerate(rates)}
    if error:
        pairs[error][error] = {"error": "crashed"}
    memory = {name: [{"name": "m", "title": "all", "peak_anonymous": 2e6 * (i + 1)}]
              for i, name in enumerate(["pyxglm", *rates])}  # fmt: skip
    return {
        "environment": environment,
        "limits": {"read": {"1": 1e9, "2": 2e9}, "fma": {"1": {"amx": 5e9}, "2": {"amx": 1e10}}},
        "model": "564M-float16",
        "threads": 2,
        "runtimes": [{"runtime": "pyxglm", "name": "pyxglm", "weights": "w"}]
        + [{"runtime": name, "name": name, "weights": "w", "beside": "pyxglm"} for name in rates],
        "rows": [{"name": "r", "title": "a row", "tokens": 1, "pairs": pairs}],
        "cold": {"title": "cold", "pairs": cold},
        "memory": memory,
    }


def test_ratios_are_of_a_pair_and_larger_where_pyxglm_is_better(script):
    readme = script("readme")
    rates = {"one": (40, 16), "two": (20, 10)}
    text = readme.beside(made_up(rates))
    assert text.splitlines()[0] == "| 564M-float16, 2 threads | pyxglm | one | two |"
    # Its own rate is that of the median time of both: between 1/40 s and 1/20 s.
    assert "| a row (tokens/s) | 26.7 | 16.0 (2.50 ×) | 10.0 (2.00 ×) |" in text
    assert "| cold (s) | 1.00 | 2.00 (2.00 ×) | 3.00 (3.00 ×) |" in text
    assert "| all (MB of anonymous memory) | 2.00 | 4.00 (2.00 ×) | 6.00 (3.00 ×) |" in text
    text = readme.beside(made_up(rates, error="one"))
    assert "| a row (tokens/s) | 26.7 | – | 10.0 (2.00 ×) |" in text


def test_the_machine_stands_above_its_tables(script, tmp_path):
    (tmp_path / "results" / "x").mkdir(parents=True)
    (tmp_path / "results" / "x" / "peers.json").write_text(json.dumps(made_up({})))
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
