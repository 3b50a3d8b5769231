"""Constraints as machines, alone and in lists, and what is no constraint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.generation import (
    Constraint,
    ConstraintListState,
    DisjunctiveConstraint,
    PhrasalConstraint,
)
from pyxglm.generation.beams.constraints import constraints_of, of_words
from pyxglm.generation.beams.forcing import by_turns

IDS = st.integers(0, 3)
PHRASES = st.lists(st.lists(IDS, min_size=1, max_size=3), min_size=1, max_size=3)


def prefix_free(phrases):
    return [
        p
        for i, p in enumerate(phrases)
        if not any(p[: len(q)] == q or q[: len(p)] == p for q in phrases[:i])
    ]


@settings(deadline=None, max_examples=60)
@given(PHRASES.map(prefix_free), st.lists(IDS, max_size=8))
def test_a_choice_follows_its_phrases(phrases, text):
    """Against a reader that compares lists."""
    constraint = DisjunctiveConstraint(phrases) if len(phrases) > 1 else None
    constraint = constraint or PhrasalConstraint(phrases[0])
    read: list[int] = []
    for id_ in text:
        if read in phrases:
            break
        nexts = {p[len(read)] for p in phrases if p[: len(read)] == read}
        found = constraint.advance()
        assert set(found if isinstance(found, list) else [found]) == nexts
        assert constraint.does_advance(id_) is (id_ in nexts)
        twin = constraint.copy(stateful=True)
        fits = id_ in nexts
        read = [*read, id_] if fits else []
        for one in (constraint, twin):
            assert one.update(id_) == (fits, read in phrases, not fits)
        assert constraint.completed is (read in phrases)
        longest = max(map(len, phrases))
        assert constraint.remaining() == (0 if read in phrases else longest - len(read))
    if read in phrases:
        assert constraint.advance() is None
    assert constraint.copy().remaining() == constraint.seqlen


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(IDS, min_size=1, max_size=3), min_size=1, max_size=3), st.lists(IDS))
def test_a_list_reads_one_phrase_at_a_time(phrases, text):
    """Against indices into lists: which phrases are open, and where the begun one is."""
    state = ConstraintListState([PhrasalConstraint(phrase) for phrase in phrases], text)
    open_, begun, met = list(range(len(phrases))), None, 0
    for id_ in text:
        if begun is None:
            begun = next(((p, 0) for p in open_ if phrases[p][0] == id_), None)
            if begun is None:
                continue
            open_.remove(begun[0])
        phrase, place = begun
        if phrases[phrase][place] != id_:
            open_.append(phrase)
            begun = None
        elif place + 1 == len(phrases[phrase]):
            met, begun = met + 1, None
        else:
            begun = (phrase, place + 1)
        if met == len(phrases):
            break
    longest = max(map(len, phrases))
    bank = met * longest
    if begun:
        bank += longest - (len(phrases[begun[0]]) - begun[1])
    assert state.get_bank() == bank
    assert state.completed is (met == len(phrases))
    nexts = [phrases[begun[0]][begun[1]]] if begun else [phrases[p][0] for p in open_]
    assert state.advance() == nexts
    assert state.proposals() == [(id_, state.after(id_).get_bank()) for id_ in nexts]
    assert state.get_bank() == bank, "looking ahead changes nothing"


def test_what_is_met_stays_met():
    state = ConstraintListState([PhrasalConstraint([7])], [7, 8, 9])
    assert state.completed
    assert state.add(4) == (True, False)
    state.reset(None)
    assert not state.completed


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-90, 0)), min_size=1, max_size=12))
def test_turns_go_round_the_banks(candidates):
    """Less than 100 apart, sums do not mix banks: the n-th best of each, highest bank first."""
    banks, totals = zip(*candidates, strict=True)
    order = by_turns(np.array(totals, float), list(banks)).tolist()
    queues = {
        bank: sorted((i for i, b in enumerate(banks) if b == bank), key=lambda i: -totals[i])
        for bank in set(banks)
    }
    expected = []
    while any(queues.values()):
        expected += [queues[b].pop(0) for b in sorted(queues, reverse=True) if queues[b]]
    assert order == expected


def test_sums_far_apart_mix_banks():
    """By 100 · bank + sum: -151 in bank 1 stands behind -50 in bank 0, and begins a new turn."""
    assert by_turns(np.array([-1.0, -151.0, -50.0, -2.0]), [1, 1, 0, 1]).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: PhrasalConstraint([]), ValueError, "token_ids is empty, expected at least one id"),
        (lambda: PhrasalConstraint(7), TypeError, "token_ids is 7, expected a list of ids"),
        (lambda: PhrasalConstraint([7, -1]), ValueError, r"token_ids\[1\] is -1, expected an id"),
        (lambda: PhrasalConstraint([7, 1.5]), TypeError, r"token_ids\[1\] is 1.5, expected an id"),
        (lambda: DisjunctiveConstraint([]), ValueError, "nested_token_ids is empty"),
        (lambda: DisjunctiveConstraint([7]), TypeError, r"nested_token_ids\[0\] is 7, expected a"),
        (
            lambda: DisjunctiveConstraint([[7, 8], [7]]),
            ValueError,
            r"nested_token_ids\[1\] is \[7\], with which nested_token_ids\[0\], \[7, 8\], begins",
        ),
        (lambda: DisjunctiveConstraint([[7], [7]]), ValueError, "none of which begins another"),
        (lambda: of_words([[7], []]), ValueError, r"force_words_ids\[1\] is empty"),
        (lambda: of_words([[[7], ["x"]]]), TypeError, r"force_words_ids\[0\]\[1\]\[0\] is 'x'"),
        (lambda: of_words([]), ValueError, "force_words_ids is empty"),
        (lambda: constraints_of([], None), ValueError, "constraints is empty"),
        (lambda: constraints_of([7], None), TypeError, r"constraints\[0\] is 7, expected a Constr"),
        (lambda: PhrasalConstraint([7]).does_advance("7"), TypeError, "token_id is '7'"),
    ],
)
def test_what_is_no_constraint(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_constraint_must_say_everything():
    with pytest.raises(TypeError, match="abstract"):
        Constraint()
