"""`compat`: whether a class of another framework's shape repeats what was broken there."""

from __future__ import annotations

from typing import Any

COMPATS = ("4.37",)


def check_compat(value: Any) -> str | None:
    """Return a `compat` argument: None, or the version of transformers to repeat.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if value is not None and value not in COMPATS:
        raise ValueError(f"compat is {value!r}, expected None or {COMPATS[0]!r}")
    compat: str | None = value
    return compat
