"""Checkpoints converted to another runtime's format: once, outside the repository.

The converting is a process of its own: what it takes is not the worker's memory, nor is
what it imports. Nothing but the standard library may be imported here.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from checkpoint import WEIGHTS

#: Names the folder of all converted files; `runtimes.Worker` sets it.
FOLDER = "PYXGLM_CONVERTED"


def converted(path: str, format: str, convert: Callable[[str, Path], None]) -> Path:
    """Return the folder of a converted checkpoint, which is filled unless it is there.

    Parameters
    ----------
    path
        The checkpoint's directory.
    format
        Name of the format, with the versions of what converts.
    convert
        Function of a module that fills an empty folder. What it leaves gets its name when
        all is written.

    Raises
    ------
    RuntimeError
        If the converting process fails.
    """
    folder = Path(os.environ[FOLDER]) / f"{format}-{fingerprint(Path(path))}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{format}-", dir=folder.parent))
    try:
        # A fresh interpreter: threads of this one would not survive a fork.
        process = multiprocessing.get_context("spawn").Process(target=convert, args=(path, partial))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{path}: converting to {format} ended with {process.exitcode}")
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def fingerprint(path: Path) -> str:
    """Return what tells a checkpoint from others, and from what it was before."""
    status = (path / WEIGHTS).stat()
    config = (path / "config.json").read_bytes()
    words = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode()
    return hashlib.sha256(words + config).hexdigest()[:16]
