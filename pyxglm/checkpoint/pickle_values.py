"""The values of a state dict's pickle: descriptions, not objects of torch.

What torch writes for each tensor::

    _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)

where ``storage`` is the persistent id ``("storage", HalfStorage, key,
location, numel)`` of a member ``data/<key>`` of the archive, and, around it,
for a Parameter::

    _rebuild_parameter(tensor, requires_grad, hooks)

The functions in `MAKERS` do what those names mean to us: they check the types
of their arguments and write down a `TensorView`, or return None. Before the
zip format the persistent id had a sixth item, None, and in the first versions
``_rebuild_tensor`` made tensors of the first four arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pyxglm.dtypes import bfloat16


@dataclass(frozen=True)
class Global:
    """A name from the file that this machine knows, standing for itself.

    One that is inert may be called: a `Record` of the call is what comes of it.
    """

    name: str
    dtype: np.dtype[Any] | None = None
    inert: bool = False


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


@dataclass
class Record:
    """What an inert name was called with, and the state that the result was given."""

    name: str
    arguments: tuple[object, ...]
    state: object = None


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
        case ("storage", Global(_, dtype), str(key), str(_), int(numel), *more):
            # `more` is where in another storage this one lies, which no torch from 0.4 on writes.
            if more not in ([], [None]):
                return None
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


def _make_first_tensor(arguments: tuple[object, ...]) -> TensorView | None:
    return _make_tensor((*arguments, False, {})) if len(arguments) == 4 else None


def _make_parameter(arguments: tuple[object, ...]) -> TensorView | None:
    match arguments:
        case (TensorView() as view, bool(), hooks) if hooks == {}:
            return view
    return None


Maker = Callable[[tuple[object, ...]], object]

MAKERS: dict[str, Maker] = {
    "OrderedDict": _make_dict,
    "_rebuild_tensor_v2": _make_tensor,
    "_rebuild_parameter": _make_parameter,
}


class Names(NamedTuple):
    """What the pickles of one format may mention and do.

    Attributes
    ----------
    globals
        Every name that they may mention, as ``"module name"``.
    makers
        What the names of functions do.
    instructions
        The instructions of the machine beyond those of a plain state dict.
    keys
        The types that a dict's keys may have.
    inert_modules
        Packages of which every name is inert.
    """

    globals: Mapping[str, Global]
    makers: Mapping[str, Maker]
    instructions: bytes = b""
    keys: tuple[type, ...] = (str,)
    inert_modules: tuple[str, ...] = ()


#: A state dict in torch's zip format.
STATE_DICT = Names(GLOBALS, MAKERS)

#: The pickles of a file of torch from before that; they list the storages' keys.
LEGACY = Names(
    {**GLOBALS, "torch._utils _rebuild_tensor": Global("_rebuild_tensor")},
    {**MAKERS, "_rebuild_tensor": _make_first_tensor},
    instructions=b"]ae",
)


def _counts(*values: object) -> bool:
    """Tell whether all are non-negative integers (a bool is none)."""
    return all(type(value) is int and value >= 0 for value in values)
