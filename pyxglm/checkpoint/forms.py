"""The formats in which checkpoints are written: their names for files and tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pyxglm.checkpoint.h5_writing import tf_weights, write_flat, write_layers
from pyxglm.checkpoint.msgpack_file import write_new
from pyxglm.checkpoint.names import PREFIX, flax_tree, paths, tree_of
from pyxglm.checkpoint.pieces import Tensor
from pyxglm.checkpoint.safetensors_writing import write_safetensors

Named = Mapping[str, Tensor]


class Form(NamedTuple):
    """How one format is written.

    Attributes
    ----------
    stem, suffix
        Of its files: ``model`` and ``.safetensors``.
    named
        Makes the format's names and orientation of torch's; told whether the
        model is bare.
    write
        Writes one new file; told whether it is the only one.
    """

    stem: str
    suffix: str
    named: Callable[[Named, bool], Named]
    write: Callable[[Named, Path, bool], None]

    @property
    def single(self) -> str:
        """The one file of a checkpoint that is not split."""
        return self.stem + self.suffix

    @property
    def index_name(self) -> str:
        """The index of one that is."""
        return f"{self.single}.index.json"

    def shard(self, number: int, count: int, token: str = "") -> str:
        """Return the name of a shard, numbered from 1; a token makes it another one."""
        middle = f"-{token}" if token else ""
        return f"{self.stem}{middle}-{number:05d}-of-{count:05d}{self.suffix}"


def _torch_named(weights: Named, bare: bool) -> Named:
    if not bare:
        return weights
    return {_without_prefix(name): tensor for name, tensor in weights.items()}


def _without_prefix(name: str) -> str:
    """Return a parameter's name in a model without a head."""
    if not name.startswith(PREFIX):
        raise ValueError(f"a bare model has no {name}, expected names that start with 'model.'")
    return name.removeprefix(PREFIX)


def _tf_named(weights: Named, bare: bool) -> Named:
    if bare:
        for name in weights:
            _without_prefix(name)
    return tf_weights(weights, bare=bare)


def _flax_named(weights: Named, bare: bool) -> Named:
    return paths(flax_tree(_torch_named(weights, bare)))


def _write_safetensors(tensors: Named, path: Path, _whole: bool) -> None:
    write_safetensors(tensors, path)


def _write_tf(tensors: Named, path: Path, whole: bool) -> None:
    (write_layers if whole else write_flat)(tensors, path)


def _write_flax(tensors: Named, path: Path, _whole: bool) -> None:
    write_new(tree_of(tensors), path)


FORMS = {
    "safetensors": Form("model", ".safetensors", _torch_named, _write_safetensors),
    "tf": Form("tf_model", ".h5", _tf_named, _write_tf),
    "flax": Form("flax_model", ".msgpack", _flax_named, _write_flax),
}
