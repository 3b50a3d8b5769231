"""Anonymous memory: its peak is seen, and what is mapped from a file is not counted."""

from __future__ import annotations

import numpy as np

from pyxglm.bench import memory
from pyxglm.bench.memory import PeakMemory, anonymous

BYTES = 64_000_000


def test_a_peak_that_has_gone_is_seen():
    with PeakMemory() as watched:
        held = np.ones(BYTES, np.uint8)
        assert held.sum() == BYTES
        del held
    assert BYTES < watched.peak - watched.before < 1.5 * BYTES
    assert anonymous() < watched.peak - BYTES / 2


def test_what_is_mapped_is_not_counted(tmp_path):
    (tmp_path / "weights").write_bytes(b"\1" * BYTES)
    with PeakMemory() as watched:
        mapped = np.memmap(tmp_path / "weights", np.uint8, "r")
        assert mapped.sum() == BYTES
    assert watched.peak - watched.before < BYTES / 2


def test_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    assert anonymous() is None
    with PeakMemory() as watched:
        pass
    assert (watched.before, watched.peak) == (None, None)
    (tmp_path / "older").write_text("Name:\tpython\nVmHWM:\t    10 kB\n")
    monkeypatch.setattr(memory, "STATUS", tmp_path / "older")
    assert anonymous() is None
