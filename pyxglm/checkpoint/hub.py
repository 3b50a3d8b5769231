"""From a name to a directory: a local path, the Hugging Face cache, or a download.

The cache is a directory tree that can be read without any library or network::

    <cache>/models--facebook--xglm-564M/refs/main                a commit's hash
    <cache>/models--facebook--xglm-564M/snapshots/<commit>/...   its files (links)

Only what is not there is downloaded, by `huggingface_hub` (the extra
``pyxglm[hub]``), and only the files that will be read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyxglm.checkpoint.index import Layout, find_layout, layouts, read_index
from pyxglm.place import PATH_OR_ID, as_path, check_folder
from pyxglm.strict_json import quoted

CONFIG = "config.json"

#: Small files that a model or its tokenizer may read beside what is asked for.
COMPANIONS = (
    CONFIG,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",  # holds the added tokens of repositories whose tokenizer_config.json does not
)

_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w.+-]*(?:/[A-Za-z0-9_][\w.+-]*)*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")

#: Seconds to wait for the hub's answer, as huggingface_hub itself does unless told otherwise.
_PATIENCE = 10


def locate(
    name_or_path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    token: str | bool | None = None,
    subfolder: str = "",
    filenames: Sequence[str] | None = None,
    form: str | Sequence[str] | None = None,
    variant: str | None = None,
) -> Path:
    """Return the local directory that holds a model.

    Parameters
    ----------
    name_or_path
        A directory, or a model's id on the Hugging Face hub, such as
        ``"facebook/xglm-564M"``.
    revision
        A branch, tag or commit on the hub; ``"main"`` unless given.
    cache_dir
        The cache; unless given, what ``HF_HUB_CACHE`` or ``HF_HOME`` says, else
        ``~/.cache/huggingface/hub``.
    local_files_only
        Never use the network. The environment variable ``HF_HUB_OFFLINE=1``
        says the same.
    force_download
        Download a hub id though it is in the cache.
    token
        Passed on to `huggingface_hub`, which otherwise finds its own.
    subfolder
        The folder, in the directory or repository, that holds the files.
    filenames
        The files that are needed. Unless given: ``config.json``, and for a
        hub id the weights.
    form
        The only format of the weights to look for, or several; see `index.find_layout`.
    variant
        What stands before the endings of the weights' names; see there.

    Raises
    ------
    FileNotFoundError
        If there is no such directory, no such file in it, or the model is
        neither cached nor can be downloaded.
    ValueError
        If the name is neither a directory nor a possible id, if the revision
        or the folder is no possible one, or for contradictions.
    """
    name = as_path("name_or_path", name_or_path, PATH_OR_ID)
    check_folder(subfolder)
    layouts(form, variant)  # raises if there are none
    wish = _Wish(filenames, form, variant, subfolder)
    if name and "\0" not in name and Path(name).exists():
        return _checked_directory(Path(name) / subfolder, wish.required)
    _check_id(name)
    revision = "main" if revision is None else revision
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ValueError(f"revision is {quoted(revision)}, expected a branch, a tag or a commit")
    cache = Path(cache_dir) if cache_dir is not None else default_cache()
    if force_download and local_files_only:
        raise ValueError("force_download and local_files_only are both true, expected one of them")
    lacking = f"{name} is no directory, and its revision {revision} is not in the cache {cache}"
    snapshot = None if force_download else _cached_snapshot(cache, name, revision)
    if snapshot is not None:
        try:
            return _check_complete(snapshot, wish)
        except FileNotFoundError as error:
            lacking = f"{name}, revision {revision}, is incomplete in the cache: {error}"
    if local_files_only or _offline():
        reason = "local_files_only is set" if local_files_only else "HF_HUB_OFFLINE is set"
        if force_download:
            lacking = f"{name} is no directory, force_download is set"
        raise FileNotFoundError(f"{lacking}, and {reason}, so it is not downloaded")
    asked: dict[str, Any] = {} if token is None else {"token": token}
    forced = {"force_download": True} if force_download else {}
    return _download(name, revision, cache, wish, lacking, asked, forced)


class _Wish(NamedTuple):
    """Which files of a repository are needed; see `locate`."""

    filenames: Sequence[str] | None
    form: str | Sequence[str] | None
    variant: str | None
    subfolder: str

    @property
    def required(self) -> tuple[str, ...]:
        """The files that must be there, beside weights."""
        return (CONFIG,) if self.filenames is None else tuple(self.filenames)


def default_cache() -> Path:
    """Return the directory of the Hugging Face cache, as huggingface_hub finds it."""
    for variable, below in (
        ("HF_HUB_CACHE", "."),
        ("HUGGINGFACE_HUB_CACHE", "."),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if base := os.environ.get(variable):
            return Path(os.path.expandvars(base)).expanduser() / below
    return Path("~/.cache/huggingface/hub").expanduser()


def _checked_directory(path: Path, required: Iterable[str]) -> Path:
    """Return `path` if it is a directory with the files that are needed."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such directory")
    if not path.is_dir():
        raise ValueError(f"{path} is a file, expected the directory that holds {CONFIG}")
    for filename in required:
        if not (path / filename).is_file():
            raise FileNotFoundError(f"{path}: there is no {filename} in this directory")
    return path


def _check_id(name: str) -> None:
    """Tell apart a path that does not exist, a possible hub id, and neither."""
    if name.startswith(("/", "./", "../", "~")) or name.count("/") > 1:
        raise FileNotFoundError(f"{quoted(name)}: there is no such directory")
    if not _ID.fullmatch(name) or ".." in name or "--" in name or name.endswith((".git", ".", "-")):
        raise ValueError(
            f"{quoted(name)} is neither a directory nor a hub id such as facebook/xglm-564M"
        )


def _cached_snapshot(cache: Path, name: str, revision: str) -> Path | None:
    """Return the cached directory of a model's revision, if there is one."""
    repository = cache / f"models--{name.replace('/', '--')}"
    commit = revision
    if not _COMMIT.fullmatch(revision):
        reference = repository / "refs" / revision
        if not reference.is_file():
            return None
        with reference.open("rb") as file:
            commit = file.read(100).decode("ascii", "replace").strip()
        if not _COMMIT.fullmatch(commit):
            raise ValueError(f"{reference}: holds {quoted(commit)}, expected a commit's hash")
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _check_complete(snapshot: Path, wish: _Wish) -> Path:
    """Return the folder of a snapshot that holds all that is needed.

    Raises
    ------
    FileNotFoundError
        If a file is absent.
    """
    folder = _checked_directory(snapshot / wish.subfolder, wish.required)
    if wish.filenames is None:
        layout = find_layout(folder, wish.form, wish.variant)
        shards = read_index(folder / layout.filename, layout.shard_suffix) if layout.sharded else ()
        for shard in shards:
            if not (folder / shard).is_file():
                raise FileNotFoundError(f"{folder / shard} is absent")
    return folder


def _offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def _download(
    name: str,
    revision: str,
    cache: Path,
    wish: _Wish,
    lacking: str,
    asked: dict[str, Any],
    forced: dict[str, Any],
) -> Path:
    """Download a model's files, with huggingface_hub's progress bars."""
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise FileNotFoundError(
            f'{lacking}: download it elsewhere, or pip install "pyxglm[hub]" to have it downloaded'
        ) from None
    folder = "".join(f"{part}/" for part in wish.subfolder.split("/") if part not in ("", "."))
    try:
        api = huggingface_hub.HfApi()  # much of the library, its logger too, is loaded here only
        with _quiet_logger():
            # Asked once: list_repo_files asks a network that is not there for half a minute.
            about = api.model_info(name, revision=revision, timeout=_PATIENCE, **asked)
            there = [file.rfilename for file in about.siblings or ()]
            inside = [file.removeprefix(folder) for file in there if file.startswith(folder)]
            wanted = wanted_files(inside, wish.filenames, wish.form, wish.variant)
            path = huggingface_hub.snapshot_download(
                name,
                revision=revision,
                cache_dir=str(cache),
                allow_patterns=[folder + file for file in wanted],
                **asked,
                **forced,
            )
    # Network, authorisation and disk fail in many classes of several libraries.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise FileNotFoundError(
            f"{lacking}, and downloading it failed: {type(error).__name__}: {quoted(reason, 300)}"
        ) from error
    return _check_complete(Path(path), wish)


@contextlib.contextmanager
def _quiet_logger() -> Iterator[None]:
    """Keep from standard error what huggingface_hub logs of failures: the error tells it.

    Its own handlers alone are quiet, and only meanwhile: a log that the caller keeps
    gets everything, as does who has asked the library for more than warnings.
    """
    logger = logging.getLogger("huggingface_hub")
    handlers = tuple(logger.handlers)

    def more(_record: object) -> bool:  # one of this call's own: others may be downloading, too
        return logger.getEffectiveLevel() < logging.WARNING

    for handler in handlers:
        handler.addFilter(more)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(more)


def wanted_files(
    available: Sequence[str],
    filenames: Sequence[str] | None,
    form: str | Sequence[str] | None = None,
    variant: str | None = None,
) -> list[str]:
    """Choose what to download of a repository's files.

    The weights come in one layout only, the one that `load` would read: many
    repositories hold them in several.

    >>> wanted_files(["config.json", "pytorch_model.bin", "flax_model.msgpack"], None)
    ['config.json', 'pytorch_model.bin']
    >>> wanted_files(["config.json", "pytorch_model.bin", "flax_model.msgpack"], None, "flax")
    ['config.json', 'flax_model.msgpack']
    >>> wanted_files(["pytorch_model.bin", "flax_model.msgpack"], None, ("tf", "flax", "torch"))
    ['flax_model.msgpack']
    >>> wanted_files(["pytorch_model.bin", "pytorch_model.fp16.bin"], None, variant="fp16")
    ['pytorch_model.fp16.bin']
    """
    wanted = [*COMPANIONS, *(filenames or ())]
    if filenames is None:
        for layout in layouts(form, variant):
            if layout.filename in available:
                shard = _shard_pattern(layout, variant)
                wanted.append(layout.filename)
                if layout.sharded:
                    wanted += [file for file in available if shard.fullmatch(file)]
                break
    return [file for file in available if file in wanted]


def _shard_pattern(layout: Layout, variant: str | None) -> re.Pattern[str]:
    """Return what matches the names of shards; a variant stands before or after the number."""
    stem, suffix = layout.filename.partition(".")[0], re.escape(layout.shard_suffix)
    if variant is None:
        return re.compile(rf"{stem}-[^.]*{suffix}")
    varied = re.escape(variant)
    return re.compile(rf"{stem}(?:\.{varied}-[^.]*|-[^.]*\.{varied}){suffix}")
