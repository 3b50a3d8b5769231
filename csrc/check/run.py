"""Build the standalone checker in several ways, and run it on fresh cases.

    python csrc/check/run.py                     every way that this machine has
    python csrc/check/run.py plain thread        these ways only
    python csrc/check/run.py --cases 10 address  more cases

    plain      as the extension is built
    address    address and undefined-behaviour sanitizers: the first wrong byte
    thread     thread sanitizer: the worker pool, and several callers at once
    amx        `address` again, with tiles emulated where the CPU has none
    avx512     `address` again, without pairs of bfloat16 where the CPU has them:
               what the coarse product is on older CPUs
    python     the extension with the address sanitizer, under `pyxglm check`
    python-amx the extension with tiles emulated, under `pyxglm check --isa amx`
    aarch64, aarch64-clang, aarch64-address
               cross-compiled, under qemu-aarch64 -cpu max: NEON, as gcc and as
               clang compile it, and with the sanitizers

A way that this machine lacks the tools for is an error if it is named, and
otherwise one line that says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from build_ext import FLAGS, LIBRARIES, sources, write_binding  # noqa: E402  # found by the line above

CROSS = "aarch64-linux-gnu"

CC = os.environ.get("CC", "gcc")
ADDRESS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
EMULATE_AMX = ["-DPYXGLM_EMULATE_AMX"]

QEMU = ["qemu-aarch64", "-cpu", "max", "-L", f"/usr/{CROSS}"]

#: Compiler, its flags, the machine, and the command that runs the result.
WAYS: dict[str, tuple[str, list[str], str | None, list[str]]] = {
    "plain": (CC, [], None, []),
    "address": (CC, ADDRESS, None, []),
    "thread": (CC, ["-O1", "-g", "-fsanitize=thread"], None, []),
    "amx": (CC, [*ADDRESS, *EMULATE_AMX], None, []),
    "avx512": (CC, [*ADDRESS, "-DPYXGLM_WITHOUT_BF16_PAIRS"], None, []),
    "python": (CC, ADDRESS, None, []),
    "python-amx": (CC, EMULATE_AMX, None, []),
    "aarch64": (f"{CROSS}-gcc", [], "aarch64", QEMU),
    "aarch64-clang": ("clang", [f"--target={CROSS}"], "aarch64", QEMU),
    "aarch64-address": (f"{CROSS}-gcc", ADDRESS, "aarch64", QEMU),
}

#: What `pyxglm check` is asked for, of the ways that run it.
CHECKS: dict[str, list[str]] = {"python": [], "python-amx": ["--isa", "amx"]}


def missing_tool(way: str) -> str | None:
    """Return the first program that a way needs and this machine lacks."""
    compiler, _, _, runner = WAYS[way]
    return next((tool for tool in (compiler, *runner[:1]) if shutil.which(tool) is None), None)


def run(command: list[str], **options: Any) -> str:
    """Run a command that must succeed; return what it printed, errors included."""
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    return done.stdout


def build(way: str, folder: Path) -> Path:
    """Compile the library and the driver; return the program."""
    compiler, flags, machine, _ = WAYS[way]
    program = folder / way
    files = [*sources(machine), *sorted(str(p) for p in (ROOT / "csrc/check").glob("*.c"))]
    links = [f"-l{library}" for library in LIBRARIES]
    command = [compiler, *FLAGS, "-Werror", *flags, "-Icsrc", *files, *links, "-o", str(program)]
    run(command, cwd=ROOT)
    return program


def run_driver(way: str, folder: Path) -> str:
    """Run the driver, built in one way, on the cases in a folder; return what it printed."""
    cases = sorted(str(path) for path in folder.glob("*.case"))
    runner = WAYS[way][3]
    command = [*runner, str(build(way, folder)), *cases]
    # The leak sanitizer cannot look into a program that an emulator runs.
    leaks = {"ASAN_OPTIONS": "detect_leaks=0"} if runner else {}
    return run(command, env={**os.environ, **leaks})


def build_package(way: str, folder: Path) -> None:
    """Copy the package, and build the extension in it in one way."""
    compiler, flags, _, _ = WAYS[way]
    package = folder / "pyxglm"
    shutil.copytree(ROOT / "pyxglm", package, ignore=shutil.ignore_patterns("*.so", "tiny"))
    binding = folder / "_kernels.c"
    write_binding(binding)
    headers = sysconfig.get_paths()["include"]
    command = [compiler, *FLAGS, *flags, "-shared", "-fPIC", "-Icsrc", f"-I{headers}"]
    command += ["-DPy_LIMITED_API=0x030a0000", str(binding), *sources()]
    command += [f"-l{library}" for library in LIBRARIES]
    run([*command, "-o", str(package / "ops/_kernels.abi3.so")], cwd=ROOT)


def run_python(way: str, folder: Path, cases: str, seed: str) -> str:
    """Run `pyxglm check` on an extension built in one way; return what it printed."""
    build_package(way, folder)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("PYXGLM_ISA", None)  # the highest level is tried, whatever is set here
    if "-fsanitize=address,undefined" in WAYS[way][1]:
        # Python itself was built without the sanitizer, so the sanitizer must come first; and
        # what Python does not free at its end is not of interest.
        found = run([WAYS[way][0], "-print-file-name=libasan.so"]).strip()
        environment |= {"LD_PRELOAD": found, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-m", "pyxglm", "check", "--cases", cases, "--seed", seed]
    command += CHECKS[way]
    return run(command, cwd=folder, env=environment)


def main() -> int:
    """Return 0 if every way found everything right."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--cases", default="1", help="of each kind of numbers (default: 1)")
    parser.add_argument("--seed", default="2027")
    arguments = parser.parse_args()
    if unknown := set(arguments.ways) - set(WAYS):
        parser.error(f"there is no way {sorted(unknown)[0]!r}, expected {', '.join(WAYS)}")
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pyxglm", "check", "--write-cases", name]
        command += ["--seed", arguments.seed, "--cases", arguments.cases]
        try:
            run(command, cwd=ROOT)
        except subprocess.CalledProcessError as error:
            print(error.stdout, end="", file=sys.stderr)
            return 2
        ways = []
        for way in arguments.ways or WAYS:
            if (tool := missing_tool(way)) is None:
                ways.append(way)
                continue
            print(f"{way}: this machine has no {tool}")
            wrong += [way] * (way in arguments.ways)

        def result(way: str) -> str:
            if way in CHECKS:
                return run_python(way, folder / way, arguments.cases, arguments.seed)
            return run_driver(way, folder)

        # As many at a time as there are CPUs; the last first: emulators take longest.
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            found = {pool.submit(result, way): way for way in reversed(ways)}
            for done in as_completed(found):
                try:
                    output = done.result()
                except subprocess.CalledProcessError as error:
                    output = f"{error.stdout}{Path(error.cmd[0]).name}: exit {error.returncode}\n"
                    wrong.append(found[done])
                print(f"{found[done]}:\n{output}", end="", flush=True)
    print("wrong: " + ", ".join(wrong) if wrong else "all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
