"""What Python hands to C: any layout that is right, and nothing that is not."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from processes import python

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.check.patterns import LAYOUTS
from pyxglm.dtypes import Array, bfloat16, convert
from pyxglm.ops import available_backends, backend_name, native, native_arrays, reference

RNG = np.random.default_rng(7)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape, dtype=np.float32)


mapped = LAYOUTS["mapped"]


def close(found: Array, expected: Array) -> bool:
    return found.shape == expected.shape and np.allclose(found, expected, rtol=1e-5, atol=1e-5)


class TestWeights:
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_at_any_address(self, dtype: str) -> None:
        x, w, b = floats(3, 37), convert(floats(21, 37), dtype), convert(floats(21), dtype)
        w1, b1 = mapped(w), mapped(b)
        assert w1.ctypes.data % 2 == b1.ctypes.data % 2 == 1
        assert (native.linear(x, w1, b1) == native.linear(x, w, b)).all()
        assert close(native.linear(x, w1, b1), reference.linear(x, w, b))
        ids, table = np.array([3, 20, 0]), mapped(floats(9, 37))
        expected = reference.embed(ids, np.array([0, 6, -2]), w, table, 3.0, np.float32)
        assert close(native.embed(ids, np.array([0, 6, -2]), w1, table, 3.0, np.float32), expected)
        norm = native.layer_norm(x, mapped(convert(floats(37), dtype)), np.zeros(37, "f4"))
        assert norm.shape == (3, 37)

    def test_no_copy_is_made_of_a_stored_matrix(self) -> None:
        for dtype in ("float32", "float16", "bfloat16"):
            w = mapped(convert(floats(5, 6), dtype))
            assert native_arrays.matrix(w).keeper is None

    @pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f2", "<i2"])
    def test_other_dtypes_are_converted(self, dtype: str) -> None:
        x, w = floats(3, 8), (floats(5, 8) * 4).astype(dtype)
        assert close(native.linear(x, w), reference.linear(x, w))

    def test_other_layouts_are_copied(self) -> None:
        x, w = floats(3, 8), floats(16, 16)
        for view in (w[:8, :8], w[::2, :8], w.T[:8, ::-2], np.broadcast_to(w[0, :8], (4, 8))):
            assert close(native.linear(x, view), reference.linear(x, view))

    def test_a_vector_in_a_mapped_file_is_widened_once(self, tmp_path: Path) -> None:
        np.arange(8, dtype="f2").tofile(tmp_path / "b")
        vector = np.memmap(tmp_path / "b", "f2", "r")
        assert native_arrays.vector(vector).keeper is native_arrays.vector(vector).keeper

    def test_a_vector_that_may_change_is_not_kept(self) -> None:
        x, w = np.zeros((1, 4), "f4"), np.zeros((3, 4), "f4")
        bias = np.zeros(3, "f2")
        view = bias[:]
        view.flags.writeable = False
        assert native.linear(x, w, view).tolist() == [[0, 0, 0]]
        bias[:] = 2
        assert native.linear(x, w, view).tolist() == [[2, 2, 2]]

    def test_what_is_remembered_goes_with_its_array(self) -> None:
        # Arrays that come and go get each other's addresses; each must be read as itself.
        gc.collect()
        before = len(native_arrays._entries)
        x = np.ones((1, 2), "f4")
        for i in range(300):
            w = np.frombuffer(
                np.full((3, 2), i, ("f4", "f2")[i % 2]).tobytes(), ("f4", "f2")[i % 2]
            )
            assert (native.linear(x, w.reshape(3, 2), w[:3]) == 3 * i).all()
        del w
        gc.collect()
        assert len(native_arrays._entries) == before

    def test_an_array_that_is_reinterpreted_in_place(self) -> None:
        w, x = np.ones((2, 4), "f4"), np.ones((1, 8), "f4")
        assert native.linear(x[:, :4], w).tolist() == [[4, 4]]
        w.dtype = np.float16  # type: ignore[misc]
        assert close(native.linear(x, w), reference.linear(x, w))
        w.shape = (8, 2)
        assert native.linear(x[:, :2], w).shape == (1, 8)


class TestActivations:
    def test_any_layout(self) -> None:
        x, w = floats(4, 6, 16), floats(5, 8)
        for view in (x[..., :8], x[..., ::2], x[::2, ::-1, 8:], np.moveaxis(x, 1, 0)[..., :8]):
            assert close(native.linear(view, w), reference.linear(view, w))
            assert close(native.softmax(view), reference.softmax(view))
            assert close(native.gelu(view), reference.gelu(view))
        odd = mapped(x)[..., :8]
        assert close(native.linear(odd, w), reference.linear(odd, w))

    @pytest.mark.parametrize("dtype", ["f8", "f2", "i4", bfloat16])
    def test_only_float32(self, dtype: object) -> None:
        x = np.zeros((2, 4), dtype)
        for call in (
            lambda: native.linear(x, np.zeros((3, 4), "f4")),
            lambda: native.layer_norm(x, np.ones(4), np.zeros(4)),
            lambda: native.softmax(x),
            lambda: native.log_softmax(x),
            lambda: native.gelu(x),
            lambda: native.linear(np.zeros((2, 1), "f4"), np.zeros((4, 1)), residual_BTO=x),
            lambda: native.attention(*[x.reshape(1, 1, 2, 4)] * 3),
        ):
            with pytest.raises(TypeError, match=r"expected float32 \(backend 'c'\)"):
                call()

    @pytest.mark.parametrize("name", list(reference.ACTIVATIONS))
    def test_every_activation_fused_or_not(self, name: str) -> None:
        x, w, b, residual = floats(3, 5) * 3, floats(7, 5), floats(7), floats(3, 7)
        expected = reference.linear(
            x.astype("f8"), w, b, activation=name, residual_BTO=residual.astype("f8")
        )
        found = native.linear(x, w, b, activation=name, residual_BTO=residual)
        assert found.dtype == np.float32
        assert close(found, expected)
        assert close(native.ACTIVATIONS[name](x), reference.ACTIVATIONS[name](x.astype("f8")))

    def test_an_unknown_activation(self) -> None:
        with pytest.raises(KeyError):
            native.linear(floats(1, 2), floats(3, 2), activation="gelú")

    def test_inputs_are_left_alone(self) -> None:
        x, w, residual = floats(3, 5), floats(7, 5), floats(3, 7)
        copies = x.copy(), residual.copy()
        native.linear(x, w, residual_BTO=residual)
        native.softmax(x)
        assert (x == copies[0]).all()
        assert (residual == copies[1]).all()


class TestShapes:
    @pytest.mark.parametrize(
        ("x", "w", "b", "r"),
        [
            ((2, 3), (4, 5), None, None),
            ((2, 3), (4,), None, None),
            ((), (4, 3), None, None),
            ((2, 3), (4, 3), (3,), None),
            ((2, 3), (4, 3), (1,), None),
            ((2, 3), (4, 3), None, (2, 3)),
            ((2, 3), (4, 3), None, (4,)),
        ],
    )
    def test_linear(
        self, x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...], r: tuple[int, ...]
    ) -> None:
        bias = None if b is None else np.zeros(b, "f4")
        residual = None if r is None else np.zeros(r, "f4")
        with pytest.raises(ValueError, match="^linear: "):
            native.linear(np.zeros(x, "f4"), np.zeros(w, "f4"), bias, residual_BTO=residual)

    @pytest.mark.parametrize(
        ("weight", "bias"), [((3,), (4,)), ((4,), (3,)), ((4, 1), (4,)), ((), ())]
    )
    def test_layer_norm(self, weight: tuple[int, ...], bias: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="^layer_norm: "):
            native.layer_norm(np.zeros((2, 4), "f4"), np.zeros(weight, "f4"), np.zeros(bias, "f4"))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"k": (2, 3, 6, 8)}, {"k": (1, 3, 6, 4)}, {"v": (2, 3, 5, 4)}, {"v": (2, 2, 6, 4)},
            {"q": (3, 5, 4)}, {"keys": (2, 5)}, {"keys": (3, 6)}, {"visible": (2, 5, 5)},
            {"visible": (5, 6)}, {"visible": (3, 5, 6)}, {"head": (2,)}, {"head": (3, 1)},
        ],
    )  # fmt: skip
    def test_attention(self, wrong: dict[str, tuple[int, ...]]) -> None:
        shapes = {"q": (2, 3, 5, 4), "k": (2, 3, 6, 4), "v": (2, 3, 6, 4), **wrong}
        q, k, v = (np.zeros(shapes[name], "f4") for name in "qkv")
        masks = {"keys": "keys_BS", "visible": "visible_BTS", "head": "head_mask_H"}
        given = {masks[n]: np.ones(s, bool) for n, s in shapes.items() if n in masks}
        with pytest.raises(ValueError, match="^attention: "):
            native.attention(q, k, v, **given)

    @pytest.mark.parametrize(
        ("out", "message"),
        [
            (np.zeros((1, 2, 4, 4), "f4"), r"out_BHTK has shape \(1, 2, 4, 4\) and dtype float32"),
            (np.zeros((1, 2, 3, 4)), r"dtype float64, expected \(1, 2, 3, 4\) and float32"),
            (np.zeros((1, 2, 3, 8), "f4")[..., ::2], "its rows are scattered"),
            (np.broadcast_to(np.float32(0), (1, 2, 3, 4)), "out_BHTK is read-only"),
            (np.zeros(97, "u1")[1:].view("f4").reshape(1, 2, 3, 4), "expected rows of K numbers"),
        ],
    )
    def test_where_attention_cannot_go(self, out: np.ndarray, message: str) -> None:
        q_BHTK = np.zeros((1, 2, 3, 4), "f4")
        with pytest.raises(ValueError, match=f"^attention: .*{message}"):
            native.attention(q_BHTK, q_BHTK, q_BHTK, out_BHTK=out)

    @pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 4), (3, 0, 4), (1, 1)])
    def test_nothing_at_all(self, shape: tuple[int, ...]) -> None:
        x = np.zeros(shape, "f4")
        D = shape[-1]
        assert native.linear(x, np.zeros((3, D), "f4")).shape == (*shape[:-1], 3)
        assert native.linear(x, np.zeros((0, D), "f4")).shape == (*shape[:-1], 0)
        assert native.layer_norm(x, np.ones(D, "f4"), np.zeros(D, "f4")).shape == shape
        assert native.softmax(x).shape == native.log_softmax(x).shape == shape
        assert native.gelu(x).shape == shape

    def test_no_inputs_give_the_bias(self) -> None:
        y = native.linear(np.zeros((2, 0), "f4"), np.zeros((3, 0), "f2"), np.arange(3, dtype="f4"))
        assert y.tolist() == [[0, 1, 2], [0, 1, 2]]

    @pytest.mark.parametrize("zero", range(5))
    def test_attention_over_nothing(self, zero: int) -> None:
        B, H, T, S, K = (0 if i == zero else 2 for i in range(5))
        q, k = np.ones((B, H, T, K), "f4"), np.ones((B, H, S, K), "f4")
        found, weights = native.attention(q, k, k, return_weights=True)
        expected, expected_weights = reference.attention(q, k, k, return_weights=True)
        assert weights is not None
        assert expected_weights is not None
        assert close(found, expected)
        assert close(weights, expected_weights)
        place = np.full((B, H, T, K), np.float32(7))
        assert native.attention(q, k, k, out_BHTK=place)[0] is place
        assert close(place, expected)


class TestIndices:
    E, TABLE = floats(6, 4), floats(5, 4)

    @pytest.mark.parametrize("id_", [-1, 6, 2**40, -(2**63)])
    def test_ids_are_checked(self, id_: int) -> None:
        with pytest.raises(IndexError, match=f"^embed: ids_BT holds {id_}, expected 0 to 5$"):
            native.embed(np.array([0, id_]), np.array([0, 0]), self.E, self.TABLE, 1.0, "f4")

    @pytest.mark.parametrize("position", [-3, 3, 2**62])
    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_positions_are_checked(self, position: int, dtype: str) -> None:
        table = self.TABLE.astype(dtype)
        message = f"^embed: positions_BT holds {position}, expected -2 to 2$"
        with pytest.raises(IndexError, match=message):
            native.embed(np.array([0, 0]), np.array([0, position]), self.E, table, 1.0, "f4")

    def test_ids_are_whole_numbers(self) -> None:
        with pytest.raises(TypeError, match=r"^embed: .* float64, expected whole numbers$"):
            native.embed(np.array([0.0]), np.array([0]), self.E, self.TABLE, 1.0, "f4")

    @pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "u8"])
    def test_ids_of_any_integer_dtype_and_layout(self, dtype: str) -> None:
        ids, places = (
            np.arange(6, dtype=dtype).reshape(2, 3)[:, ::-1],
            np.array([[-2, 0, 2]], ">i2"),
        )
        expected = reference.embed(ids, places, self.E, self.TABLE, 2.0, np.float32)
        assert close(native.embed(ids, places, self.E, self.TABLE, 2.0, np.float32), expected)


class TestBackend:
    CONFIG = XGLMConfig(vocab_size=20, d_model=8, ffn_dim=16, num_layers=1, attention_heads=2)

    def test_c_is_the_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYXGLM_BACKEND", raising=False)
        assert available_backends() == ("c", "numpy")
        assert XGLMForCausalLM(self.CONFIG).backend == "c"

    def test_float64_is_computed_in_numpy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert XGLMForCausalLM(self.CONFIG, compute="float64").backend == "numpy"
        monkeypatch.setenv("PYXGLM_BACKEND", "c")
        assert backend_name(compute="float64") == "numpy"

    def test_float64_in_c_is_refused(self) -> None:
        message = r"^compute is 'float64', expected 'float32' or 'bfloat16' for backend 'c'$"
        with pytest.raises(ValueError, match=message):
            XGLMForCausalLM(self.CONFIG, compute="float64", backend="c")

    def test_bfloat16_is_computed_in_both(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYXGLM_BACKEND", raising=False)
        assert XGLMForCausalLM(self.CONFIG, compute="bfloat16").backend == "c"
        ids = RNG.integers(0, 20, (2, 7))
        for dtype in ("float32", "float16", "bfloat16", "float64"):
            exact, coarse, same = (
                XGLMForCausalLM(self.CONFIG, seed=3, dtype=dtype, backend=b, compute=c)(ids).logits
                for b, c in (("c", "float32"), ("numpy", "bfloat16"), ("c", "bfloat16"))
            )
            assert coarse.dtype == same.dtype == np.float32
            off = np.abs(coarse - exact).max()
            assert 1e-5 < off < 1e-2
            # A sum that is off by little may still be rounded to the neighbour.
            assert np.abs(same - coarse).max() < off / 2

    def test_the_environment_chooses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYXGLM_BACKEND", "numpy")
        assert XGLMForCausalLM(self.CONFIG).backend == "numpy"
        assert XGLMForCausalLM(self.CONFIG, backend="c").backend == "c"
        monkeypatch.setenv("PYXGLM_BACKEND", "cuda")
        with pytest.raises(
            ValueError, match=r"^PYXGLM_BACKEND is 'cuda', expected one of: c, numpy$"
        ):
            XGLMForCausalLM(self.CONFIG)

    def test_unknown(self) -> None:
        with pytest.raises(ValueError, match=r"^backend is 'cuda', expected one of: c, numpy$"):
            XGLMForCausalLM(self.CONFIG, backend="cuda")

    def test_importing_the_package_loads_no_kernels(self) -> None:
        code = """
            import sys, pyxglm
            print([name for name in sys.modules if "cffi" in name or "_kernels" in name])
        """
        found = python(code)
        assert found.stdout == "[]\n"

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
    def test_both_backends_agree(self, dtype: str) -> None:
        ids = RNG.integers(0, 20, (2, 7))
        mask = np.array([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
        models = [
            XGLMForCausalLM(self.CONFIG, seed=3, dtype=dtype, backend=b) for b in ("c", "numpy")
        ]
        found, expected = (m(ids, attention_mask=mask, output_attentions=True) for m in models)
        assert np.abs(found.logits - expected.logits).max() < 1e-6
        assert np.abs(found.attentions[0] - expected.attentions[0]).max() < 1e-6
