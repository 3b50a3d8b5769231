"""The values of a state dict's pickle: descriptions, not objects of torch.

What torch writes for each tensor::

    _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)

where ``storage`` is the persistent id ``("storage", HalfStorage, key,
location, numel)`` of a member ``data/<key>`` of the archive, and, around it,
for a Parameter::

    _rebuild_parameter(tensor, requires_grad, hooks)

The functions in `MAKERS` do what those names mean to us: they check the types
of their arguments and write down a `TensorView`, or return None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyxglm.dtypes import bfloat16


@dataclass(frozen=True)
class Global:
    """A name from the file that this machine knows, standing for itself."""

    name: str
    dtype: np.dtype[Any] | None = None


@dataclass(frozen=True)
class Storage:
    """A member of the archive, as one flat array."""

    key: str
    dtype: np.dtype[Any]
    numel: int


@dataclass(frozen=True)
class TensorView:
    """A tensor: a view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class OrderedDict(dict[object, object]):
    """What ``collections.OrderedDict`` makes: a dict that may be given attributes (dropped)."""


_STORAGES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": bfloat16,
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    # A byte other than 0 and 1 is no bool to NumPy: keep the bytes.
    "BoolStorage": np.dtype([("bool", "u1")]),
}

#: Every name that a file may mention.
GLOBALS: dict[str, Global] = {
    "collections OrderedDict": Global("OrderedDict"),
    "torch._utils _rebuild_tensor_v2": Global("_rebuild_tensor_v2"),
    "torch._utils _rebuild_parameter": Global("_rebuild_parameter"),
    **{f"torch {name}": Global(name, dtype) for name, dtype in _STORAGES.items()},
}


def storage_from(persistent_id: object) -> Storage | None:
    """Return the storage that a persistent id describes."""
    match persistent_id:
        case ("storage", Global(_, dtype), str(key), str(_), int(numel)):
            if dtype is not None and _counts(numel):
                return Storage(key, dtype, numel)
    return None


def _make_dict(arguments: tuple[object, ...]) -> OrderedDict | None:
    return None if arguments else OrderedDict()


def _make_tensor(arguments: tuple[object, ...]) -> TensorView | None:
    match arguments:
        case (Storage() as storage, offset, tuple(shape), tuple(strides), bool(), hooks, *more):
            # `more` is torch's dict of flags (conjugate, negative), which weights do not have.
            plain = hooks == {} and more in ([], [None], [{}])
            if plain and len(shape) == len(strides) and _counts(offset, *shape, *strides):
                return TensorView(storage, offset, shape, strides)  # type: ignore[arg-type]
    return None


def _make_parameter(arguments: tuple[object, ...]) -> TensorView | None:
    match arguments:
        case (TensorView() as view, bool(), hooks) if hooks == {}:
            return view
    return None


MAKERS: dict[str, Callable[[tuple[object, ...]], object]] = {
    "OrderedDict": _make_dict,
    "_rebuild_tensor_v2": _make_tensor,
    "_rebuild_parameter": _make_parameter,
}


def _counts(*values: object) -> bool:
    """Tell whether all are non-negative integers (a bool is none)."""
    return all(type(value) is int and value >= 0 for value in values)
