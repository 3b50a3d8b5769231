"""Mutations of torch files: the pickle's instructions, the archive's headers, the storages."""

from __future__ import annotations

import pickletools
import struct
import zipfile
from pathlib import Path
from random import Random

from checkpoint.build import Member, integer, zip_file
from mutation.tokens import TEXTS, awkward_integer, spoil

NAMES = (
    *(b"os\nsystem", b"builtins\neval", b"torch\nFloatStorage", b"torch\nHalfStorage"),
    *(b"torch\nLongStorage", b"torch\nload", b"torch._utils\n_rebuild_tensor_v2"),
    *(b"torch._utils\n_rebuild_parameter", b"torch._utils\n_rebuild_tensor_v3"),
    *(b"collections\nOrderedDict", b"collections\nCounter", b"torch\nSize", b"\n", b"torch\n\xff"),
    *(b"argparse\nNamespace", b"omegaconf.nodes\nAnyNode", b"fairseq.tasks\nTask", b"fairseqx\ny"),
)  # fmt: skip
OPCODES = [code.code.encode("latin-1") for code in pickletools.opcodes]
USEFUL = [bytes([c]) for c in b"(N\x88\x89})t\x85\x86\x87suQRb."]
FIELDS = ("flags", "method", "crc", "csize", "usize", "name", "extra", "sign", "needed")
PATHS = (
    b"",
    b"/",
    b"..",
    b"archive/../x",
    b"/archive/data/0",
    b"archive\\data\\0",
    b"archive/data/0",
)
PATHS += (b"archive/data.pkl", b"archive/data/", b"other/data.pkl", b"c:x", b"\xff", b"a\0b")


def split_program(program: bytes) -> list[bytes]:
    """Cut a pickle into its instructions, arguments included."""
    starts = [position for _, _, position in pickletools.genops(program)]
    return [program[a:b] for a, b in zip(starts, [*starts[1:], len(program)], strict=True)]


def read_seed(path: Path) -> tuple[list[Member], list[bytes]]:
    """Return the members of a file of torch, and its pickle's instructions."""
    with zipfile.ZipFile(path) as archive:
        members = [
            Member(info.filename.encode(), archive.read(info), align=64)
            for info in archive.infolist()
        ]
    program = next(m.data for m in members if m.name.endswith(b"/data.pkl"))
    return members, split_program(program)


def mutate_program(rng: Random, steps: list[bytes]) -> bytes:
    """Return a pickle with a few instructions changed."""
    steps = list(steps)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        at = rng.randrange(len(steps))
        step = steps[at]
        numbers = [n for n, s in enumerate(steps) if s[:1] in b"KMJ\x8a" and s]
        match rng.randrange(12):
            case 0:
                del steps[at]
                steps = steps or [b"."]
            case 1:
                steps.insert(at, step)
            case 2:
                other = rng.randrange(len(steps))
                steps[at], steps[other] = steps[other], steps[at]
            case 3 | 4 | 5 if numbers:
                at = rng.choice(numbers)
                raw = steps[at][2:] if steps[at][:1] == b"\x8a" else steps[at][1:]
                steps[at] = integer(awkward_integer(rng, int.from_bytes(raw, "little")))
            case 6:
                steps.insert(at, rng.choice(USEFUL))
            case 7:
                steps.insert(at, rng.choice(OPCODES) + rng.randbytes(rng.randrange(5)))
            case 8:
                steps[at] = b"c" + rng.choice(NAMES) + b"\n"
            case 9:
                text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
                steps[at] = b"X" + struct.pack("<L", len(text)) + text
            case 10:
                steps[at] = rng.choice(USEFUL) + step[1:]
            case _:
                steps[at] = spoil(rng, step)
    return b"".join(steps)


def _mutate_member(rng: Random, member: Member) -> None:
    """Change a field in one of a member's headers, or in both."""
    field = rng.choice(FIELDS)
    value: int | bytes
    if field == "name":
        value = rng.choice((rng.choice(PATHS), spoil(rng, member.name)))
    elif field == "extra":
        numbers = [awkward_integer(rng) % 2**64 for _ in range(rng.randrange(1, 4))]
        body = struct.pack(f"<{len(numbers)}Q", *numbers)
        size = rng.choice((len(body), len(body), 0, 65535))
        value = struct.pack("<HH", rng.choice((1, 1, 2)), size) + body
    elif field == "sign":
        value = rng.choice((b"PK\1\2", b"PK\3\4", b"PK\5\6", b"\0\0\0\0"))
    elif field in ("crc", "csize", "usize"):
        value = rng.choice((2**32 - 1, awkward_integer(rng, len(member.data)) % 2**32))
    else:
        value = rng.choice((0, 1, 8, 0x808, 0x2000, 12, 45, 93, 65535))
    where = rng.randrange(3)
    if where != 1:
        member.central[field] = value
    if where != 0:
        member.local[field] = value
    if field in ("csize", "usize") and rng.random() < 0.5:
        member.central |= {"csize": value, "usize": value}


def mutate_torch(rng: Random, seed: tuple[list[Member], list[bytes]]) -> bytes:
    """Return a file spoilt in its pickle, its archive or its storages."""
    parts, steps = seed
    members = [Member(m.name, m.data, align=m.align) for m in parts]
    end: dict[str, int] = {}
    before = b""
    for _ in range(rng.choice((1, 1, 1, 2))):
        member = rng.choice(members)
        match rng.randrange(14):
            case 0 | 1 | 2 | 3 | 4 | 5:
                pickled = next((m for m in members if m.name.endswith(b"/data.pkl")), member)
                pickled.data = mutate_program(rng, steps)
            case 6 | 7 | 8:
                _mutate_member(rng, member)
            case 9:
                member.data = spoil(rng, member.data)
            case 10:
                match rng.randrange(4):
                    case 0 if len(members) > 1:
                        members.remove(member)
                    case 1:
                        members.insert(0, Member(member.name, member.data))
                    case 2:
                        rng.shuffle(members)
                    case _:
                        members.append(Member(rng.choice(PATHS), b"x"))
            case 11:
                fields = ("disk", "first", "here", "count", "size", "start")
                fields += tuple(f"wide_{name}" for name in (*fields, "record", "length", "disks"))
                name = rng.choice(fields)
                width = {"size": 32, "start": 32, "wide_disks": 32, "wide_disk": 32}.get(name, 16)
                width = 64 if name in ("wide_size", "wide_start", "wide_record") else width
                end[name] = awkward_integer(rng, len(members)) % 2**width
            case 12:
                # A member over another's bytes: both headers right, the place another's.
                member.central["offset"] = awkward_integer(rng, 64) % 2**32
            case _:
                if rng.random() < 0.5:
                    before = rng.randbytes(rng.randrange(9))
                else:
                    member.padding = rng.randbytes(rng.randrange(40))
                    member.align = rng.choice((1, 64))
    whole = zip_file(members, end=end, zip64=rng.random() < 0.3, before=before)
    return spoil(rng, whole) if rng.random() < 0.08 else whole
