"""Problems: a case as the C library takes it, flat arrays and numbers by the names of a struct.

`pyxglm.h` is the manual of these structs. Layouts that a kernel must cope with
are drawn here: rows with gaps between them, heads or tokens first, sequences of
different lengths one behind the other. What lies in the gaps is NaN, so that
reading it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.check.cases import ACTIVATIONS, FUSED, Case
from pyxglm.dtypes import Array
from pyxglm.ops.stored import round_to_bfloat16, widen

#: What has not been written, and what must not be read: a NaN of its own.
CANARY = np.uint32(0x7FEA_DEAD).view(np.float32)

#: Numbers of the activations in the C library's enum; 0 is none.
ACTIVATION_NUMBERS = {name: number for number, name in enumerate(ACTIVATIONS, start=1)}

#: Members of `pyxglm_sequence`, in order.
SEQUENCE = ("T", "S", "q", "k", "v", "out", "keys", "visible", "weights")


@dataclass(frozen=True)
class Output:
    """Where a result goes: for every sequence (else one in all), each element's place.

    `tasks` has the number of the task that an element belongs to; None if only
    the library knows.
    """

    length: int
    places: list[Array]
    tasks: Array | None = None


@dataclass(frozen=True)
class Problem:
    """The members of the struct that a kernel is called with.

    `tasks` is the end of the largest range; None if only the library knows.
    """

    case: Case
    numbers: dict[str, float]
    inputs: dict[str, Array] = field(repr=False)
    outputs: dict[str, Output] = field(repr=False)
    tasks: int | None


def problem(case: Case, rng: np.random.Generator | None = None) -> Problem:
    """Lay a case out for the library: in one of the ways that are allowed, drawn by `rng`.

    Without `rng`, as the model does: no gaps, queries as a projection leaves
    them, keys and values as the cache holds them.
    """
    return _LAYOUTS[case.op](case, rng)


def _by_rows(name: str, rows: int, width: int, result: tuple[int, ...]) -> dict[str, Output]:
    places = np.arange(rows * width).reshape(result)
    return {name: Output(rows * width, [places], places.reshape(-1) // max(1, width))}


def _embed(case: Case, rng: np.random.Generator | None) -> Problem:
    given = case.arguments
    shape = given["ids_BT"].shape
    rows, D = given["ids_BT"].size, given["embed_VD"].shape[1]
    inputs = {
        "ids": given["ids_BT"].reshape(-1),
        "positions": given["positions_BT"].reshape(-1),
        "embed": given["embed_VD"].reshape(-1),
        "table": given["table_PD"].reshape(-1),
    }
    numbers = {"scale": given["scale"], "rows": rows, "D": D}
    return Problem(case, numbers, inputs, _by_rows("hidden", rows, D, (*shape, D)), rows)


def _layer_norm(case: Case, rng: np.random.Generator | None) -> Problem:
    x_BTD = case.arguments["x_BTD"]
    D = x_BTD.shape[-1]
    rows = int(np.prod(x_BTD.shape[:-1]))
    inputs = {
        "x": x_BTD.reshape(-1),
        "weight": case.arguments["weight_D"],
        "bias": case.arguments["bias_D"],
    }
    outputs = _by_rows("y", rows, D, x_BTD.shape)
    return Problem(case, {"rows": rows, "D": D}, inputs, outputs, rows)


def _map(case: Case, rng: np.random.Generator | None) -> Problem:
    x = case.arguments["x"]
    rows, width = x.shape if x.ndim == 2 else (x.size, 1)
    outputs = _by_rows("y", rows, width, x.shape)
    return Problem(case, {"rows": rows, "width": width}, {"x": x.reshape(-1)}, outputs, rows)


def _linear(case: Case, rng: np.random.Generator | None) -> Problem:
    given = case.arguments
    x_BTI, weight_OI = given["x_BTI"], given["weight_OI"]
    (N, K), M = weight_OI.shape, int(np.prod(x_BTI.shape[:-1]))
    stride = N + (int(rng.choice([0, 0, 1, 5])) if rng else 0)
    places = (np.arange(M)[:, None] * stride + np.arange(N)).astype(np.int64)
    length = (M - 1) * stride + N if M else 0
    inputs = {"x": x_BTI.reshape(-1), "w": weight_OI.reshape(-1)}
    if case.op == "linear_coarse":  # what kernels read; the entry point makes its own of x
        inputs["rounded"] = round_to_bfloat16(inputs["x"])
    if given["bias_O"] is not None:
        inputs["bias"] = widen(given["bias_O"], np.float32)
    if given["residual_BTO"] is not None:
        inputs["residual"] = np.full(length, CANARY)
        inputs["residual"][places] = given["residual_BTO"].reshape(M, N)
    fused = given["activation"]
    numbers: dict[str, float] = {"M": M, "N": N, "K": K, "y_stride": stride}
    numbers["activation"] = 0 if fused is None else ACTIVATION_NUMBERS[FUSED[fused]]
    shaped = places.reshape(*x_BTI.shape[:-1], N)
    tasks = np.broadcast_to(np.arange(N), (M, N)).reshape(-1)
    return Problem(case, numbers, inputs, {"y": Output(length, [shaped], tasks)}, N)


def _attention(case: Case, rng: np.random.Generator | None) -> Problem:
    given = case.arguments
    sequences: list[dict[str, Any]] = given["sequences"]
    _, H, _, K = sequences[0]["q_BHTK"].shape
    T_of = [one["q_BHTK"].shape[2] for one in sequences]
    S_of = [one["k_BHSK"].shape[2] for one in sequences]
    grids = {
        name: _Grid(H, K, lengths, rng, tokens_first)
        for name, lengths, tokens_first in (
            ("q", T_of, True), ("k", S_of, False), ("v", S_of, False), ("out", T_of, True)
        )
    }  # fmt: skip
    numbers: dict[str, float] = {"causal": int(given["causal"]), "B": len(sequences), "H": H}
    numbers["K"] = K
    for name, grid in grids.items():
        numbers[f"{name}_t" if name in ("q", "out") else f"{name}_s"] = grid.by_token
        numbers[f"{name}_h"] = grid.by_head
    inputs = {
        name: grids[name].filled([one[key][0] for one in sequences])
        for name, key in (("q", "q_BHTK"), ("k", "k_BHSK"), ("v", "v_BHSK"))
    }
    table = np.zeros((len(sequences), len(SEQUENCE)), np.int64)
    table[:, :2] = np.array([T_of, S_of]).T
    for column, name in enumerate(SEQUENCE[2:6], start=2):
        table[:, column] = grids[name].starts
    for column, (name, key) in enumerate((("keys", "keys_BS"), ("visible", "visible_BTS")), 6):
        if sequences[0][key] is not None:
            table[:, column], inputs[name] = _joined([one[key] for one in sequences])
    if given["head_mask_H"] is not None:
        inputs["head_mask"] = given["head_mask_H"]
    out = grids["out"]
    outputs = {"out": Output(out.length, [out.places(b) for b in range(len(sequences))])}
    if given["return_weights"]:
        blocks = [np.arange(H * T * S).reshape(H, T, S) for T, S in zip(T_of, S_of, strict=True)]
        table[:, 8], _ = _joined(blocks)
        placed = [block + start for block, start in zip(blocks, table[:, 8], strict=True)]
        outputs["weights"] = Output(sum(block.size for block in blocks), placed)
    inputs["sequences"] = table.reshape(-1)
    return Problem(case, numbers, inputs, outputs, None)


def _cache_append(case: Case, rng: np.random.Generator | None) -> Problem:
    given = case.arguments
    B, H, T, K = given["k_BHTK"].shape
    S, start = given["S"], given["start"]
    numbers: dict[str, float] = {"start": start, "S": S, "B": B, "H": H, "T": T, "K": K}
    inputs = {}
    for name in ("k", "v"):
        grid = _Grid(H, K, [T] * B, rng, tokens_first=True)
        by_sequence = int(grid.starts[1]) if B > 1 else grid.length
        numbers |= {f"{name}_b": by_sequence, f"{name}_h": grid.by_head, f"{name}_t": grid.by_token}
        inputs[name] = grid.filled(list(given[f"{name}_BHTK"]))
    room_BHSK = np.arange(B * H * S * K).reshape(B, H, S, K)
    places = room_BHSK[:, :, start : start + T]
    rows = np.repeat(np.arange(B * H * T), K)
    outputs = {name: Output(room_BHSK.size, [places], rows) for name in ("k_room", "v_room")}
    return Problem(case, numbers, inputs, outputs, B * H * T)


def _joined(arrays: list[Array]) -> tuple[Array, Array]:
    """Put arrays one behind the other; return where each starts, and all of it as bytes."""
    starts = np.cumsum([0] + [array.size for array in arrays])[:-1]
    return starts, np.concatenate([array.reshape(-1) for array in arrays]).astype(np.uint8)


class _Grid:
    """Heads of several sequences in one array: strides, starts, places; with gaps at times."""

    def __init__(
        self,
        H: int,
        K: int,
        lengths: list[int],
        rng: np.random.Generator | None,
        tokens_first: bool,
    ) -> None:
        self.H, self.K, self.lengths = H, K, lengths
        step, gap = K, 0
        if rng is not None:
            step, gap = K + int(rng.choice([0, 0, 3])), int(rng.choice([0, 7]))
            tokens_first = bool(rng.random() < 0.5)
        if tokens_first:  # as a projection leaves them
            self.by_head, self.by_token = step, H * step + gap
            sizes = [length * self.by_token for length in lengths]
        else:  # as a cache holds them: room for the longest
            self.by_token, self.by_head = step, max(lengths, default=0) * step
            sizes = [H * self.by_head for _ in lengths]
        self.starts = np.cumsum([0, *sizes])[:-1]
        self.length = sum(sizes)

    def places(self, b: int) -> Array:
        """Return where each element of a sequence is, (H, length, K)."""
        h, t, k = np.ogrid[: self.H, : self.lengths[b], : self.K]
        return np.asarray(self.starts[b] + h * self.by_head + t * self.by_token + k)

    def filled(self, arrays: list[Array]) -> Array:
        """Return an array with the sequences in their places."""
        flat = np.full(self.length, CANARY)
        for b, array in enumerate(arrays):
            flat[self.places(b)] = array
        return flat


_LAYOUTS: dict[str, Callable[[Case, np.random.Generator | None], Problem]] = {
    "embed": _embed,
    "layer_norm": _layer_norm,
    "softmax": _map,
    "log_softmax": _map,
    **dict.fromkeys(ACTIVATIONS, _map),
    "linear": _linear,
    "linear_coarse": _linear,
    "attention": _attention,
    "cache_append": _cache_append,
}
