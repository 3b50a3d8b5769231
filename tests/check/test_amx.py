"""The amx level on tiles that are emulated, so that it is tested where no CPU has any."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyxglm.ops import native_library as library

pytestmark = pytest.mark.built

ROOT = Path(__file__).parents[2]

#: As many numbers as three tiles hold, after one product of them.
TILE_PROGRAM = """
#define PYXGLM_EMULATE_AMX
#include "x86/amx.h"
#include <stdio.h>
int main(void)
{
    static char tiles[3][TILE_BYTES];
    if (fread(tiles, TILE_BYTES, 3, stdin) != 3)
        return 1;
    tiles_begin();
    TILE_ZERO(2);
    TILE_LOAD(2, tiles[0], 64);
    TILE_LOAD(4, tiles[1], 64);
    TILE_LOAD(7, tiles[2], 64);
    TILE_PRODUCT(2, 4, 7);
    TILE_STORE(2, tiles[0], 64);
    tiles_end();
    return fwrite(tiles, TILE_BYTES, 1, stdout) != 1;
}
"""


def run_checks():
    """Return `csrc/check/run.py` as a module."""
    spec = importlib.util.spec_from_file_location("run_checks", ROOT / "csrc/check/run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    return run


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """Return a function that multiplies tiles in the emulation."""
    folder = tmp_path_factory.mktemp("tiles")
    source = folder / "tiles.c"
    source.write_text(TILE_PROGRAM)
    command = [run_checks().CC, "-O1", "-Icsrc", str(source), "-lm", "-o", str(folder / "tiles")]
    subprocess.run(command, cwd=ROOT, check=True)

    def multiply(c, a, b):
        given = c.tobytes() + a.tobytes() + b.tobytes()
        found = subprocess.run([folder / "tiles"], input=given, capture_output=True, check=True)
        return np.frombuffer(found.stdout, np.float32).reshape(16, 16)

    return multiply


def bf16(x):
    """Cut float32 numbers to bfloat16; return their bits and their values."""
    bits = (x.view(np.uint32) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32)


def in_pairs(b_KN):
    """Lay 32 rows out as 16 rows of pairs."""
    return np.ascontiguousarray(b_KN.reshape(16, 2, 16).swapaxes(1, 2)).reshape(16, 32)


def test_a_product_is_rounded_as_intel_says(product):
    rng = np.random.default_rng(0)
    c_MN = rng.standard_normal((16, 16)).astype(np.float32)
    a_bits, a_MK = bf16(rng.standard_normal((16, 32)).astype(np.float32))
    b_bits, b_KN = bf16(rng.standard_normal((32, 16)).astype(np.float32))
    chains = np.zeros((2, 16, 16), np.float32)  # of even and of odd inputs
    for k in range(32):
        exact = np.outer(a_MK[:, k], b_KN[k]).astype(np.longdouble) + chains[k % 2]
        chains[k % 2] = exact.astype(np.float32)  # 64 bits hold every such sum: rounded once
    expected = c_MN + (chains[0] + chains[1])
    assert (product(c_MN, a_bits, in_pairs(b_bits)) == expected).all()


def test_subnormal_numbers_are_zeros(product):
    zeros = np.zeros((16, 16), np.float32)
    a_bits, _ = bf16(np.zeros((16, 32), np.float32))
    b_bits, _ = bf16(np.ones((32, 16), np.float32))
    a_bits[0, 0] = 0x0040  # a subnormal factor
    a_bits[1, 0] = 0x0080  # 2^-126: the smallest that counts
    a_bits[2, 0] = 0x0080
    b_bits[0, 1] = 0x3F00  # halves the third: a subnormal result
    found = product(zeros, a_bits, in_pairs(b_bits))
    assert (found[0] == 0).all()
    assert found[1, 0] == np.float32(2.0**-126)
    assert found[2, 0] == np.float32(2.0**-126)
    assert found[2, 1] == 0
    assert (product(zeros + np.float32(1e-39), a_bits, in_pairs(b_bits))[0] == 0).all()


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Build the package with tiles emulated; return a function that runs Python on it."""
    run, folder = run_checks(), tmp_path_factory.mktemp("amx")
    run.WAYS["python-amx"] = (run.CC, [*run.EMULATE_AMX, "-O1"], None, [])
    run.build_package("python-amx", folder)
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYXGLM_ISA": ""}

    def python(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )

    return python


def test_tiles_are_emulated_where_there_is_avx512(package):
    found = package("-c", "import pyxglm.ops.native_library as l; print(*l.available_isas())")
    isas = found.stdout.split()
    assert isas.index("scalar") == 0, found.stderr
    assert ("amx" in isas) == ("avx512" in isas)  # without, the tests below try a lower level


def test_check_passes(package):
    found = package("-m", "pyxglm", "check", "--isa", "amx", "--cases", "3", "--seed", "11")
    if "avx512" not in library.available_isas():  # tiles are emulated on top of that
        assert found.returncode == 2
        assert "no kernel of this machine" in found.stderr
        return
    assert found.returncode == 0, found.stdout + found.stderr
    # linear and the head, both for fp16 and bf16; and coarse for fp32, too
    assert "10 kernels, 0 wrong" in found.stdout


LARGE = """
import numpy as np
from pyxglm import set_num_threads
from pyxglm.dtypes import convert
from pyxglm.ops import native, native_coarse, reference
from pyxglm.ops.stored import round_to_bfloat16

set_num_threads(2)
rng = np.random.default_rng(1)
WAYS = [(native, lambda x: x, ("float16", "bfloat16"))]
WAYS += [(native_coarse, round_to_bfloat16, ("float32", "float16", "bfloat16"))]
for ops, rounded, dtype in [(ops, f, dtype) for ops, f, dtypes in WAYS for dtype in dtypes]:
    # More than a slab of tokens, a group of outputs, a chunk of inputs; and each just missed.
    # One tile of tokens, two, three; strips of outputs with one block, and with two.
    for M, N, K in (
        (530, 300, 140), (257, 70, 129), (16, 513, 257), (1, 777, 1023), (300, 1, 0),
        (17, 64, 544), (32, 49, 96), (33, 48, 65), (48, 33, 31), (15, 5, 0),
    ):  # fmt: skip
        x = rng.standard_normal((M, K)).astype(np.float32)
        w = convert(rng.standard_normal((N, K)).astype(np.float32), dtype)
        y = ops.linear(x, w)
        wide = rounded(reference.widen(w, np.float32)).astype(float)
        given = rounded(x).astype(float)
        size = np.abs(given) @ np.abs(wide).T
        assert (np.abs(y - given @ wide.T) <= 30 * 2.0**-24 * size).all(), (dtype, M, N, K)
        for begin, end in ((0, 1), (M // 2, M // 2 + 1), (M // 3, M)):
            assert (ops.linear(x[begin:end], w) == y[begin:end]).all(), (dtype, M, N, K)
print("right")
"""


def test_large_shapes_are_right_and_invariant(package):
    found = package("-c", LARGE)
    assert found.stdout == "right\n", found.stderr


LARGEST = """
import numpy as np
from pyxglm.dtypes import convert
from pyxglm.ops import native

# Rounded to 8 bits, the largest floats would be infinite.
x = np.float32([[3.4028235e38, -3.4e38, 2.0**127, 1.7e38, 1e-45]])
for dtype in ("float16", "bfloat16"):
    y = native.linear(np.diag(x[0]), convert(np.float32([[1.0, 0.5, -1.0, 1.0, 1.0]]), dtype))
    assert y[:, 0].tolist() == (x[0] * np.float32([1, 0.5, -1, 1, 0])).tolist(), y
    broken = np.float32([[np.inf, 0], [np.nan, 0], [0, 1]])
    y = native.linear(broken, convert(np.float32([[0.5, 0.5]]), dtype))
    assert np.isfinite(y[:, 0]).tolist() == [False, False, True]
    for bits in (0x7C01, 0x7FFF, 0xFFFF, 0x7C00, 0xFC00):  # NaN of several kinds, infinities
        w = np.uint16([[bits if dtype == "float16" else bits | 0x0380, 0]]).view(
            convert(np.zeros(1, np.float32), dtype).dtype
        )
        assert not np.isfinite(native.linear(np.float32([[1.0, 1.0]]), w)).any(), hex(bits)
print("right")
"""


def test_the_largest_floats_stay_finite_and_broken_ones_do_not(package):
    found = package("-c", LARGEST)
    assert found.stdout == "right\n", found.stderr
