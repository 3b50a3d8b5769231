"""Which beams a constrained search goes on with: some of each stage of progress.

Left to itself a beam search would hardly ever write a phrase that it finds
unlikely. So each beam also proposes the tokens that bring it nearer to its
constraints, and all proposals are ranked by turns: the best of those that have
come furthest, the best of those a step behind, and so on, then the second best
of each. (Dynamic beam allocation, Post and Vilar (2018), as transformers does it.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.progress import ConstraintListState


class Next(NamedTuple):
    """The next beams of a prompt: sums, which beams they continue and with which tokens."""

    totals_G: Array
    beams_G: Array
    ids_G: Array


def led(
    chosen: Next, ids_GS: Array, totals_GV: Array, states: list[ConstraintListState]
) -> tuple[Next, list[ConstraintListState]]:
    """Put beams that advance towards the constraints among those that the scores chose.

    Parameters
    ----------
    chosen
        The best continuations, as many as there are beams.
    ids_GS
        The prompt's beams so far.
    totals_GV
        The sums of all their continuations.
    states
        How far each beam has come.

    Returns
    -------
    chosen, states
        As many as before, and how far they have come.

    Raises
    ------
    ValueError
        If a constraint wants a token that there is not.
    """
    known = {_text(ids_GS[beam], id_) for _, beam, id_ in zip(*chosen, strict=True)}
    after = [states[beam].after(int(id_)) for _, beam, id_ in zip(*chosen, strict=True)]
    banks = [state.get_bank() for state in after]
    forced: list[tuple[int, int]] = []
    for beam, state in enumerate(states):
        for id_, bank in [] if state.completed else state.proposals():
            if not 0 <= id_ < totals_GV.shape[1]:
                raise ValueError(
                    f"a constraint advances with {id_}, expected an id from 0 to"
                    f" {totals_GV.shape[1] - 1}"
                )
            text = _text(ids_GS[beam], id_)
            if text not in known:
                known.add(text)
                forced.append((beam, id_))
                after.append(state.after(id_))
                banks.append(bank)
    if not forced:
        return chosen, after
    beams_F, ids_F = np.array(forced).T
    columns = ((chosen.totals_G, totals_GV[beams_F, ids_F]), (chosen.beams_G, beams_F),
               (chosen.ids_G, ids_F))  # fmt: skip
    everything = Next(*(np.concatenate(pair) for pair in columns))
    kept = by_turns(everything.totals_G, banks)[: len(ids_GS)]
    return Next(*(column[kept] for column in everything)), [after[index] for index in kept]


def by_turns(totals_C: Array, banks: list[int]) -> Array:
    """Rank candidates: the best of every bank, highest bank first, then the second best, ….

    transformers finds the banks' order by sorting 100 · bank + sum, so a sum
    more than 100 below another counts as a lower bank's; the same is done here.

    Examples
    --------
    >>> by_turns(np.array([-1.0, -2.0, -3.0, -4.0]), [0, 0, 2, 0])
    array([2, 0, 1, 3])
    """
    banks_C = np.array(banks)
    keys_C = (banks_C * 100).astype(totals_C.dtype) + totals_C
    order_C = np.argsort(-keys_C, kind="stable")
    sorted_C = banks_C[order_C]
    begins_C = np.concatenate([[True], sorted_C[1:] != sorted_C[:-1]])
    place_C = np.arange(len(banks_C))
    turn_C = place_C - np.maximum.accumulate(np.where(begins_C, place_C, 0))
    ranked_C: Array = order_C[np.argsort(turn_C, kind="stable")]
    return ranked_C


def _text(ids_S: Array, id_: int) -> bytes:
    return bytes(ids_S.astype(np.int64).tobytes() + int(id_).to_bytes(8, "little"))
