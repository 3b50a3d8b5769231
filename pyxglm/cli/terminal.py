"""Standard output and standard error, with all that may be wrong with them."""

from __future__ import annotations

import _thread
import contextlib
import io
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any


class OutputError(Exception):
    """Standard output cannot take the text; the message is for the user."""


#: Seconds after which a lost interrupt comes again: more than to let an object go.
_SOON = 0.02

#: What leaves the terminal's line to a message, if there is something on it.
_leave_line: list[Callable[[], None]] = []


class Output:
    r"""Standard output: text as it comes, JSON, and a clean end.

    On a terminal that shows standard error too, a message begins a line of its
    own, wherever the text is. A character that the output's encoding lacks is written as an escape
    (``\u6771``), and one line on standard error says so: a lost character
    would be worse, and so would losing the rest of the text.
    """

    def __init__(self) -> None:
        self._line_begun = False
        self._told = False
        _leave_line.clear()

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
            if self._line_begun and both_terminals():
                _leave_line[:] = [self.end_line]
            elif self.end_line in _leave_line:
                _leave_line.remove(self.end_line)
        self.flush()

    def write_json(self, value: Any) -> None:
        """Write one JSON value on a line of its own, whole: an interrupt waits until it is out."""
        encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
        line = json.dumps(value, ensure_ascii=encoding != "utf8", allow_nan=False) + "\n"
        with _uninterrupted():
            self.write(line)

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


class Progress:
    """The part done so far: one line that changes on a terminal, else one for each tenth."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._told = 0

    def show(self, part: float, what: str) -> None:
        """Tell how far the work is."""
        if self._terminal:
            self._write(f"\r\x1b[K{part:4.0%} {what}")
            _leave_line[:] = [self.end]
        elif int(10 * part) > self._told:
            self._told = int(10 * part)
            say(f"{10 * self._told} % done, {what}")

    def end(self) -> None:
        """Leave nothing on the terminal's line."""
        if self._terminal:
            self._write("\r\x1b[K")
            _leave_line.clear()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever reads it may be gone
            print(text, end="", file=sys.stderr, flush=True)


def both_terminals() -> bool:
    """Return whether text and messages are shown on a terminal both."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an interrupt wait, where the system can.

    The mask keeps it from the write itself, whose rest Python would drop. But the system
    then gives it to another thread, such as one of BLAS, and Python tells the main one.
    """
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not own or not main or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


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
    for leave in tuple(_leave_line):
        leave()
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
    text = str(error) or type(error).__name__
    return f"not enough memory: {text}" if isinstance(error, MemoryError) else text


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show each warning as one line, without the place in the source."""

    def show(message: Warning | str, *_place: object, **_details: object) -> None:
        say(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def lost_interrupts_come_again() -> Iterator[None]:
    """Let an interrupt come again that Python has ignored: it does while an object is let go.

    What is raised there (in ``__del__``, or when a weak reference dies) goes no
    further; `sys.unraisablehook` is told, which may not raise either.
    """
    others, main, timers = sys.unraisablehook, threading.main_thread().ident, []

    def come() -> None:
        if hasattr(signal, "pthread_kill") and main is not None:
            signal.pthread_kill(main, signal.SIGINT)  # ends a wait for input, too
        else:
            _thread.interrupt_main()

    def hook(lost: Any) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            others(lost)
            return
        timers.append(threading.Timer(_SOON, come))
        timers[-1].daemon = True
        timers[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = others
        for timer in timers:
            timer.cancel()
