"""Targets with a fault planted, to show that a mutation run finds each kind."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from random import Random

#: The one case at which a fault shows, and the seed for which it does.
SEED, AT = 5, 7


class Planted:
    """Refuse every case properly; the fault is in `fault`."""

    def case(self, rng: Random) -> dict[str, bytes]:
        return {"input": rng.randbytes(8)}

    def run(self, directory: Path) -> None:
        trigger = Random(f"{SEED}:{type(self).__name__}:{AT}").randbytes(8)  # noqa: S311
        if (directory / "input").read_bytes() == trigger:
            self.fault(directory)
        raise ValueError(f"{directory}: refused")

    def fault(self, directory: Path) -> None:
        """Misbehave."""

    def well_said(self, message: str, directory: Path) -> bool:
        return str(directory) in message


class Sound(Planted):
    """No fault."""


class Crash(Planted):
    """Read at address zero, as a careless C library does."""

    def fault(self, directory: Path) -> None:
        ctypes.string_at(0)


class Hang(Planted):
    """Never come back, without using any processor time."""

    def fault(self, directory: Path) -> None:
        time.sleep(3600)


class Spin(Planted):
    """Never come back, at full speed."""

    def fault(self, directory: Path) -> None:
        while True:
            pass


class Wrong(Planted):
    """Let an exception of another kind through."""

    def fault(self, directory: Path) -> None:
        {}["absent"]


class Derived(Planted):
    """Let through an exception that is a ValueError, but says nothing of the file."""

    def fault(self, directory: Path) -> None:
        b"\xff".decode("utf-8")


class Long(Planted):
    """Answer with two lines."""

    def fault(self, directory: Path) -> None:
        raise ValueError(f"{directory}:\nrefused")


class Anonymous(Planted):
    """Do not say which file is meant."""

    def fault(self, directory: Path) -> None:
        raise ValueError("refused")


class Exit(Planted):
    """Leave the process."""

    def fault(self, directory: Path) -> None:
        raise SystemExit(0)


class Slow(Planted):
    """Take much processor time for a small file."""

    seconds_limit = 0.2

    def fault(self, directory: Path) -> None:
        start = time.process_time()
        while time.process_time() - start < 0.3:
            pass


class Greedy(Planted):
    """Allocate what the file says, without looking at its size."""

    def fault(self, directory: Path) -> None:
        bytearray(2**30)


class Leak(Planted):
    """Forget to free some memory in every case."""

    def __init__(self) -> None:
        self.kept: list[bytearray] = []

    def run(self, directory: Path) -> None:
        self.kept.append(bytearray(b"x" * 50_000))
        super().run(directory)


FAULTS = {
    Crash: "crash",
    Hang: "hang",
    Spin: "hang",
    Wrong: "wrong exception: KeyError",
    Derived: "wrong exception: UnicodeDecodeError",
    Long: "bad message",
    Anonymous: "message that does not name the file",
    Exit: "wrong exception: SystemExit",
    Slow: "slow",
    Greedy: "wrong exception: MemoryError",
    Leak: "memory growth",
}
TARGETS = {cls.__name__: cls for cls in (*FAULTS, Sound)} | {"sound.json": Sound}
