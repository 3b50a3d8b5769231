"""The kernels of the C library one by one: a problem's arrays put into a struct, and a call.

`pyxglm.ops.native*` checks its arguments and knows whole operations. Here a single
kernel is called, at any level, on any range, on memory of the caller's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pyxglm.check.cases import OPS
from pyxglm.check.problems import ACTIVATION_NUMBERS, Problem
from pyxglm.dtypes import Array
from pyxglm.ops.shortlist import Shortlist

#: Suffixes of entries in the library's table, by stored dtype, in the order of its enum.
SUFFIXES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8"}

#: The struct of each operation; maps share one.
_STRUCTS = {name: name for name in ("embed", "layer_norm", "linear", "attention", "cache_append")}
_STRUCTS["linear_coarse"] = "linear"


def library() -> Any:
    """Return the extension module (``ffi`` and ``lib``).

    Raises
    ------
    ImportError
        If pyxglm was installed without C.
    """
    try:
        from pyxglm.ops import _kernels
    except ImportError as error:
        raise ImportError(
            "pyxglm has no C kernels here: it was installed with PYXGLM_PURE=1, or not built"
            f" ({error})"
        ) from None
    return _kernels


def entry(op: str, dtype: str) -> str:
    """Return the name of an operation's entry in the library's table.

    >>> entry("linear", "float16"), entry("gelu", "float32"), entry("softmax", "float32")
    ('linear_f16', 'activation_gelu', 'softmax')
    """
    if op in ACTIVATION_NUMBERS:
        return f"activation_{op}"
    return f"{op}_{SUFFIXES[dtype]}" if len(OPS[op].dtypes) > 1 else op


def levels() -> dict[str, int | None]:
    """Return every level by name, with its number; None if this machine cannot run it."""
    lib, ffi = library().lib, library().ffi
    return {
        ffi.string(lib.pyxglm_level_name(level)).decode(): level
        if lib.pyxglm_level_available(level)
        else None
        for level in range(lib.PYXGLM_LEVELS)
    }


def has_variant(op: str, dtype: str, level: int) -> bool:
    """Tell whether a level has a kernel of its own for an operation."""
    lib, ffi = library().lib, library().ffi
    names: list[str] = []
    while (name := lib.pyxglm_entry_name(len(names))) != ffi.NULL:
        names.append(ffi.string(name).decode())
    return bool(lib.pyxglm_serving_level(level, names.index(entry(op, dtype))) == level)


def shortlist_struct(shortlist: Shortlist) -> Any:
    """Return a ``pyxglm_shortlist *``. It holds addresses only: keep the arrays alive."""
    ffi = library().ffi
    kinds = ("int8_t *", "float *", "float *")
    addresses = zip(kinds, (array.ctypes.data for array in shortlist), strict=True)
    return ffi.new("pyxglm_shortlist *", [ffi.cast(*one) for one in addresses])


class NativeKernel:
    """One kernel of the library: an operation, a stored dtype, a level."""

    def __init__(self, op: str, dtype: str, level: int) -> None:
        self.op, self.dtype, self.level = op, dtype, level
        self._stored = list(SUFFIXES).index(dtype)
        self._lib, self._ffi = library().lib, library().ffi
        table = self._lib.pyxglm_table(level)
        if op in ACTIVATION_NUMBERS:
            self._kernel = table.activation[ACTIVATION_NUMBERS[op]]
        elif len(OPS[op].dtypes) > 1:
            self._kernel = getattr(table, op)[self._stored]
        else:
            self._kernel = getattr(table, op)

    def tasks(self, given: Problem, inputs: dict[str, Array]) -> int:
        """Return the end of the largest range."""
        if given.tasks is not None:
            return given.tasks
        return int(self._lib.pyxglm_attention_tasks(self.arguments(given, inputs, {})))

    def __call__(
        self,
        given: Problem,
        inputs: dict[str, Array],
        outputs: dict[str, Array],
        begin: int,
        end: int,
    ) -> None:
        """Compute the range [begin, end)."""
        if self.op == "attention":
            # Somewhat more than is asked for: what is behind that must stay as it is.
            arguments = self.arguments(given, inputs, outputs)
            count = self._lib.pyxglm_attention_scratch(arguments)
            scratch = np.full(count + 64, np.nan, np.float32)
            self._kernel(arguments, begin, end, self._pointer("float *", scratch))
            if not np.isnan(scratch[count:]).all():
                raise RuntimeError("wrote outside its scratch memory")
        else:
            self._kernel(self.arguments(given, inputs, outputs), begin, end)

    def prepared(
        self, given: Problem, inputs: dict[str, Array], outputs: dict[str, Array]
    ) -> tuple[Callable[[], object], Callable[[], object]]:
        """Return a call that computes everything, to be timed, and one that computes nothing.

        A product is called by its entry point, since that prepares x for the kernel. Keep
        the arrays alive.
        """
        kernel, arguments = self._kernel, self.arguments(given, inputs, outputs)
        if self.op in ("linear", "linear_coarse"):
            entry_point = getattr(self._lib, f"pyxglm_run_{self.op}")
            without_rows = self._ffi.new("pyxglm_linear_args *", arguments[0])
            without_rows.M = 0
            return (
                lambda: entry_point(arguments, self._stored, self.level),
                lambda: entry_point(without_rows, self._stored, self.level),
            )
        tasks = self.tasks(given, inputs)
        if self.op != "attention":
            return lambda: kernel(arguments, 0, tasks), lambda: kernel(arguments, 0, 0)
        scratch = np.zeros(self._lib.pyxglm_attention_scratch(arguments) + 16, np.float32)
        # At a cache line, as the library's own: vectors that lie across two take longer.
        aligned = scratch[-scratch.ctypes.data % 64 // 4 :]
        pointer = self._pointer("float *", aligned)

        def call(end: int, owner: Array = scratch) -> None:
            kernel(arguments, 0, end, pointer)

        return lambda: call(tasks), lambda: call(0)

    def run(self, given: Problem, inputs: dict[str, Array], outputs: dict[str, Array]) -> None:
        """Compute all of it by the library's entry point, on its threads."""
        arguments = self.arguments(given, inputs, outputs)
        if self.op in ACTIVATION_NUMBERS:
            code = self._lib.pyxglm_run_activation(
                arguments, ACTIVATION_NUMBERS[self.op], self.level
            )
        elif self.op == "embed":
            rows = [len(given.case.arguments[name]) for name in ("embed_VD", "table_PD")]
            code = self._lib.pyxglm_run_embed(arguments, *rows, self._stored, self.level)
        elif self.op in ("linear", "linear_coarse"):
            call = getattr(self._lib, f"pyxglm_run_{self.op}")
            code = call(arguments, self._stored, self.level)
        else:
            code = getattr(self._lib, f"pyxglm_run_{self.op}")(arguments, self.level)
        if code != self._lib.PYXGLM_OK:
            raise RuntimeError(f"pyxglm_run_{self.op} returned {code}, expected 0")

    def arguments(self, given: Problem, inputs: dict[str, Array], outputs: dict[str, Array]) -> Any:
        """Fill in the struct. It holds addresses only: keep the arrays alive."""
        struct = f"pyxglm_{_STRUCTS.get(self.op, 'map')}_args"
        arguments = self._ffi.new(f"{struct} *")
        fields = dict(self._ffi.typeof(struct).fields)
        for name, value in given.numbers.items():
            setattr(arguments, name, value)
        for name, array in {**inputs, **outputs}.items():
            setattr(arguments, name, self._pointer(fields[name].type, array))
        return arguments

    def _pointer(self, kind: Any, array: Array) -> Any:
        return self._ffi.cast(kind, array.ctypes.data)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let the library use so many threads."""
    lib = library().lib
    before = lib.pyxglm_get_num_threads()
    lib.pyxglm_set_num_threads(count)
    try:
        yield
    finally:
        lib.pyxglm_set_num_threads(before)
