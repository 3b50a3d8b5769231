"""`linear` on the C kernels, exact and coarse; see `reference.linear` and `coarse.linear`."""

from __future__ import annotations

from pyxglm.dtypes import Array
from pyxglm.ops import reference
from pyxglm.ops.native_arrays import activations, floats, matrix, vector
from pyxglm.ops.native_calls import Call, empty, issue, settle, settled
from pyxglm.ops.native_library import ffi, lib

_LINEAR = ffi.typeof("pyxglm_linear_args *")

#: Activations that `linear` fuses, by the names of configurations.
KERNELS: dict[str | None, int] = {
    None: lib.PYXGLM_LINEAR,
    "linear": lib.PYXGLM_LINEAR,
    "gelu": lib.PYXGLM_GELU,
    "gelu_python": lib.PYXGLM_GELU,
    "gelu_accurate": lib.PYXGLM_GELU_TANH,
    "gelu_fast": lib.PYXGLM_GELU_TANH,
    "gelu_new": lib.PYXGLM_GELU_TANH,
    "gelu_pytorch_tanh": lib.PYXGLM_GELU_TANH,
    "relu": lib.PYXGLM_RELU,
    "silu": lib.PYXGLM_SILU,
    "swish": lib.PYXGLM_SILU,
}


def linear(
    x_BTI: Array,
    weight_OI: Array,
    bias_O: Array | None = None,
    *,
    activation: str | None = None,
    residual_BTO: Array | None = None,
) -> Array:
    """Map vectors of width I to width O; see `reference.linear`.

    An activation that has no kernel is the reference's own, applied to the
    kernel's result.

    Raises
    ------
    TypeError
        If `x_BTI` or `residual_BTO` is not float32.
    ValueError
        If the shapes do not fit.
    """
    return _product(x_BTI, weight_OI, bias_O, activation, residual_BTO, coarse=False)


def linear_coarse(
    x_BTI: Array,
    weight_OI: Array,
    bias_O: Array | None = None,
    *,
    activation: str | None = None,
    residual_BTO: Array | None = None,
) -> Array:
    """Map vectors of width I to width O; of rounded numbers: see `coarse.linear`.

    Raises
    ------
    TypeError
        If `x_BTI` or `residual_BTO` is not float32.
    ValueError
        If the shapes do not fit.
    """
    return _product(x_BTI, weight_OI, bias_O, activation, residual_BTO, coarse=True)


def _product(
    x_BTI: Array,
    weight_OI: Array,
    bias_O: Array | None,
    activation: str | None,
    residual_BTO: Array | None,
    *,
    coarse: bool,
) -> Array:
    op = "linear_coarse" if coarse else "linear"
    x_BTI = activations(op, "x_BTI", x_BTI)
    if weight_OI.ndim != 2 or x_BTI.ndim == 0 or weight_OI.shape[1] != x_BTI.shape[-1]:
        raise ValueError(
            f"{op}: weight_OI has shape {weight_OI.shape} and x_BTI {x_BTI.shape}, "
            "expected the same last size in both, and a matrix"
        )
    N, K = weight_OI.shape
    shape = (*x_BTI.shape[:-1], N)
    fused = KERNELS.get(activation)
    residual = None
    if residual_BTO is not None:
        residual = activations(op, "residual_BTO", residual_BTO)
        if residual.shape != shape:
            raise ValueError(f"{op}: residual_BTO has shape {residual.shape}, expected {shape}")
    y_BTO = empty(shape)
    weight = matrix(weight_OI)
    bias, bias_pointer = None, ffi.NULL
    if bias_O is not None:
        if bias_O.shape != (N,):
            raise ValueError(f"{op}: bias_O has shape {bias_O.shape}, expected {(N,)}")
        bias = vector(bias_O)
        bias_pointer = bias.pointer
    args = ffi.new(_LINEAR, (
        floats(y_BTO), floats(x_BTI), weight.pointer, bias_pointer,
        floats(None if fused is None else residual), fused or 0, rows(x_BTI), N, K, N,
    ))  # fmt: skip
    lasting = fused is not None and weight.lasting and (bias is None or bias.lasting)
    inputs = (x_BTI,) if residual is None else (x_BTI, residual)
    issue(Call(op, args, weight.code, inputs, (y_BTO,), (weight_OI, weight, bias), lasting))
    if fused is not None:
        return y_BTO
    settle()
    y_BTO = reference.ACTIVATIONS[activation or "linear"](y_BTO)
    return settled(y_BTO if residual is None else y_BTO + residual)


def rows(x: Array) -> int:
    """Return how many vectors there are, even if they are of width 0."""
    rows = 1
    for size in x.shape[:-1]:
        rows *= size
    return rows
