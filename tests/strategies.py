"""Inputs for operations, as hypothesis draws them.

Which sizes, numbers and layouts there are stands in `pyxglm.check.inputs` and
`patterns`: what ``pyxglm check`` draws by chance, hypothesis draws here, and a
failing case shrinks to few and small dimensions and to the plainest pattern and
layout that still fail. A kernel is tested on the inputs of its reference by

    @given(arrays_for(reference.linear))
    def test_linear(arguments):
        close(native.linear(**arguments), reference.linear(**arguments))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pyxglm.check import inputs
from pyxglm.check.patterns import LAYOUTS, ORDINARY
from pyxglm.dtypes import Array, bfloat16

#: Loops in Python are slow, so sizes are small, but on both sides of every vector's.
LARGEST = {
    "B": 3, **dict.fromkeys("TEN", 9), **dict.fromkeys("KFVIODP", 33), "past": 31
}  # fmt: skip


def chooser(draw: st.DrawFn) -> inputs.Choose:
    """Return what lets hypothesis choose."""
    return lambda options, what: draw(st.sampled_from(options), label=what)


#: Seeds of the numbers.
seeds = st.integers(0, 2**16)


def generator(draw: st.DrawFn) -> np.random.Generator:
    return np.random.default_rng(draw(seeds, label="seed"))


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...],
    dtype: str = "float32",
    patterns: Iterable[str] = ORDINARY,
    layouts: Iterable[str] = LAYOUTS,
) -> Array:
    """Draw an array of numbers, of a pattern, in a stored dtype and a layout."""
    return inputs.draw_array(
        chooser(draw), generator(draw), shape,
        dtypes=(dtype,), patterns=tuple(patterns), layouts=tuple(layouts),
    )  # fmt: skip


@st.composite
def arrays_for(
    draw: st.DrawFn,
    function: Callable[..., Any],
    *,
    dtype: str | None = None,
    stored: Sequence[str] = inputs.STORED,
    patterns: Iterable[str] = ORDINARY,
    layouts: Iterable[str] = LAYOUTS,
    zeros: str = inputs.ROWS,
    **given: Any,
) -> dict[str, Any]:
    """Draw keyword arguments for an operation.

    Parameters
    ----------
    function
        The operation; the names of its parameters say the shapes.
    dtype
        Dtype of activations; None draws float32 or float64.
    stored
        Dtypes to choose from for each weight.
    patterns, layouts
        Patterns and memory layouts to choose from.
    zeros
        Letters of sizes that may be 0.
    **given
        Arguments that are not to be drawn, by name.
    """
    choose = chooser(draw)
    wanted, any_shape = inputs.letters(function), ""
    if not wanted:  # an elementwise operation's: any shape at all
        wanted = any_shape = choose(inputs.ANY_SHAPE, "shape")
    return inputs.draw_arguments(
        function, choose, generator(draw),
        inputs.draw_sizes(choose, wanted, largest=LARGEST, zeros=zeros),
        dtype=dtype or choose(("float32", "float64"), "dtype"),
        stored=stored, patterns=tuple(patterns), layouts=tuple(layouts),
        any_shape=any_shape, given=given,
    )  # fmt: skip


@contextmanager
def left_alone(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Check that a block of code does not change the arrays it is given."""
    before = {
        name: (array, array.tobytes(), array.strides)
        for name, array in arguments.items()
        if isinstance(array, np.ndarray)
    }
    yield
    for name, (array, content, strides) in before.items():
        assert array.tobytes() == content, f"{name} was changed"
        assert array.strides == strides, f"{name} was reshaped"


def exact(array: Array) -> Array:
    """Return what a stored array holds as float64, which every stored dtype fits into."""
    if array.dtype == bfloat16:
        bits = array["bfloat16"].astype(np.uint32) << np.uint32(16)
        return np.asarray(bits).view(np.float32).astype(np.float64)
    return array.astype(np.float64)
