"""The worker pool: same bits for any number of threads, and no state that can go wrong."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import environment, python

import pyxglm
from pyxglm.ops import cpus, native

RNG = np.random.default_rng(5)
X = RNG.standard_normal((33, 300), dtype=np.float32)
W = RNG.standard_normal((1500, 300), dtype=np.float32).astype(np.float16)
Q, K, V = RNG.standard_normal((3, 2, 4, 100, 32), dtype=np.float32)


def compute() -> list[bytes]:
    """Every operation that is shared among threads, as bits."""
    rows = np.arange(33)
    return [
        native.linear(X, W, activation="gelu").tobytes(),
        native.layer_norm(X, np.ones(300, "f4"), np.zeros(300, "f4")).tobytes(),
        native.softmax(native.linear(X, W)).tobytes(),
        native.gelu(native.linear(X, W)).tobytes(),
        native.embed(rows, rows, W, W.astype("f4"), 2.0, "f4").tobytes(),
        *(a.tobytes() for a in native.attention(Q, K, V, return_weights=True) if a is not None),
    ]


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    before = pyxglm.get_num_threads()
    yield
    pyxglm.set_num_threads(before)


class TestNumber:
    def test_set_and_get(self) -> None:
        for threads in (3, 1, np.int64(2)):
            pyxglm.set_num_threads(threads)
            assert pyxglm.get_num_threads() == threads

    @pytest.mark.parametrize("threads", [0, -1, 1025, 1.0, "2", None, True, 2**40])
    def test_impossible_numbers(self, threads: object) -> None:
        with pytest.raises(ValueError, match=r"^threads is .*, expected a whole number from 1 to"):
            pyxglm.set_num_threads(threads)  # type: ignore[arg-type]

    def test_the_environment_decides(self) -> None:
        code = "import pyxglm; print(pyxglm.get_num_threads())"
        assert python(code, PYXGLM_NUM_THREADS="7").stdout == "7\n"

    @pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "9999", "²", "9" * 5000])
    def test_the_environment_is_checked(self, value: str) -> None:
        found = python("import pyxglm; pyxglm.get_num_threads()", PYXGLM_NUM_THREADS=value)
        last = found.stderr.splitlines()[-1]
        assert last.startswith("ValueError: PYXGLM_NUM_THREADS is ")
        assert last.endswith("expected a whole number from 1 to 1024")

    def test_affinity(self) -> None:
        code = """
            import os
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            import pyxglm
            print(pyxglm.get_num_threads())
        """
        assert python(code, PYXGLM_NUM_THREADS="").stdout == "1\n"


class TestFloatMode:
    def test_workers_round_as_their_caller_does(self) -> None:
        upward = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]  # FE_UPWARD
        libm = ctypes.CDLL(ctypes.util.find_library("m"))
        found = {}
        for threads in (1, 3):
            pyxglm.set_num_threads(threads)
            nearest = compute()  # workers start, and round to nearest
            assert libm.fesetround(upward) == 0
            try:
                found[threads] = [compute() for _ in range(5)]
            finally:
                assert libm.fesetround(0) == 0
            assert found[threads][0] != nearest
            assert compute() == nearest
        assert all(bits == found[1][0] for bits in found[1] + found[3])


class TestQuota:
    """The files as Linux writes them, in a folder of ours."""

    def quotas(self, tmp_path: Path, membership: str, files: dict[str, str]) -> list[float]:
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "membership").write_text(membership)
        return list(cpus._quotas(tmp_path / "fs", tmp_path / "membership"))

    def test_version_2(self, tmp_path: Path) -> None:
        files = {"a/b/cpu.max": "150000 100000\n", "a/cpu.max": "max 100000\n"}
        assert self.quotas(tmp_path, "0::/a/b\n", files) == [1.5]

    def test_parents_bind_as_well(self, tmp_path: Path) -> None:
        files = {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000\n"}
        assert sorted(self.quotas(tmp_path, "0::/a/b\n", files)) == [2.0, 4.0]

    def test_a_container_that_sees_its_group_as_the_root(self, tmp_path: Path) -> None:
        files = {"cpu.max": "50000 100000\n"}
        assert self.quotas(tmp_path, "0::/docker/1234\n", files) == [0.5]

    def test_version_1(self, tmp_path: Path) -> None:
        files = {
            "cpu,cpuacct/x/cpu.cfs_quota_us": "300000\n",
            "cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        }
        assert self.quotas(tmp_path, "3:memory:/x\n2:cpu,cpuacct:/x\n", files) == [3.0]

    def test_nothing_there(self, tmp_path: Path) -> None:
        assert self.quotas(tmp_path, "0::/../outside\n2:cpu:/x\n", {}) == []
        assert list(cpus._quotas(tmp_path / "no", tmp_path / "none")) == []

    @pytest.mark.parametrize(("quota", "expected"), [("50000", 1), ("150000", 2), ("9900000", 4)])
    def test_a_quota_bounds_the_threads(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
    ) -> None:
        self.quotas(tmp_path, "0::/\n", {"cpu.max": f"{quota} 100000\n"})
        monkeypatch.setattr(cpus, "CGROUPS", tmp_path / "fs")
        monkeypatch.setattr(cpus, "MEMBERSHIP", tmp_path / "membership")
        monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: set(range(4)))
        assert cpus.allowed_cpus() == expected


class TestResults:
    def test_the_same_bits_for_any_number_of_threads(self) -> None:
        pyxglm.set_num_threads(1)
        expected = compute()
        for threads in (2, 3, 8):
            pyxglm.set_num_threads(threads)
            assert compute() == expected, threads

    def test_many_short_operations(self) -> None:
        pyxglm.set_num_threads(4)
        expected = native.linear(X, W)
        for _ in range(300):
            assert (native.linear(X, W) == expected).all()

    def test_several_callers_at_once(self) -> None:
        pyxglm.set_num_threads(3)
        expected = compute()
        wrong: list[int] = []

        def caller(number: int) -> None:
            for _ in range(15):
                if compute() != expected:
                    wrong.append(number)

        callers = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
        for thread in callers:
            thread.start()
        for threads in (1, 4, 2, 3):  # resizing waits for those in progress
            pyxglm.set_num_threads(threads)
        for thread in callers:
            thread.join()
        assert wrong == []


class TestLife:
    def test_a_forked_child_computes_with_workers_of_its_own(self) -> None:
        code = """
            import os, sys
            import numpy as np, pyxglm
            from pyxglm.ops import native
            pyxglm.set_num_threads(3)
            x, w = np.ones((9, 256), "f4"), np.ones((2048, 256), "f2")
            def threads(): return len(os.listdir("/proc/self/task"))
            alone = threads()
            assert native.linear(x, w)[0, 0] == 256
            assert threads() == alone + 2
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    lonely = threads() == 1
                    right = (native.linear(x, w) == 256).all()
                    os._exit(0 if lonely and right and threads() == 3 else 1)
                assert os.waitpid(child, 0)[1] == 0
                assert (native.linear(x, w) == 256).all()
            print("done")
        """
        found = python(code, "-W", "ignore")  # Python 3.12 warns of any fork with threads
        assert (found.stdout, found.stderr) == ("done\n", "")

    def test_a_fork_while_another_thread_computes(self) -> None:
        code = """
            import os, threading
            import numpy as np, pyxglm
            from pyxglm.ops import native
            pyxglm.set_num_threads(3)
            x, w = np.ones((64, 256), "f4"), np.ones((2048, 256), "f2")
            stop = threading.Event()
            def work():
                while not stop.is_set():
                    native.linear(x, w)
            thread = threading.Thread(target=work)
            thread.start()
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    os._exit(0 if (native.linear(x, w) == 256).all() else 1)
                assert os.waitpid(child, 0)[1] == 0
            stop.set()
            thread.join()
            print("done")
        """
        found = python(code, "-W", "ignore")
        assert (found.stdout, found.stderr) == ("done\n", "")

    def test_the_interpreter_may_end_while_threads_compute(self) -> None:
        code = """
            import threading, time
            import numpy as np, pyxglm
            from pyxglm.ops import native
            pyxglm.set_num_threads(3)
            x, w = np.ones((64, 512), "f4"), np.ones((4096, 512), "f2")
            def work():
                while True:
                    native.linear(x, w)
            for _ in range(2):
                threading.Thread(target=work, daemon=True).start()
            time.sleep(0.2)
        """
        for _ in range(3):
            found = python(code)
            assert (found.returncode, found.stderr) == (0, "")

    def test_an_interrupt_leaves_nothing_behind(self) -> None:
        code = """
            import signal
            import numpy as np, pyxglm
            from pyxglm.ops import native
            pyxglm.set_num_threads(3)
            x, w = np.ones((256, 512), "f4"), np.ones((4096, 512), "f2")
            assert (native.linear(x, w) == 512).all()
            try:
                print("ready", flush=True)
                while True:
                    native.linear(x, w)
            except KeyboardInterrupt:
                print((native.linear(x, w) == 512).all())
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tempfile.gettempdir(), env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # or it would compute for ever
        assert (out, err) == ("True\n", "")
