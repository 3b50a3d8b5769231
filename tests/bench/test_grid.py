"""Grids of jobs: what is combined with what, and how it is called."""

from __future__ import annotations

import pytest

from pyxglm.bench.grid import Job, jobs, names, numbers


def test_a_grid_combines_everything_that_a_kind_of_job_has():
    found = list(
        jobs(
            prompts=[16, 0],
            generate=[8],
            both=[(16, 8)],
            score=[32],
            cold=True,
            batches=[1, 4],
            depths=[0, 64],
            all_logits=[False, True],
        )
    )
    assert [job.name for job in found if job.kind == "prompt"] == [
        "pp16", "pp16 @ d64", "pp16 b4", "pp16 b4 @ d64",
        "pp16 all", "pp16 all @ d64", "pp16 all b4", "pp16 all b4 @ d64",
    ]  # fmt: skip
    assert [job.name for job in found if job.kind == "generate"] == [
        "tg8", "tg8 @ d64", "tg8 b4", "tg8 b4 @ d64"
    ]  # fmt: skip
    assert [job.name for job in found if job.kind == "both"] == ["pp16+tg8", "pp16+tg8 b4"]
    assert [job.name for job in found if job.kind == "score"] == ["score32", "score32 b4"]
    assert [job.name for job in found if job.kind == "cold"] == ["cold32"]
    assert len({job.name for job in found}) == len(found)


def test_tokens_count_every_sequence():
    assert Job("both", 16, 8, batch=3, depth=100).tokens == 72


@pytest.mark.parametrize("text", ["", "1,", "1, 2", "-1", "1.5", "x", "٣", "9" * 10, "2,1", "0"])
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(ValueError, match="expected whole numbers from 2 with commas between"):
        numbers(text, 2)


def test_names():
    assert names("b,a", ("a", "b")) == ["b", "a"]
    with pytest.raises(ValueError, match="'c', expected one of: a, b"):
        names("a,c", ("a", "b"))
