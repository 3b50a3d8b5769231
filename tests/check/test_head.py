"""The head's checker must be able to fail."""

from __future__ import annotations

import numpy as np
import pytest

from pyxglm.check import head, native


def swapped(found, case):
    if found["ids"].shape[1] > 1:
        found["ids"][:, :2] = found["ids"][:, 1::-1]


def one_bit(found, case):
    found["values"][:] = np.nextafter(found["values"], np.float32(np.inf))


def another_target(found, case):
    found["target_logits"][:] = np.roll(found["target_logits"], 1)


def inexact_sum(found, case):
    found["log_sums"][:] *= np.float32(1.0001)


def depends_on_rows(found, case):
    if len(found["log_sums"]) > 1:
        found["log_sums"][:] = np.nextafter(found["log_sums"], np.float32(np.inf))


MISTAKES = {
    swapped: "ids are not those",
    one_bit: "values differ in a bit",
    another_target: "target_logits differ in a bit",
    inexact_sum: "log_sums[",
    depends_on_rows: "alone: the results differ",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found(monkeypatch, mistake):
    right = head._run

    def wrong(case, *rest):
        found, damage = right(case, *rest)
        if "log_sums" in found:
            mistake(found, case)
        return found, damage

    monkeypatch.setattr(head, "_run", wrong)
    outcome = head.check("head", "float16", native.levels()["scalar"], seed=1, count=1)
    assert any(MISTAKES[mistake] in complaint for complaint in outcome.complaints)


def test_a_dependence_on_threads_is_found(monkeypatch):
    right, lib = head._run, native.library().lib

    def wrong(case, *rest):
        found, damage = right(case, *rest)
        if "log_sums" in found:
            found["log_sums"][:] += np.float32(lib.pyxglm_get_num_threads() == 3)
        return found, damage

    monkeypatch.setattr(head, "_run", wrong)
    outcome = head.check("head", "float32", native.levels()["scalar"], seed=1, count=1)
    assert any("3 threads: the results differ" in complaint for complaint in outcome.complaints)


@pytest.mark.parametrize(
    ("name", "amount", "complaint"),
    [
        ("ids", 1, "shortlist: ids are not those"),
        ("values", 1, "shortlist: values differ in a bit"),
        ("computed", 2000, "were computed, too many"),
    ],
)
def test_a_mistake_of_the_shortlist_is_found(monkeypatch, name, amount, complaint):
    right = head._run

    def wrong(case, *rest):
        found, damage = right(case, *rest)
        if "computed" in found:
            found[name][:] += found[name].dtype.type(amount)
        return found, damage

    monkeypatch.setattr(head, "_run", wrong)
    outcome = head.check("head", "float16", native.levels()["scalar"], seed=1, count=1)
    assert any(complaint in told for told in outcome.complaints)


def test_a_radius_that_is_too_short_is_found(monkeypatch):
    right = head._shortlist

    def wrong(*given):
        shortlist, damage = right(*given)
        return shortlist._replace(radii_V=shortlist.radii_V / 3), damage

    monkeypatch.setattr(head, "_shortlist", wrong)
    outcome = head.check("head", "float16", native.levels()["scalar"], seed=1, count=1)
    assert any("further from its score" in complaint for complaint in outcome.complaints)
