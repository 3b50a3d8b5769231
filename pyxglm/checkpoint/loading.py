"""Reading a checkpoint directory: find the files, map them, name their tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyxglm.checkpoint.index import find_layout, read_shards
from pyxglm.checkpoint.matching import match
from pyxglm.checkpoint.names import is_transposed
from pyxglm.checkpoint.pieces import Tensor, whole
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array


class Checkpoint(NamedTuple):
    """What a checkpoint directory holds.

    Attributes
    ----------
    weights : dict
        Parameter name (as in ``XGLMForCausalLM``) to read-only array, mapped
        from the file and in the file's dtype. ``lm_head.weight`` is among them
        only where the configuration does not tie it to the embedding.
    unexpected : tuple of str
        Names in the files that are no parameter of the model.
    files : tuple of Path
        The weight files.
    """

    weights: dict[str, Array]
    unexpected: tuple[str, ...]
    files: tuple[Path, ...]


def load(
    directory: str | Path,
    config: XGLMConfig,
    *,
    with_head: bool = True,
    form: str | Sequence[str] | None = None,
    variant: str | None = None,
    keep_head: bool = False,
) -> Checkpoint:
    """Map the weights of the checkpoint in a directory.

    The first of these that exists is read: ``model.safetensors``,
    ``pytorch_model.bin``, ``tf_model.h5``, ``flax_model.msgpack``, each followed
    by its index of shards (``model.safetensors.index.json``); torch, TensorFlow
    and Flax are never needed. The arrays are the files, which must therefore be
    replaced and not rewritten while a model lives (see
    `pyxglm.checkpoint.mapping`). Only TensorFlow's and Flax's matrices, which
    are stored transposed, are copied into memory: `convert_checkpoint` makes files
    of them that are mapped.

    Parameters
    ----------
    directory
        Where the checkpoint lies.
    config
        The model's configuration: which tensors are expected, of which shapes.
    with_head
        Whether an untied ``lm_head.weight`` must be there; a bare `XGLMModel`
        does without.
    form
        The only format to look for: ``"safetensors"``, ``"torch"``, ``"tf"`` or
        ``"flax"``; or several, in the order to look for them.
    variant
        What stands before the endings of the files' names; see `index.find_layout`.
    keep_head
        Whether to return a head that is there although the configuration ties
        it to the embedding.

    Raises
    ------
    FileNotFoundError
        If there are no weights, or a shard is absent.
    ValueError
        If a file is damaged or not what its name says, or if tensors are
        missing or have the wrong shape or type.
    ImportError
        If there is ``tf_model.h5`` alone, and h5py is not installed.

    Warns
    -----
    UserWarning
        If the files hold tensors that the model does not have.
    """
    tensors, files, path = read_files(Path(directory), form, variant)
    weights, unexpected = match(tensors, config, path, with_head=with_head, keep_head=keep_head)
    turned = any(is_transposed(name) for name in tensors)
    settled = {
        # NumPy would make an array of one axis of a number.
        name: np.ascontiguousarray(whole(tensor)) if turned and tensor.ndim > 1 else whole(tensor)
        for name, tensor in weights.items()
    }
    return Checkpoint(settled, unexpected, tuple(files))


def read_files(
    directory: Path, form: str | Sequence[str] | None = None, variant: str | None = None
) -> tuple[dict[str, Tensor], list[Path], Path]:
    """Map all tensors of the checkpoint in a directory, by their names in the files.

    Returns
    -------
    tuple
        The tensors, the files that they lie in, and the file or index that was
        found; see `load` for what is looked for and for the errors.
    """
    layout = find_layout(directory, form, variant)
    path = directory / layout.filename
    if layout.sharded:
        return (*read_shards(path, layout), path)
    return dict(layout.reader(path)), [path], path
