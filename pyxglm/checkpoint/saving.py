"""Writing a checkpoint so that no crash leaves a broken one.

Every loader looks for ``model.safetensors`` first and for
``model.safetensors.index.json`` next. So there is always one step at which a
directory turns from the old checkpoint into the new one:

=====================  ================================================
new one is             it counts from the moment that
=====================  ================================================
one file               ``model.safetensors`` is replaced
shards, over a file    ``model.safetensors`` is removed, the index being
                       in place
shards, over shards    the index is replaced
=====================  ================================================

What comes before that step must not touch what the old checkpoint needs, and
what comes after it only tidies up. One case needs care: new shards that have
the very names of the old ones. They are first put beside them under names of
their own, ``model-<token>-00001-of-00002.safetensors``, and an index that
names these replaces the old one: the new checkpoint counts. Then the usual
names become further links to the same files, an index with the usual names
replaces the first, and the first names go. At each moment there is one
complete checkpoint, old or new. On a file system without links the first
names stay; every loader follows the index to them.

Files are written under temporary names, and reach the disk before they get
their own. Files of other formats (``pytorch_model.bin``) are left alone: the
loaders prefer safetensors.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path

from pyxglm.checkpoint.shards import Shard, parse_size, split, write_shard
from pyxglm.dtypes import Array

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_OURS = re.compile(
    r"model-(?:[0-9a-f]{8}-)?\d{5}-of-\d{5}\.safetensors|\.pyxglm-[0-9a-f]{8}-[\w.-]+"
)


def save(
    weights: Mapping[str, Array],
    directory: str | Path,
    *,
    max_shard_size: int | str = "5GB",
    bare: bool = False,
) -> list[Path]:
    """Write weights as safetensors that transformers loads.

    Parameters
    ----------
    weights
        Parameter name (as in ``XGLMForCausalLM``) to array: float16, bfloat16,
        float32 or float64, written bit for bit. They may be mapped from the
        very files that are replaced: what is mapped stays as it was.
    directory
        Where to write; made if absent.
    max_shard_size
        The most bytes of tensors in one file, as a number or as transformers
        writes it (``"5GB"`` is 5 × 10⁹, ``"5GiB"`` 5 × 2³⁰). A larger tensor
        gets a file of its own. If one file suffices it is
        ``model.safetensors``, else they are ``model-00001-of-0000N.safetensors``
        and an index.
    bare
        Leave out the prefix ``model.``: the checkpoint of an ``XGLMModel``.

    Returns
    -------
    list of Path
        The weight files written, without the index.

    Raises
    ------
    ValueError
        If a dtype is no storage dtype, a size is no size, there are no
        weights, or a bare model has a head.
    OSError
        If writing fails. The directory then holds the old checkpoint, or
        (if only tidying up failed) the new one.
    """
    shards = split(_named(weights, bare), parse_size(max_shard_size))
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    return _Writer(directory, shards).write()


def _named(weights: Mapping[str, Array], bare: bool) -> Mapping[str, Array]:
    """Return the weights by the names they get in the files."""
    if not weights:
        raise ValueError("there are no weights to save")
    if not bare:
        return weights
    for name in weights:
        if not name.startswith("model."):
            raise ValueError(f"a bare model has no {name}, expected names that start with 'model.'")
    return {name.removeprefix("model."): array for name, array in weights.items()}


class _Writer:
    """One save: what is to be written, and the names it may use meanwhile."""

    def __init__(self, directory: Path, shards: list[Shard]) -> None:
        self.directory, self.shards = directory, shards
        self.token = secrets.token_hex(4)
        count = len(shards)
        self.names = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
        #: Files to remove if this save fails before the new checkpoint counts.
        self.unfinished: set[Path] = set()

    def write(self) -> list[Path]:
        try:
            if len(self.shards) == 1:
                names, keep = self._write_single(), {SINGLE}
            else:
                names = self._write_shards()
                keep = {*names, INDEX}
        except BaseException:
            for path in self.unfinished:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        self._tidy(keep)
        return [self.directory / name for name in names]

    def _write_single(self) -> list[str]:
        temporary = self._temporary(SINGLE)
        write_shard(self.shards[0], temporary)
        self._move(temporary, SINGLE)
        return [SINGLE]

    def _write_shards(self) -> list[str]:
        temporaries = [self._temporary(name) for name in self.names]
        for shard, temporary in zip(self.shards, temporaries, strict=True):
            write_shard(shard, temporary)
        collide = any((self.directory / name).exists() for name in self.names)
        names = self.names
        if collide:
            names = [name.replace("model-", f"model-{self.token}-", 1) for name in names]
        for name, temporary in zip(names, temporaries, strict=True):
            self.unfinished.add(self.directory / name)
            self._move(temporary, name)
        self._replace_index(names)
        if (self.directory / SINGLE).exists():
            (self.directory / SINGLE).unlink()
            self._sync()
        if collide and self._link(names):
            self._replace_index(self.names)
            return self.names
        return names

    def _link(self, names: list[str]) -> bool:
        """Give the files of `names` their usual names, too; tell whether that was possible."""
        for name, usual in zip(names, self.names, strict=True):
            temporary = self._temporary(usual)
            try:
                os.link(self.directory / name, temporary)
            except OSError:  # a file system without links
                return False
            self._move(temporary, usual)
        return True

    def _replace_index(self, names: list[str]) -> None:
        """Write the index that finds the shards under `names`."""
        weight_map = {
            tensor: name
            for name, shard in zip(names, self.shards, strict=True)
            for tensor in shard.tensors
        }
        metadata = {"total_size": sum(shard.nbytes for shard in self.shards)}
        text = json.dumps(
            {"metadata": metadata, "weight_map": weight_map}, indent=2, sort_keys=True
        )
        temporary = self._temporary(INDEX)
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        # From here on the index may count, even if the next step is interrupted
        # half-way: what it names must stay.
        self.unfinished = {temporary}
        self._move(temporary, INDEX)

    def _temporary(self, name: str) -> Path:
        path = self.directory / f".pyxglm-{self.token}-{name}"
        self.unfinished.add(path)
        return path

    def _move(self, temporary: Path, name: str) -> None:
        """Give a file its name, and make the disk know it."""
        temporary.replace(self.directory / name)
        self.unfinished.discard(temporary)
        self._sync()

    def _sync(self) -> None:
        """Write the directory's changes so far to the disk, before any later one."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _tidy(self, keep: Container[str]) -> None:
        """Remove what older saves left; the index goes before the shards it names."""
        stale = [path.name for path in self.directory.iterdir() if _OURS.fullmatch(path.name)]
        for name in (INDEX, *stale):
            if name not in keep:
                (self.directory / name).unlink(missing_ok=True)
