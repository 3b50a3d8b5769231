"""JSON as the standard means it, for files that nobody has vouched for.

Python's `json` is generous: it takes ``NaN``, keeps the last of two equal
keys, reads a number too large for a float as infinity and ``-0`` as the integer
0, and lets a string hold half of a surrogate pair. Two programs may then read
two different things in one file, so each of these is an error here. Size,
nesting and the digits of a number are bounded before they can cost anything.
"""

from __future__ import annotations

import json
import math
import re
import stat
from pathlib import Path
from typing import Any

#: The largest JSON file that is read, in bytes; XGLM's own hold a few hundred kilobytes.
SIZE_LIMIT = 16 * 2**20

#: A number's digits: enough for any float64 or int64, and far from where conversion gets slow.
DIGIT_LIMIT = 400

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def quoted(text: object, limit: int = 80) -> str:
    r"""Return `text` as it may stand in a message: quoted, one line, not too long.

    >>> quoted("a\nb"), quoted("x" * 200, limit=5)
    ("'a\\nb'", "'xxxxx'…")
    """
    shown = str(text)
    return ascii(shown) if len(shown) <= limit else f"{shown[:limit]!a}…"


def read_json(path: str | Path, *, limit: int = SIZE_LIMIT) -> dict[str, Any]:
    """Read the JSON object that a file holds.

    Parameters
    ----------
    path
        A regular file.
    limit
        The most bytes it may have.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no regular file, larger than `limit`, or not strict JSON with
        an object at the top. The message names the file.
    """
    path = Path(path)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a regular file, expected a JSON file")
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{path}: {status.st_size} bytes of JSON, expected at most {limit}")
    return parse_json(data, str(path))


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """Parse the UTF-8 text of one JSON object.

    Parameters
    ----------
    data
        The text.
    where
        What it is, for messages: a file's name.

    Raises
    ------
    ValueError
        If `data` is not UTF-8, not JSON, or not an object at the top; if a key
        stands twice, a number is not finite, has too many digits or is ``-0``, a string
        holds a lone surrogate, or the nesting is too deep.

    Examples
    --------
    >>> parse_json(b'{"d_model": 1024}', "config.json")
    {'d_model': 1024}
    >>> parse_json(b'{"d_model": 1024, "d_model": 2048}', "config.json")
    Traceback (most recent call last):
    ...
    ValueError: config.json: the key 'd_model' stands twice in one object
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: byte {error.start} is not UTF-8, expected JSON") from None
    try:
        value = parse_value(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{where}: JSON nested too deeply") from None
    except RefusalError as refusal:
        raise ValueError(f"{where}: {refusal}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where}: the top is {_kind(value)}, expected a JSON object")  # noqa: TRY004
    return value


def parse_value(text: str) -> Any:
    """Parse one JSON value of any kind, as strictly as `parse_json`.

    Raises
    ------
    RefusalError
        If it is JSON to Python, but two programs may read two things in it.
    json.JSONDecodeError, RecursionError
        If it is not JSON, or nested too deeply, as `json.loads` says.

    Examples
    --------
    >>> parse_value('"a"'), parse_value("[1, 2.5]")
    ('a', [1, 2.5])
    >>> parse_value("NaN")
    Traceback (most recent call last):
    ...
    pyxglm.strict_json.RefusalError: NaN is not a number of JSON
    """
    value = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_int=_bounded_int,
        parse_float=_finite_float,
    )
    if _SURROGATE_ESCAPE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise RefusalError("a string holds half of a surrogate pair") from None
    return value


class RefusalError(ValueError):
    """What is wrong with JSON that Python would take; the caller adds where."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, each key once."""
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RefusalError(f"the key {quoted(key)} stands twice in one object")
            seen.add(key)
    return result


def _no_constant(name: str) -> float:
    raise RefusalError(f"{name} is not a number of JSON")


def _bounded_int(digits: str) -> int:
    if digits == "-0":
        raise RefusalError("the number -0, an integer to some readers and a float to others")
    if len(digits) > DIGIT_LIMIT:
        raise RefusalError(f"a number of {len(digits)} digits, expected at most {DIGIT_LIMIT}")
    return int(digits)


def _finite_float(digits: str) -> float:
    if len(digits) > DIGIT_LIMIT:
        raise RefusalError(f"a number of {len(digits)} digits, expected at most {DIGIT_LIMIT}")
    number = float(digits)
    if not math.isfinite(number):
        raise RefusalError(f"the number {quoted(digits)} is beyond float64")
    return number


def _kind(value: object) -> str:
    """Name a JSON value's type in JSON's words."""
    if value is None:
        return "null"
    names = {list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")
