"""Measuring the machine's limits on several threads."""

from __future__ import annotations

import threading

import pytest

from pyxglm.check import limits


@pytest.mark.parametrize("begun", [1, 2])
def test_an_interrupt_leaves_no_thread_waiting(monkeypatch, begun):
    """Between the start of the threads and the caller's own arrival at their gate."""
    threads, start = [], threading.Thread.start

    def interrupted(thread):
        threads.append(thread)
        start(thread)
        if len(threads) == begun:
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    worked = []
    with pytest.raises(KeyboardInterrupt):
        limits._timed(worked.append, 2)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert worked == []


def test_all_threads_work_and_the_slowest_counts():
    worked = []
    assert limits._timed(worked.append, 3) > 0
    assert sorted(worked) == [0, 1, 2]
