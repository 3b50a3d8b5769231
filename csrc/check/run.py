"""Build the standalone checker in several ways, and run it on fresh cases.

    python csrc/check/run.py                     every way that this machine has
    python csrc/check/run.py plain thread        these ways only
    python csrc/check/run.py --cases 10 address  more cases

    plain      as the extension is built
    address    address and undefined-behaviour sanitizers: the first wrong byte
    thread     thread sanitizer: the worker pool, and several callers at once
    aarch64    cross-compiled, under qemu-aarch64 -cpu max

A way that this machine lacks the tools for is an error if it is named, and
otherwise one line that says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from build_ext import FLAGS, LIBRARIES, sources  # noqa: E402  # found by the line above

STOP = "-fno-sanitize-recover=all"
CROSS = "aarch64-linux-gnu"

#: Compiler, its flags, the machine, and the command that runs the result.
WAYS: dict[str, tuple[str, list[str], str | None, list[str]]] = {
    "plain": (os.environ.get("CC", "gcc"), [], None, []),
    "address": (
        os.environ.get("CC", "gcc"), ["-O1", "-g", "-fsanitize=address,undefined", STOP], None, []
    ),
    "thread": (os.environ.get("CC", "gcc"), ["-O1", "-g", "-fsanitize=thread"], None, []),
    "aarch64": (
        f"{CROSS}-gcc", [], "aarch64", ["qemu-aarch64", "-cpu", "max", "-L", f"/usr/{CROSS}"]
    ),
}  # fmt: skip


def missing_tool(way: str) -> str | None:
    """Return the first program that a way needs and this machine lacks."""
    compiler, _, _, runner = WAYS[way]
    return next((tool for tool in (compiler, *runner[:1]) if shutil.which(tool) is None), None)


def build(way: str, folder: Path) -> Path:
    """Compile the library and the driver; return the program."""
    compiler, flags, machine, _ = WAYS[way]
    program = folder / way
    files = [*sources(machine), *sorted(str(p) for p in (ROOT / "csrc/check").glob("*.c"))]
    links = [f"-l{library}" for library in LIBRARIES]
    command = [compiler, *FLAGS, "-Werror", *flags, "-Icsrc", *files, *links, "-o", str(program)]
    subprocess.run(command, cwd=ROOT, check=True)
    return program


def main() -> int:
    """Return 0 if every way found everything right."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("ways", nargs="*", choices=[*WAYS, []], metavar="WAY")
    parser.add_argument("--cases", default="1", help="of each kind of numbers (default: 1)")
    parser.add_argument("--seed", default="2027")
    arguments = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pyxglm", "check", "--write-cases", name]
        command += ["--seed", arguments.seed, "--cases", arguments.cases]
        subprocess.run(command, cwd=ROOT, check=True)
        cases = sorted(str(path) for path in folder.glob("*.case"))
        for way in arguments.ways or WAYS:
            tool = missing_tool(way)
            if tool is not None:
                print(f"{way}: this machine has no {tool}")
                wrong += [way] * (way in arguments.ways)
                continue
            program = build(way, folder)
            print(f"{way}:", flush=True)
            if subprocess.run([*WAYS[way][3], str(program), *cases], check=False).returncode:
                wrong.append(way)
    print("wrong: " + ", ".join(wrong) if wrong else "all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
