"""Related cases: other calls whose results must be the same, bit for bit.

A row of `linear` does not know how many rows there are; a query does not know
the other queries, the padding, the rest of the batch. So a part of a case is
computed again on its own, and its result must equal that part of the whole.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pyxglm.check.cases import Case
from pyxglm.check.patterns import EXTREME
from pyxglm.dtypes import Array
from pyxglm.ops.reference import visible_keys

Results = dict[str, list[Array]]


class Relative(NamedTuple):
    """Another case, and what of the first case's results its results must equal."""

    what: str
    case: Case
    part: Callable[[Results], Results]
    #: What of the relative's own results counts.
    own: Callable[[Results], Results] = lambda results: results


def relatives(case: Case, rng: np.random.Generator) -> Iterator[Relative]:
    """Yield cases whose results are part of this case's results."""
    if case.op == "attention":
        # Scores that are not finite are where a mask's presence shows (see the reference).
        if case.origin.split()[0] not in EXTREME:
            yield from _attention(case, rng)
        return
    if case.op == "cache_append":
        yield from _token_alone(case, rng)
        return
    lead = (
        2 if case.op in ("embed", "layer_norm", "linear", "linear_coarse") else 1
    )  # axes that count rows
    names = {
        "embed": ("ids_BT", "positions_BT"),
        "layer_norm": ("x_BTD",),
        "linear": ("x_BTI", "residual_BTO"),
        "linear_coarse": ("x_BTI", "residual_BTO"),
    }.get(case.op, ("x",))
    by_row = {name: case.arguments[name] for name in names if case.arguments[name] is not None}
    count = int(np.prod(by_row[names[0]].shape[:lead]))
    if not count:
        return
    for chosen in ([int(rng.integers(0, count))], _some(rng, count)):
        fewer = {name: _rows(array, chosen, lead) for name, array in by_row.items()}
        yield Relative(
            f"rows {chosen[0]} to {chosen[-1]} of {count} alone",
            replace(case, arguments={**case.arguments, **fewer}),
            functools.partial(_rows_of_results, chosen=chosen, lead=lead),
        )


def _some(rng: np.random.Generator, count: int) -> list[int]:
    begin, end = np.sort(rng.integers(0, count + 1, 2)).tolist()
    return list(range(begin, end)) or [count - 1]


def _rows(array: Array, chosen: list[int], lead: int) -> Array:
    """Return rows of an array, of which `lead` axes count the rows."""
    flat = array.reshape(int(np.prod(array.shape[:lead])), *array.shape[lead:])
    return flat[chosen].reshape(*[1] * (lead - 1), len(chosen), *array.shape[lead:])


def _rows_of_results(results: Results, chosen: list[int], lead: int) -> Results:
    return {
        name: [_rows(array, chosen, lead) for array in arrays] for name, arrays in results.items()
    }


def _token_alone(case: Case, rng: np.random.Generator) -> Iterator[Relative]:
    """Store one of the tokens, in its place."""
    given = case.arguments
    T = given["k_BHTK"].shape[2]
    if T:
        t = int(rng.integers(0, T))
        one = {name: given[name][:, :, t : t + 1] for name in ("k_BHTK", "v_BHTK")}
        yield Relative(
            f"token {t} alone",
            replace(case, arguments={**given, **one, "start": given["start"] + t}),
            lambda results: {
                name: [array[:, :, t : t + 1] for array in arrays]
                for name, arrays in results.items()
            },
        )


# ------------------------------------------------------------------------------ attention


def _attention(case: Case, rng: np.random.Generator) -> Iterator[Relative]:
    given = case.arguments
    sequences = given["sequences"]
    b = int(rng.integers(0, len(sequences)))
    alone = sequences[b]
    T = alone["q_BHTK"].shape[2]
    H, S = alone["k_BHSK"].shape[1:3]

    def with_sequence(one: dict[str, Any], **others: Any) -> Case:
        return replace(case, arguments={**given, "sequences": [one], **others})

    yield Relative(
        f"sequence {b} alone",
        with_sequence(alone),
        lambda results: {name: [arrays[b]] for name, arrays in results.items()},
    )
    if given["return_weights"]:
        yield Relative(
            "no weights wanted",
            replace(case, arguments={**given, "return_weights": False}),
            lambda results: {"out": results["out"]},
        )
    h = int(rng.integers(0, H))
    factor_H = given["head_mask_H"]
    yield Relative(
        f"head {h} alone",
        with_sequence(
            {
                **alone,
                **{key: alone[key][:, h : h + 1] for key in ("q_BHTK", "k_BHSK", "v_BHSK")},
            },
            head_mask_H=None if factor_H is None else factor_H[h : h + 1],
        ),
        lambda results: {name: [arrays[b][h : h + 1]] for name, arrays in results.items()},
    )
    if T:
        yield _chunk(case, b, with_sequence, rng)
    yield _padded(case, b, S, with_sequence, rng)


def _chunk(case: Case, b: int, with_sequence: Any, rng: np.random.Generator) -> Relative:
    """Take some queries and the keys up to them: a later chunk, or one token."""
    causal, alone = case.arguments["causal"], case.arguments["sequences"][b]
    T, S = alone["q_BHTK"].shape[2], alone["k_BHSK"].shape[2]
    chosen = _some(rng, T) if rng.random() < 0.5 else [int(rng.integers(0, T))]
    t0, t1 = chosen[0], chosen[-1] + 1
    whole_BTS = alone["visible_BTS"]
    end = S - T + t1 if causal and whole_BTS is None else S
    keys_BS = alone["keys_BS"]
    one = {
        "q_BHTK": alone["q_BHTK"][:, :, t0:t1],
        "k_BHSK": alone["k_BHSK"][:, :, :end],
        "v_BHSK": alone["v_BHSK"][:, :, :end],
        "keys_BS": None if keys_BS is None else keys_BS[:, :end],
        "visible_BTS": None if whole_BTS is None else whole_BTS[:, t0:t1],
    }
    # A query that sees nothing averages all keys there are, so it must see as many of them.
    sees = _sees(alone, T, S, causal)[t0:t1] if end < S else np.ones(t1 - t0, bool)
    return Relative(
        f"queries {t0} to {t1 - 1} of {T} alone",
        with_sequence(one, causal=causal and len(chosen) > 1),
        lambda results: {
            name: [arrays[b][:, t0:t1, : end if name == "weights" else None][:, sees]]
            for name, arrays in results.items()
        },
        lambda results: {name: [array[0][:, sees]] for name, array in results.items()},
    )


def _padded(case: Case, b: int, S: int, with_sequence: Any, rng: np.random.Generator) -> Relative:
    """More keys that nobody sees, NaN at that, among those before the first query."""
    causal, alone = case.arguments["causal"], case.arguments["sequences"][b]
    T = alone["q_BHTK"].shape[2]
    count = int(rng.choice([1, 3, 15, 16, 17]))
    latest = S - T if causal and alone["visible_BTS"] is None else S
    at = np.sort(rng.integers(0, latest + 1, count))
    if rng.random() < 0.5:
        at[:] = 0  # all of it on the left, as for generation
    keys_BS = np.ones((1, S), bool) if alone["keys_BS"] is None else alone["keys_BS"]
    whole_BTS = alone["visible_BTS"]
    one = {
        "q_BHTK": alone["q_BHTK"],
        "k_BHSK": np.insert(alone["k_BHSK"], at, np.nan, axis=2),
        "v_BHSK": np.insert(alone["v_BHSK"], at, np.nan, axis=2),
        "keys_BS": np.insert(keys_BS, at, False, axis=1),
        "visible_BTS": None if whole_BTS is None else np.insert(whole_BTS, at, False, axis=2),
    }
    kept = np.insert(np.ones(S, bool), at, False)
    sees = _sees(alone, T, S, causal)  # the others average the padding too

    def own(results: Results) -> Results:
        found = {"out": [results["out"][0][:, sees]]}
        if "weights" in results:
            found["weights"] = [results["weights"][0][:, :, kept][:, sees]]
        return found

    return Relative(
        f"{count} more keys of padding",
        with_sequence(one),
        lambda results: {name: [arrays[b][:, sees]] for name, arrays in results.items()},
        own,
    )


def _sees(one: dict[str, Any], T: int, S: int, causal: bool) -> Array:
    """Tell of every query whether it sees any key."""
    seen = visible_keys(T, S, causal=causal, keys_BS=one["keys_BS"], visible_BTS=one["visible_BTS"])
    if seen is None:
        return np.ones(T, bool)
    return np.asarray(np.broadcast_to(seen[0], (T, S)).any(axis=-1))
