"""Time a generated token behind longer and longer contexts, a token of each in turns.

What is looked for, a few milliseconds more a token, is less than what a shared host's
memory differs by from one second to the next. So the texts are all kept open, every turn
generates one token of each and reads memory, and what counts is the median of what
a turn's tokens differ by.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

from readings import Readings
from rows import CONTEXTS, TURNS

import pyxglm
from pyxglm.bench import jobs


def contexts(model: Any, threads: int, cache_bytes_per_token: int) -> dict[str, Any]:
    """Measure on a number of threads.

    Returns
    -------
    dict
        ``tokens``, one record a depth: ``median_ns`` and ``samples_ns`` of a token,
        ``growth_ns``, by how much it takes longer than one of the first depth in the same
        turn, and ``reading_ns``, what reading the cache alone takes at ``read``, the
        median over the turns of the bytes a second that can be read.
    """
    if model.backend == "c":
        pyxglm.set_num_threads(threads)
    texts = [_text(model, depth) for depth in CONTEXTS]
    readings = Readings([threads])
    samples: list[list[int]] = [[] for _ in CONTEXTS]
    for _ in range(TURNS):
        for text, taken in zip(texts, samples, strict=True):
            begun = time.perf_counter_ns()
            next(text)
            taken.append(time.perf_counter_ns() - begun)
        readings.take()
    read = readings.median(threads)
    records = []
    for depth, taken in zip(CONTEXTS, samples, strict=True):
        growth = [later - first for first, later in zip(samples[0], taken, strict=True)]
        behind = (depth - CONTEXTS[0]) * cache_bytes_per_token
        records.append({
            "depth": depth,
            "samples_ns": taken,
            "median_ns": statistics.median(taken),
            "growth_ns": statistics.median(growth),
            "reading_ns": 1e9 * behind / read if read else None,
        })  # fmt: skip
        print(f"behind {depth:<27}{records[-1]['median_ns'] / 1e6:.1f} ms/token", flush=True)
    return {"read": read, "turns": TURNS, "tokens": records}


def _text(model: Any, depth: int) -> Any:
    """Return the tokens of a text; `depth` are in the cache when the next one is computed."""
    # The prompt's pass, and the first over one token: the passes after it are C alone.
    before = 2
    ids = jobs.tokens(model, 1, max(1, depth - before + 1))
    text = jobs.chosen_tokens(model, ids, TURNS + before)
    for _ in range(before):
        next(text)
    return text
