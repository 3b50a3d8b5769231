"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
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
    name; if anything fails, it is removed. Access rights follow the umask, as
    with `open`.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        yield temporary
        os.fchmod(descriptor, 0o666 & ~current_umask())
        os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def current_umask() -> int:
    """Return the process's umask (which POSIX lets one read only by setting it)."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
