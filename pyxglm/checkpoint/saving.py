"""Writing a checkpoint so that no crash leaves a broken one.

Every loader looks for ``model.safetensors`` first and for
``model.safetensors.index.json`` next (and alike in the other formats, whose
names `forms` has). So there is always one step at which a directory turns from
the old checkpoint into the new one:

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
their own. So are the small files beside the weights (``config.json`` last),
which take their names one after the other when the weights count: as long as
anything is still being written, the directory holds the old checkpoint, and a
full disk changes nothing. Only a crash between two renamings, or an error of
one, leaves new weights beside an old configuration. The directory itself stays
what it is, with its access rights, and so do those of a file that is replaced.
Files of other formats are left alone: the loaders prefer safetensors.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path

from pyxglm.checkpoint.forms import FORMS, Form
from pyxglm.checkpoint.pieces import Tensor
from pyxglm.checkpoint.shards import Shard, parse_size, split
from pyxglm.files import check_room, naming, rights_for, sync_path


def save(
    weights: Mapping[str, Tensor],
    directory: str | os.PathLike[str],
    *,
    max_shard_size: int | str = "5GB",
    bare: bool = False,
    form: str = "safetensors",
    beside: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Write weights as a checkpoint that transformers loads.

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
    form
        ``"safetensors"``, ``"tf"`` (``tf_model.h5``, which has no bfloat16: it
        becomes float32, and always has a head) or ``"flax"``
        (``flax_model.msgpack``), named and transposed as that framework's
        classes expect. Shards and index are named alike.
    beside
        The contents of files that belong to the weights, by name: they take
        their names in this order, just after the weights count.

    Returns
    -------
    list of Path
        The weight files written, without the index.

    Raises
    ------
    ValueError
        If a dtype is no storage dtype, a size is no size, a format is unknown,
        there are no weights, or a bare model has a head.
    ImportError
        If HDF5 is to be written, and h5py is not installed.
    OSError
        If there is no room, which is noticed before anything is written, or if
        writing fails; the message names the file. The directory then holds the
        old checkpoint and nothing else that is new, or (if only tidying up
        failed) the new one.
    """
    if form not in FORMS:
        raise ValueError(f"form is {form!r}, expected one of {', '.join(FORMS)}")
    if not weights:
        raise ValueError("there are no weights to save")
    kind = FORMS[form]
    shards = split(kind.named(weights, bare), parse_size(max_shard_size))
    return write_checkpoint(shards, Path(directory), kind, beside or {})


def write_checkpoint(
    shards: list[Shard], directory: Path, form: Form, beside: Mapping[str, bytes]
) -> list[Path]:
    """Write shards into a directory, which is made if absent; return the weight files."""
    directory.mkdir(parents=True, exist_ok=True)
    check_room(directory, sum(shard.nbytes for shard in shards))
    return _Writer(directory, shards, form, beside).write()


def leftovers(form: Form) -> re.Pattern[str]:
    """Return what matches the names of shards, and of what a crash may leave behind."""
    return re.compile(
        rf"{form.stem}-(?:[0-9a-f]{{8}}-)?\d{{5}}-of-\d{{5}}{re.escape(form.suffix)}"
        rf"|\.pyxglm-[0-9a-f]{{8}}-(?:{form.stem}[\w.-]+|[\w-]*config\.json)"
    )


class _Writer:
    """One save: what is to be written, and the names it may use meanwhile."""

    def __init__(
        self, directory: Path, shards: list[Shard], form: Form, beside: Mapping[str, bytes]
    ) -> None:
        self.directory, self.shards, self.form, self.beside = directory, shards, form, beside
        self.token = secrets.token_hex(4)
        self.names = self._shard_names()
        self._small: dict[str, Path] = {}  # temporary names of what lies beside the weights
        #: Files to remove if this save fails before the new checkpoint counts.
        self.unfinished: set[Path] = set()

    def write(self) -> list[Path]:
        try:
            for name, data in self.beside.items():
                self._small[name] = self._write_bytes(data, name)
            if len(self.shards) == 1:
                names, keep = self._write_single(), {self.form.single}
            else:
                names = self._write_shards()
                keep = {*names, self.form.index_name}
        except BaseException:
            for path in self.unfinished:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        self._tidy(keep)
        return [self.directory / name for name in names]

    def _write_single(self) -> list[str]:
        single = self.form.single
        self._move(self._write_file(self.shards[0], single), single)
        self._name_small()
        return [single]

    def _name_small(self) -> None:
        """Let what lies beside the weights take its names: the weights have begun to count."""
        for name, temporary in self._small.items():
            self._move(temporary, name)

    def _write_file(self, shard: Shard, name: str) -> Path:
        """Write one weight file to the disk, under another name, which is returned."""
        temporary = self._temporary(name)
        with naming(self.directory / name, temporary):
            self.form.write(shard.tensors, temporary, len(self.shards) == 1)
            sync_path(temporary)
        return temporary

    def _write_bytes(self, data: bytes, name: str) -> Path:
        """Write a small file to the disk, under another name, which is returned."""
        temporary = self._temporary(name)
        with naming(self.directory / name, temporary), temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return temporary

    def _shard_names(self, token: str = "") -> list[str]:
        count = len(self.shards)
        return [self.form.shard(number + 1, count, token) for number in range(count)]

    def _write_shards(self) -> list[str]:
        temporaries = [
            self._write_file(shard, name)
            for shard, name in zip(self.shards, self.names, strict=True)
        ]
        collide = any((self.directory / name).exists() for name in self.names)
        names = self.names
        if collide:
            names = self._shard_names(self.token)
        for name, temporary in zip(names, temporaries, strict=True):
            self.unfinished.add(self.directory / name)
            self._move(temporary, name)
        self._replace_index(names)
        self._name_small()
        single = self.directory / self.form.single
        if single.exists():
            single.unlink()
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
        temporary = self._write_bytes(f"{text}\n".encode(), self.form.index_name)
        # From here on the index may count, even if the next step is interrupted
        # half-way: what it names must stay.
        self.unfinished.difference_update(self.directory / name for name in names)
        self._move(temporary, self.form.index_name)

    def _temporary(self, name: str) -> Path:
        path = self.directory / f".pyxglm-{self.token}-{name}"
        self.unfinished.add(path)
        return path

    def _move(self, temporary: Path, name: str) -> None:
        """Give a file its name, and make the disk know it."""
        target = self.directory / name
        with naming(target, temporary):
            if target.exists():
                temporary.chmod(rights_for(target))
            temporary.replace(target)
        self.unfinished.discard(temporary)
        self._sync()

    def _sync(self) -> None:
        """Write the directory's changes so far to the disk, before any later one."""
        sync_path(self.directory)

    def _tidy(self, keep: Container[str]) -> None:
        """Remove what older saves left; the index goes before the shards it names."""
        ours = leftovers(self.form)
        stale = [path.name for path in self.directory.iterdir() if ours.fullmatch(path.name)]
        for name in (self.form.index_name, *stale):
            if name not in keep:
                (self.directory / name).unlink(missing_ok=True)
