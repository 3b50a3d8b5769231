"""A prompt's beams: choosing the next ones, keeping the texts that end, and the last word.

Without groups all beams of a prompt are one group.
"""

from __future__ import annotations

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.beams.candidates import Candidates, best, drawn, enough, split
from pyxglm.generation.beams.forcing import Next, led
from pyxglm.generation.beams.history import Lines
from pyxglm.generation.beams.hypotheses import Hypotheses, Rules
from pyxglm.generation.beams.progress import ConstraintListState


class Group:
    """The beams of a prompt that compete with each other.

    Parameters
    ----------
    name
        What messages call the prompt.
    size
        How many beams.
    first
        The row of the first, among the beams of all prompts.
    rules
        When the search is over.
    eos_ids, pad
        The tokens that end a text, and what a group that is done goes on with.
    random
        Draw the candidates with it; None: take the best.
    states
        How far each beam has come with the constraints, if there are any.
    least
        In a constrained search: as many texts must meet the constraints in the
        end, or others are returned too.

    Attributes
    ----------
    kept
        The complete texts.
    done
        Whether there is nothing left to find.
    """

    def __init__(
        self,
        name: str,
        size: int,
        first: int,
        rules: Rules,
        eos_ids: tuple[int, ...],
        pad: int,
        random: np.random.Generator | None = None,
        states: list[ConstraintListState] | None = None,
        least: int = 1,
    ) -> None:
        self.kept, self.done, self._longest = Hypotheses(size, rules), False, rules.longest
        self._name, self._size, self._first = name, size, first
        self._eos_ids, self._pad, self._random = eos_ids, pad, random
        self._states, self._least = states, least

    def choose(self, totals_GV: Array, log_probs_GV: Array, lines: Lines) -> Next:
        """Choose the next beams, and keep the texts that end with the next token.

        Parameters
        ----------
        totals_GV
            The sums of all continuations.
        log_probs_GV
            The model's own log-probabilities of the next token.
        lines
            The beams.

        Raises
        ------
        ValueError
            If a sum is NaN or plus infinity, or no token can follow.
        """
        if not self.done:
            found = self._candidates(totals_GV)
            if found is not None:
                return self._of(found, totals_GV, log_probs_GV, lines)
            self._fill_up(lines)
        nothing_G = np.zeros(self._size, np.int64)
        totals_G = nothing_G.astype(totals_GV.dtype)
        return Next(totals_G, np.arange(self._size), nothing_G + self._pad)

    def _candidates(self, totals_GV: Array) -> Candidates | None:
        """Return the candidates; None if none is possible, but texts have been kept."""
        most = totals_GV.max()  # NaN if any is NaN
        if not most < np.inf or (most == -np.inf and not self.kept.texts):
            raise ValueError(
                f"the scores of {self._name} have the maximum {most}, expected a finite number:"
                " the model or a logits processor is broken, or no token is allowed"
            )
        if most == -np.inf:
            return None
        count = enough(self._size, self._eos_ids)
        if self._random is not None:
            return drawn(totals_GV, count, self._random)
        return best(totals_GV, count)

    def _of(self, found: Candidates, totals_GV: Array, log_probs_GV: Array, lines: Lines) -> Next:
        length = len(lines.history) + 1
        ending, going = split(found, self._size, self._eos_ids)
        for index in ending:
            total, beam, id_ = (column[index] for column in found)
            if self._states is None or self._states[beam].completed:
                ids_S, origins_N, log_probs_N = lines.of(int(beam))
                self.kept.add(
                    float(total), length, ids_S, np.append(origins_N, self._first + beam),
                    np.append(log_probs_N, log_probs_GV[beam, id_]), ended=True,
                )  # fmt: skip
        chosen = Next(*(column[going] for column in found))
        if self._states is not None:
            chosen, self._states = led(chosen, lines.ids_GS, totals_GV, self._states)
        self.done = self.kept.complete(float(found.totals_C[0]), length)
        return chosen

    def cut(self, which_G: Array, totals_G: Array, lines: Lines) -> None:
        """Keep beams as they are, and go on without them: a rule of the caller's ends them.

        As in transformers an end token follows them, unless they are as long as can be.
        """
        if self.done:
            return
        stopped_G = which_G & (totals_G > -np.inf)
        kept_G = totals_G.copy()
        totals_G[stopped_G] = -np.inf
        is_last = not (totals_G > -np.inf).any()
        ended = bool(self._eos_ids) and len(lines.history) < self._longest
        self._keep_those(stopped_G, kept_G, lines, is_last=is_last, ended=ended)
        if is_last:
            self._fill_up(lines)

    def finish(self, totals_G: Array, lines: Lines) -> None:
        """Keep what has not ended, unless the search was over before: it is now."""
        if not self.done:
            self._keep_those(np.ones(self._size, bool), totals_G, lines, is_last=True)
            self.done = True

    def _keep_those(
        self, which_G: Array, totals_G: Array, lines: Lines, *, is_last: bool, ended: bool = False
    ) -> None:
        """Keep some beams; such as miss constraints only as the last, if too few meet them."""
        meets_G = which_G
        if self._states is not None:
            meets_G = which_G & np.array([state.completed for state in self._states])
        needs_more = is_last and meets_G.sum() < self._least
        for some_G in (meets_G, which_G & ~meets_G & needs_more):
            for beam in np.flatnonzero(some_G):
                self._keep(int(beam), totals_G[beam], lines, ended=ended)

    def _fill_up(self, lines: Lines) -> None:
        """End the search where nothing can follow; what had no chance fills up the texts."""
        for beam in range(self._size):
            self._keep(beam, -np.inf, lines)
        self.done = True

    def _keep(self, beam: int, total: float, lines: Lines, *, ended: bool = False) -> None:
        self.kept.add(float(total), len(lines.history), *lines.of(beam), ended=ended)
