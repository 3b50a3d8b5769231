"""The mutation run finds what it is for, and its cases can be made again."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from mutation import planted
from mutation.child import case_files
from mutation.targets import TARGETS

RUN = Path(__file__).with_name("run.py")


def run(tmp_path, *arguments):
    """Run with few cases a process, and a short patience."""
    return subprocess.run(
        [sys.executable, *map(str, (RUN, "--seed", planted.SEED, "--keep", tmp_path, *arguments))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    """Run all planted faults once, side by side."""
    keep = tmp_path_factory.mktemp("findings")
    done = run(keep, "--module", "mutation.planted", "--cases", 500, "--hang", 1, "--jobs", 4)
    return done, keep


@pytest.mark.parametrize(("fault", "kind"), [*planted.FAULTS.items()])
def test_every_planted_fault_is_found(faults, fault, kind):
    done, keep = faults
    assert done.returncode == 1, done.stderr
    name = fault.__name__
    number = 499 if kind == "memory growth" else planted.AT
    place = keep / f"{name}-5-{number}"
    assert json.loads((place / "finding.json").read_text())["kind"] == kind
    expected = case_files(planted.TARGETS[name](), name, planted.SEED, number)
    assert (place / "input").read_bytes() == expected["input"]
    assert f"FOUND {name} case {number}: {kind}; files in {place}" in done.stdout
    assert f"--seed 5 --replay {number} {name}" in done.stdout
    # One fault, and after it the run goes on.
    assert re.search(rf"^{name}: 500 cases, 0% accepted, .*, 1 findings$", done.stdout, re.M)


def test_a_sound_target_passes(tmp_path):
    done = run(tmp_path, "--module", "mutation.planted", "--cases", 500, "Sound")
    assert done.returncode == 0, done.stdout
    assert "Sound: 500 cases, 0% accepted, 1 kinds of answer, 0 findings" in done.stdout
    assert "seed 5" in done.stdout
    assert not [*tmp_path.iterdir()]


def test_processes_of_one_target_do_not_write_over_each_other(tmp_path):
    """Though what looks like the suffix of a file's name is part of the target's."""
    given = ("--module", "mutation.planted", "--cases", 40, "--chunk", 2, "--jobs", 8)
    done = run(tmp_path, *given, "sound.json")
    assert done.returncode == 0, done.stdout
    assert "sound.json: 40 cases, 0% accepted, 1 kinds of answer, 0 findings" in done.stdout


def test_a_small_run_of_every_format(tmp_path):
    """The real targets, a few cases each: the run in full is a step of its own."""
    done = run(tmp_path, "--cases", 60)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in TARGETS:
        assert f"{name}: 60 cases" in done.stdout


def test_unknown_targets_are_refused(tmp_path):
    done = run(tmp_path, "no-such-format")
    assert done.returncode == 2
    assert "known: safetensors" in done.stderr


@pytest.mark.parametrize("name", [*TARGETS])
def test_cases_follow_from_seed_and_number(name):
    """The same case twice is the same file; and hardly any two cases are."""
    target, again = TARGETS[name](), TARGETS[name]()
    cases = [case_files(target, name, 3, number) for number in range(60)]
    assert cases[11] == case_files(again, name, 3, 11)
    different = Counter(b"".join(sorted(files.values())) for files in cases)
    assert len(different) > 50
    assert cases[0] != case_files(target, name, 4, 0) or cases[1] != case_files(target, name, 4, 1)


@pytest.mark.parametrize("name", [*TARGETS])
def test_seeds_themselves_are_read(name, tmp_path):
    """What is not mutated is accepted: the mutants fail for their mutation."""
    target = TARGETS[name]()
    accepted = 0
    for number in range(200):
        files = target.case(Random(number))  # noqa: S311
        for filename, data in files.items():
            (tmp_path / filename).write_bytes(data)
        try:
            target.run(tmp_path)
            accepted += 1
        except (ValueError, FileNotFoundError):
            pass
        for filename in files:
            (tmp_path / filename).unlink()
    assert accepted > 2
