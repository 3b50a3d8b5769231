"""One process of a mutation run: it feeds forged files to a reader, case by case.

    python -m mutation.child MODULE TARGET SEED START STOP STATUS

Everything about a case follows from the seed, the target and the case's
number, so the parent can make it again when this process has died of it.
`STATUS` is a small file in which the process notes the case that it is at;
what it finds it prints, one JSON object a line.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import mmap
import random
import re
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

#: Address space that cases may use beyond what the process has after setting up.
SPACE_LIMIT = 512 * 2**20
#: Bytes that may stay allocated over all cases, after some to warm up.
GROWTH_LIMIT = 2 * 2**20
WARM_UP = 300
#: Processor time for one case, and for all of them.
SECONDS_LIMIT = 2.0
TOTAL_SECONDS_LIMIT = 600
#: A message is one line of a reasonable length.
MESSAGE_LIMIT = 1000

#: The only answers to a bad file, subclasses excluded: their messages are somebody else's.
ALLOWED = (ValueError, TypeError, FileNotFoundError)


def load_target(module: str, name: str) -> Any:
    """Return a target, set up."""
    return importlib.import_module(module).TARGETS[name]()


def case_files(target: Any, name: str, seed: int, number: int) -> dict[str, bytes]:
    """Make the files of one case."""
    return target.case(random.Random(f"{seed}:{name}:{number}"))  # noqa: S311


def write_files(directory: Path, files: dict[str, bytes]) -> None:
    for filename, data in files.items():
        (directory / filename).write_bytes(data)


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    )  # fmt: skip


def used_memory() -> int:
    """Return the bytes of this process that are allocated and not freed.

    Resident memory would not do: an allocator keeps pages that one large case has freed.
    With ``PYTHONMALLOC=malloc``, which a run sets, Python's own objects are counted too.
    """
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallInfo
    now = mallinfo()
    return int(now.uordblks + now.hblkhd)


def address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


def judge(target: Any, directory: Path) -> tuple[str, str, str]:
    """Run one case; return its outcome (accepted, refused or a kind of finding) and why."""
    start = time.process_time()
    try:
        target.run(directory)
    except BaseException as error:
        message, outcome = str(error), "refused"
        detail = traceback.format_exc(limit=-6)
        if type(error) not in ALLOWED:
            outcome = f"wrong exception: {type(error).__name__}"
        elif "\n" in message or not message.isprintable() or not 0 < len(message) < MESSAGE_LIMIT:
            outcome = "bad message"
        elif not target.well_said(message, directory):
            outcome = "message that does not name the file"
    else:
        outcome, message, detail = "accepted", "", ""
    seconds = time.process_time() - start
    if seconds > getattr(target, "seconds_limit", SECONDS_LIMIT):
        outcome, detail = "slow", f"{seconds:.1f} s of processor time"
    return outcome, message, detail


def main() -> None:
    module, name, *numbers = sys.argv[1:6]
    seed, start, stop = map(int, numbers)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", UserWarning)
    target = load_target(module, name)
    limit = address_space() + SPACE_LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (TOTAL_SECONDS_LIMIT, TOTAL_SECONDS_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    outcomes: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    warm = None
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
    with (
        open(sys.argv[6], "r+b") as file,  # noqa: PTH123
        mmap.mmap(file.fileno(), 8) as status,
        tempfile.TemporaryDirectory(dir=shared) as place,
    ):
        directory = Path(place)
        for number in range(start, stop):
            struct.pack_into("<q", status, 0, number)
            files = case_files(target, name, seed, number)
            write_files(directory, files)
            outcome, message, detail = judge(target, directory)
            for filename in files:
                (directory / filename).unlink()
            outcomes[outcome] += 1
            if outcome not in ("accepted", "refused"):
                found = {"case": number, "kind": outcome, "message": message, "detail": detail}
                print(json.dumps(found), flush=True)
            messages[re.sub(r"'[^']*'|[\d.]+", "…", message.replace(place, ""))[:150]] += 1
            if number - start == WARM_UP:
                messages_seen, warm = len(messages), used_memory()
        if warm is not None:
            # What this process itself remembers of the messages does not count.
            grown = used_memory() - warm - 1000 * (len(messages) - messages_seen)
            if grown > GROWTH_LIMIT:
                detail = f"{grown / 2**20:.1f} MB not freed over {stop - start - WARM_UP} cases"
                print(json.dumps({"case": stop - 1, "kind": "memory growth", "detail": detail}))
    print(json.dumps({"outcomes": outcomes, "messages": messages}), flush=True)


if __name__ == "__main__":
    main()
