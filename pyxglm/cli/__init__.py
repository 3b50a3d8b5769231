"""The command line: ``pyxglm generate``, ``tokenize``, ``info``, ``convert`` and so on.

One small module a verb; `arguments` and `terminal` hold what they share. Text
goes to standard output, everything else to standard error. Exit codes: 0 done,
1 the output could not be written or `check` found a kernel wrong, 2 bad usage
or a bad file (one line says which), 130 interrupted, 141 the reader of the
output went away.

Nothing heavy is imported before the arguments are known to be good.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from pyxglm._version import __version__
from pyxglm.cli.arguments import UsageError
from pyxglm.cli.terminal import (
    Output,
    OutputError,
    explain,
    lost_interrupts_come_again,
    say,
    warnings_as_lines,
)

#: Every verb and what it does; each has a module of its own in this package.
VERBS = {
    "generate": "continue a text",
    "tokenize": "show a text's tokens, or the text of token ids",
    "info": "describe a model: configuration, size, files, memory",
    "convert": "turn a checkpoint of any format into safetensors",
    "check": "verify the C kernels, and time them",
    "bench": "measure how fast a model is on this machine",
}

HELP = """\
usage: pyxglm COMMAND ...

XGLM, Meta's multilingual language models, on NumPy.

commands:
  generate    {generate}
  tokenize    {tokenize}
  info        {info}
  convert     {convert}
  check       {check}
  bench       {bench}

options:
  -h, --help  show this text; after a command, its own
  --version   show the version

examples:
  pyxglm generate "La capitale du Japon est"
  pyxglm generate -m facebook/xglm-564M --temp 0.8 --seed 7 "Once upon a time"
  pyxglm tokenize --json "Hello World!"
  pyxglm info -m path/to/checkpoint

Without -m, commands use the small model that comes with the package.
""".format(**VERBS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit code.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of the process.
    """
    output = Output()
    try:
        with warnings_as_lines(), lost_interrupts_come_again():
            code = run(list(sys.argv[1:] if arguments is None else arguments), output)
            output.flush()
    except KeyboardInterrupt:
        output.end_line()
        return 130
    except BrokenPipeError:
        output.abandon()
        return 141  # what a shell reports of a program that SIGPIPE ended
    except OutputError as error:
        output.abandon()
        say(str(error))
        return 1
    except UsageError as error:
        say(str(error))
        return 2
    # What the package says of bad files and arguments, and what the system says of files.
    except (
        ValueError, TypeError, OSError, LookupError, OverflowError, ImportError, MemoryError,
    ) as error:  # fmt: skip
        output.end_line()
        say(explain(error))
        return 2
    return code


def run(arguments: list[str], output: Output) -> int:
    """Do what the arguments ask for, and return the exit code."""
    if not arguments:
        raise UsageError(f"expected a command: {', '.join(VERBS)} (see pyxglm --help)")
    verb, *rest = arguments
    if verb in ("-h", "--help"):
        output.write(HELP)
    elif verb == "--version":
        output.write(f"pyxglm {__version__}\n")
    elif verb in VERBS:
        code: int | None = importlib.import_module(f"pyxglm.cli.{verb}").run(rest, output)
        return code or 0
    elif verb.startswith("-"):
        raise UsageError(f"there is no option {verb!a} before a command (see pyxglm --help)")
    else:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(VERBS)}"
        raise UsageError(f"there is no command {shortened(verb)}, {hint} (see pyxglm --help)")
    return 0


def shortened(text: str) -> str:
    """Return `text` quoted for a message, cut if long."""
    return ascii(text) if len(text) <= 40 else f"{text[:40]!a}..."
