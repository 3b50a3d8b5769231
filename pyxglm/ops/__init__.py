"""The operations that the decoder is written over, one module a backend.

`reference` is NumPy and defines what every operation computes. `native` has the
same functions with the same signatures on the C kernels of `csrc`, and those of
`shortlist`, which pay there alone.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from pyxglm.dtypes import COMPUTE, Array

#: Backends by name, best first; each names the module that holds its operations.
BACKENDS = {"c": "pyxglm.ops.native", "numpy": "pyxglm.ops.reference"}

#: The same for ``compute="bfloat16"``: products of rounded numbers.
_COARSE = {"c": "pyxglm.ops.native_coarse", "numpy": "pyxglm.ops.coarse"}


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be used here, the default first.

    ``"c"`` is one of them if the package was installed with its C kernels.
    """
    built = find_spec("pyxglm.ops._kernels") is not None
    return tuple(name for name in BACKENDS if built or name != "c")


def backend_name(name: str | None = None, compute: str = "float32") -> str:
    """Return the name of the backend to compute with.

    Parameters
    ----------
    name
        A name from `available_backends`; None means the default: what the
        environment variable ``PYXGLM_BACKEND`` says, else the first available.
    compute
        One of `pyxglm.dtypes.COMPUTE`. Only ``"numpy"`` computes in float64,
        so that is the default for it, whatever the variable says.

    Raises
    ------
    ValueError
        If there is no such backend, or it does not compute in that dtype; the
        message lists the choices.
    """
    choices = available_backends()
    wanted = os.environ.get("PYXGLM_BACKEND") or None if name is None else name
    if wanted is not None and wanted not in choices:
        source = "PYXGLM_BACKEND" if name is None else "backend"
        raise ValueError(f"{source} is {wanted!r}, expected one of: {', '.join(choices)}")
    if not isinstance(compute, str) or compute not in COMPUTE:
        raise ValueError(f"compute is {compute!r}, expected one of: {', '.join(COMPUTE)}")
    if compute == "float64":
        if name == "c":
            raise ValueError(
                f"compute is {compute!r}, expected 'float32' or 'bfloat16' for backend 'c'"
            )
        return "numpy"
    return wanted or choices[0]


def backend_module(name: str, compute: str = "float32") -> ModuleType:
    """Return the operations of a backend that `backend_name` has named for a `compute`."""
    return import_module((_COARSE if compute == "bfloat16" else BACKENDS)[name])


def in_a_row(ops: Any, hidden_BTD: Array) -> AbstractContextManager[None]:
    """Return a context in which a backend may put its calls off, to make them in a row.

    Parameters
    ----------
    ops
        Operations. Only a backend's own are put off; others around them, which
        compute with NumPy in between, are not.
    hidden_BTD
        What the first of them reads.
    """
    if not isinstance(ops, ModuleType) or not hasattr(ops, "in_a_row"):
        return nullcontext()
    manager: AbstractContextManager[None] = ops.in_a_row(hidden_BTD)
    return manager


def recording(name: str) -> ModuleType | None:
    """Return the module that records and repeats the calls of a backend, if it has one."""
    return import_module("pyxglm.ops.native_steps") if name == "c" else None
