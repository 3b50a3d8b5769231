"""Run the installed package on x86-64 CPUs that this machine is not, under qemu-x86_64.

    python csrc/check/emulated.py             every CPU model below
    python csrc/check/emulated.py Nehalem     these only

    Nehalem    x86-64-v2: what NumPy needs, and nothing that our kernels could use
    Haswell    x86-64-v3: AVX2, FMA and F16C; no AVX-512

On each, the kernels that the library chooses must be those of that CPU, every
one of them must agree with the reference, and the bundled model must answer. An
instruction too many ends the process with a signal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

QEMU = "qemu-x86_64"

#: CPU models of qemu, and the levels that must be available on them.
LEVELS = {"Nehalem": ["scalar"], "Haswell": ["scalar", "avx2"]}

#: What qemu does not emulate of a model, and would print a warning about for every thread.
WITHOUT = {"Nehalem": "", "Haswell": ",-pcid,-x2apic,-tsc-deadline,-invpcid,-hle,-rtm"}

PROMPT = "La capitale du Japon est"
ANSWER = "La capitale du Japon est Tokyo."


def run(cpu: str, *command: str) -> str:
    """Run `pyxglm` on a CPU model; return what it prints.

    Not from here, where the package's source lies without what was built from it.
    """
    whole = [QEMU, "-cpu", cpu + WITHOUT[cpu], sys.executable, "-m", "pyxglm", *command]
    environment = {name: value for name, value in os.environ.items() if name != "PYXGLM_ISA"}
    done = subprocess.run(
        whole, stdout=subprocess.PIPE, text=True, env=environment, cwd=tempfile.gettempdir()
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(whole)} ended with {done.returncode}, expected 0")
    return done.stdout


def verify(cpu: str, seed: str) -> None:
    """Do all checks on one CPU model; the first that fails ends the program."""
    levels = json.loads(run(cpu, "info", "--json"))["kernels"]["available"]
    if levels != LEVELS[cpu]:
        raise SystemExit(f"{cpu} has the levels {levels}, expected {LEVELS[cpu]}")
    print(run(cpu, "check", "--cases", "1", "--seed", seed))
    answer = run(cpu, "generate", PROMPT).strip()
    if answer != ANSWER:
        raise SystemExit(f"{cpu} answers {answer!r}, expected {ANSWER!r}")


def main() -> None:
    """Check the CPU models that the command line names, or all."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("cpus", nargs="*", metavar="CPU", help=f"of {', '.join(LEVELS)}")
    parser.add_argument("--seed", default="2027")
    arguments = parser.parse_args()
    if unknown := set(arguments.cpus) - set(LEVELS):
        parser.error(f"there is no CPU {sorted(unknown)[0]!r}, expected {', '.join(LEVELS)}")
    if shutil.which(QEMU) is None:
        print(f"emulated CPUs: this machine has no {QEMU}")
        raise SystemExit(1 if arguments.cpus else 0)
    for cpu in arguments.cpus or LEVELS:
        print(f"{cpu}:", flush=True)
        verify(cpu, arguments.seed)
    print("all right")


if __name__ == "__main__":
    main()
