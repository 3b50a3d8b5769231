"""Runtimes as processes: they answer, take turns, fail one by one, and are missed if absent."""

from __future__ import annotations

import pytest

from pyxglm import tiny
from pyxglm.bench.grid import Job

JOB = Job("generate", 0, 2)


@pytest.fixture
def runtimes(script, monkeypatch):
    module = script("runtimes")
    monkeypatch.setattr(module, "PAUSE", 0)
    return module


def test_a_worker_keeps_its_model_and_does_jobs(runtimes):
    worker = runtimes.Worker("pyxglm_worker.py", tiny.PATH, 1, ["backend=c"])
    assert worker.about["name"].startswith("pyxglm ")
    assert worker.about["weights"] == "float16"
    size = (tiny.PATH / "model.safetensors").stat().st_size
    assert 0.9 * size < worker.about["weight_bytes"] < size
    answer = worker.ask(JOB)
    assert 0 < answer["first_token_ns"] < answer["ns"]
    assert answer["peak_anonymous"] is None
    watched = worker.ask(Job("score", 64), memory=True)
    assert watched["ns"] is None
    assert watched["peak_anonymous"] > 1e6
    refused = worker.ask(Job("generate", 0, 1, batch=-1))
    assert refused["error"].startswith("ValueError: ")
    assert "error" not in worker.ask(JOB)  # it goes on
    said = worker.say([[4, 5, 6], [7, 8, 9]])
    assert [len(row) for row in said["ids"]] == [4, 4]
    every = -(-4008 // 1000)
    assert [len(row) for row in said["logits"]] == [-(-4008 // every)] * 2
    assert worker.say([[4], [5, 6]])["error"].startswith("ValueError: ")
    worker.close()


def test_a_worker_that_cannot_start_is_absent_and_says_why(runtimes, tmp_path):
    broken = runtimes.started("pyxglm_worker.py", tmp_path, 1)
    assert broken.about["absent"].startswith("ended with code 1: ")
    assert f"{tmp_path}: there is no config.json" in broken.about["absent"]
    assert broken.ask(JOB) == broken.say([[4]]) == {"error": broken.about["absent"]}
    nowhere = runtimes.started("pyxglm_worker.py", tmp_path, 1, python=str(tmp_path / "python"))
    assert nowhere.about == {"absent": f"{tmp_path / 'python'}: No such file or directory"}


def test_a_worker_that_dies_fails_its_jobs(runtimes, monkeypatch, tmp_path):
    code = "import sys; print('{}', flush=True); input(); print('ouch', file=sys.stderr); exit(3)"
    (tmp_path / "dying.py").write_text(code)
    monkeypatch.setattr(runtimes, "WORKERS", tmp_path)
    worker = runtimes.started("dying.py", tiny.PATH, 1)
    assert worker.about == {}
    for _ in range(2):
        assert worker.ask(JOB) == {"error": "ended with code 3: ouch"}
    worker.close()


class Fake:
    """A worker whose answers are known."""

    def __init__(self, name, times, log):
        self.name, self.times, self.log = name, iter(times), log

    def ask(self, job, *, memory=False):
        self.log.append((self.name, job.name))
        ns = next(self.times)
        return {"ns": ns} if ns else {"error": "tired"}


def test_workers_take_turns_and_medians_count(runtimes, capsys):
    log = []
    workers = {
        "A": Fake("A", [900, 10, 50, 20] * 2, log),
        "B": Fake("B", [900, 5, None], log),
    }
    jobs = {"one": JOB, "two": Job("generate", 0, 4)}
    workers["B"].times = iter([900, 5, None, 7, 1, 2, 3])
    found = runtimes.in_turns(workers, jobs, 3, lambda: log.append(("read", "between")))
    order = "".join(name[0] for name, job in log)
    assert order == "ABABrABrAr" + "ABABrABrABr"  # B has failed then
    assert found["one"] == {
        "A": {"samples_ns": [10, 50, 20], "median_ns": 20, "tokens_per_second": 1e8},
        "B": {"error": "tired"},
    }
    assert found["two"]["B"]["median_ns"] == 2
    assert found["two"]["B"]["tokens_per_second"] == 2e9
    assert capsys.readouterr().out.count("\n") == 4


def test_a_fresh_runtime_is_timed_from_its_start_and_ended(runtimes, monkeypatch):
    log, clock = [], iter([100, 350])

    class Started(Fake):
        def close(self):
            log.append("closed")

    monkeypatch.setattr(runtimes.time, "perf_counter_ns", lambda: next(clock))
    fresh = runtimes.Fresh(lambda: Started("A", [5, None], log))
    assert fresh.ask(JOB) == {"ns": 250}
    assert log == [("A", "tg2"), "closed"]


def test_cold_starts_take_turns(runtimes):
    log = []

    class Started(Fake):
        def close(self):
            pass

    starts = {
        "A": lambda: Started("A", [1], log),
        "B": lambda: Started("B", [1], log),
        "C": lambda: Started("C", [None], log),
    }
    found = runtimes.cold(starts, 2)
    assert [name for name, _ in log] == ["A", "B", "C", "A", "B", "A", "B"]
    assert {name: set(one) for name, one in found.items()} == {
        "A": {"samples_ns", "median_ns"},
        "B": {"samples_ns", "median_ns"},
        "C": {"error"},
    }
    assert len(found["A"]["samples_ns"]) == 2
