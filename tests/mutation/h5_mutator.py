"""Mutations of TensorFlow's files above the HDF5 library: what its objects say.

The bytes of HDF5's own structures stay right: they are the library's to
judge, and releases of it are known to crash on damaged ones. What this package
interprets is spoilt instead, by the library itself: attributes and the names
in them, links, types, shapes, storage. Besides, files are cut, and lose their
signature.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import h5py
import numpy as np
from mutation.tokens import TEXTS, spoil

#: The names of attributes that keras writes or might.
ATTRIBUTES = ("layer_names", "weight_names", "layer_names0", "weight_names0", "weight_names1")


class Seed(NamedTuple):
    """A right file: its bytes, and where its groups, datasets and lists of names are."""

    image: bytes
    groups: list[str]
    datasets: list[str]
    lists: list[tuple[str, str]]


def read_h5_seed(path: Path) -> Seed:
    """Read a right file."""
    groups, datasets = ["/"], []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (groups if isinstance(item, h5py.Group) else datasets).append(name)
        )
        lists = [(group, key) for group in groups for key in file[group].attrs if "names" in key]
    return Seed(path.read_bytes(), groups, datasets, lists)


def _opened(image: bytes) -> Any:
    """Open a file that lies in memory."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    return h5py.File(h5py.h5f.open(b"seed", h5py.h5f.ACC_RDWR, access))


def _change_list(rng: Random, file: Any, seed: Seed) -> None:
    """Change the names that an attribute lists."""
    path, key = rng.choice(seed.lists)
    group = file[path]
    if not isinstance(group.attrs[key], np.ndarray) or group.attrs[key].dtype.kind not in "OS":
        return  # an earlier change left no names here
    names = [n.encode() if isinstance(n, str) else bytes(n) for n in np.ravel(group.attrs[key])]
    texts = [text.encode("utf-8", "surrogatepass") for text in TEXTS] + [b"\xff", b"x" * 1500]
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(names)) if names else 0
        match rng.randrange(7):
            case 0 if names:
                del names[at]
            case 1 if names:
                names.insert(at, rng.choice(names))
            case 2 if names:
                names[at] = spoil(rng, names[at])
            case 3 if names:
                parts = names[at].split(b"/")
                parts[rng.randrange(len(parts))] = rng.choice((b"", b".", b"..", *parts))
                names[at] = b"/".join(parts)
            case 4 if names:
                names[at] = names[at].rpartition(b"/")[0] or b"/"
            case 5:
                rng.shuffle(names)
            case _:
                names.insert(at, rng.choice(texts))
    names = [name.rstrip(b"\0").replace(b"\0", b"?") for name in names]
    if rng.random() < 0.5:
        group.attrs[key] = np.array(names) if names else np.zeros(0)
    else:
        data = [name.decode("utf-8", "replace") for name in names]
        group.attrs.create(key, data, shape=(len(data),), dtype=h5py.string_dtype())


def _change_attribute(rng: Random, file: Any, seed: Seed) -> None:
    """Give an attribute another type, shape or name, or none at all."""
    path, key = rng.choice(seed.lists)
    group = file[path]
    value = group.attrs[key]
    del group.attrs[key]
    other = rng.choice((
        None, 3, "model", b"model", [1, 2], [[b"model"]], np.zeros(3), np.zeros((2, 0)),
        h5py.Empty("f4"), np.zeros(2, [("a", "f4")]), value,
    ))  # fmt: skip
    if other is not None:
        group.attrs[rng.choice((key, *ATTRIBUTES)) if other is value else key] = other


def _change_link(rng: Random, file: Any, seed: Seed) -> None:
    """Let a name lead elsewhere, or nowhere."""
    path = rng.choice((*seed.groups[1:], *seed.datasets))
    target = rng.choice((*seed.groups, *seed.datasets))
    link = rng.choice((
        None, file[target], h5py.SoftLink(f"/{target}"), h5py.SoftLink("/absent"),
        h5py.ExternalLink("tf_model.h5", "/"), h5py.ExternalLink("/etc/passwd", "/x"),
    ))  # fmt: skip
    del file[path]
    if link is not None:
        file[path] = link


def _change_dataset(rng: Random, file: Any, seed: Seed) -> None:
    """Store a weight in another way."""
    path = rng.choice(seed.datasets)
    group, name = file[path].parent, path.rpartition("/")[2]
    shape = file[path].shape or ()
    if file[path].size is None or file[path].size > 1000:
        shape = (2, 2)  # an earlier change made it so
    del file[path]
    numbers = np.ones(shape, "<f4")
    other = rng.choice(((), (0,), (1,), (2, 3), (3, 2, 1), shape[::-1], (*shape, 1), (2**40, 0)))
    kind = rng.choice(("<f4", ">f4", "<f2", "<f8", "<i8", "u1", "S3", "<c8", "V2", "?"))
    make: Callable[[], Any] = rng.choice((
        lambda: group.create_dataset(name, data=np.ones(other, "<f4")),
        lambda: group.create_dataset(name, data=np.zeros(shape, kind)),
        lambda: group.create_dataset(name, other, "<f4"),
        lambda: group.create_dataset(name, (2**40, 2**20), "<f4"),
        lambda: group.create_dataset(name, (2**62,), "<f8"),
        lambda: group.create_dataset(name, data=numbers, compression="gzip"),
        lambda: group.create_dataset(name, data=numbers, chunks=True),
        lambda: group.create_dataset(name, data=numbers, maxshape=(None,) * len(shape)),
        lambda: group.create_dataset(name, data=numbers, shuffle=True, fletcher32=True),
        lambda: group.create_dataset(name, shape, "<f4", external=[("tf_model.h5", 0, 4096)]),
        lambda: group.create_dataset(name, data=h5py.Empty("f4")),
        lambda: group.create_dataset(name, shape, dtype=h5py.string_dtype()),
        lambda: group.create_dataset(name, shape, dtype=h5py.vlen_dtype("f4")),
        lambda: group.create_dataset(name, shape, dtype=h5py.enum_dtype({"A": 1})),
        lambda: group.create_dataset(name, shape, dtype=h5py.ref_dtype),
        lambda: group.create_dataset(name, data=np.zeros(shape, [("a", "<f4"), ("b", "u1")])),
        lambda: group.create_dataset(name, data=np.zeros(shape, [("bfloat16", "<u2")])),
        lambda: group.create_group(name),
    ))  # fmt: skip
    make()


CHANGES = (_change_list, _change_list, _change_attribute, _change_link, _change_dataset)


def mutate_h5(rng: Random, seed: Seed) -> bytes:
    """Return a file spoilt in one or two of its objects."""
    if rng.random() < 0.02:
        at = rng.randrange(8)
        image = seed.image
        return image[:at] + bytes([image[at] ^ (1 << rng.randrange(8))]) + image[at + 1 :]
    with _opened(seed.image) as file:
        for _ in range(rng.choice((1, 1, 1, 2))):
            try:
                rng.choice(CHANGES)(rng, file, seed)
            except (KeyError, ValueError, TypeError, AttributeError, OSError, RuntimeError):
                continue  # an earlier change left nothing here, or HDF5 has no such thing
        file.flush()
        data = bytes(file.id.get_file_image())
    if rng.random() < 0.02:
        data = data[: rng.randrange(len(data))]
    return data
