"""Limits of the machine, measured: reading memory, and multiplying and adding."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np

from pyxglm.check import native

#: Bytes to read: several times what caches hold.
_BYTES = 1 << 28

#: Rounds of multiplying and adding: some milliseconds.
_ROUNDS = 500_000


class Reader:
    """Memory to read, much more of it than caches hold, with the widest loads of this CPU."""

    def __init__(self) -> None:
        self._memory = np.ones(_BYTES // 4, np.float32)
        self._level = max(level for level in native.levels().values() if level is not None)

    def rate(self, threads: int) -> float:
        """Read all of it once, on some threads; return bytes a second."""
        lib, ffi = native.library().lib, native.library().ffi
        parts = np.array_split(self._memory, threads)

        def read_part(index: int) -> None:
            address = ffi.cast("float *", parts[index].ctypes.data)
            lib.pyxglm_limit_read(address, parts[index].size, self._level)

        return self._memory.nbytes / _timed(read_part, threads)


class Limits:
    """Bytes and operations a second, by number of threads and instruction set.

    A limit is what is possible, so the best of all attempts counts: `try_again`
    now and then, since another program may be in the way of one.

    Parameters
    ----------
    isas
        Instruction sets of this machine, and their numbers in the library.
    threads
        Numbers of threads to measure on, besides one and all.

    Attributes
    ----------
    read, fma
        Bytes a second by threads; operations a second by threads and name.
    pairs
        Operations a second by threads of the avx512 level's pairs of bfloat16; empty
        where it has none.
    """

    def __init__(self, isas: dict[str, int], threads: Iterable[int] = ()) -> None:
        self._isas = isas
        self._threads = sorted({1, len(os.sched_getaffinity(0)), *threads})
        self._reader = Reader()
        self.read: dict[int, float] = {}
        self.fma: dict[int, dict[str, float]] = {}
        self.pairs: dict[int, float] = {}
        for _ in range(3):
            self.try_again()

    def try_again(self) -> None:
        """Measure on each number of threads; keep the best."""
        lib = native.library().lib
        for count in self._threads:
            rate = self._reader.rate(count)
            self.read[count] = max(rate, self.read.get(count, 0))
            best = self.fma.setdefault(count, {})
            for isa, level in self._isas.items():

                def multiply(index: int, level: int = level) -> None:
                    lib.pyxglm_limit_fma(_ROUNDS, level)

                operations = count * lib.pyxglm_limit_fma(1, level) * _ROUNDS
                best[isa] = max(operations / _timed(multiply, count), best.get(isa, 0))
            if operations := count * lib.pyxglm_limit_bf16_pairs(1) * _ROUNDS:
                took = _timed(lambda index: lib.pyxglm_limit_bf16_pairs(_ROUNDS), count)
                self.pairs[count] = max(operations / took, self.pairs.get(count, 0))


def _timed(work: Callable[[int], None], count: int) -> float:
    if count == 1:
        begun = time.perf_counter()
        work(0)
        return time.perf_counter() - begun
    # All begin at once; cffi lets go of the interpreter's lock while C works.
    gate = threading.Barrier(count + 1)
    ends = [0.0] * count

    def part(index: int) -> None:
        with suppress(threading.BrokenBarrierError):
            gate.wait()
            work(index)
        ends[index] = time.perf_counter()

    threads = [threading.Thread(target=part, args=(index,)) for index in range(count)]
    try:
        for thread in threads:
            thread.start()
        gate.wait()
        begun = time.perf_counter()
        for thread in threads:
            thread.join()
    except BaseException:  # an interrupt: those at the gate would wait for ever
        gate.abort()
        raise
    return max(ends) - begun
