"""Stored number formats: what a weight is on disk and in memory.

XGLM checkpoints hold float32, float16 or bfloat16. The stored dtype is only
storage: arithmetic is float32 or float64 (`pyxglm.ops.reference.widen` goes
from one to the other). NumPy has no bfloat16, so those weights travel as a
structured dtype with one field: an array that can be shaped, sliced and
memory-mapped like any other, that no arithmetic accepts, and that cannot be
mistaken for uint16.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: bfloat16 is the upper half of a float32: 1 sign, 8 exponent, 7 fraction bits.
bfloat16: np.dtype[Any] = np.dtype([("bfloat16", "<u2")])

#: Every dtype a parameter may be stored in, by its name in config.json.
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": bfloat16,
    "float64": np.dtype("<f8"),
}

#: How to compute, and what activations, the cache and results are. With ``"bfloat16"``
#: factors of matrix products are rounded to it (`pyxglm.ops.coarse`), and nothing else is.
COMPUTE: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("f4"),
    "float64": np.dtype("f8"),
    "bfloat16": np.dtype("f4"),
}


def as_dtype(dtype: object) -> np.dtype[Any]:
    """Return the storage dtype that a name, a NumPy dtype or a torch dtype means.

    Parameters
    ----------
    dtype
        ``"float16"``, ``"bfloat16"``, ``"float32"``, ``"float64"``, the same
        with torch's prefix (``"torch.float16"``), a NumPy dtype or scalar
        type, or a ``torch.dtype`` (recognised by how it prints).

    Raises
    ------
    ValueError
        If it names no dtype that weights can be stored in.
    """
    if isinstance(dtype, np.dtype) and dtype == bfloat16:
        return bfloat16
    name = dtype if isinstance(dtype, str) else str(dtype)
    name = name.removeprefix("torch.")
    if name not in DTYPES and dtype is not None:  # NumPy takes None for float64
        with contextlib.suppress(TypeError):  # no dtype at all: refused below
            name = np.dtype(dtype).newbyteorder("<").name  # type: ignore[call-overload]
    if name not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, expected one of {', '.join(DTYPES)}")
    return DTYPES[name]


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a storage dtype (``"float32"``, ``"bfloat16"``, …).

    >>> dtype_name(bfloat16), dtype_name(np.dtype("f2"))
    ('bfloat16', 'float16')
    """
    return "bfloat16" if dtype == bfloat16 else str(dtype.name)


def convert(array: Array, dtype: object) -> Array:
    """Return `array` stored as `dtype`; the array itself if it already is.

    Narrowing rounds to the nearest value, ties to even, as torch does;
    float64 goes to bfloat16 by way of float32, as torch does too.

    >>> convert(np.float32([1.0, 3.14159]), "bfloat16")["bfloat16"].tolist()
    [16256, 16457]
    """
    target = as_dtype(dtype)
    if array.dtype == target:
        return array
    # What is beyond the target's range becomes infinity or zero, a signalling NaN a quiet one.
    with np.errstate(all="ignore"):
        if array.dtype == bfloat16:
            widened = (array["bfloat16"].astype(np.uint32) << np.uint32(16)).view(np.float32)
            return np.asarray(widened.astype(target))
        if target != bfloat16:
            return np.asarray(array.astype(target))
        single = array.astype(np.float32)
    bits = np.atleast_1d(single).view(np.uint32)
    # Adding 0x7FFF, and one more if the kept part is odd, carries into it exactly when
    # the dropped half is above one half of its last place, or is a half and the part odd.
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16
    # A NaN could be carried over into infinity, or to zero: keep it a (quiet) NaN.
    nan = np.isnan(np.atleast_1d(single))
    rounded = np.where(nan, (bits >> 16) | 0x40, rounded).astype("<u2")
    return rounded.view(bfloat16).reshape(array.shape)
