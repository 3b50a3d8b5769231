"""What the verbs share in reading their arguments."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn


class UsageError(Exception):
    """Arguments that cannot be meant; the message is for the user."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line, and no exit."""

    def __init__(self, synopsis: str, description: str, examples: str) -> None:
        super().__init__(
            prog=f"pyxglm {synopsis.split()[0]}",
            usage=f"pyxglm {synopsis}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # an abbreviation breaks when an option is added
            add_help=False,
        )
        self.add_argument("-h", "--help", action="store_true", help="show this text")

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` instead of printing the usage and leaving."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def add_model_options(parser: Parser) -> None:
    """Add the options that say which model."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        help="directory of a checkpoint, or hub id such as facebook/xglm-564M"
        " (default: the bundled model)",
    )
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    group.add_argument("--cache-dir", metavar="DIR", help="the Hugging Face cache to look in")
    group.add_argument("--offline", action="store_true", help="never use the network")


def add_computing_options(parser: Parser) -> None:
    """Add the options that say how a model computes."""
    group = parser.add_argument_group("computing")
    group.add_argument(
        "--compute",
        choices=("float32", "float64", "bfloat16"),
        default="float32",
        help="arithmetic (default: float32; bfloat16 is faster for prompts and coarser, on CPUs"
        " that multiply it)",
    )
    group.add_argument(
        "--backend", choices=("c", "numpy"), help="what computes (default: c, if it was built)"
    )
    group.add_argument(
        "-t",
        "--threads",
        type=int,
        metavar="N",
        help="threads of the C kernels (default: PYXGLM_NUM_THREADS, or the CPUs that this process"
        " may use)",
    )


def how(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of ``from_pretrained`` that say how to compute; set the threads."""
    if arguments.threads is not None:
        from pyxglm.ops.cpus import checked_threads

        checked_threads("-t", arguments.threads)
        from pyxglm import set_num_threads

        set_num_threads(arguments.threads)
    return {"compute": arguments.compute, "backend": arguments.backend}


def where(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return the model's name or path, and the keywords of ``from_pretrained``."""
    if arguments.model is None:
        for option in ("revision", "cache_dir"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"--{option.replace('_', '-')} is given without -m MODEL")
        from pyxglm import tiny

        return tiny.PATH, {}
    name = argument_text(arguments.model, "-m")
    check_path(arguments.cache_dir, "--cache-dir", "directory")
    check_revision(arguments.revision, name)
    return name, {
        "revision": arguments.revision,
        "cache_dir": arguments.cache_dir,
        "local_files_only": arguments.offline,
    }


def check_revision(revision: str | None, name: str) -> None:
    """Refuse a revision of a directory: it has but one."""
    if revision is not None and Path(name).is_dir():
        raise UsageError(f"--revision is given with the directory {name}, expected a hub id")


def add_text_options(parser: Parser, name: str, what: str) -> None:
    """Add the ways to give a text: an argument, a file, standard input."""
    parser.add_argument("text", nargs="*", metavar=name, help=f"{what}; - reads standard input")
    parser.add_argument("-f", "--file", metavar="FILE", help=f"read {what} from a UTF-8 file")


def given_text(arguments: argparse.Namespace, name: str) -> str:
    """Return the one text that the arguments give."""
    words = arguments.text
    if arguments.file is not None:
        if words:
            raise UsageError(f"{name} and -f FILE are given, expected one of them")
        return stdin_text() if arguments.file == "-" else file_text(arguments.file, "-f")
    if not words:
        raise UsageError(f"expected {name}, -f FILE, or - for standard input")
    if len(words) > 1:
        raise UsageError(f"{len(words)} arguments are given, expected one {name}: put it in quotes")
    return stdin_text() if words[0] == "-" else argument_text(words[0], name)


def argument_text(argument: str, name: str) -> str:
    """Return an argument's text.

    Python decodes arguments by the locale and keeps what it cannot decode as
    lone surrogates. Such bytes are taken as UTF-8, which is right in the C
    locale, or refused.
    """
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        return decoded(os.fsencode(argument), name)
    return argument


def file_text(path: str, option: str) -> str:
    """Return the text of a UTF-8 file, which an option names."""
    check_path(path, option, "file")
    return decoded(Path(path).read_bytes(), argument_text(path, option))


def check_path(path: str | None, option: str, what: str) -> None:
    """Refuse an empty name: to Python's paths it is the directory that the shell stands in."""
    if path == "":
        raise UsageError(f"{option} is {path!r}, expected the name of a {what}")


def stdin_text() -> str:
    """Return all of standard input as UTF-8."""
    if sys.stdin is None:
        raise UsageError("standard input is closed, expected a text")
    return decoded(sys.stdin.buffer.read(), "standard input")


def decoded(data: bytes, where: str) -> str:
    """Decode UTF-8, with or without the mark some editors put first."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{where}: byte {error.start} is 0x{data[error.start]:02x}, expected UTF-8 text"
        ) from None
