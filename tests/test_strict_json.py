"""JSON that is anything but plain is refused, in one line that names the file."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.strict_json import DIGIT_LIMIT, parse_json, quoted, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES), st.booleans())
def test_what_json_writes_is_read_back(value, ascii_only):
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode(), "x") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"x": [{"a": 1, "b": 0, "a": 1}]}', "the key 'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": Infinity}', "Infinity is not a number"),
        (b'{"a": [-Infinity]}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "beyond float64"),
        (b'{"a": [-0]}', "the number -0"),
        (b'{"a": -1e999}', "beyond float64"),
        (b'{"a": ' + b"9" * (DIGIT_LIMIT + 1) + b"}", "401 digits, expected at most 400"),
        (b'{"a": 0.' + b"9" * 5000 + b"}", "digits, expected at most"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "is not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON: Unexpected UTF-8 BOM"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"", "not JSON: Expecting value"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} x', "not JSON: Extra data"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\n"}', "not JSON: Invalid control character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[]", "the top is an array"),
        (b"null", "the top is null"),
        (b"true", "the top is a boolean"),
        (b"3", "the top is a number"),
        (b'"a"', "the top is a string"),
    ],
)
def test_refused(data, message, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_pairs_of_surrogates_and_escaped_backslashes_are_text():
    assert parse_json(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud800"}', "x") == {
        "a": "\U0001f600",
        "b": "\\ud800",
    }


def test_the_size_is_bounded_before_reading(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'{"a": 1}')
    assert read_json(path, limit=8) == {"a": 1}
    with pytest.raises(ValueError, match="8 bytes of JSON, expected at most 7"):
        read_json(path, limit=7)
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match="1099511627776 bytes of JSON"):
        read_json(path)


def test_only_regular_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "absent.json")
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(tmp_path / "pipe")


def test_quoted_is_one_short_line():
    assert quoted("a\n\x1b[2J‮") == r"'a\n\x1b[2J\u202e'"
    assert len(quoted("x" * 10**6)) < 100
