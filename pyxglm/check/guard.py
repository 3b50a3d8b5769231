"""Memory in which a kernel's mistakes show: canaries around arrays at odd addresses."""

from __future__ import annotations

import numpy as np

from pyxglm.check.problems import CANARY, Output, Problem
from pyxglm.dtypes import Array

#: Elements on either side of an array that must stay as they are.
MARGIN = 72

#: What lies around arrays, by the size of their elements: NaN for floats.
_FILLS = {
    1: np.uint8(0xA5),
    2: np.uint16(0x7FEA),  # NaN as float16 and as bfloat16
    4: np.uint32(0x7FEA_DEAD),
    8: np.uint64(0),  # ids and offsets: wrong, but no address outside the arrays
}

#: Members of structs that may stand at any address: weights mapped from files.
_ANYWHERE = ("embed", "w")


class Guarded:
    """A flat array between canaries, at an address that suits no vector.

    Parameters
    ----------
    dtype, length
        Of the array; `view` is the array, filled with canaries.
    anywhere
        Whether its address need not be a multiple of its element's size.
    """

    def __init__(
        self, rng: np.random.Generator, dtype: np.dtype[np.generic], length: int, anywhere: bool
    ) -> None:
        size = dtype.itemsize
        start = (MARGIN + int(rng.integers(0, 16))) * size
        count = length + 2 * MARGIN + 16
        # From a round address on, so that what follows decides what is round.
        self._bytes = np.empty((count + 1) * size + 64, np.uint8)
        shift = -self._bytes.ctypes.data % 64 + (int(rng.integers(0, size)) if anywhere else 0)
        body = self._bytes[shift : shift + count * size]
        body[:] = np.full(count, _FILLS[size]).view(np.uint8)
        self.view: Array = body[start : start + length * size].view(dtype)
        self._before, self._after = body[:start], body[start + length * size :]
        self._margins = self._before.copy(), self._after.copy()

    def margins_are_whole(self) -> bool:
        """Tell whether nothing was written before or behind the array."""
        return np.array_equal(self._before, self._margins[0]) and np.array_equal(
            self._after, self._margins[1]
        )


class Arena:
    """All arrays of a problem, guarded: what one call of a kernel works on."""

    def __init__(self, given: Problem, rng: np.random.Generator, *, aliased: str = "") -> None:
        """Copy the inputs; with `aliased`, that input and the output are one array."""
        self.problem = given
        self._inputs: dict[str, Guarded] = {}
        self._outputs: dict[str, Guarded] = {}
        for name, array in given.inputs.items():
            dtype = array.dtype
            guarded = Guarded(rng, dtype, array.size, name in _ANYWHERE)
            guarded.view[:] = array
            self._inputs[name] = guarded
        for name, output in given.outputs.items():
            guarded = Guarded(rng, np.dtype(np.float32), output.length, False)
            self._outputs[name] = self._inputs[aliased] if aliased else guarded
        self._aliased = aliased

    @property
    def inputs(self) -> dict[str, Array]:
        """The inputs, by the struct's names."""
        return {name: guarded.view for name, guarded in self._inputs.items()}

    @property
    def outputs(self) -> dict[str, Array]:
        """The outputs as one flat array each, by the struct's names."""
        return {name: guarded.view for name, guarded in self._outputs.items()}

    def results(self) -> dict[str, list[Array]]:
        """Return copies of the results, shaped as the reference's."""
        return {
            name: [self._outputs[name].view[places] for places in output.places]
            for name, output in self.problem.outputs.items()
        }

    def written(self, name: str) -> Array:
        """Tell of every element of an output whether it has been written."""
        view = self._outputs[name].view.view(np.uint32)
        return np.asarray(view != CANARY.view(np.uint32))

    def damage(self) -> list[str]:
        """Return what was written that should not have been, as sentences."""
        found = []
        for name, guarded in self._outputs.items():
            if not guarded.margins_are_whole():
                found.append(f"wrote outside {name}")
            if self.written(name)[_gaps(self.problem.outputs[name])].any():
                found.append(f"wrote between the rows of {name}")
        for name, guarded in self._inputs.items():
            if name != self._aliased and not (
                guarded.margins_are_whole() and _same(guarded.view, self.problem.inputs[name])
            ):
                found.append(f"changed its input {name}")
        return found


def _gaps(output: Output) -> Array:
    gaps = np.ones(output.length, bool)
    for places in output.places:
        gaps[places] = False
    return gaps


def _same(a: Array, b: Array) -> bool:
    """Tell whether two flat arrays have the same bytes."""
    return a.tobytes() == b.tobytes()


def bits_differ(a: Array, b: Array) -> Array:
    """Tell where two float32 arrays differ in a bit; any NaN is as good as another."""
    same = a.view(np.uint32) == b.view(np.uint32)
    return np.asarray(~(same | (np.isnan(a) & np.isnan(b))))
