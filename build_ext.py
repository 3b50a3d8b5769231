"""Build the C kernels: a cffi out-of-line extension, `pyxglm.ops._kernels`.

`csrc/pyxglm.h` is read twice: by the C compiler, and here, as the text from
which cffi makes the Python binding. setuptools finds the commands below through
pyproject.toml. In a checkout, ``python build_ext.py`` builds in place.

Environment:

``PYXGLM_PURE=1``
    Install without C: the package then computes in NumPy alone.
``CC``, ``CFLAGS``
    The compiler and further flags, as usual.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import PlatformError

ROOT = Path(__file__).resolve().parent
MODULE = "pyxglm.ops._kernels"

#: Oldest CPython whose stable ABI the extension keeps to.
ABI = (3, 10)

#: The same flags for every file. What is missing matters: no instruction-set flag (kernels
#: name theirs function by function, so that nothing else can contain them), and no
#: -ffast-math (it would lose NaN, and set the FPU of the whole process to drop subnormals).
#: Products and sums are not contracted behind our back: an FMA stands where it is written.
FLAGS = [
    "-O3",
    "-fno-math-errno",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
]
LIBRARIES = ["m", "pthread"]


def sources(machine: str | None = None) -> list[str]:
    """Return the C files of the library for a kind of machine (default: this one).

    Paths are relative to the project, as setuptools wants them.
    """
    # The system's machine, which may run 32-bit programs, too: those have plain C.
    own = platform.machine() if sys.maxsize > 2**32 else "32-bit"
    machine = (machine or own).lower()
    folders = ["csrc", "csrc/scalar"]
    if machine in ("x86_64", "amd64"):
        folders.append("csrc/x86")
    if machine in ("aarch64", "arm64"):
        folders.append("csrc/arm")
    return [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in sorted((ROOT / folder).glob("*.c"))
    ]


def declarations() -> str:
    """Return `csrc/pyxglm.h` for cffi: without the guard and the includes, and no comments."""
    text = (ROOT / "csrc" / "pyxglm.h").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def is_pure() -> bool:
    """Say whether the environment asks for an install without C."""
    return os.environ.get("PYXGLM_PURE", "") not in ("", "0")


def has_stable_abi() -> bool:
    """Say whether this Python has the stable ABI: CPython with a lock does."""
    return sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")


def write_binding(path: Path) -> None:
    """Write the C file that makes the library a Python module."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source(MODULE, '#include "pyxglm.h"')
    path.parent.mkdir(parents=True, exist_ok=True)
    ffi.emit_c_code(str(path))


class BuildExt(build_ext):
    """Compile the binding and the kernels into one extension module."""

    def run(self) -> None:
        """Build, unless the environment asks for pure Python."""
        if is_pure():
            self.extensions = []
            return
        binding = Path(self.build_temp) / "_kernels.c"
        write_binding(binding)
        for extension in self.extensions:
            extension.sources = [str(binding), *sources()]
            extension.depends = [str(path) for path in sorted(ROOT.glob("csrc/**/*.h"))]
            extension.include_dirs = ["csrc"]
            extension.libraries = LIBRARIES
            extension.extra_compile_args = FLAGS
            extension.py_limited_api = has_stable_abi()
            if has_stable_abi():
                value = f"0x{ABI[0]:02x}{ABI[1]:02x}0000"
                extension.define_macros = [("Py_LIMITED_API", value)]
        super().run()

    def get_source_files(self) -> list[str]:
        """Return what a source distribution needs besides the package: csrc and this file."""
        found = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("csrc/**/*.*"))]
        return ["build_ext.py", *found]

    def build_extensions(self) -> None:
        """Compile, if there is something to compile with."""
        compiler = self.compiler.compiler[0]
        headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
        if shutil.which(compiler) is None:
            raise PlatformError(_advice(f"the C compiler {compiler!r} was not found", "gcc"))
        if not headers.exists():
            raise PlatformError(_advice(f"{headers} was not found", "python3-dev"))
        super().build_extensions()


def _advice(what: str, package: str) -> str:
    return (
        f"pyxglm's C kernels cannot be built because {what}: install it (on Debian: "
        f"apt install {package}), or set PYXGLM_PURE=1 to install without C."
    )


class BdistWheel(bdist_wheel):
    """Tag the wheel by what is in it: the stable ABI, or pure Python."""

    def finalize_options(self) -> None:
        """Decide before setuptools looks whether there is an extension."""
        if is_pure():
            self.distribution.ext_modules = []
        elif has_stable_abi():
            self.py_limited_api = f"cp{ABI[0]}{ABI[1]}"
        super().finalize_options()


if __name__ == "__main__":
    from setuptools import setup

    os.chdir(ROOT)
    setup(script_args=["build_ext", "--inplace"])
