"""Inputs for operations, drawn from the operations' own signatures.

An operation's parameters carry their shapes in their names (`x_BTI`,
`weight_OI`). `arrays_for` reads the names, draws one size a letter, and builds
every array: with values that arithmetic finds awkward, in memory laid out as
callers really have it. A kernel is tested on the inputs of its reference by

    @given(arrays_for(reference.linear))
    def test_linear(arguments):
        close(native.linear(**arguments), reference.linear(**arguments))

Arrays are built by NumPy from a recipe and a seed, both drawn by hypothesis:
fast, reproducible, and a failing case shrinks to few and small dimensions and
to the plainest recipe that still fails.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pyxglm.dtypes import Array, as_dtype, bfloat16, convert
from pyxglm.ops.reference import ACTIVATIONS, IGNORE_INDEX, POSITION_OFFSET, widen

# ------------------------------------------------------------------------------------ sizes

#: Widths: around 1, and on both sides of every vector length of a CPU.
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33)
COUNTS = (1, 2, 3, 0, 7, 8, 9)

#: What each letter may be. Letters: the key at the top of `pyxglm/decoder.py`.
SIZES: dict[str, tuple[int, ...]] = {
    "B": (1, 2, 3, 0),
    "T": COUNTS,
    "E": COUNTS,
    "N": COUNTS,
    "H": (1, 2, 3, 5),
    "K": WIDTHS,
    "F": WIDTHS,
    "V": WIDTHS,
    "I": WIDTHS,
    "O": WIDTHS,
    "D": WIDTHS,
    "P": (3, 4, 5, 9, 17, 33),  # positions are read two rows further on
    "past": (0, 1, 2, 7, 8, 15, 31),
}

#: Letters that follow from others, whenever those are drawn too.
RELATIONS: dict[str, tuple[str, Callable[[Mapping[str, int]], int]]] = {
    "D": ("HK", lambda sizes: sizes["H"] * sizes["K"]),
    "S": ("T", lambda sizes: sizes["T"] + sizes["past"]),
}


@st.composite
def sizes(draw: st.DrawFn, letters: Sequence[str], **fixed: int) -> dict[str, int]:
    """Draw a size for each letter: different ones, so that no two axes can be confused.

    (S equals T when there is no past, and two letters may both be 0 or 1 when
    their choices run out.)
    """
    wanted = set(letters)
    if "S" in wanted:
        wanted |= {"T", "past"}
    drawn = dict(fixed)
    for letter in sorted(wanted - set(fixed)):
        needed, _ = RELATIONS.get(letter, ("?", None))
        if set(needed) <= wanted:
            continue
        free = [size for size in SIZES[letter] if size not in drawn.values()]
        choices = SIZES[letter] if letter == "past" else free or SIZES[letter]
        drawn[letter] = draw(st.sampled_from(choices), label=letter)
    for letter in sorted(wanted - set(drawn)):
        drawn[letter] = RELATIONS[letter][1](drawn)
    return drawn


# ----------------------------------------------------------------------------------- values

Recipe = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _sprinkled(*specials: float) -> Recipe:
    """Return a recipe of normal numbers of which about one in eight is special."""

    def recipe(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        array = generator.standard_normal(shape)
        return np.where(generator.random(shape) < 1 / 8, generator.choice(specials, shape), array)

    return recipe


def _outliers(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers, one in sixteen a thousand times larger (as in XGLM's residual stream)."""
    array = generator.standard_normal(shape)
    return array * np.where(generator.random(shape) < 1 / 16, 1000.0, 1.0)


def _wide(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of every magnitude from 1e-4 to 1e4: sums of them lose digits."""
    return generator.choice((-1.0, 1.0), shape) * 10.0 ** generator.uniform(-4, 4, shape)


def _constant(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.full(shape, generator.choice((0.1, -3.0, 1000.1)))


def _subnormal(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Below the smallest normal float16, float32 or float64, in turns."""
    tiny = generator.choice((2.0**-20, 2.0**-135, 2.0**-1060), shape)
    return generator.standard_normal(shape) * tiny


#: Values that every operation must get right to rounding.
ORDINARY: dict[str, Recipe] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "signed zeros": lambda generator, shape: generator.choice((0.0, -0.0), shape),
    "constant": _constant,
    "outliers": _outliers,
    "wide": _wide,
    "subnormal": _subnormal,
}

#: Values with which a result is infinite, or no number; nothing else may happen.
EXTREME: dict[str, Recipe] = {
    "overflowing": _sprinkled(1e38, -1e38, 3e38),
    "infinite": _sprinkled(np.inf, -np.inf),
    "not a number": _sprinkled(np.nan),
}

RECIPES = {**ORDINARY, **EXTREME}

# ---------------------------------------------------------------------------------- layouts


def _strided(array: Array) -> Array:
    """Every second element of every axis of something larger."""
    larger = np.zeros(tuple(2 * size + 1 for size in array.shape), array.dtype)
    view = larger[tuple(slice(0, 2 * size, 2) for size in array.shape)]
    view[...] = array
    return view


def _backwards(array: Array) -> Array:
    """Strides below zero along every axis."""
    turn = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[turn])[turn]


def _unaligned(array: Array) -> Array:
    """At an odd address, as a tensor inside a file may lie."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    view = np.frombuffer(buffer.data, array.dtype, array.size, 1) if array.size else array
    view = view.reshape(array.shape)
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


#: Ways in which an array of the same values may lie in memory.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": np.copy,
    "read-only": _read_only,
    "fortran": lambda array: np.copy(array, order="F"),
    "strided": _strided,
    "backwards": _backwards,
    "unaligned": _unaligned,
}

# ---------------------------------------------------------------------------------- arrays

#: Dtypes that weights are stored in.
STORED = ("float32", "float16", "bfloat16", "float64")

#: What a parameter holds, by its name without the shape. Anything else: activations.
WEIGHTS = {"weight", "bias", "embed"}
INTEGERS: dict[str, Callable[[Mapping[str, int]], tuple[int, int]]] = {
    "ids": lambda sizes: (0, sizes["V"] - 1),
    "targets": lambda sizes: (0, sizes["V"] - 1),
    "labels": lambda sizes: (0, sizes["V"] - 1),
    "positions": lambda sizes: (-POSITION_OFFSET, sizes["P"] - 1 - POSITION_OFFSET),
}
IGNORABLE = {"targets", "labels"}
SWITCHES = {"keys", "visible"}

#: Parameters without a shape, by name.
SCALARS: dict[str, Callable[[Mapping[str, int]], st.SearchStrategy[Any]]] = {
    "activation": lambda sizes: st.sampled_from((None, *ACTIVATIONS)),
    "causal": lambda sizes: st.booleans(),
    "return_weights": lambda sizes: st.just(True),
    "scale": lambda sizes: st.sampled_from((1.0, 32.0, 0.1)),
    "pad_token_id": lambda sizes: st.integers(0, sizes["V"] - 1),
}

_SHAPE = re.compile(r"^(?P<stem>\w+)_(?P<letters>[BTSDHKEFNVIOP]+)$")


def letters_of(function: Callable[..., Any]) -> dict[str, str]:
    """Return the letters of every parameter whose name says its shape.

    >>> from pyxglm.ops.reference import linear
    >>> letters_of(linear)
    {'x_BTI': 'BTI', 'weight_OI': 'OI', 'bias_O': 'O', 'residual_BTO': 'BTO'}
    """
    found = {name: _SHAPE.match(name) for name in inspect.signature(function).parameters}
    return {name: match["letters"] for name, match in found.items() if match}


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: tuple[int, ...],
    dtype: object = "float32",
    recipes: Mapping[str, Recipe] = ORDINARY,
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> Array:
    """Draw an array of numbers, by a recipe, in a stored dtype and a layout."""
    recipe = draw(st.sampled_from(sorted(recipes, key=list(RECIPES).index)), label="recipe")
    generator = np.random.default_rng(draw(st.integers(0, 2**16), label="seed"))
    layout = draw(st.sampled_from(layouts), label="layout")
    # What is beyond a narrow dtype becomes infinite there; tests of ordinary values want none.
    array = convert(np.asarray(recipes[recipe](generator, shape)), dtype)
    if recipe in ORDINARY and not np.isfinite(widen(array, np.float64)).all():
        array = convert(generator.standard_normal(shape), dtype)
    return LAYOUTS[layout](array) if array.ndim else np.copy(array)


@st.composite
def arrays_for(
    draw: st.DrawFn,
    function: Callable[..., Any],
    *,
    dtype: object = None,
    stored: Sequence[str] = STORED,
    recipes: Mapping[str, Recipe] = ORDINARY,
    layouts: Sequence[str] = tuple(LAYOUTS),
    fixed: Mapping[str, int] | None = None,
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
    recipes, layouts
        Values and memory layouts to choose from.
    fixed
        Sizes that are not to be drawn, by letter.
    **given
        Arguments that are not to be drawn, by name.
    """
    parameters = inspect.signature(function).parameters
    shapes = {name: letters for name, letters in letters_of(function).items() if name not in given}
    named = {name for name in parameters if name in (*SIZES, *RELATIONS)}
    size = draw(sizes(sorted({*"".join(shapes.values()), *named}), **(fixed or {})))
    if dtype is None:
        dtype = draw(st.sampled_from(("float32", "float64")), label="dtype")
    seeds = st.integers(0, 2**16)
    arguments = dict(given)
    for name, parameter in parameters.items():
        if name in given:
            continue
        if name in named:
            arguments[name] = size[name]
        elif name == "dtype":
            arguments[name] = as_dtype(dtype)
        elif name in SCALARS:
            arguments[name] = draw(SCALARS[name](size), label=name)
        elif name not in shapes:  # an elementwise operation's: any shape at all
            shape = draw(st.sampled_from(((5,), (0,), (2, 3), (2, 0, 3), (33,), ())), label=name)
            arguments[name] = draw(arrays(shape, dtype, recipes, layouts), label=name)
        elif parameter.default is None and draw(st.booleans(), label=f"without {name}"):
            arguments[name] = None
        else:
            stem = name.removesuffix("_" + shapes[name])
            shape = tuple(size[letter] for letter in shapes[name])
            generator = np.random.default_rng(draw(seeds, label=f"seed of {name}"))
            if stem in SWITCHES:
                arguments[name] = generator.random(shape) < draw(st.sampled_from((0.7, 0.0, 1.0)))
            elif stem in INTEGERS:
                lowest, highest = INTEGERS[stem](size)
                array = generator.integers(lowest, highest, shape, endpoint=True)
                if stem in IGNORABLE:
                    array = np.where(generator.random(shape) < 0.2, IGNORE_INDEX, array)
                arguments[name] = array
            else:
                kind = draw(st.sampled_from(stored)) if stem in WEIGHTS else dtype
                arguments[name] = draw(arrays(shape, kind, recipes, layouts), label=name)
    return arguments


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
