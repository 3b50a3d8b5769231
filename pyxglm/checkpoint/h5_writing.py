"""Writing TensorFlow's files, in the layouts that keras and transformers read.

See `h5_file` for the layouts. HDF5 has no bfloat16: such weights are written
as float32, which holds each of them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyxglm.checkpoint.h5_file import require_h5py
from pyxglm.checkpoint.names import EMBEDDING, HEAD, is_transposed, tf_name
from pyxglm.checkpoint.pieces import Tensor, row_blocks
from pyxglm.dtypes import bfloat16, convert
from pyxglm.files import replacing

#: What TensorFlow calls the whole model, with and without a head.
MODEL_NAMES = {False: "tfxglm_for_causal_lm", True: "tfxglm_model"}

#: The most bytes of one attribute; keras's own bound.
ATTRIBUTE_LIMIT = 64_512


def tf_weights(weights: Mapping[str, Tensor], *, bare: bool = False) -> dict[str, Tensor]:
    """Return weights by TensorFlow's names, transposed as it has them (views).

    Parameters
    ----------
    weights
        Torch name to array.
    bare
        Whether the model is one without a head. Otherwise a head is among the
        result even if it is tied: TensorFlow's model has one of its own.

    Raises
    ------
    ValueError
        If a name is no parameter of XGLM.
    """
    named = dict(weights)
    if not bare and HEAD not in named and EMBEDDING in named:
        named[HEAD] = named[EMBEDDING]
    found: dict[str, Tensor] = {}
    for name, tensor in named.items():
        full = f"{MODEL_NAMES[bare]}/{tf_name(name)}"
        found[full] = tensor.T if is_transposed(full) else tensor
    return found


def write_h5(weights: Mapping[str, Tensor], path: str | Path, *, bare: bool = False) -> None:
    """Write weights as one ``tf_model.h5``: after a crash it is the old file or the new one.

    Parameters
    ----------
    weights
        Torch name to array.
    path
        The file.
    bare
        Whether the model is one without a head; see `tf_weights`.

    Raises
    ------
    ImportError
        If h5py is not installed.
    ValueError
        If a name is no parameter of XGLM.
    OSError
        If writing fails.
    """
    named = tf_weights(weights, bare=bare)
    with replacing(Path(path)) as temporary:
        write_layers(named, temporary)


def write_layers(named: Mapping[str, Tensor], path: Path) -> None:
    """Write the whole model's file: groups of layers, their weights listed in attributes."""
    layers: dict[str, list[str]] = {}
    for name in named:
        layers.setdefault(name.split("/")[1], []).append(name)
    with _created(path) as (file, check):
        _list(file, "layer_names", [*layers])
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.15.0"
        for layer, names in layers.items():
            group = file.create_group(layer)
            _list(group, "weight_names", names)
            for name in names:
                _write(group, name, named[name])
                check()
        _list(file.create_group("top_level_model_weights"), "weight_names", [])


def write_flat(named: Mapping[str, Tensor], path: Path) -> None:
    """Write a shard: datasets listed in an attribute, without the whole model's name."""
    inside = {name.partition("/")[2]: tensor for name, tensor in named.items()}
    with _created(path) as (file, check):
        for name, tensor in inside.items():
            _write(file, name, tensor)
            check()
        _list(file, "layer_names", sorted(inside))


class _Sink:
    """A file for the HDF5 library to write to, which never fails before its eyes.

    The library cannot close a file that it could not write, and complains of
    it for ever. The first error is kept, and what is written after it dropped.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        self._try(lambda: self.file.write(data))
        return len(data)

    def truncate(self, size: int | None = None) -> None:
        self._try(lambda: self.file.truncate(size))

    def flush(self) -> None:
        self._try(self.file.flush)

    def _try(self, step: Callable[[], object]) -> None:
        if self.error is None:
            try:
                step()
            except OSError as error:
                self.error = error

    def check(self) -> None:
        """Raise the error that was met, if any."""
        if self.error is not None:
            raise self.error


@contextmanager
def _created(path: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Yield a new HDF5 file, and what raises an error that writing it has met."""
    h5py = require_h5py()
    with path.open("w+b") as file:
        sink = _Sink(file)
        with h5py.File(sink, "w") as opened:
            yield opened, sink.check
        sink.flush()
        sink.check()


def _list(group: Any, key: str, names: Sequence[str]) -> None:
    """Write names as an attribute, or as several where keras would."""
    data = np.array([name.encode() for name in names])
    count = 1
    while any(part.nbytes > ATTRIBUTE_LIMIT for part in np.array_split(data, count)):
        count += 1
    for number, part in enumerate(np.array_split(data, count)):
        group.attrs[key if count == 1 else f"{key}{number}"] = part


def _write(group: Any, name: str, tensor: Tensor) -> None:
    """Write one array, some rows at a time."""
    dtype = np.dtype("<f4") if tensor.dtype == bfloat16 else tensor.dtype.newbyteorder("<")
    dataset = group.create_dataset(name, tensor.shape, dtype)
    for rows in row_blocks(tensor):
        dataset[rows] = convert(tensor[rows], dtype)
