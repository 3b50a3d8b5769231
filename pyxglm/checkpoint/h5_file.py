"""TensorFlow's files: HDF5 in the layout of keras, read by mapping.

The HDF5 library (h5py, the extra ``pyxglm[tf]``) says what lies where; the
numbers are then mapped, not read. Two layouts are found under
``tf_model*.h5``, as transformers writes them:

- one file: the attribute ``layer_names`` of the file names groups, the
  attribute ``weight_names`` of each names its datasets;
- a shard: ``layer_names`` names the datasets themselves.

An attribute too large for HDF5 continues as ``layer_names0``,
``layer_names1``, …; other files, other storage, soft and external links and
everything that is not a plain array of numbers is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm.checkpoint.mapping import Source, count_bytes, lfs_pointer, opened, tensor
from pyxglm.dtypes import Array
from pyxglm.strict_json import quoted

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

#: Bounds far above what the largest XGLM needs: 900 weights with names of 70 characters.
NAMES_LIMIT = 100_000
NAME_LIMIT = 1_000
ATTRIBUTES_LIMIT = 1_000


def require_h5py() -> Any:
    """Return the h5py module, or say how to get it.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise ImportError(
            "h5py is not installed, and tf_model.h5 needs it: pip install 'pyxglm[tf]'"
        ) from None
    return h5py


def read_h5(path: Path) -> dict[str, Array]:
    """Map the weights in a file of TensorFlow.

    Returns
    -------
    dict
        The name that TensorFlow gives each weight, such as
        ``tfxglm_model/model/layer_norm/gamma:0``, to the read-only array, as it
        is in the file; see `names.canonical_names` for what the names mean.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    ValueError
        If the file is damaged, or lays out its weights in another way.
    """
    path = Path(path)
    with opened(path) as source:
        _check_signature(source)
        h5py = require_h5py()
        mapped = source.map()
        # h5py fails in as many classes as the library has reasons.
        try:
            with h5py.File(path, "r") as file:
                return _weights(file, mapped, h5py)
        except _RefusalError as refusal:
            raise ValueError(f"{path}: {refusal}") from None
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: damaged HDF5: {quoted(reason, 200)}") from None


class _RefusalError(ValueError):
    """What this module objects to; `read_h5` adds the file."""


def _check_signature(source: Source) -> None:
    if lfs_pointer(source):
        raise ValueError(
            f"{source.path}: a Git LFS pointer and not the weights: run `git lfs pull`"
        )
    start = source.read(0, min(source.size, len(_SIGNATURE)))
    if start != _SIGNATURE:
        raise ValueError(f"{source.path}: starts with {start!r}, expected an HDF5 file")


def _weights(file: Any, mapped: Array, h5py: Any) -> dict[str, Array]:
    """Return every weight that the file's attributes name."""
    if file.userblock_size:
        raise _RefusalError(f"{file.userblock_size} bytes stand before the HDF5 data, expected 0")
    found: dict[str, Array] = {}
    for layer in _names(file, "layer_names"):
        node = _child(file, layer, h5py)
        if isinstance(node, h5py.Dataset):
            listed = [(layer, node)]
        else:
            listed = [(name, _child(node, name, h5py)) for name in _names(node, "weight_names")]
        for name, dataset in listed:
            if name in found:
                raise _RefusalError(f"the weight {quoted(name)} is listed twice")
            found[name] = _array(dataset, mapped, f"the weight {quoted(name)}", h5py)
    return found


def _names(group: Any, key: str) -> Iterator[str]:
    """Yield the names that an attribute lists, whole or in numbered parts."""
    parts = [key]
    if key not in group.attrs:
        numbered = (f"{key}{n}" for n in range(ATTRIBUTES_LIMIT))
        parts = [*takewhile(group.attrs.__contains__, numbered)]
        if not parts:
            raise _RefusalError(f"{quoted(group.name)} has no attribute {key}, expected a list")
    count = 0
    for part in parts:
        attribute = group.attrs.get_id(part)
        if len(attribute.shape) != 1 or attribute.shape[0] > NAMES_LIMIT:
            raise _RefusalError(
                f"the attribute {part} of {quoted(group.name)} has the shape {attribute.shape}, "
                f"expected a list of at most {NAMES_LIMIT} names"
            )
        if not attribute.shape[0]:  # an empty list of no type in particular
            continue
        if attribute.dtype.kind not in "OSU" or attribute.dtype.itemsize > NAME_LIMIT:
            raise _RefusalError(
                f"the attribute {part} of {quoted(group.name)} holds {attribute.dtype}, "
                "expected names"
            )
        count += attribute.shape[0]
        if count > NAMES_LIMIT:
            raise _RefusalError(f"the attribute {key} lists more than {NAMES_LIMIT} names")
        for name in group.attrs[part]:
            yield _text(name, part)


def _text(name: Any, where: str) -> str:
    if isinstance(name, bytes):
        name = name.decode("utf-8")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
        raise _RefusalError(f"the attribute {where} holds {quoted(name)}, expected a name")
    return str(name)


def _child(group: Any, name: str, h5py: Any) -> Any:
    """Return what `name` leads to below a group, by links inside this file only."""
    node = group
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise _RefusalError(f"the name {quoted(name)}, expected a path without empty parts")
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise _RefusalError(f"{quoted(name)} is listed, but absent")
        if not isinstance(link, h5py.HardLink):
            raise _RefusalError(f"{quoted(name)} is a {type(link).__name__}, expected the weight")
        node = node[part]
    return node


def _array(dataset: Any, mapped: Array, where: str, h5py: Any) -> Array:
    """Return the array that a dataset is, if it is one plain piece of this file."""
    if not isinstance(dataset, h5py.Dataset):
        raise _RefusalError(f"{where} is a {type(dataset).__name__}, expected numbers")
    dtype: np.dtype[Any] = dataset.dtype
    if dtype.kind not in "fiu" or dtype.metadata:
        raise _RefusalError(f"{where} is of type {quoted(dtype)}, expected numbers")
    if dataset.shape is None:
        raise _RefusalError(f"{where} is a null dataspace, expected numbers")
    storage = dataset.id.get_create_plist()
    layout, filters = storage.get_layout(), storage.get_nfilters()
    if layout != h5py.h5d.CONTIGUOUS or filters or storage.get_external_count():
        raise _RefusalError(
            f"{where} is stored compressed, in chunks or in another file, expected one piece, as "
            "keras writes it"
        )
    nbytes = count_bytes(dataset.shape, dtype.itemsize)
    if nbytes == 0:
        return np.zeros(dataset.shape, dtype)
    start = dataset.id.get_offset()
    if nbytes is None or start is None or start + nbytes > len(mapped):
        raise _RefusalError(
            f"{where} has the shape {quoted(dataset.shape)} and lies at byte {start}, but the file "
            f"has {len(mapped)} bytes"
        )
    return tensor(mapped, start, dtype, dataset.shape)
