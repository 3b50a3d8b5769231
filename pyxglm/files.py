"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`: after a crash the file is the old one or the new one.

    The bytes go to a temporary file in the same directory, reach the disk, and
    only then take the name. Access rights follow the umask, as with `open`.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(descriptor, 0o666 & ~current_umask())
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def current_umask() -> int:
    """Return the process's umask (which POSIX lets one read only by setting it)."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
