"""From a checkpoint of any format to one of safetensors, which is mapped and opens at once.

The tensors go from the mapped files to the new ones a few megabytes at a time.
What was written is then read back and compared, number by number. Everything
happens in a temporary directory: beside the destination, whose name it takes at
the very end, or, if there is such a directory already, in it. That one stays,
whatever its access rights and however it is mounted, and gets the files one by
one, ``config.json`` last, without which they are no checkpoint.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pyxglm.checkpoint.forms import FORMS
from pyxglm.checkpoint.hub import COMPANIONS, locate
from pyxglm.checkpoint.index import FAIRSEQ
from pyxglm.checkpoint.loading import read_files
from pyxglm.checkpoint.matching import match
from pyxglm.checkpoint.names import EMBEDDING, HEAD, canonical_names
from pyxglm.checkpoint.pieces import Tensor, row_blocks
from pyxglm.checkpoint.safetensors_writing import write_safetensors
from pyxglm.checkpoint.saving import write_checkpoint
from pyxglm.checkpoint.shards import parse_size, split
from pyxglm.config import CONFIG_NAME, XGLMConfig
from pyxglm.dtypes import Array, as_dtype, bfloat16, convert, dtype_name
from pyxglm.files import current_umask, naming, sync_path

VOCABULARY = "sentencepiece.bpe.model"
DICTIONARY = "dict.txt"

#: Called with what is done ("writing", "checking"), a tensor's name, and the part done so far.
Watch = Callable[[str, str, float], None]


class Source(NamedTuple):
    """An opened checkpoint: its configuration, its tensors by the files' names, their place."""

    config: XGLMConfig
    tensors: dict[str, Tensor]
    path: Path
    fairseq: bool


def convert_checkpoint(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    dtype: object = None,
    max_shard_size: int | str = "5GB",
    watch: Watch | None = None,
    **place: object,
) -> list[Path]:
    """Write a checkpoint of any format as safetensors, with what else belongs to it.

    Whatever fails, the destination is as it was. If it was not there, it appears
    with all of its files at once; else a crash while the files get their names,
    which is the very last step, may leave some of them, without ``config.json``.
    Who kills this process leaves its temporary directory, ``.pyxglm-…``, behind.

    Parameters
    ----------
    source
        A directory with the files of torch, TensorFlow, Flax or safetensors,
        or with fairseq's ``model.pt`` and ``dict.txt``; the path of a file such
        as ``model.pt``; or a hub id.
    destination
        A directory that does not exist or is empty. One that exists is kept,
        with its access rights.
    dtype
        Stored dtype to convert to; None keeps each tensor's own.
    max_shard_size
        The most bytes of tensors in one file; see `save`.
    watch
        Told of the progress.
    **place
        Where to look for a hub id; see `locate`.

    Returns
    -------
    list of Path
        The weight files written.

    Raises
    ------
    FileNotFoundError
        If there is no checkpoint at the source.
    ValueError
        If the checkpoint is damaged, incomplete or not XGLM, if the destination
        is not free, or if a number of it is beyond the dtype's range.
    OSError
        If the destination cannot be written to or has no room, which is noticed
        before the work, or if writing fails; the message names the file.

    Warns
    -----
    UserWarning
        If tensors are left out that XGLM does not have, or hold infinities or
        NaN, or if a head differs from the embedding that it is tied to.
    """
    stored = None if dtype is None else as_dtype(dtype)
    limit = parse_size(max_shard_size)
    target = _free(Path(destination))
    with _becoming(target) as temporary:
        opened = _open(source, place)
        return [target / name for name in _convert(opened, temporary, stored, limit, watch)]


def _convert(
    opened: Source,
    directory: Path,
    stored: np.dtype[np.generic] | None,
    limit: int,
    watch: Watch | None,
) -> list[str]:
    """Write the whole checkpoint into an empty directory; return the names of the weight files."""
    config = opened.config
    bare = all(name.endswith("XGLMModel") for name in config.architectures or [""])
    tied = config.tie_word_embeddings
    weights, _ = match(opened.tensors, config, opened.path, with_head=not bare, keep_head=tied)
    if tied and HEAD in weights:
        _compare_head(weights.pop(HEAD), weights[EMBEDDING], opened.path)
    names = {name: name.removeprefix("model.") if bare else name for name in weights}
    if bare:
        weights.pop(HEAD, None)
    named = {names[name]: tensor for name, tensor in weights.items()}
    progress = _Progress(named, watch)
    form = FORMS["safetensors"]._replace(
        write=lambda tensors, path, _whole: write_safetensors(
            tensors, path, stored, lambda name: progress.step("writing", name)
        )
    )
    files = write_checkpoint(split(named, limit, stored), directory, form, {})
    _check(named, directory, stored, opened.path, progress)
    config.torch_dtype = dtype_name(stored or weights[EMBEDDING].dtype.newbyteorder("<"))
    config.save_pretrained(directory)
    _write_companions(opened, directory, bare=bare)
    return [path.name for path in files]


#: What `_becoming` makes.
_TEMPORARY = re.compile(r"\.pyxglm-[0-9a-f]{8}")


def _free(path: Path) -> Path:
    """Return the destination, which must not hold anything yet."""
    path = path.resolve()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file, expected a directory that is new or empty")
    # A new ext4 file system, mounted there, has a folder of its own.
    held = [e.name for e in path.iterdir() if e.name != "lost+found"] if path.exists() else []
    if len(held) == 1 and _TEMPORARY.fullmatch(held[0]):
        raise ValueError(
            f"{path / held[0]} is there, expected an empty directory: another convert is at work,"
            " or one was killed and this can be removed"
        )
    if held:
        raise ValueError(f"{path} is not empty, expected a directory that is new or empty")
    return path


def _open(name: str | os.PathLike[str], place: dict[str, object]) -> Source:
    """Open the source, whatever its format."""
    path = Path(name)
    if path.is_file() and path.suffix == ".pt":
        return _open_fairseq(path)
    if path.is_dir() and (path / FAIRSEQ).is_file() and not (path / CONFIG_NAME).exists():
        return _open_fairseq(path / FAIRSEQ)
    directory = locate(name, **place)  # type: ignore[arg-type]
    if not path.exists():  # from the hub, where the tokenizer's model may still be
        with suppress(FileNotFoundError):
            locate(name, filenames=(VOCABULARY,), **place)  # type: ignore[arg-type]
    config = XGLMConfig.from_pretrained(directory)
    tensors, _, where = read_files(directory)
    return Source(config, tensors, where, fairseq=False)


def _open_fairseq(path: Path) -> Source:
    from pyxglm.checkpoint.fairseq import check_dictionary, read_fairseq

    config, tensors = read_fairseq(path)
    pieces = None
    if (path.parent / VOCABULARY).is_file():
        from pyxglm.tokenization.model_proto import read_model

        pieces = [*read_model(path.parent / VOCABULARY).pieces]
    check_dictionary(path.parent / DICTIONARY, config, pieces)
    return Source(config, dict(tensors), path, fairseq=True)


class _Progress:
    """How much of the bytes has been written and compared; each counts half."""

    def __init__(self, tensors: dict[str, Tensor], watch: Watch | None) -> None:
        self.sizes = {name: tensor.nbytes for name, tensor in tensors.items()}
        self.total, self.done, self.watch = 2 * sum(self.sizes.values()), 0, watch

    def step(self, what: str, name: str) -> None:
        self.done += self.sizes[name]
        if self.watch is not None:
            self.watch(what, name, self.done / max(self.total, 1))


def _compare_head(head: Tensor, embedding: Tensor, path: Path) -> None:
    """Warn if a head that the configuration ties to the embedding is another matrix."""
    for rows in row_blocks(head):
        if not np.array_equal(_bits(head[rows]), _bits(convert(embedding[rows], head.dtype))):
            warnings.warn(
                f"{path}: {HEAD} differs from the embedding that tie_word_embeddings ties it to: "
                "the embedding counts",
                stacklevel=3,
            )
            return


def _check(
    tensors: dict[str, Tensor],
    directory: Path,
    stored: np.dtype[np.generic] | None,
    path: Path,
    progress: _Progress,
) -> None:
    """Read back what was written, and compare every number with its source."""
    written, _, where = read_files(directory, "safetensors")
    if canonical_names(written).keys() != tensors.keys():
        raise OSError(f"{where}: what was written holds other tensors than were to be written")
    for name, tensor in tensors.items():
        found = written[name]
        for rows in row_blocks(tensor):
            one = tensor[rows]
            expected = convert(one.astype(one.dtype.newbyteorder("<"), copy=False),
                               stored or one.dtype.newbyteorder("<"))  # fmt: skip
            if not np.array_equal(_bits(expected), _bits(found[rows])):
                raise OSError(f"{where}: {name} was not written as it should be")
            finite = _finite(one)
            if not np.array_equal(_finite(expected), finite):
                raise ValueError(
                    f"{path}: {name} holds numbers beyond the range of {dtype_name(expected.dtype)}"
                    ", expected none: choose another dtype"
                )
            if not finite.all():
                warnings.warn(f"{path}: {name} holds infinities or NaN", stacklevel=3)
        progress.step("checking", name)


def _bits(array: Array) -> Array:
    """Return the numbers as unsigned integers: a NaN equals itself."""
    plain = np.ascontiguousarray(array)
    return plain.view(f"u{plain.dtype.itemsize}")


def _finite(array: Array) -> Array:
    if array.dtype == bfloat16:
        finite: Array = (array["bfloat16"] & 0x7F80) != 0x7F80
        return finite
    return np.isfinite(array)


def _write_companions(opened: Source, directory: Path, *, bare: bool) -> None:
    """Copy, or make, what lies beside the weights: settings of generation, the tokenizer."""
    from pyxglm.generation import GenerationConfig

    beside = opened.path.parent
    for name in (*COMPANIONS, VOCABULARY):
        if name != CONFIG_NAME and not opened.fairseq and (beside / name).is_file():
            shutil.copyfile(beside / name, directory / name)
    if not bare and not (directory / "generation_config.json").exists():
        GenerationConfig.from_model_config(opened.config).save_pretrained(directory)
    if opened.fairseq and (beside / VOCABULARY).is_file():
        from pyxglm.tokenization import XGLMTokenizer

        length = opened.config.max_position_embeddings
        XGLMTokenizer(str(beside / VOCABULARY), model_max_length=length).save_pretrained(directory)


@contextmanager
def _becoming(target: Path) -> Iterator[Path]:
    """Yield a temporary directory whose files become those of `target`, or vanish."""
    there = target.exists()
    place = target if there else target.parent
    new = [folder for folder in (place, *place.parents) if not folder.exists()]
    temporary = place / f".pyxglm-{secrets.token_hex(4)}"
    given: list[Path] = []
    try:
        with naming(place, temporary):
            place.mkdir(parents=True, exist_ok=True)
            temporary.mkdir(0o700)
        yield temporary
        files = sorted(temporary.iterdir(), key=_order)
        for path in (*files, temporary):
            sync_path(path)
        if there:
            for path in files:
                given.append(target / path.name)
                path.rename(given[-1])
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.chmod(0o777 & ~current_umask())
            temporary.replace(target)
        sync_path(place)
    except BaseException as error:
        for path in given:
            path.unlink(missing_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        _raise_of_target(error, temporary, target)
        raise


def _order(path: Path) -> tuple[bool, bool, str]:
    """Sort what a loader looks for first to the end."""
    return path.name == CONFIG_NAME, path.name.endswith(".index.json"), path.name


def _raise_of_target(error: BaseException, temporary: Path, target: Path) -> None:
    """Raise an error of the system about a temporary file as one about the file it becomes."""
    if not isinstance(error, OSError) or error.errno is None:
        return
    for name in (error.filename2, error.filename):  # of two, the one that is written
        if name is not None and Path(name).is_relative_to(temporary):
            named = target / Path(name).relative_to(temporary)
            raise OSError(error.errno, error.strerror, os.fspath(named)) from error
