"""The documented classes exist as the table says, and the table is the written one."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from documented.parts import Documented, Method, Part
from documented.surface import CLASSES
from documented.write import PATH, table

import pyxglm

TESTS = Path(__file__).parents[1]
EVERY = pytest.mark.parametrize("one", CLASSES, ids=[one.name for one in CLASSES])

#: Where the calls stand that a recorded test makes: the name of what it covers is found there.
RECORDED = {
    "parity/": "golden/*cases.py",
    "parity/test_api.py": "golden/record_api.py",
    "parity/test_greedy.py": "golden/record_greedy.py",
    "frameworks/": "golden/frameworks/*_cases.py",
    "tokenization/": "golden/tokenizer_*.py",
    "tokenization/fast/": "golden/fast_*.py",
}
NINE = {
    "XGLMConfig", "XGLMTokenizer", "XGLMTokenizerFast", "XGLMModel", "XGLMForCausalLM",
    "TFXGLMModel", "TFXGLMForCausalLM", "FlaxXGLMModel", "FlaxXGLMForCausalLM",
}  # fmt: skip


def taken(function: Any, documented: Sequence[Part], open_ended: bool) -> list[str]:
    """Return what is wrong with a function's arguments, in words."""
    parameters = [
        each for each in inspect.signature(function).parameters.values() if each.name != "self"
    ]
    named = {each.name: each for each in parameters}
    wrong = [f"{part.name} is missing" for part in documented if part.name not in named]
    places = [list(named).index(part.name) for part in documented if part.name in named]
    if places != list(range(len(places))):
        wrong.append(f"{[part.name for part in documented]} do not come first, in this order")
    for part in documented:
        if part.name in named:
            default = named[part.name].default
            wanted = (
                inspect.Parameter.empty if part.default is None else ast.literal_eval(part.default)
            )
            if default != wanted or not alike(default, wanted):
                wrong.append(f"{part.name} is {default!r} by default, expected {part.default}")
    if open_ended and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        wrong.append("no further keywords are taken")
    return wrong


def alike(found: Any, wanted: Any) -> bool:
    """Whether a value is of the kind that is documented: True is no 1, 3.0 no 3."""
    return isinstance(found, type(wanted)) and isinstance(found, bool) == isinstance(wanted, bool)


def found(name: str) -> Any:
    """Return a class or function of the package by its dotted name."""
    module, attribute = f"pyxglm.{name}".rsplit(".", 1)
    return getattr(import_module(module), attribute)


@EVERY
def test_the_class_is_made_as_documented(one: Documented) -> None:
    assert taken(getattr(pyxglm, one.name), one.arguments, one.open_ended) == []
    assert one.open_ended or not one.keywords
    for part in one.attributes:
        assert hasattr(getattr(pyxglm, one.name), part.name), part.name


METHODS = [(one, method) for one in CLASSES for method in one.methods]


@pytest.mark.parametrize(
    ("one", "method"), METHODS, ids=[f"{one.name}.{method.name}" for one, method in METHODS]
)
def test_the_method_is_called_as_documented(one: Documented, method: Method) -> None:
    function = getattr(getattr(pyxglm, one.name), method.name)
    assert callable(function)
    assert (function.__doc__ or "").strip() or method.name == "__call__"
    if method.arguments:
        assert taken(function, method.arguments, method.open_ended) == []
    if method.results:
        names = {field.name for field in fields(found(method.result))}
        assert {part.name for part in method.results} <= names


@cache
def functions(file: str) -> set[str]:
    """Return the names of a file's tests."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@cache
def words(file: str) -> str:
    """Return the text of a test's file, and of those that its calls are recorded in."""
    paths = [TESTS / file]
    for start, pattern in RECORDED.items():
        if file.startswith(start):
            paths += sorted(TESTS.glob(pattern))
    return "".join(path.read_text(encoding="utf-8") for path in paths)


@EVERY
def test_every_row_is_covered_by_a_test(one: Documented) -> None:
    for what, test in one.tests():
        file, name = test.split("::")
        assert name in functions(file), f"{what}: there is no test {test}"
        assert name.startswith("test_")
    made = [*one.arguments, *one.keywords]
    for part in [*made, *(part for method in one.methods for part in method.arguments)]:
        file = part.test.split("::")[0]
        assert part.name in words(file), f"{part.test} says nothing of {part.name}"


def test_no_class_is_in_the_table_that_is_not_documented() -> None:
    names = [one.name for one in CLASSES]
    assert len(names) == len(set(names))
    assert set(names) == NINE


def test_the_table_is_the_written_one() -> None:
    assert PATH.read_text(encoding="utf-8") == table(), "run python -m documented.write"


def test_what_is_wrong_is_found() -> None:
    def made(config: Any, size: int = 3, *, flag: Any = None) -> None: ...

    right = (Part("config", "", ""), Part("size", "", "", "3"))
    assert taken(made, right, open_ended=False) == []
    assert len(taken(made, right, open_ended=True)) == 1
    for wrong in (
        (Part("config", "", ""), Part("size", "", "", "4")),
        (Part("config", "", ""), Part("size", "", "", "3.0")),
        (Part("config", "", ""), Part("size", "", "", "True")),
        (Part("config", "", ""), Part("size", "", "")),
        (Part("size", "", "", "3"), Part("config", "", "")),
        (Part("config", "", ""), Part("flag", "", "", "None")),
        (Part("config", "", ""), Part("colour", "", "", "None")),
    ):
        assert len(taken(made, wrong, open_ended=False)) == 1, wrong
