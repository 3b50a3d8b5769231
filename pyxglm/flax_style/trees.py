"""Parameters as Flax has them: nested dicts outside the model, dense weights transposed.

A tree belongs to whoever made it. What the decoder reads is made of it once and
remembered as long as the same arrays come again and cannot change: JAX's cannot,
nor can those of this package's trees, which are read-only. Arrays that can be
written to are read anew at every call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pyxglm.checkpoint.names import flattened, flax_tree, paths, tree_of
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array, bfloat16, convert
from pyxglm.parameters import HEAD, fitting, parameter_shapes


class ShapeDtype(NamedTuple):
    """What is known of a parameter before it is there."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def shape_tree(config: XGLMConfig, *, bare: bool) -> dict[str, Any]:
    """Return the tree of the shapes of all parameters, in float32."""
    tree: dict[str, Any] = flax_tree(
        {n: np.broadcast_to(np.float32(0), s) for n, s in _shapes(config, bare).items()}
    )
    leaves = paths(tree)
    return tree_of({path: ShapeDtype(a.shape, a.dtype) for path, a in leaves.items()})


def _shapes(config: XGLMConfig, bare: bool) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters by torch's names; a bare model's have no prefix."""
    shapes = parameter_shapes(config)
    if not bare:
        return shapes
    return {n.removeprefix("model."): s for n, s in shapes.items() if n != HEAD}


def grown(weights: Mapping[str, Array], *, bare: bool) -> dict[str, Any]:
    """Hang weights by torch's names into a tree of read-only views of them."""
    named = weights
    if bare:
        named = {n.removeprefix("model."): a for n, a in weights.items() if n != HEAD}
    return flax_tree({name: read_only(array) for name, array in named.items()})


def read_only(array: Array) -> Array:
    """Return a view of an array that cannot be written to."""
    view: Array = array.view()
    view.setflags(write=False)
    return view


def leaves_of(name: str, tree: Any) -> dict[str, Any]:
    """Return a tree's leaves by path, joined by ``/``.

    Raises
    ------
    TypeError
        If it is no nested dict (or mapping, as Flax's FrozenDict).
    """
    if not isinstance(tree, Mapping):
        raise TypeError(f"{name} is a {type(tree).__name__}, expected nested dicts of parameters")
    return paths(tree)


def as_array(leaf: Any) -> Array:
    """Return a leaf as an array; bfloat16 of JAX's kind becomes this package's."""
    array = np.asarray(leaf)
    if array.dtype.name == "bfloat16" and array.dtype != bfloat16:
        array = array.view(np.uint16).view(bfloat16)
    return array


def weights_of(tree: Any, config: XGLMConfig, *, bare: bool) -> dict[str, Array]:
    """Return the arrays of a tree as the decoder reads them: torch's names, (out, in), contiguous.

    Leaves that the model does not have are left out, as in Flax.

    Raises
    ------
    TypeError, ValueError
        If it is no tree, or a parameter is missing or of another shape or kind.
    """
    leaves = {path: as_array(leaf) for path, leaf in leaves_of("params", tree).items()}
    named = flattened(tree_of(leaves))
    wanted = {name: named[name] for name in _shapes(config, bare) if name in named}
    return {
        name: np.ascontiguousarray(array) if array.ndim > 1 else array
        for name, array in fitting(config, wanted, None, bare=bare).items()
    }


def can_change(leaf: Any) -> bool:
    """Tell whether a leaf may hold other numbers at the next call."""
    return isinstance(leaf, np.ndarray) and leaf.flags.writeable


def cast(params: Any, dtype: str, mask: Any) -> dict[str, Any]:
    """Return a tree with its floating-point leaves in another dtype.

    Parameters
    ----------
    params
        The tree; it is left as it is.
    dtype
        A name of `pyxglm.dtypes.DTYPES`.
    mask
        A tree of the same paths, true where a leaf is to be cast; None: all.

    Raises
    ------
    TypeError, ValueError
        If one of them is no tree, or the mask's paths are others.
    """
    leaves = leaves_of("params", params)
    chosen = dict.fromkeys(leaves, True) if mask is None else leaves_of("mask", mask)
    if chosen.keys() != leaves.keys():
        other = sorted(chosen.keys() ^ leaves.keys())[0]
        raise ValueError(f"mask and params differ in {other!r}, expected the same paths in both")
    done = {}
    for path, leaf in leaves.items():
        array = as_array(leaf)
        floating = array.dtype == bfloat16 or array.dtype.kind == "f"
        cast_here = bool(chosen[path]) and floating
        done[path] = read_only(convert(array, dtype)) if cast_here else leaf
    return tree_of(done)
