"""The C library: loading it, choosing the instruction set and the threads.

This module, its siblings `native*.py` and `pyxglm.check` are what touches cffi.
The manual of the library is `csrc/pyxglm.h`.
"""

from __future__ import annotations

import os
from typing import Any

from pyxglm.ops.cpus import checked_threads, default_threads

try:
    from pyxglm.ops._kernels import ffi as _ffi
    from pyxglm.ops._kernels import lib as _lib
except ImportError as error:
    raise ImportError(
        f"pyxglm's C kernels cannot be loaded ({error}): install pyxglm with a C compiler, "
        "or use backend='numpy'"
    ) from error

ffi: Any = _ffi
lib: Any = _lib

#: The instruction set that is in use.
IN_USE = -1


def _levels() -> dict[str, int]:
    """Return the number of every level that can be used here, by name, lowest first."""
    return {
        ffi.string(lib.pyxglm_level_name(level)).decode(): level
        for level in range(lib.PYXGLM_LEVELS)
        if lib.pyxglm_level_available(level)
    }


def available_isas() -> tuple[str, ...]:
    """Return the instruction sets that the library, the CPU and the system have, lowest first."""
    return tuple(_levels())


def isa() -> str:
    """Return the instruction set in use."""
    name: str = ffi.string(lib.pyxglm_level_name(lib.pyxglm_level())).decode()
    return name


def use_isa(name: str) -> None:
    """Use the kernels of an instruction set from now on, in all threads.

    Parameters
    ----------
    name
        One of `available_isas`; each has, besides its own kernels, those of the
        ones before it. ``"scalar"`` is plain C.

    Raises
    ------
    ValueError
        If there is no such instruction set here; the message lists the choices.
    """
    _use_isa("name", name)


def _use_isa(source: str, name: str) -> None:
    lib.pyxglm_use_level(level_of(source, name))


def level_of(source: str, name: str) -> int:
    """Return the number of an instruction set that an argument or a variable names."""
    levels = _levels()
    if name not in levels:
        raise ValueError(f"{source} is {name!r}, expected one of: {', '.join(levels)}")
    return levels[name]


def serving_isas(name: str | None = None) -> dict[str, str]:
    """Return which instruction set's kernel serves each operation.

    Parameters
    ----------
    name
        The instruction set in use; None means the present one.

    Returns
    -------
    dict
        From operations and dtypes, as in ``"linear_f16"``, to instruction sets.
    """
    level = lib.pyxglm_level() if name is None else level_of("name", name)
    serving: dict[str, str] = {}
    while (entry := lib.pyxglm_entry_name(len(serving))) != ffi.NULL:
        server = lib.pyxglm_serving_level(level, len(serving))
        serving[ffi.string(entry).decode()] = ffi.string(lib.pyxglm_level_name(server)).decode()
    return serving


def bf16_pairs() -> bool:
    """Tell whether the avx512 level's coarse product is on pairs of bfloat16 (VDPBF16PS) here."""
    return bool(lib.pyxglm_bf16_pairs())


def set_num_threads(threads: int) -> None:
    """Share the work of every operation among this many threads, the caller's included.

    Results do not depend on it. Waits for operations in progress.

    Raises
    ------
    ValueError
        If it is not a whole number from 1 to 1024.
    """
    lib.pyxglm_set_num_threads(checked_threads("threads", threads))


def get_num_threads() -> int:
    """Return how many threads share the work of an operation.

    At first ``PYXGLM_NUM_THREADS``, or else as many as there are CPUs that this
    process may use, by its affinity and by its container's quota.
    """
    return int(lib.pyxglm_get_num_threads())


def check(status: int) -> None:
    """Raise what a call's status means, if it is no success."""
    if status == lib.PYXGLM_NO_MEMORY:
        raise MemoryError("pyxglm: no memory for the scratch buffers of a kernel")
    if status != lib.PYXGLM_OK:
        raise RuntimeError(f"pyxglm: a kernel call returned status {status}")


if os.environ.get("PYXGLM_ISA"):
    _use_isa("PYXGLM_ISA", os.environ["PYXGLM_ISA"])
lib.pyxglm_set_num_threads(default_threads())
