"""Reading a checkpoint directory: find the files, map them, name their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pyxglm.checkpoint.index import find_layout, read_shards
from pyxglm.checkpoint.names import match
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


def load(directory: str | Path, config: XGLMConfig, *, with_head: bool = True) -> Checkpoint:
    """Map the weights of the checkpoint in a directory.

    The first of these that exists is read: ``model.safetensors``,
    ``model.safetensors.index.json``, ``pytorch_model.bin``,
    ``pytorch_model.bin.index.json``; torch itself is never needed. Nothing is
    copied: the arrays are the files, which must therefore be replaced and not
    rewritten while a model lives (see `pyxglm.checkpoint.mapping`).

    Parameters
    ----------
    directory
        Where the checkpoint lies.
    config
        The model's configuration: which tensors are expected, of which shapes.
    with_head
        Whether an untied ``lm_head.weight`` must be there; a bare `XGLMModel`
        does without.

    Raises
    ------
    FileNotFoundError
        If there are no weights, or a shard is absent.
    ValueError
        If a file is damaged or not what its name says, or if tensors are
        missing or have the wrong shape or type.

    Warns
    -----
    UserWarning
        If the files hold tensors that the model does not have.
    """
    directory = Path(directory)
    layout = find_layout(directory)
    path = directory / layout.filename
    if layout.sharded:
        tensors, files = read_shards(path, layout)
    else:
        tensors, files = layout.reader(path), [path]
    weights, unexpected = match(tensors, config, path, with_head=with_head)
    return Checkpoint(weights, unexpected, tuple(files))
