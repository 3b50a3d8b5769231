"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`: after a crash the file is the old one or the new one."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name of an empty temporary file that becomes `path` at the end.

    It lies in the same directory, reaches the disk, and only then takes the
    name; if anything fails, it is removed. Access rights are those of the file
    that is replaced, and else follow the umask, as with `open`. Errors of the
    system name `path`.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with naming(path, temporary):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
    try:
        with naming(path, temporary):
            yield temporary
            os.fchmod(descriptor, rights_for(path))
            os.fsync(descriptor)
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let the system's errors say which file is meant.

    Opening a file that cannot be opened names it; writing to a full disk does
    not. `temporary` is a name that `path` has until it is whole, and that
    nobody knows.
    """
    try:
        yield
    except OSError as error:
        unknown = (None, None if temporary is None else os.fspath(temporary))
        if error.errno is None or error.filename not in unknown:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def rights_for(path: Path) -> int:
    """Return the access rights of the regular file at `path`, else those of a new file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = 0
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0o666 & ~current_umask()


def current_umask() -> int:
    """Return the process's umask (which POSIX lets one read only by setting it)."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def sync_path(path: Path) -> None:
    """Write a file, or the changes of a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_room(directory: Path, needed: int) -> None:
    """Refuse to begin to write more bytes than the file system has left.

    What some file systems say of themselves is nothing: then nothing is refused.

    Raises
    ------
    OSError
        Saying how much is needed and how much there is.
    """
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    if room.f_blocks and free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{needed / 1e6:,.1f} MB are to be written, expected at most the {free / 1e6:,.1f} MB"
            " that the file system has left",
            os.fspath(directory),
        )
