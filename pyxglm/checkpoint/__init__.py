"""Checkpoints: finding them, reading them without torch, writing them.

- `locate` turns a path or a hub id into a directory,
- `load` maps the weights in it, whatever their format, under XGLM's names,
- `save` writes safetensors (or TensorFlow's or Flax's files) that transformers
  reads,
- `convert_checkpoint` turns a checkpoint of any format into safetensors.
"""

from pyxglm.checkpoint.converting import convert_checkpoint
from pyxglm.checkpoint.hub import locate
from pyxglm.checkpoint.index import wanted_form
from pyxglm.checkpoint.loading import Checkpoint, load
from pyxglm.checkpoint.saving import save

__all__ = ["Checkpoint", "convert_checkpoint", "load", "locate", "save", "wanted_form"]
