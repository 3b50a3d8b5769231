"""The standalone driver in C: it reads what Python writes, and it can fail."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from pyxglm.check.cases import OPS
from pyxglm.check.files import write_cases
from pyxglm.check.head_cases import HEADS
from pyxglm.check.plan import Filter

pytestmark = pytest.mark.built

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run():
    """Import `csrc/check/run.py`."""
    spec = importlib.util.spec_from_file_location("run_checks", ROOT / "csrc/check/run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def driver(run, tmp_path_factory):
    """Build the driver as `csrc/check/run.py` does, but without optimisation, for time's sake."""
    run.WAYS["plain"] = (run.CC, ["-O0", "-Wno-error"], None, [])
    program = run.build("plain", tmp_path_factory.mktemp("driver"))
    return lambda *paths: subprocess.run(
        [program, *map(str, paths)], capture_output=True, text=True, timeout=100, check=False
    )


def test_cases_of_every_operation_pass(driver, tmp_path):
    files = 0
    for op in (*OPS, *HEADS):
        files += write_cases(tmp_path, Filter(op=op, dtype="*32"), 5, 1)
    paths = sorted(tmp_path.glob("*-000[0-9].case"))[::5]
    assert {path.name.partition("-")[0] for path in paths} == {*OPS, *HEADS}
    found = driver(*paths)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(paths)} cases on" in found.stdout
    assert "0 complaints" in found.stdout
    untried = "linear_f16, linear_bf16, linear_i8, linear_coarse_f16, linear_coarse_bf16"
    # And a copy, which is no operation of the reference.
    assert f"scalar: {len(paths)} cases, 21 kernels of its own; not tried: " in found.stdout
    assert f"embed_f16, embed_bf16, activation_linear, {untried}\n" in found.stdout


#: In plain C: the text that is broken, and what by.
BREAKS = {
    "linear.c": ("sum_lanes(lanes[m - m0])", "sum_lanes(lanes[m - m0]) * (a->M > 1 ? 1 : 1.01f)"),
    "attention.c": ("/ run.sum * factor;", "/ run.sum * factor * (sequence->T > 1 ? 1 : 1.01f);"),
    "softmax.c": ("*sum = sum_lanes(lane)", "*sum = sum_lanes(lane) * 1.01f"),
}


@pytest.fixture(scope="module")
def broken_driver(run, tmp_path_factory):
    """Build the driver on a library whose plain C is wrong in ways that few calls show."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(ROOT / "csrc", folder / "csrc")
    for name, (right, wrong) in BREAKS.items():
        path = folder / "csrc/scalar" / name
        assert right in path.read_text()
        path.write_text(path.read_text().replace(right, wrong, 1))
    parts = ["", "scalar", "check", "x86" if platform.machine() == "x86_64" else "arm"]
    files = [path for part in parts for path in (folder / "csrc" / part).glob("*.c")]
    program = folder / "driver"
    flags = ["-O0", f"-I{folder / 'csrc'}", *files, "-lm", "-lpthread", "-o", program]
    subprocess.run([run.CC, *flags], check=True)
    return lambda *paths: subprocess.run(
        [program, *map(str, paths)], capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        ("linear", "in other company: a row alone differs in a bit from the same row among all"),
        ("attention", "in other company: a query alone differs in a bit from the same query"),
        ("log_softmax", "exp_sum: y["),
    ],
)
def test_what_a_single_result_does_not_show_is_found(broken_driver, tmp_path, op, sentence):
    assert write_cases(tmp_path, Filter(op=op, dtype="float32"), 5, 1)
    found = broken_driver(*sorted(tmp_path.glob("*.case")))
    assert found.returncode == 1
    assert f"scalar: {sentence}" in found.stdout


@pytest.fixture
def case(tmp_path):
    assert write_cases(tmp_path, Filter(op="layer_norm"), 5, 1)
    return tmp_path / "layer_norm-float32-0000.case"


def test_a_wrong_result_is_found(driver, case):
    content = bytearray(case.read_bytes())
    at = content.index(b"y".ljust(24, b"\0") + b"expected") + 40
    (value,) = struct.unpack_from("<d", content, at)
    struct.pack_into("<d", content, at, value * 1.001 + 1e-3)
    case.write_bytes(content)
    found = driver(case)
    assert found.returncode == 1
    assert "scalar: at once: y[0] is" in found.stdout


def test_a_gap_that_is_written_is_found(driver, tmp_path):
    """A place that the case does not know of must hold its canary."""
    assert write_cases(tmp_path, Filter(op="relu"), 5, 1)
    case = tmp_path / "relu-float32-0000.case"
    content = case.read_bytes()
    at = content.index(b"y".ljust(24, b"\0") + b"places")
    (size,) = struct.unpack_from("<q", content, at + 32)
    assert size >= 16
    shorter = bytearray(content)  # the last place is told as if it were the first once more
    shorter[at + 40 + size - 8 : at + 40 + size] = content[at + 40 : at + 48]
    case.write_bytes(shorter)
    assert "wrote between the rows" in driver(case).stdout


@pytest.mark.parametrize("cut", [0, 4, 9, 30, 47, 200, -1, -9])
def test_a_damaged_file_is_refused(driver, case, cut):
    case.write_bytes(case.read_bytes()[:cut])
    found = driver(case)
    assert found.returncode == 2
    assert found.stderr.startswith(f"{case}: ")
    assert found.stderr.count("\n") == 1


def test_bad_usage(driver, tmp_path):
    assert driver().returncode == 2
    found = driver(tmp_path / "absent")
    assert (found.returncode, found.stderr) == (2, f"{tmp_path / 'absent'}: cannot be opened\n")
    found = driver(tmp_path)
    assert (found.returncode, found.stderr) == (2, f"{tmp_path}: is no file\n")
