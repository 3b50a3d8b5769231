"""Inputs that operations and kernels are tried on, drawn from the operations' own signatures.

An operation's parameters carry their shapes in their names (`x_BTI`,
`weight_OI`; the key stands in `decoder.py`). One size is drawn for every
letter, no two alike, so that swapped axes cannot hide, and every parameter gets
an array of its shape: numbers of one of the `patterns`, in one of the layouts.

`python -m pyxglm check`, the files for the driver in C and the property tests
all draw from here. They differ in who chooses: a random generator, or
hypothesis, which makes a failing example simpler by going to the first of the
options. So the plainest option stands first everywhere.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from pyxglm.check.patterns import LAYOUTS, ORDINARY, numbers
from pyxglm.dtypes import Array, as_dtype
from pyxglm.ops.reference import ACTIVATIONS, IGNORE_INDEX, POSITION_OFFSET

Option = TypeVar("Option")


class Choose(Protocol):
    """Choose one of some options, the first of which is the plainest; `what` says what for."""

    def __call__(self, options: Sequence[Option], what: str) -> Option:
        """Return one of the options."""


def by_chance(rng: np.random.Generator) -> Choose:
    """Return what chooses any option, each as often as another."""

    def choose(options: Sequence[Option], what: str) -> Option:
        return options[int(rng.integers(len(options)))]

    return choose


# ---------------------------------------------------------------------------- shapes

_SUFFIX = re.compile(r"^\w+_([A-Z]+)$")


def suffix(name: str) -> str:
    """Return the shape suffix of a name, empty if it has none.

    >>> suffix("x_BTI"), suffix("causal"), suffix("head_mask_H")
    ('BTI', '', 'H')
    """
    found = _SUFFIX.match(name)
    return found[1] if found else ""


def letters(function: Callable[..., object]) -> str:
    """Return the letters in the shape suffixes of a function's parameters.

    >>> from pyxglm.ops import reference
    >>> letters(reference.linear)
    'BTIO'
    """
    suffixes = [suffix(name) for name in inspect.signature(function).parameters]
    return "".join(dict.fromkeys("".join(suffixes)))


def shape(name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape that a name's suffix means.

    >>> shape("weight_OI", {"I": 3, "O": 2})
    (2, 3)
    """
    return tuple(sizes[letter] for letter in suffix(name))


# ----------------------------------------------------------------------------- sizes

#: Around the widths of vectors and blocks, and some plain ones.
SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 100)

#: With those that take many steps along a vector.
WIDTHS = (*SIZES, 127, 160, 255, 256, 511, 520, 1000, 1025)

#: Head widths: those of models, and some that fit no vector.
HEAD_WIDTHS = (1, 3, 7, 8, 16, 17, 20, 24, 32, 33, 40, 64, 80, 96, 128, 200, 256)

#: What a letter may be if not any of `SIZES`; with more of a batch, or more heads, cases take
#: longer and show no more. There are as many keys (S) as new tokens and some that are past.
CHOICES: dict[str, tuple[int, ...]] = {
    "B": (1, 2, 3, 4, 5),
    "H": (1, 2, 3, 4, 5),
    "K": HEAD_WIDTHS,
    "I": WIDTHS,
    "D": WIDTHS,
    "past": (0, 1, 2, 7, 8, 15, 16, 17, 31, 48),
}

#: Letters of sizes that may be 0: rows of all kinds. Of the others there is one at least.
ROWS = "BTEN"

#: Letters that functions without suffixes (elementwise ones) may be given an array of.
ANY_SHAPE = ("N", "NT", "BTN", "")


def draw_sizes(
    choose: Choose,
    wanted: Iterable[str],
    *,
    largest: Mapping[str, int] | None = None,
    zeros: str = ROWS,
) -> dict[str, int]:
    """Draw a size for every letter, no two alike (but S is T where nothing is past).

    Parameters
    ----------
    choose
        Who chooses.
    wanted
        The letters.
    largest
        The largest size of a letter; the others may have any of their sizes.
    zeros
        Letters of which one may be 0, now and then.
    """
    limits = largest or {}
    wanted = list(dict.fromkeys(wanted))
    sizes: dict[str, int] = {}
    for letter in wanted:
        if letter != "S":
            sizes[letter] = choose(_free(letter, sizes, limits), letter)
    may_be_zero = [letter for letter in wanted if letter in zeros and letter != "S"]
    zero = choose(("",) * 9 * len(may_be_zero) + tuple(may_be_zero) or ("",), "which is 0")
    if zero:
        sizes[zero] = 0
    if "S" in wanted:
        sizes["S"] = sizes["T"] + choose(_free("past", {}, limits), "past")
    return sizes


def _free(letter: str, taken: Mapping[str, int], limits: Mapping[str, int]) -> list[int]:
    """Return the sizes that a letter may have and no other has."""
    fitting = [n for n in CHOICES.get(letter, SIZES) if n <= limits.get(letter, n)]
    return [n for n in fitting if n not in taken.values()] or fitting


# ------------------------------------------------------------------------- arguments

#: Dtypes that weights are stored in, and what weights are called.
STORED = ("float32", "float16", "bfloat16", "float64")
_WEIGHTS = {"weight", "bias", "embed", "head"}

#: Whole numbers: the lowest and the highest, by the name without the suffix.
_INTEGERS: dict[str, Callable[[Mapping[str, int]], tuple[int, int]]] = {
    "ids": lambda sizes: (0, sizes["V"] - 1),
    "targets": lambda sizes: (0, sizes["V"] - 1),
    "labels": lambda sizes: (0, sizes["V"] - 1),
    "positions": lambda sizes: (-POSITION_OFFSET, sizes["P"] - 1 - POSITION_OFFSET),
}
_IGNORABLE = {"targets", "labels"}

#: Masks: True for what is visible.
_MASKS = {"keys", "visible"}

#: Whether to do without what may be None. A whole mask replaces all other rules: seldom.
#: Where a result goes is no input.
_WITHOUT = {"visible": (True, True, False), "out": (True,)}

#: Parameters that are no arrays, by name.
_SCALARS: dict[str, Callable[[Mapping[str, int]], Sequence[Any]]] = {
    "activation": lambda sizes: (None, *ACTIVATIONS),
    "causal": lambda sizes: (True, True, False),
    "return_weights": lambda sizes: (False, True),
    "scale": lambda sizes: (1.0, 32.0, 0.1, math.sqrt(sizes["D"])),
    "pad_token_id": lambda sizes: range(sizes["V"]),
}


def draw_array(
    choose: Choose,
    rng: np.random.Generator,
    size: tuple[int, ...],
    *,
    dtypes: Sequence[str] = ("float32",),
    patterns: Sequence[str] = tuple(ORDINARY),
    layouts: Sequence[str] = ("contiguous",),
    what: str = "array",
) -> Array:
    """Draw an array of numbers: one of these patterns, dtypes and layouts."""
    dtype = choose(dtypes, f"dtype of {what}")
    pattern = choose(patterns, f"pattern of {what}")
    return _laid_out(numbers(rng, size, pattern, dtype), choose, layouts, what)


def _laid_out(array: Array, choose: Choose, layouts: Sequence[str], what: str) -> Array:
    layout = LAYOUTS[choose(layouts, f"layout of {what}")]
    return layout(array) if array.ndim else array


def draw_arguments(
    function: Callable[..., Any],
    choose: Choose,
    rng: np.random.Generator,
    sizes: Mapping[str, int],
    *,
    dtype: str = "float32",
    stored: Sequence[str] = STORED,
    patterns: Sequence[str] = tuple(ORDINARY),
    patterns_of: Mapping[str, Sequence[str]] | None = None,
    layouts: Sequence[str] = ("contiguous",),
    any_shape: str = "",
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Draw keyword arguments for an operation.

    Parameters
    ----------
    function
        The operation; the names of its parameters say the shapes.
    choose, rng
        Who chooses, and what the numbers come from.
    sizes
        Sizes by letter, as `draw_sizes` draws them.
    dtype
        Of activations.
    stored
        Dtypes to choose from for each weight.
    patterns, layouts
        Patterns and memory layouts to choose from for each array.
    patterns_of
        Other patterns to choose from, by parameter.
    any_shape
        Letters of the shape of parameters that take any.
    given
        Arguments that are not to be drawn, by name.
    """
    given, exceptions = given or {}, patterns_of or {}
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        stem = name.removesuffix("_" + suffix(name)) if suffix(name) else name
        size = tuple(sizes[letter] for letter in suffix(name) or any_shape)
        if name in given:
            arguments[name] = given[name]
        elif name in sizes:
            arguments[name] = sizes[name]
        elif name == "dtype":
            arguments[name] = as_dtype(dtype)
        elif name in _SCALARS:
            arguments[name] = choose(_SCALARS[name](sizes), name)
        elif parameter.default is None and choose(_WITHOUT.get(stem, (True, False)), f"no {name}"):
            arguments[name] = None
        elif stem in _MASKS:
            arguments[name] = _laid_out(some_hidden(rng, size), choose, layouts, name)
        elif stem in _INTEGERS:
            array = rng.integers(*_INTEGERS[stem](sizes), size, endpoint=True)
            if stem in _IGNORABLE:
                array = np.where(rng.random(size) < 0.2, IGNORE_INDEX, array)
            arguments[name] = _laid_out(array, choose, layouts, name)
        else:
            arguments[name] = draw_array(
                choose, rng, size, what=name, layouts=layouts,
                dtypes=stored if stem in _WEIGHTS else (dtype,),
                patterns=exceptions.get(name, patterns),
            )  # fmt: skip
    return arguments


def some_hidden(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Draw a mask, True for visible, with rows that hide nothing, much, or everything."""
    share = rng.choice([0.0, 0.2, 0.7, 1.0], (*size[:-1], 1), p=[0.25, 0.4, 0.25, 0.1])
    return np.asarray(rng.random(size) >= share)
