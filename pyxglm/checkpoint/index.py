"""Which files hold a checkpoint, and the index of one that is split into shards.

An index is a JSON file beside the shards::

    {"metadata": {"total_size": 1128927232},
     "weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors", ...}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pyxglm.checkpoint.safetensors_file import read_safetensors
from pyxglm.checkpoint.torch_file import read_torch
from pyxglm.dtypes import Array
from pyxglm.strict_json import quoted, read_json

Reader = Callable[[Path], dict[str, Array]]


class Layout(NamedTuple):
    """One way to store a checkpoint: the file to look for, and how to read what it holds."""

    filename: str
    reader: Reader
    sharded: bool = False
    shard_suffix: str = ""


#: In the order in which transformers looks for them: the first that exists is the checkpoint.
LAYOUTS = (
    Layout("model.safetensors", read_safetensors),
    Layout("model.safetensors.index.json", read_safetensors, True, ".safetensors"),
    Layout("pytorch_model.bin", read_torch),
    Layout("pytorch_model.bin.index.json", read_torch, True, ".bin"),
)


def find_layout(directory: Path) -> Layout:
    """Return how the checkpoint in `directory` is stored.

    Raises
    ------
    FileNotFoundError
        If it holds none; the message says what was looked for.
    """
    for layout in LAYOUTS:
        if (directory / layout.filename).is_file():
            return layout
    names = ", ".join(layout.filename for layout in LAYOUTS)
    raise FileNotFoundError(f"{directory}: no weights: looked for {names}")


def read_index(path: Path, suffix: str) -> dict[str, list[str]]:
    """Return the shards that an index names, each with its tensors' names.

    Raises
    ------
    FileNotFoundError
        If there is no index.
    ValueError
        If it is not strict JSON with a weight_map, or a shard's name is not
        that of a file beside the index.
    """
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{path}: expected a weight_map that names each tensor's file")
    shards: dict[str, list[str]] = {}
    for name, filename in weight_map.items():
        if not _plain(filename, suffix):
            raise ValueError(
                f"{path}: tensor {quoted(name)} lies in {quoted(filename)}, expected the name of a "
                f"{suffix} file in the same directory"
            )
        shards.setdefault(filename, []).append(name)
    return shards


def _plain(filename: object, suffix: str) -> bool:
    """Tell whether `filename` names a file without saying in which directory."""
    return (
        isinstance(filename, str)
        and filename.endswith(suffix)
        and len(filename.encode()) <= 255
        and filename.isprintable()
        and not any(sign in filename for sign in "/\\:")
        and not filename.startswith(".")
    )


def read_shards(index: Path, layout: Layout) -> tuple[dict[str, Array], list[Path]]:
    """Map all tensors of a sharded checkpoint.

    Returns
    -------
    tuple
        The tensors by name, and the shards' paths.

    Raises
    ------
    FileNotFoundError
        If a shard is absent.
    ValueError
        If a shard is damaged, or holds other tensors than the index says: then
        index and shards do not belong together.
    """
    shards = read_index(index, layout.shard_suffix)
    tensors: dict[str, Array] = {}
    paths = []
    for filename, expected in shards.items():
        path = index.parent / filename
        if not path.exists():
            raise FileNotFoundError(f"{path}: absent, but {index.name} names it")
        found = layout.reader(path)
        absent = [name for name in expected if name not in found]
        extra = sorted(found.keys() - set(expected))
        if absent or extra:
            raise ValueError(
                f"{path}: does not belong to {index.name}: "
                + "; ".join(
                    f"{what} {listed(names)}"
                    for what, names in (("it lacks", absent), ("the index lacks", extra))
                    if names
                )
            )
        tensors |= found
        paths.append(path)
    return tensors, paths


def listed(names: Iterable[str], shown: int = 3) -> str:
    """Return a few names and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    return summed([quoted(name) for name in names], shown)


def summed(phrases: list[str], shown: int = 3) -> str:
    """Return the first few phrases and how many more there are."""
    text = ", ".join(phrases[:shown])
    return text if len(phrases) <= shown else f"{text} and {len(phrases) - shown} more"
