"""What a documented class consists of, as data: the rows of the table, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """An argument, a result or an attribute: one row of the table.

    `default` is Python text, None for what has none. `test` is the test that
    covers it, as ``folder/test_file.py::test_name`` below ``tests/``.
    """

    name: str
    means: str
    test: str
    default: str | None = None


@dataclass(frozen=True)
class Method:
    """A documented method: its arguments in the documented order, and what comes back.

    `results` are the fields of the class `result`, which is named as
    ``module.Class``; a method without fields returns what `result` says in words.
    `open_ended` says that further keywords are documented too.
    """

    name: str
    means: str
    test: str
    arguments: tuple[Part, ...] = ()
    result: str = ""
    results: tuple[Part, ...] = ()
    open_ended: bool = False


@dataclass(frozen=True)
class Documented:
    """A documented class: how it is made, what it can do, what it holds.

    `keywords` are documented arguments beyond those of its signature, which is
    `open_ended`.
    """

    name: str
    means: str
    test: str
    arguments: tuple[Part, ...] = ()
    methods: tuple[Method, ...] = ()
    attributes: tuple[Part, ...] = ()
    keywords: tuple[Part, ...] = ()
    open_ended: bool = False

    def tests(self) -> Iterator[tuple[str, str]]:
        """Yield (what, test) of the class and everything in it."""
        yield self.name, self.test
        for part in (*self.arguments, *self.keywords, *self.attributes):
            yield part.name, part.test
        for method in self.methods:
            yield method.name, method.test
            for part in (*method.arguments, *method.results):
                yield part.name, part.test


def rows(test: str, *described: tuple[str, str | None, str] | tuple[str, str | None, str, str]):
    """Return parts from (name, default, meaning[, test]); `test` where none is named."""
    return tuple(
        Part(name, means, *(own or [test]), default=default)
        for name, default, means, *own in described
    )
