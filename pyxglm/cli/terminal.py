"""Standard output and standard error, with all that may be wrong with them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any


class OutputError(Exception):
    """Standard output cannot take the text; the message is for the user."""


class Output:
    r"""Standard output: text as it comes, JSON, and a clean end.

    A character that the output's encoding lacks is written as an escape
    (``\u6771``), and one line on standard error says so: a lost character
    would be worse, and so would losing the rest of the text.
    """

    def __init__(self) -> None:
        self._line_begun = False
        self._told = False

    def write(self, text: str) -> None:
        """Write text, and let it be seen at once."""
        stream = sys.stdout
        if stream is None:
            raise OutputError("standard output is closed")
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.encode(encoding, "backslashreplace").decode(encoding)
            if not self._told:
                self._told = True
                say(
                    f"warning: the output's encoding is {encoding}: characters it lacks are escaped"
                )
        with _failures_named():
            stream.write(text)
        if text:
            self._line_begun = not text.endswith("\n")
        self.flush()

    def write_json(self, value: Any) -> None:
        """Write one JSON value on a line of its own."""
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
        self.write(json.dumps(value, ensure_ascii=encoding != "utf8") + "\n")

    def flush(self) -> None:
        """Hand over what was written."""
        if sys.stdout is not None:
            with _failures_named():
                sys.stdout.flush()

    def end_line(self) -> None:
        """End a line that was begun, if that is still possible."""
        if self._line_begun:
            with contextlib.suppress(OutputError, OSError):
                self.write("\n")

    def abandon(self) -> None:
        """Give up standard output, so that Python does not complain of it on the way out."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    """Tell a failure of standard output from one of some file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, io.UnsupportedOperation, ValueError) as error:
        raise OutputError(f"standard output: {explain(error)}") from None


def say(message: str) -> None:
    """Write one line to standard error, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        print(f"pyxglm: {' '.join(message.split())}", file=sys.stderr, flush=True)


def explain(error: BaseException) -> str:
    """Return what an exception says, without Python's trimmings.

    >>> explain(FileNotFoundError(2, "No such file or directory", "model/config.json"))
    'model/config.json: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show each warning as one line, without the place in the source."""

    def show(message: Warning | str, *_place: object, **_details: object) -> None:
        say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield
