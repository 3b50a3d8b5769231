"""torch's `.bin` files, read by mapping: a zip archive around a pickle, or the older stream.

In the archive ``<name>/data.pkl`` describes the state dict, ``<name>/data/<key>``
holds each storage's bytes as they lie in memory, ``<name>/byteorder`` says
which way round; it is read by `zip_directory`. Files from before torch 1.6 are
read by `legacy_file`. The description is read by `pickle_machine`; here a
description and its bytes are brought together, and every tensor is checked to
lie inside its storage. Two tensors may share one storage (the tied head does),
a tensor may start in the middle of one, and its strides may be anything that
stays inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyxglm.checkpoint.legacy_file import DESCRIPTION_LIMIT, MAGIC, read_stream
from pyxglm.checkpoint.mapping import Source, count_bytes, lfs_pointer, opened, tensor
from pyxglm.checkpoint.pickle_machine import run
from pyxglm.checkpoint.pickle_values import LEGACY, STATE_DICT, Names, TensorView
from pyxglm.checkpoint.zip_directory import Member, read_directory
from pyxglm.dtypes import Array
from pyxglm.strict_json import quoted


class Saved(NamedTuple):
    """What ``torch.save`` wrote: the value, where each storage lies, and the mapped file."""

    value: object
    storages: Mapping[str, Member]
    mapped: Array


def read_torch(path: Path) -> dict[str, Array]:
    """Map the tensors of a state dict that ``torch.save`` wrote.

    Returns
    -------
    dict
        Name to read-only array, in the state dict's order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is in no such format, damaged, big-endian, compressed, or
        holds anything but tensors by name. Nothing of it is ever executed.
    """
    saved = read_saved(path, STATE_DICT, LEGACY)
    if not isinstance(saved.value, dict):
        kind = type(saved.value).__name__
        raise ValueError(f"{path}: holds a {kind}, expected tensors by name")  # noqa: TRY004
    return tensors_of(saved.value, saved, path)


def read_saved(path: Path, names: Names, legacy: Names) -> Saved:
    """Read what ``torch.save`` wrote, in either of its formats.

    Parameters
    ----------
    path
        The file.
    names, legacy
        What its pickle may mention, in the zip format and before it.

    Raises
    ------
    FileNotFoundError, ValueError
        As `read_torch`.
    """
    with opened(path) as source:
        start = source.read(0, min(source.size, 512))
        if MAGIC in start[:16]:
            stream = read_stream(source, legacy)
            members = {
                key: Member(begin, stream.sizes[key]) for key, begin in stream.starts.items()
            }
            return Saved(stream.value, members, source.map())
        _refuse_other_formats(source, start)
        members = read_directory(source)
        root = _root(members, path)
        _check_byte_order(members.get(f"{root}/byteorder"), source)
        description = members[f"{root}/data.pkl"]
        if description.size > DESCRIPTION_LIMIT:
            raise ValueError(
                f"{path}: data.pkl has {description.size} bytes, expected at most "
                f"{DESCRIPTION_LIMIT}"
            )
        value = run(source.read(*description), f"{path}: data.pkl", names)
        folder = f"{root}/data/"
        storages = {
            name.removeprefix(folder): member
            for name, member in members.items()
            if name.startswith(folder)
        }
        return Saved(value, storages, source.map())


def tensors_of(state: Mapping[object, object], saved: Saved, path: Path) -> dict[str, Array]:
    """Return the arrays that a state dict's descriptions mean.

    Raises
    ------
    ValueError
        If a value is no tensor, or does not lie inside its storage.
    """
    return {
        str(name): _tensor(view, saved, f"{path}: tensor {quoted(name)}")
        for name, view in state.items()
    }


def _refuse_other_formats(source: Source, start: bytes) -> None:
    """Recognise what is often found under this name, and say what to do about it."""
    path = source.path
    if start.startswith(b"PK\x03\x04"):
        return
    if start[257:262] == b"ustar":
        raise ValueError(
            f"{path}: the tar format of torch before 0.1.10, expected a later one: open it with "
            "torch 1.x and save it again"
        )
    if lfs_pointer(source):
        raise ValueError(f"{path}: a Git LFS pointer and not the weights: run `git lfs pull`")
    raise ValueError(f"{path}: starts with {start[:4]!r}, expected a torch file (a zip archive)")


def _root(members: dict[str, Member], path: Path) -> str:
    """Return the archive's one top folder, which must hold a state dict's description."""
    roots = {name.partition("/")[0] for name in members}
    root = min(roots, default="")
    if len(roots) != 1 or f"{root}/data.pkl" not in members:
        raise ValueError(f"{path}: expected one folder with a data.pkl, as torch.save writes it")
    if f"{root}/constants.pkl" in members:
        raise ValueError(f"{path}: a TorchScript program, expected a state dict")
    return root


def _check_byte_order(member: Member | None, source: Source) -> None:
    """Check that the bytes lie little-endian, which files without the member (torch < 2.1) do."""
    if member is None:
        return
    order = source.read(member.start, min(member.size, 16))
    if order != b"little":
        raise ValueError(f"{source.path}: byte order is {order!r}, expected b'little'")


def _tensor(view: object, saved: Saved, where: str) -> Array:
    """Return the array that a description means, if it lies inside its storage."""
    if not isinstance(view, TensorView):
        raise ValueError(f"{where} is a {type(view).__name__}, expected a tensor")  # noqa: TRY004
    storage, itemsize = view.storage, view.storage.dtype.itemsize
    member = saved.storages.get(storage.key)
    if member is None:
        raise ValueError(f"{where} lies in the storage {quoted(storage.key)}, which is absent")
    if member.size != storage.numel * itemsize:
        raise ValueError(
            f"{where} lies in a storage of {member.size} bytes, expected "
            f"{quoted(storage.numel * itemsize)}"
        )
    nbytes = count_bytes(view.shape, itemsize)
    # More elements than the storage has: some would be one and the same number.
    if nbytes is None or nbytes > member.size:
        raise ValueError(f"{where} has shape {quoted(view.shape)} in {member.size} bytes")
    span = 0
    if nbytes:
        span = 1 + sum((size - 1) * s for size, s in zip(view.shape, view.strides, strict=True))
    if view.offset + span > storage.numel:
        raise ValueError(
            f"{where} reaches from element {quoted(view.offset)} over {quoted(span)}, but its "
            f"storage has {storage.numel}"
        )
    # The stride along an axis of one element is never used, and may be any number.
    strides = [
        s * itemsize if nbytes and size > 1 else 0
        for size, s in zip(view.shape, view.strides, strict=True)
    ]
    start = member.start + view.offset * itemsize
    return tensor(saved.mapped, start, storage.dtype, view.shape, strides)
