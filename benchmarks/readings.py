"""How fast memory can be read, looked for between the turns of what is timed.

A shared host reads half as fast again in one minute as in another, so a job is set beside
what could be read between its own turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from pyxglm.check.limits import Reader
from pyxglm.ops import available_backends

#: Readings of memory at a time, of which the best counts: threads may begin late.
READINGS = 4


class Readings:
    """Bytes a second that can be read on numbers of threads; none known without C kernels."""

    def __init__(self, threads: Iterable[int]) -> None:
        self._reader = Reader() if "c" in available_backends() else None
        self._rates: dict[int, list[float]] = {count: [] for count in threads}

    def take(self) -> None:
        """Read now, on each number of threads."""
        if self._reader is not None:
            for count, rates in self._rates.items():
                rates.append(max(self._reader.rate(count) for _ in range(READINGS)))

    def median(self, threads: int) -> float | None:
        """Return the median of what was found so far."""
        rates = self._rates[threads]
        return statistics.median(rates) if rates else None
