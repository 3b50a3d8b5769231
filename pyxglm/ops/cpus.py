"""How many threads to use: what the machine, the container and the user allow.

A container's quota is no smaller number of CPUs: all are there, and the process
is stopped for the rest of each period once its share is used up. With more
threads than the quota pays for, the pool would spend it waiting for threads
that have been stopped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil, inf
from operator import index
from pathlib import Path

#: Where Linux shows control groups, and which groups this process is in.
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

#: The pool's limit, `PYXGLM_MAX_THREADS` in `csrc/pyxglm.h`.
MAX_THREADS = 1024


def default_threads() -> int:
    """Return ``PYXGLM_NUM_THREADS``, or else the number of CPUs that may be used.

    Raises
    ------
    ValueError
        If the variable is set and not a whole number from 1.
    """
    wanted = os.environ.get("PYXGLM_NUM_THREADS")
    if wanted:
        # Python refuses to read thousands of digits.
        readable = _is_number(wanted) and len(wanted) <= 100
        return checked_threads("PYXGLM_NUM_THREADS", int(wanted) if readable else wanted)
    return min(allowed_cpus(), MAX_THREADS)


def checked_threads(name: str, threads: object) -> int:
    """Return a number of threads, or refuse it with a ValueError that says where it stood."""
    try:  # NumPy's whole numbers are welcome
        number = 0 if isinstance(threads, bool) else index(threads)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"{name} is {threads!r}, expected a whole number from 1 to {MAX_THREADS}")
    return number


def allowed_cpus() -> int:
    """Return how many CPUs this process may keep busy: its affinity and its quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # a system without affinity
        cpus = os.cpu_count() or 1
    quota = min(_quotas(CGROUPS, MEMBERSHIP), default=inf)
    return cpus if quota == inf else max(1, min(cpus, ceil(quota)))


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    """Yield every quota that binds this process, in CPUs.

    A group is bound by its parents as well. Inside a container the own group is
    often shown as the root of the tree, although its name is that of the host:
    so the root is looked at as well.
    """
    for controllers, path in _memberships(membership):
        if controllers == "":  # version 2: one tree for all
            places = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            places = [root / "cpu", root / controllers]
        else:
            continue
        for place in places:
            group = place / path
            while True:
                yield from _quota(group)
                if group == place:
                    break
                group = group.parent


def _memberships(membership: Path) -> Iterator[tuple[str, str]]:
    """Yield (controllers, path without the first slash) of every line ``id:controllers:path``."""
    for line in _read(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if ".." not in path.split("/"):  # a group outside of what this container may see
            yield controllers, path.strip("/")


def _quota(group: Path) -> Iterator[float]:
    """Yield a group's quota in CPUs, if it has one, from either version's files."""
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota = _read(group / "cpu.cfs_quota_us").strip()
        period = _read(group / "cpu.cfs_period_us").strip()
    if _is_number(quota) and _is_number(period) and int(period) > 0:
        yield int(quota) / int(period)


def _is_number(text: str) -> bool:
    """Whether this is digits only: not ``max`` nor ``-1``, which mean "no limit"."""
    return text.isascii() and text.isdigit()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:  # no such file: nothing is limited here
        return ""
