"""How much anonymous memory a piece of work takes at its fullest moment.

Anonymous memory is what a process has allocated. Weights mapped from a file are
not part of it: the system can drop those pages and read them again.

The kernel keeps a high-water mark of all resident memory (VmHWM), in which mapped
weights would hide everything else; of anonymous memory (RssAnon) it keeps none. So
a thread looks at it all the time. That takes a little of a core: look while the
clock does not run.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import TracebackType

#: Where Linux tells about this process.
STATUS = Path("/proc/self/status")

#: Seconds between two looks: a page cannot be touched and given back unseen by
#: many others, since 100 MB take 10 ms and more to touch.
_PERIOD = 0.001


def anonymous() -> int | None:
    """Return the bytes of anonymous memory of this process; None where that is not told."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


class PeakMemory:
    """A context in which the peak of anonymous memory is watched.

    Attributes
    ----------
    before, peak
        Bytes at the beginning and at the fullest moment; None where unknown.
    """

    def __init__(self) -> None:
        self.before = self.peak = anonymous()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        if self.peak is not None:
            self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if self.peak is not None:
            self._watcher.join()
            self._look()

    def _watch(self) -> None:
        while not self._done.wait(_PERIOD):
            self._look()

    def _look(self) -> None:
        self.peak = max(self.peak or 0, anonymous() or 0)
