"""Which files hold a checkpoint, and the index of one that is split into shards.

An index is a JSON file beside the shards::

    {"metadata": {"total_size": 1128927232},
     "weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors", ...}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyxglm.checkpoint.h5_file import read_h5
from pyxglm.checkpoint.msgpack_file import read_msgpack
from pyxglm.checkpoint.names import torch_name
from pyxglm.checkpoint.pieces import Tensor
from pyxglm.checkpoint.safetensors_file import read_safetensors
from pyxglm.checkpoint.torch_file import read_torch
from pyxglm.strict_json import quoted, read_json

Reader = Callable[[Path], Mapping[str, Tensor]]


class Layout(NamedTuple):
    """One way to store a checkpoint: the file to look for, and how to read what it holds."""

    form: str
    filename: str
    reader: Reader
    sharded: bool = False
    shard_suffix: str = ""


#: Each format's single file and its reader, in the order in which transformers looks for
#: them, those of other frameworks last.
_FILES = (
    ("safetensors", "model.safetensors", read_safetensors),
    ("torch", "pytorch_model.bin", read_torch),
    ("tf", "tf_model.h5", read_h5),
    ("flax", "flax_model.msgpack", read_msgpack),
)

#: The formats, in that order.
FORMS = tuple(form for form, _, _ in _FILES)

#: The first that exists is the checkpoint: each format's single file, then its index.
LAYOUTS = tuple(
    layout
    for form, filename, reader in _FILES
    for layout in (
        Layout(form, filename, reader),
        Layout(form, f"{filename}.index.json", reader, True, Path(filename).suffix),
    )
)


def layouts(form: str | Sequence[str] | None, variant: str | None = None) -> tuple[Layout, ...]:
    """Return the layouts of a format, or of several, in the order to look for them; None: all.

    Raises
    ------
    ValueError
        If a variant is no part of a file's name, or asked of formats without variants.
    """
    forms = FORMS if form is None else (form,) if isinstance(form, str) else form
    found = tuple(layout for name in forms for layout in LAYOUTS if layout.form == name)
    if variant is None:
        return found
    if not isinstance(variant, str) or not _VARIANT.fullmatch(variant):
        raise ValueError(f"variant is {quoted(variant)}, expected a part of a file's name")
    varied = tuple(
        layout._replace(filename=_varied(layout.filename, variant))
        for layout in found
        if layout.form in ("safetensors", "torch")
    )
    if not varied:
        raise ValueError(
            f"variant is {quoted(variant)}, expected None for the files of TensorFlow and Flax"
        )
    return varied


_VARIANT = re.compile(r"[A-Za-z0-9_][\w.-]{0,63}", re.ASCII)


def _varied(filename: str, variant: str) -> str:
    """Return a file's name with a variant before its ending, as transformers has it.

    >>> _varied("model.safetensors", "fp16"), _varied("model.safetensors.index.json", "fp16")
    ('model.fp16.safetensors', 'model.safetensors.index.fp16.json')
    """
    stem, _, ending = filename.rpartition(".")
    return f"{stem}.{variant}.{ending}"


def find_layout(
    directory: Path, form: str | Sequence[str] | None = None, variant: str | None = None
) -> Layout:
    """Return how the checkpoint in `directory` is stored.

    Parameters
    ----------
    directory
        Where to look.
    form
        The only format to look for: ``"safetensors"``, ``"torch"``, ``"tf"`` or
        ``"flax"``; or several, in the order to look for them.
    variant
        What stands before the endings of the files' names, as in
        ``model.fp16.safetensors``.

    Raises
    ------
    FileNotFoundError
        If it holds none; the message says what was looked for.
    """
    wanted = layouts(form, variant)
    for layout in wanted:
        if (directory / layout.filename).is_file():
            return layout
    names = ", ".join(layout.filename for layout in wanted)
    hint = ""
    if form is None and (directory / FAIRSEQ).is_file():
        hint = f"; {FAIRSEQ} is a checkpoint of fairseq: use pyxglm convert first"
    raise FileNotFoundError(f"{directory}: no weights: looked for {names}{hint}")


def wanted_form(
    options: MutableMapping[str, Any], usual: Sequence[str] | None = None
) -> str | tuple[str, ...] | None:
    """Take out of keyword arguments which formats to look for: ``from_tf`` and its like.

    Torch's weights, ``from_pt``, are those of ``pytorch_model.bin`` or
    safetensors. ``use_safetensors`` is true for safetensors alone, false for any
    other format.

    Parameters
    ----------
    options
        Keyword arguments of `from_pretrained`.
    usual
        The formats in the order to look for them if nothing else is asked for;
        None: all of them, in the usual order.

    Raises
    ------
    ValueError
        If more than one is true.
    """
    forms: dict[str, str | tuple[str, ...]]
    forms = {"from_tf": "tf", "from_flax": "flax", "from_pt": ("torch", "safetensors")}
    given = [option for option in forms if options.pop(option, False)]
    safe = options.pop("use_safetensors", None)
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are both given, expected one of them")
    found = forms[given[0]] if given else None if usual is None else tuple(usual)
    if safe is None:
        return found
    names = (found,) if isinstance(found, str) else found or FORMS
    if safe and "safetensors" not in names:
        raise ValueError(f"{given[0]} and use_safetensors are both given, expected one of them")
    return tuple(name for name in names if (name == "safetensors") is bool(safe))


#: What fairseq's released models are called.
FAIRSEQ = "model.pt"


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


def read_shards(index: Path, layout: Layout) -> tuple[dict[str, Tensor], list[Path]]:
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
    # TensorFlow's index has the model's own name before each tensor's, its shards have not.
    known = torch_name if layout.form == "tf" else str
    tensors: dict[str, Tensor] = {}
    paths = []
    for filename, expected in shards.items():
        path = index.parent / filename
        if not path.exists():
            raise FileNotFoundError(f"{path}: absent, but {index.name} names it")
        found = layout.reader(path)
        inside = {known(name) for name in found}
        outside = {known(name) for name in expected}
        absent = [name for name in expected if known(name) not in inside]
        extra = sorted(name for name in found if known(name) not in outside)
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
