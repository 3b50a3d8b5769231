"""Which instruction set is used: what may be, what is asked for, what serves."""

from __future__ import annotations

import numpy as np
import pytest
from processes import python

from pyxglm.ops import native, reference
from pyxglm.ops import native_library as library
from pyxglm.ops.native_library import lib

FMA, OSXSAVE, AVX, F16C = 1 << 12, 1 << 27, 1 << 28, 1 << 29
AVX2, F, DQ, BW, VL = 1 << 5, 1 << 16, 1 << 17, 1 << 30, 1 << 31
AMX_BF16, AMX_TILE = 1 << 22, 1 << 24
BF16 = 1 << 5  # leaf 7, subleaf 1, eax
LEAF1, LEAF7 = FMA | OSXSAVE | AVX | F16C, AVX2 | F | DQ | BW | VL
YMM, ZMM, TILES = 0x07, 0xE7, 0x600E7


def allowed(leaf1: int, leaf7: int, xcr0: int, edx: int = 0) -> list[str]:
    levels = {name: getattr(lib, f"PYXGLM_{name.upper()}") for name in NAMES}
    return [n for n, i in levels.items() if lib.pyxglm_cpu_allows(i, leaf1, leaf7, edx, xcr0)]


NAMES = ("scalar", "avx2", "avx512", "amx", "neon")


@pytest.fixture(autouse=True)
def _same_isa_afterwards():
    before = library.isa()
    yield
    library.use_isa(before)


class TestCpu:
    def test_everything_there(self) -> None:
        assert allowed(LEAF1, LEAF7, ZMM) == ["scalar", "avx2", "avx512"]

    @pytest.mark.parametrize("bit", [FMA, OSXSAVE, AVX, F16C])
    def test_every_bit_of_leaf_1_is_needed(self, bit: int) -> None:
        assert allowed(LEAF1 & ~bit, LEAF7, ZMM) == ["scalar"]

    def test_avx2_is_needed_for_both(self) -> None:
        assert allowed(LEAF1, LEAF7 & ~AVX2, ZMM) == ["scalar"]

    @pytest.mark.parametrize("bit", [F, DQ, BW, VL])
    def test_every_part_of_avx512_is_needed(self, bit: int) -> None:
        assert allowed(LEAF1, LEAF7 & ~bit, ZMM) == ["scalar", "avx2"]

    def test_registers_that_the_system_does_not_save(self) -> None:
        assert allowed(LEAF1, LEAF7, YMM) == ["scalar", "avx2"]
        assert allowed(LEAF1, LEAF7, 0x03) == ["scalar"]  # x87 and SSE only
        for bit in (0x20, 0x40, 0x80):  # masks, upper halves, upper sixteen
            assert allowed(LEAF1, LEAF7, ZMM & ~bit) == ["scalar", "avx2"]

    def test_tiles_need_both_bits_and_avx512(self) -> None:
        every = AMX_BF16 | AMX_TILE
        upto = ["scalar", "avx2", "avx512"]
        assert allowed(LEAF1, LEAF7, TILES, every) == [*upto, "amx"]
        assert allowed(LEAF1, LEAF7, TILES, AMX_BF16) == upto
        assert allowed(LEAF1, LEAF7, TILES, AMX_TILE) == upto
        assert allowed(LEAF1, LEAF7 & ~VL, TILES, every) == upto[:2]

    def test_tiles_that_the_system_does_not_save(self) -> None:
        every = AMX_BF16 | AMX_TILE
        for bit in (0x20000, 0x40000):  # their configuration, their data
            found = allowed(LEAF1, LEAF7, TILES & ~bit, every)
            assert found == ["scalar", "avx2", "avx512"]

    def test_pairs_of_bfloat16_need_their_bit_and_avx512(self) -> None:
        def pairs(leaf1: int, leaf7: int, bits: int, xcr0: int) -> bool:
            return bool(lib.pyxglm_cpu_allows_bf16_pairs(leaf1, leaf7, 0, bits, xcr0))

        assert pairs(LEAF1, LEAF7, BF16, ZMM)
        assert not pairs(LEAF1, LEAF7, ~BF16 & 0xFFFFFFFF, ZMM)
        assert not pairs(LEAF1, LEAF7 & ~VL, BF16, ZMM)
        assert not pairs(LEAF1 & ~OSXSAVE, LEAF7, BF16, ZMM)
        assert not pairs(LEAF1, LEAF7, BF16, YMM)

    def test_levels_without_kernels_are_never_allowed(self) -> None:
        for level in (lib.PYXGLM_NEON, -1, lib.PYXGLM_LEVELS):
            assert not lib.pyxglm_level_available(level)
            assert lib.pyxglm_use_level(level) == lib.PYXGLM_NO_LEVEL

    def test_this_machine_as_linux_sees_it(self) -> None:
        # /proc/cpuinfo leaves out what the kernel does not save.
        flags: set[str] = set()
        with open("/proc/cpuinfo", encoding="ascii") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("flags"):
                    flags = set(line.split())
        expected = ["scalar"]
        if {"avx", "avx2", "fma", "f16c"} <= flags:
            expected.append("avx2")
            if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
                expected.append("avx512")
                if {"amx_tile", "amx_bf16"} <= flags:  # and Linux lets everybody have them
                    expected.append("amx")
        assert list(library.available_isas()) == expected
        assert library.bf16_pairs() == ("avx512" in expected and "avx512_bf16" in flags)


class TestChoice:
    def test_the_default_is_the_highest(self) -> None:
        code = "from pyxglm.ops import native_library as l; print(l.isa())"
        found = python(code, PYXGLM_ISA="")
        assert found.stdout.split() == [library.available_isas()[-1]]

    @pytest.mark.parametrize("name", library.available_isas())
    def test_use_isa(self, name: str) -> None:
        library.use_isa(name)
        assert library.isa() == name
        x = np.float32([[1.0, 2.0, 3.0]])
        w = np.float16([[1.0, 1.0, 1.0], [0.5, 0.0, -1.0]])
        assert native.linear(x, w).tolist() == [[6.0, -2.5]]

    @pytest.mark.parametrize("name", library.available_isas())
    def test_the_environment_chooses(self, name: str) -> None:
        code = "from pyxglm.ops import native_library as l; print(l.isa())"
        found = python(code, PYXGLM_ISA=name)
        assert found.stdout.split() == [name]

    @pytest.mark.parametrize("name", ["avx9", "neon", "AVX2", ""])
    def test_what_is_not_there_is_refused_with_the_choices(self, name: str) -> None:
        choices = ", ".join(library.available_isas())
        with pytest.raises(ValueError, match=f"^name is {name!r}, expected one of: {choices}$"):
            library.use_isa(name)

    def test_the_environment_is_refused_with_the_choices(self) -> None:
        code = "import pyxglm; pyxglm.get_num_threads()"
        found = python(code, PYXGLM_ISA="avx9")
        choices = ", ".join(library.available_isas())
        last = found.stderr.splitlines()[-1]
        assert last == f"ValueError: PYXGLM_ISA is 'avx9', expected one of: {choices}"


class TestServing:
    def test_scalar_has_everything(self) -> None:
        assert set(library.serving_isas("scalar").values()) == {"scalar"}

    def test_every_entry_of_the_table_is_named(self) -> None:
        entries = {
            *(
                f"{op}_{dtype}"
                for op in ("embed", "linear", "linear_coarse")
                for dtype in ("f32", "f16", "bf16")
            ),
            "linear_i8",
            *(f"activation_{a}" for a in ("linear", "gelu", "gelu_tanh", "relu", "silu")),
            *("layer_norm", "softmax", "log_softmax", "exp_sum", "attention", "cache_append"),
        }
        assert set(library.serving_isas()) == entries

    def test_a_level_is_served_by_itself_or_by_lower_ones(self) -> None:
        names = library.available_isas()
        for i, name in enumerate(names):
            assert set(library.serving_isas(name).values()) <= set(names[: i + 1])

    def test_linear_has_its_own_kernel_wherever_there_is_a_level(self) -> None:
        for name in library.available_isas():
            serving = library.serving_isas(name)
            assert {serving[f"linear_{d}"] for d in ("f16", "bf16")} == {name}
            # Tiles would need more products for float32 than they are faster.
            assert serving["linear_f32"] == ("avx512" if name == "amx" else name)
            assert serving["linear_i8"] == serving["linear_f32"]
            assert {serving[f"linear_coarse_{d}"] for d in ("f32", "f16", "bf16")} == {name}


def test_the_operations_are_those_of_the_reference() -> None:
    import inspect

    for name, function in vars(reference).items():
        if not inspect.isfunction(function) or name.startswith("_"):
            continue
        if function.__module__ != reference.__name__:
            continue
        assert inspect.signature(getattr(native, name)) == inspect.signature(function), name
    assert list(native.ACTIVATIONS) == list(reference.ACTIVATIONS)
