"""How far a text has come with all its constraints.

One constraint is worked on at a time. A token that does not continue it breaks
it, and it must be begun anew; then, or when it is met, the next token that
begins one of those still open decides which is worked on next.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from pyxglm.generation.beams.constraints import Constraint, DisjunctiveConstraint


class ConstraintListState:
    """The constraints of a text: those met, the one begun, those still open.

    The names are transformers', which has this class too.

    Parameters
    ----------
    constraints
        What the text must contain. They are copied, and not changed.
    token_ids
        The beginning of the text.

    Attributes
    ----------
    complete_constraints, pending_constraints
        Those met, and those neither met nor begun.
    inprogress_constraint
        The one that was begun, or None.
    completed
        Whether all are met.

    Examples
    --------
    >>> from pyxglm.generation.beams.constraints import PhrasalConstraint
    >>> state = ConstraintListState([PhrasalConstraint([7, 8]), PhrasalConstraint([5])])
    >>> state.advance(), state.get_bank()
    ([7, 5], 0)
    >>> state.reset([2, 5, 7])
    >>> state.advance(), state.get_bank(), state.completed
    ([8], 3, False)
    """

    def __init__(
        self, constraints: Sequence[Constraint], token_ids: Iterable[int] | None = None
    ) -> None:
        self.constraints = constraints
        self._longest = max(constraint.seqlen for constraint in constraints)
        self.reset(token_ids)

    def reset(self, token_ids: Iterable[int] | None) -> None:
        """Forget everything, and read a text from its beginning."""
        self.complete_constraints: list[Constraint] = []
        self.inprogress_constraint: Constraint | None = None
        self.pending_constraints = [one.copy(stateful=False) for one in self.constraints]
        self.completed = False
        for token_id in token_ids or ():
            self.add(token_id)

    def add(self, token_id: int) -> tuple[bool, bool]:
        """Read a token; return whether it met a constraint, and whether it came nearer to one."""
        if self.completed:
            return True, False
        current = self.inprogress_constraint
        if current is None:
            for index, one in enumerate(self.pending_constraints):
                if one.does_advance(token_id):
                    current = self.pending_constraints.pop(index)
                    break
            else:
                return False, False
        came_nearer, met, broken = current.update(token_id)
        if broken:
            self.pending_constraints.append(current.copy(stateful=False))
            current = None
        elif met:
            self.complete_constraints.append(current)
            current = None
        self.inprogress_constraint = current
        self.completed = current is None and not self.pending_constraints
        return met, came_nearer

    def advance(self) -> list[int]:
        """Return the tokens that come nearer: to the constraint begun, or else to any open one."""
        current = self.inprogress_constraint
        found: list[int] = []
        for one in self.pending_constraints if current is None else [current]:
            ids = one.advance()
            if isinstance(ids, list):
                found += ids
            elif ids is not None:
                found.append(ids)
        return found

    def get_bank(self) -> int:
        """Return how far the text has come: tokens read of constraints, each counted in full.

        Hokamp and Liu, "Lexically Constrained Decoding for Sequence Generation
        Using Grid Beam Search" (2017), and Post and Vilar, "Fast Lexically
        Constrained Decoding with Dynamic Beam Allocation" (2018), compare
        beams only with those in the same bank. A constraint that is met counts
        as the longest one, so that banks of different phrases are comparable.
        """
        bank = len(self.complete_constraints) * self._longest
        if self.inprogress_constraint is not None:
            bank += self._longest - self.inprogress_constraint.remaining()
        return bank

    def copy(self) -> ConstraintListState:
        """Return a state that has read the same tokens."""
        made = copy.copy(self)
        made.complete_constraints = [one.copy(stateful=True) for one in self.complete_constraints]
        made.pending_constraints = [one.copy(stateful=False) for one in self.pending_constraints]
        if self.inprogress_constraint is not None:
            made.inprogress_constraint = self.inprogress_constraint.copy(stateful=True)
        return made

    def proposals(self) -> list[tuple[int, int]]:
        """Return the tokens that come nearer, and the bank after each.

        When a choice between phrases has been begun and several tokens
        continue it, transformers ranks the text after each with copies of the
        choice that share the memory of what they have read. So each token is
        read behind those before it, and all but the first usually count as
        breaking the choice. The same ids need the same ranks.
        """
        tokens = self.advance()
        choice = self.inprogress_constraint
        if not isinstance(choice, DisjunctiveConstraint):
            return [(token_id, self.after(token_id).get_bank()) for token_id in tokens]
        states, shared = [], choice.tokens_read
        for token_id in tokens:
            copied = choice.copy(stateful=True)
            copied.tokens_read = shared
            state = self.copy()
            state.inprogress_constraint = copied
            _, came_nearer = state.add(token_id)
            shared += (token_id,) if came_nearer else ()
            states.append((state, copied))
        banks = []
        for state, copied in states:
            if state.inprogress_constraint is copied:
                copied.tokens_read = shared
            banks.append(state.get_bank())
        return list(zip(tokens, banks, strict=True))

    def after(self, token_id: int) -> ConstraintListState:
        """Return the state of the text with another token."""
        made = self.copy()
        made.add(token_id)
        return made
