"""Mutations of JSON that know its grammar: values, keys, nesting, and what JSON forbids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from mutation.tokens import TEXTS, awkward_integer, spoil


class Pairs(list[Any]):
    """An object as a list of [key, value]: keys may stand twice, and in any order."""


class Raw(str):
    """Text that stands in the file as it is."""

    __slots__ = ()


RAW = (
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e-999", "1.0", "0.5", "-0", "-0.0"),
    *("1e2", "01", "+1", ".5", "0x10", "'a'", "nul", "", "1" * 401, "1." + "0" * 500, "9" * 5000),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x"', '"\t"', '"', "{", "[", "}", "]", ","),
    *("[" * 3000, '{"a":' * 3000, "[" * 100 + "]" * 100, "\ufeff", "//", "/**/", "true", "false"),
)  # fmt: skip


def parse(text: str | bytes) -> Any:
    """Parse JSON into lists, `Pairs` and scalars."""
    return json.loads(text, object_pairs_hook=lambda pairs: Pairs([list(pair) for pair in pairs]))


def emit(value: Any) -> str:
    """Write what `parse` gave, and what became of it."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{emit(key)}:{emit(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(emit, value)) + "]"
    return json.dumps(value)


def _places(value: Any) -> Iterator[tuple[list[Any], int]]:
    """Yield each (container, index) at which a value stands, keys excluded."""
    if isinstance(value, Pairs):
        for pair in value:
            yield pair, 1
            yield from _places(pair[1])
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value, index
            yield from _places(item)


def copy(value: Any) -> Any:
    """Copy a parsed value deeply."""
    if isinstance(value, list):
        return type(value)([copy(item) for item in value])
    return value


def other_value(rng: Random, old: Any) -> Any:
    """Return another value for `old`, most often of its kind."""
    choice = rng.random()
    if isinstance(old, bool) and choice < 0.3:
        return not old
    if isinstance(old, int) and choice < 0.7:
        return awkward_integer(rng, old)
    if isinstance(old, float) and choice < 0.5:
        return old * rng.choice((-1, 0, 2, 1e10, 1e300))
    if isinstance(old, str) and choice < 0.5:
        at = rng.randrange(len(old) + 1)
        return rng.choice((rng.choice(TEXTS), old[:at], old + rng.choice(TEXTS), old[::-1]))
    if choice < 0.85:
        return Raw(rng.choice(RAW))
    return rng.choice((None, True, 0, [], Pairs(), [copy(old)], Pairs([["a", copy(old)]])))


def mutate(rng: Random, tree: Any) -> Any:
    """Change a parsed value in one place; returns a copy."""
    tree = copy(tree)
    places = list(_places(tree))
    if not places:
        return other_value(rng, tree)
    container, index = rng.choice(places)
    objects = [tree] if isinstance(tree, Pairs) else []
    objects += [c[i] for c, i in places if isinstance(c[i], Pairs)]
    lists = [c[i] for c, i in places if type(c[i]) is list]
    target = rng.choice(objects) if objects else Pairs()
    match rng.randrange(9):
        case 0 if target:
            target.pop(rng.randrange(len(target)))
        case 1 if target:
            pair = copy(rng.choice(target))
            target.insert(rng.randrange(len(target) + 1), pair)
        case 2 if target:
            rng.choice(target)[0] = rng.choice(TEXTS)
        case 3 if target:
            rng.choice(target)[0] = copy(rng.choice(rng.choice(objects) or [["x"]])[0])
        case 4 if lists:
            chosen = rng.choice(lists)
            if chosen and rng.random() < 0.5:
                chosen.pop()
            else:
                chosen.append(awkward_integer(rng))
        case 5:
            other, at = rng.choice(places)
            container[index] = copy(other[at])
        case _:
            container[index] = other_value(rng, container[index])
    return tree


def mutate_text(rng: Random, tree: Any) -> bytes:
    """Return the text of a value changed in a few places, now and then damaged blindly."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = mutate(rng, tree)
    text = emit(tree).encode("utf-8", "surrogatepass")
    return spoil(rng, text) if rng.random() < 0.1 else text
