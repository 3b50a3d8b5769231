"""Write the table: ``README.md`` of this folder, from `documented.surface`.

Run it from the repository root::

    PYTHONPATH=tests:. python -m documented.write
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from documented.parts import Documented, Method, Part
from documented.surface import CLASSES

PATH = Path(__file__).with_name("README.md")

HEAD = """\
# The documented classes

Every class, argument and result that the documentation of XGLM in transformers 4.37.2 names, what
it is here, and the test that covers it. B texts of T new tokens, S with those before, E of an
encoder; L layers of H heads; width D, V tokens in the vocabulary. `test_surface.py` checks that
everything in these tables exists, with these names, defaults and order. Written by
`python -m documented.write` from the modules beside it; do not edit.
"""


def table() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(section(one) for one in CLASSES)])


def section(one: Documented) -> str:
    """Return the part of one class."""
    lines = [f"## {one.name}", "", f"{one.means[0].upper()}{one.means[1:]}. {link(one.test)}", ""]
    made = [*one.arguments, *one.keywords, *one.attributes]
    lines += [*grid("argument, attribute" if one.attributes else "argument", made), ""]
    plain = [method for method in one.methods if not (method.arguments or method.results)]
    for method in one.methods:
        if method not in plain:
            lines += described(one, method)
    if plain:
        lines += ["| method | | |", "|---|---|---|"]
        lines += [f"| `{each.name}` | {each.means} | {link(each.test)} |" for each in plain]
        lines.append("")
    return "\n".join(lines)


def described(one: Documented, method: Method) -> list[str]:
    """Return the part of a method with arguments."""
    lines = [f"### {one.name}.{method.name}", ""]
    lines += [f"{method.means[0].upper()}{method.means[1:]}. {link(method.test)}", ""]
    lines += [*grid("argument", method.arguments), ""]
    if method.results:
        lines += [f"Returns `pyxglm.{method.result}`, or a tuple.", ""]
        lines += [*grid("result", method.results), ""]
    elif method.result:
        lines += [f"Returns {method.result}.", ""]
    return lines


def grid(title: str, parts: Iterable[Part]) -> list[str]:
    """Return the rows of a table."""
    lines = [f"| {title} | default | | test |", "|---|---|---|---|"]
    for part in parts:
        default = "" if part.default is None else f"`{part.default}`"
        lines.append(f"| `{part.name}` | {default} | {part.means} | {link(part.test)} |")
    return lines


def link(test: str) -> str:
    """Return a test's name, linked to its file."""
    file, name = test.split("::")
    return f"[`{name}`](../{file})"


if __name__ == "__main__":
    PATH.write_text(table(), encoding="utf-8")
    print(f"{PATH}: {len(CLASSES)} classes")
