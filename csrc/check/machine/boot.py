r"""Boot Linux on an emulated CPU with AMX, and run the cases there on its instructions.

    python csrc/check/machine/boot.py DIR        every boot below (5 minutes)
    python csrc/check/machine/boot.py DIR amx    these boots only

    amx         every level must be there, and every case right
    refused     a seccomp filter refuses ARCH_REQ_XCOMP_PERM: no amx
    amx_tile    Linux leaves tiles alone, so that CPUID has AMX and XCR0 has not: no amx
    avx512f     and leaves AVX-512 alone: nothing above avx2
    noxsave     and has no XSAVE: scalar alone

`csrc/check/run.py amx` shows that the kernels are right if tiles do what amx.h says. This shows
that the instructions themselves take what they are given, and that XCR0 and Linux's permission
are asked as they want to be. All boots but the first run few cases. No driver may end by a signal.

What is not as in silicon. Linux grants tiles only where the CPU has XFD, a trap at a thread's
first tile, in which the kernel makes room to save them. Bochs 3.0 has no XFD: `setcpuid=324`
says that it has, and the trap never comes. Nor does its XSAVES keep tiles. So the driver runs
under SCHED_FIFO on one CPU, where threads change places only when one waits, which none does
between the beginning and the end of its tiles. And two things that Bochs 3.0 gets wrong are
taken away: AVX512_BF16 (VCVTNE2PS2BF16 converts one operand twice), and page tables of five
levels (lost when SMM is left). With 3.1 the kernel did not boot.

DIR is a Debian 13, / if this is one, with Bochs, with what makes a disc that boots, and with
a Linux of 6.15 or later (for setcpuid), unpacked; the newest is taken. To make one in a folder:

    debootstrap --variant=minbase trixie DIR
    chroot DIR apt-get install --no-install-recommends \
        bochs bochs-term isolinux syslinux-common xorriso
    chroot DIR apt-get download linux-binary-7.3.4+deb13-cloud-amd64   # of trixie-backports
    dpkg -x DIR/linux-binary-*.deb DIR
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import run as checks  # noqa: E402  # found by the line above

#: What each boot adds to the kernel's command line, and the levels that must then be there.
BOOTS = {
    "amx": ("", ["scalar", "avx2", "avx512", "amx"]),
    "refused": ("few=1 refuse=1", ["scalar", "avx2", "avx512"]),
    "amx_tile": ("few=1 clearcpuid=amx_tile", ["scalar", "avx2", "avx512"]),
    "avx512f": ("few=1 clearcpuid=avx512f", ["scalar", "avx2"]),
    "noxsave": ("few=1 noxsave", ["scalar"]),
}
LINUX = "console=ttyS0 quiet loglevel=3 mitigations=off nokaslr tsc=reliable setcpuid=324"

#: The last line of init.c; and the seconds that it may take.
END, LIMIT = "machine: end", 900


def archive(files: dict[str, bytes | None]) -> bytes:
    """Return the archive that Linux unpacks: paths, with contents or None for a folder."""
    packed = bytearray()
    for path, content in [*files.items(), ("TRAILER!!!", b"")]:
        mode = 0o40755 if content is None else 0o100755
        data, name = content or b"", path.encode() + b"\0"
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0]
        packed += b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (name, data):  # both end on a multiple of four
            packed += part
            packed += bytes(-len(packed) % 4)
    return bytes(packed)


def borrowed(root: Path, program: str) -> list[str]:
    """Return the command of a program of another Debian: it needs that Debian's libraries."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader = str(root / "usr/lib64/ld-linux-x86-64.so.2")
    paths = f"{libraries}:{libraries}/pulseaudio"
    return [loader, "--library-path", paths, str(root / "usr/bin" / program)]


def write_image(root: Path, options: str, folder: Path) -> None:
    """Write boot.iso, of the loader, Linux and the archive."""
    disc = folder / "disc"
    text = f"DEFAULT it\nLABEL it\n KERNEL vmlinuz\n INITRD archive\n APPEND {LINUX} {options}\n"
    (disc / "isolinux.cfg").write_text(text)
    command = [*borrowed(root, "xorriso"), "-as", "mkisofs", "-o", str(folder / "boot.iso")]
    command += ["-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot", "-boot-load-size", "4"]
    checks.run([*command, "-boot-info-table", str(disc)])


def settings(root: Path, folder: Path, line: str) -> str:
    """Return what Bochs reads: one CPU, a disc to boot from, and a serial line."""
    return f"""
display_library: term, options="hideIPS"
cpu: model=sapphire_rapids, exclude_features="avx512bf16,la57"
cpu: ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=512, host=512
romimage: file={root}/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file={root}/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path={folder}/boot.iso, status=inserted
boot: cdrom
clock: sync=none
com1: enabled=1, mode=term, dev={line}
speaker: enabled=0
log: {folder}/bochs.log
panic: action=fatal
"""


def boot(root: Path, folder: Path) -> str:
    """Run Bochs until /init says that it is done; return what came by the serial line.

    The line is a terminal, since Bochs writes files 4 KiB at a time; and so is the screen, since
    nothing else can be one without X.
    """
    terminals = serial, line, screen, drawn = [*pty.openpty(), *pty.openpty()]
    (folder / "bochsrc").write_text(settings(root, folder, os.ttyname(line)))
    plugins = root / "usr/lib/x86_64-linux-gnu/bochs/plugins"
    environment = {**os.environ, "TERM": "xterm", "LTDL_LIBRARY_PATH": str(plugins)}
    command = [*borrowed(root, "bochs-bin"), "-q", "-f", str(folder / "bochsrc")]
    emulator = subprocess.Popen(command, stdin=drawn, stdout=drawn, stderr=drawn, env=environment)
    text, end = "", time.monotonic() + LIMIT
    while emulator.poll() is None and time.monotonic() < end:
        for ready in select.select([serial, screen], [], [], 0.5)[0]:
            content = os.read(ready, 65536)
            text += content.decode(errors="replace") if ready == serial else ""
        if END in text or "Kernel panic" in text:
            break
    emulator.kill()
    emulator.wait()
    for terminal in terminals:
        os.close(terminal)
    return text.replace("\r", "")


def prepare(root: Path, folder: Path) -> list[str]:
    """Build, write cases, and put all that a disc holds in its place; return the cases' names."""
    checks.WAYS["driver"] = (checks.CC, ["-static"], None, [])
    checks.build("driver", folder)
    checks.run([checks.CC, "-static", str(HERE / "init.c"), "-o", str(folder / "init")])
    command = [sys.executable, "-m", "pyxglm", "check", "--write-cases", str(folder)]
    checks.run([*command, "--seed", "2027", "--cases", "1"], cwd=checks.ROOT)
    cases = sorted(path.name for path in folder.glob("*.case"))
    files = {name: (folder / name).read_bytes() for name in ("init", "driver", *cases)}
    disc = folder / "disc"
    disc.mkdir()
    (disc / "archive").write_bytes(archive({"dev": None, "proc": None, **files}))
    shutil.copy(root / "usr/lib/ISOLINUX/isolinux.bin", disc)
    shutil.copy(root / "usr/lib/syslinux/modules/bios/ldlinux.c32", disc)
    kernels = [*root.glob("usr/lib/modules/*/vmlinuz"), *root.glob("boot/vmlinuz-*")]
    shutil.copy(max(kernels, key=lambda path: path.stat().st_mtime), disc / "vmlinuz")
    return cases


def main() -> int:
    """Return 0 if every boot found the levels it should, and nothing wrong on them."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("root", type=Path, metavar="DIR")
    parser.add_argument("boots", nargs="*", metavar="BOOT", help=f"of {', '.join(BOOTS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.boots) - set(BOOTS):
        parser.error(f"there is no boot {sorted(unknown)[0]!r}, expected {', '.join(BOOTS)}")
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder, root = Path(name), arguments.root.resolve()
        cases = prepare(root, folder)
        for chosen in arguments.boots or BOOTS:
            options, levels = BOOTS[chosen]
            begin = time.monotonic()
            write_image(root, options, folder)
            text = boot(root, folder)
            print(f"{chosen}: {time.monotonic() - begin:.0f} s\n{text}", flush=True)
            count = sum("few" not in options or "-0000" in case for case in cases)
            found = re.findall(rf"^(\w+): {count} cases, \d+ kernels", text, re.M)
            result = f"{count} cases on {len(levels)} levels, 0 complaints"
            if found != levels or result not in text or "signal 0, exit code 0" not in text:
                print(f"expected {', '.join(levels)}; {result}; and no signal")
                wrong.append(chosen)
    print("wrong: " + ", ".join(wrong) if wrong else "all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
