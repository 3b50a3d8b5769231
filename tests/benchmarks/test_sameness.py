"""A runtime is believed only if it says what pyxglm says."""

from __future__ import annotations

import json

import pytest

SAID = {"ids": [[5, 6], [7, 8]], "logits": [[1.0, -10.0, 3.0], [0.0, 2.0, 4.0]], "loss": 2.0}


class Saying:
    """A worker that says something known."""

    def __init__(self, **changes):
        self.said = {**SAID, **changes}

    def say(self, prompts):
        assert [len(row) for row in prompts] == [12, 12]
        assert all(4 <= one < 50 for row in prompts for one in row)
        assert len({one for row in prompts for one in row}) > 12
        return self.said


@pytest.fixture
def refused(script, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 50}))
    sameness = script("sameness")

    def ask(tolerance, **changes):
        return sameness.refusal(Saying(**changes), Saying(), tmp_path, getattr(sameness, tolerance))

    return ask


def far(by):
    """Logits of which the last is off by a part of the largest."""
    return [SAID["logits"][0], [0.0, 2.0, 4.0 + 10 * by]]


def test_what_is_the_same_within_rounding_is_believed(refused):
    assert refused("EXACT") is None
    assert refused("EXACT", logits=far(1.9e-5)) is None
    assert refused("EXACT", loss=None) is None  # a runtime that cannot score
    assert refused("HALF", logits=far(4e-3), ids=[[5, 6], [7, 9]]) is None
    assert refused("COARSE", logits=far(-0.03), ids=[[5, 6], [7, 9]]) is None


def test_what_differs_is_refused_and_said(refused):
    said = refused("EXACT", logits=far(4e-5))
    assert said == "its logits are 4.0e-05 of the largest from pyxglm's, expected 2e-05"
    assert "expected 4e-02" in refused("COARSE", logits=far(0.06))
    assert "expected 2e-05" in refused("EXACT", logits=far(float("nan")))
    assert "its logits are 1.0e-02" in refused("EXACT", loss=2.1)
    said = refused("EXACT", ids=[[5, 6], [7, 9]])
    assert said == "it continues with [[5, 6], [7, 9]], expected pyxglm's [[5, 6], [7, 8]]"
    said = refused("COARSE", error="ValueError: no")
    assert said == "what it computes is not known: ValueError: no"
