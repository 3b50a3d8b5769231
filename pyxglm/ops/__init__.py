"""The operations that the decoder is written over, one module a backend.

`reference` is NumPy and defines what every operation computes. Another
backend is a module with the same functions and the same signatures.
"""

from __future__ import annotations

import os
from types import ModuleType

#: Backends by name; each names the module that holds its operations.
BACKENDS = {"numpy": "pyxglm.ops.reference"}


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be used here, the default first."""
    return tuple(BACKENDS)


def backend_module(name: str | None = None) -> ModuleType:
    """Return the operations of a backend.

    Parameters
    ----------
    name
        A name from `available_backends`; None means the environment variable
        ``PYXGLM_BACKEND`` if it is set, else the first available.

    Raises
    ------
    ValueError
        If there is no such backend; the message lists the choices.
    """
    import importlib

    source = "backend"
    if name is None and os.environ.get("PYXGLM_BACKEND"):
        name, source = os.environ["PYXGLM_BACKEND"], "PYXGLM_BACKEND"
    if name is None:
        name = available_backends()[0]
    if name not in BACKENDS:
        choices = ", ".join(available_backends())
        raise ValueError(f"{source} is {name!r}, expected one of: {choices}")
    return importlib.import_module(BACKENDS[name])
