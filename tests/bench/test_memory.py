"""Anonymous memory: its peak is seen, and what is mapped from a file is not counted."""

from __future__ import annotations

import gc
import mmap
import time

import numpy as np

from pyxglm.bench import memory
from pyxglm.bench.memory import PeakMemory, anonymous

BYTES = 64_000_000


def test_a_peak_that_has_gone_is_seen():
    # Pages of its own: an array might lie in memory that the process had already. And
    # held until they were seen, however busy the machine is.
    gc.collect()
    with PeakMemory() as watched:
        held = mmap.mmap(-1, BYTES + mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        np.frombuffer(held, np.uint8)[:] = 1
        deadline = time.monotonic() + 60
        while watched.peak - watched.before <= BYTES and time.monotonic() < deadline:
            time.sleep(0.001)
        held.close()
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
