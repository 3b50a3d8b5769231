"""Every operation of XGLM on the C kernels: the same names and signatures as `reference`.

(And as `shortlist`; `in_a_row` is this module's own.)

What an operation computes is defined there, and repeated here as little as
possible: this module checks arguments, so that C never reads or writes where it
must not, and calls the library, now or later (`native_calls`). Activations are
float32, and results too; weights are read as they are stored.

Two things differ from the reference. An index below 0 is an error, where NumPy
counts from the end. And a key that a query may not see is not read at all, so
that an infinity or a NaN in its value stays without effect (unless all that the query
sees has the score -inf: then all keys count, as in the reference).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops import reference
from pyxglm.ops.native_arrays import INTEGERS, activations, float32, floats, matrix, vector
from pyxglm.ops.native_attention import attention
from pyxglm.ops.native_cache import cache_append
from pyxglm.ops.native_calls import Call, empty, in_a_row, issue, settle, witness
from pyxglm.ops.native_head import head_log_probs, head_top
from pyxglm.ops.native_library import IN_USE, check, ffi, lib
from pyxglm.ops.native_linear import KERNELS, linear, rows
from pyxglm.ops.native_shortlist import head_top_by_shortlist, make_shortlist
from pyxglm.ops.reference import (
    IGNORE_INDEX,
    LAYER_NORM_EPS,
    POSITION_OFFSET,
    add_positions,
    causal_lm_loss,
    causal_lm_loss_hf_437,
    cross_entropy,
    sinusoidal_positions,
    visible_keys,
    widen,
)

__all__ = [
    "ACTIVATIONS",
    "IGNORE_INDEX",
    "LAYER_NORM_EPS",
    "POSITION_OFFSET",
    "add_positions",
    "attention",
    "cache_append",
    "causal_lm_loss",
    "causal_lm_loss_hf_437",
    "cross_entropy",
    "embed",
    "gelu",
    "head_log_probs",
    "head_top",
    "head_top_by_shortlist",
    "in_a_row",
    "layer_norm",
    "linear",
    "log_softmax",
    "make_shortlist",
    "multiply",
    "relu",
    "sinusoidal_positions",
    "softmax",
    "visible_keys",
    "widen",
]

_EMBED = ffi.typeof("pyxglm_embed_args *")
_LAYER_NORM = ffi.typeof("pyxglm_layer_norm_args *")
_MAP = ffi.typeof("pyxglm_map_args *")
_MULTIPLY = ffi.typeof("pyxglm_multiply_args *")


# ----------------------------------------------------------------------------- embedding


def embed(
    ids_BT: Array, positions_BT: Array, embed_VD: Array, table_PD: Array, scale: float, dtype: Any
) -> Array:
    """Turn token ids into vectors; see `reference.embed`.

    Raises
    ------
    TypeError
        If `dtype` is not float32.
    IndexError
        If an id or a position is outside of its table.
    ValueError
        If the tables are not matrices of one width.
    """
    if np.dtype(dtype) != float32:
        raise TypeError(f"embed: dtype is {np.dtype(dtype)}, expected float32 (backend 'c')")
    if embed_VD.ndim != 2 or table_PD.ndim != 2 or embed_VD.shape[1] != table_PD.shape[1]:
        raise ValueError(
            f"embed: embed_VD has shape {embed_VD.shape} and table_PD {table_PD.shape}, "
            "expected two matrices of one width"
        )
    V, D = embed_VD.shape
    ids_BT, positions_BT = np.broadcast_arrays(_integers(ids_BT), _integers(positions_BT))
    # Copies, so that no other thread can change an index after it has been checked.
    ids_BT, positions_BT = (np.array(a, np.int64, order="C") for a in (ids_BT, positions_BT))
    # Only the rows that are needed are converted, should the table not be float32.
    if table_PD.dtype != float32 or not (table_PD.flags.c_contiguous and table_PD.flags.aligned):
        rows = positions_BT + POSITION_OFFSET
        _check_range("positions_BT", positions_BT, -POSITION_OFFSET, len(table_PD))
        table_PD = np.array(widen(table_PD[rows], float32)).reshape(-1, D)
        positions_BT = np.arange(rows.size, dtype=np.int64).reshape(rows.shape) - POSITION_OFFSET
    hidden_BTD = empty((*ids_BT.shape, D))
    stored = matrix(embed_VD)
    args = ffi.new(_EMBED, (
        floats(hidden_BTD), ffi.from_buffer(INTEGERS, ids_BT),
        ffi.from_buffer(INTEGERS, positions_BT), stored.pointer, floats(table_PD),
        scale, ids_BT.size, D,
    ))  # fmt: skip
    status = lib.pyxglm_run_embed(args, V, len(table_PD), stored.code, IN_USE)
    if status == lib.PYXGLM_OUT_OF_RANGE:
        _check_range("ids_BT", ids_BT, 0, V)
        _check_range("positions_BT", positions_BT, -POSITION_OFFSET, len(table_PD))
    check(status)
    witness(Call("embed", args, 0, (), (hidden_BTD,), (), repeatable=True))
    return hidden_BTD


def _integers(array: Any) -> Array:
    given: Array = np.asarray(array)
    if given.dtype.kind not in "iu":
        raise TypeError(f"embed: ids and positions are {given.dtype}, expected whole numbers")
    return given


def _check_range(name: str, array: Array, lowest: int, rows: int) -> None:
    """Refuse indices i whose row, i - lowest, a table of `rows` rows does not have."""
    outside = array[(array < lowest) | (array >= rows + lowest)]
    if outside.size:
        raise IndexError(
            f"embed: {name} holds {outside[0]}, expected {lowest} to {rows + lowest - 1}"
        )


# --------------------------------------------------------------------- dense arithmetic


def layer_norm(x_BTD: Array, weight_D: Array, bias_D: Array) -> Array:
    """Normalise each vector, then scale and shift it; see `reference.layer_norm`.

    Raises
    ------
    TypeError
        If `x_BTD` is not float32.
    ValueError
        If the widths differ.
    """
    x_BTD = activations("layer_norm", "x_BTD", x_BTD)
    D = x_BTD.shape[-1]
    if weight_D.shape != (D,) or bias_D.shape != (D,):
        raise ValueError(
            f"layer_norm: weight_D has shape {weight_D.shape} and bias_D {bias_D.shape}, "
            f"expected {(D,)}"
        )
    y_BTD = empty(x_BTD.shape)
    weight, bias = vector(weight_D), vector(bias_D)
    args = ffi.new(_LAYER_NORM, (
        floats(y_BTD), floats(x_BTD), weight.pointer, bias.pointer, rows(x_BTD), D,
    ))  # fmt: skip
    lasting = weight.lasting and bias.lasting
    issue(Call("layer_norm", args, 0, (x_BTD,), (y_BTD,), (weight, bias), lasting))
    return y_BTD


def multiply(x: Array, factor: float) -> Array:
    """Scale an array; see `reference.multiply`.

    Raises
    ------
    TypeError
        If `x` is not float32.
    """
    x = activations("multiply", "x", x)
    y = empty(x.shape)
    args = ffi.new(_MULTIPLY, (floats(y), floats(x), factor, x.size))
    issue(Call("multiply", args, 0, (x,), (y,), (), repeatable=True))
    return y


# ---------------------------------------------------------------------------- maps


def _map(op: str, call: Callable[..., int], x: Array, width: int, *numbers: int) -> Array:
    x = activations(op, "x", x)
    y = empty(x.shape)
    count = x.size if width == 1 else rows(x)
    settle()
    check(call(ffi.new(_MAP, (floats(y), floats(x), count, width)), *numbers, IN_USE))
    return y


def softmax(x: Array) -> Array:
    """Turn scores into weights that add up to 1; see `reference.softmax`."""
    return _map("softmax", lib.pyxglm_run_softmax, x, np.shape(x)[-1])


def log_softmax(x: Array) -> Array:
    """Logarithm of the softmax; see `reference.log_softmax`."""
    return _map("log_softmax", lib.pyxglm_run_log_softmax, x, np.shape(x)[-1])


def gelu(x: Array) -> Array:
    """Gaussian error linear unit, exact; see `reference.gelu`."""
    return _map("gelu", lib.pyxglm_run_activation, x, 1, lib.PYXGLM_GELU)


def gelu_tanh(x: Array) -> Array:
    """GELU by its tanh approximation; see `activations.gelu_tanh`."""
    return _map("gelu_tanh", lib.pyxglm_run_activation, x, 1, lib.PYXGLM_GELU_TANH)


def relu(x: Array) -> Array:
    """Rectifier; see `reference.relu`."""
    return _map("relu", lib.pyxglm_run_activation, x, 1, lib.PYXGLM_RELU)


def silu(x: Array) -> Array:
    """Sigmoid linear unit; see `activations.silu`."""
    return _map("silu", lib.pyxglm_run_activation, x, 1, lib.PYXGLM_SILU)


_MAPS = {
    lib.PYXGLM_GELU: gelu,
    lib.PYXGLM_GELU_TANH: gelu_tanh,
    lib.PYXGLM_RELU: relu,
    lib.PYXGLM_SILU: silu,
}

#: The reference's table, on kernels where there are some.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    name: _MAPS.get(KERNELS.get(name, lib.PYXGLM_LINEAR), function)
    for name, function in reference.ACTIVATIONS.items()
}
