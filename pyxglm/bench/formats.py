"""Results as llama-bench writes them: a Markdown table, CSV, JSON, one JSON object a line."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from typing import Any

from pyxglm.bench.grid import Job
from pyxglm.bench.results import Result, Setting, deviation

FORMATS = ("md", "csv", "json", "jsonl")

#: Columns of the table: name, least width, aligned to the left or to the right.
_COLUMNS = (
    ("model", 10, "<"),
    ("size", 10, ">"),
    ("params", 8, ">"),
    ("backend", 7, "<"),
    ("threads", 7, ">"),
    ("test", 6, ">"),
    ("t/s", 18, ">"),
    ("peak anon", 9, ">"),
    ("first token", 11, ">"),
    ("of limit", 8, ">"),
)


class Writer:
    """Makes the text for results as they come.

    Parameters
    ----------
    kind
        One of `FORMATS`.
    machine
        `machine.description()`.
    planned
        All settings and jobs, so that columns are wide enough from the first line.
    """

    def __init__(
        self, kind: str, machine: dict[str, Any], planned: Sequence[tuple[Setting, Job]]
    ) -> None:
        self._kind, self._machine = kind, machine
        self._records: list[dict[str, Any]] = []
        words = [known_words(setting, job) for setting, job in planned]
        self._widths = [
            max([least, len(name), *(len(row[i]) for row in words if i < len(row))])
            for i, (name, least, _) in enumerate(_COLUMNS)
        ]

    def begin(self) -> str:
        """Return what stands before the first result."""
        if self._kind != "md":
            return ""
        rule = [
            "-" * (width - 1) + ("-" if side == "<" else ":")
            for width, (_, _, side) in zip(self._widths, _COLUMNS, strict=True)
        ]
        return self._line([name for name, _, _ in _COLUMNS]) + self._line(rule)

    def one(self, result: Result) -> str:
        """Return what is to be written now of a result."""
        if self._kind == "md":
            return self._line(table_row(result))
        record = result.record(self._machine)
        self._records.append(record)
        if self._kind == "jsonl":
            return json.dumps(record) + "\n"
        if self._kind == "csv":
            return self._csv(record)
        return ""

    def end(self) -> str:
        """Return what stands behind the last result."""
        return json.dumps(self._records, indent=2) + "\n" if self._kind == "json" else ""

    def _line(self, words: Sequence[str]) -> str:
        cells = (
            f"{word:{side}{width}}"
            for word, width, (_, _, side) in zip(words, self._widths, _COLUMNS, strict=True)
        )
        return "| " + " | ".join(cells) + " |\n"

    def _csv(self, record: dict[str, Any]) -> str:
        """Return a line; the samples, which are lists, are left to JSON."""
        plain = {name: value for name, value in record.items() if not isinstance(value, list)}
        text = io.StringIO()
        lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        if len(self._records) == 1:
            text.write(",".join(plain) + "\n")
        lines.writerow(_csv_word(value) for value in plain.values())
        return text.getvalue()


def _csv_word(value: Any) -> Any:
    """Return a value for CSV: an empty word for None, and 0 and 1 as llama-bench has them."""
    if isinstance(value, bool):
        return int(value)
    return "" if value is None else value


def known_words(setting: Setting, job: Job) -> list[str]:
    """Return the first columns of a row, which are known before anything is measured."""
    return [
        setting.model_type,
        binary_size(setting.model_size),
        parameters(setting.model_n_params),
        setting.runs_on,
        str(setting.threads),
        job.name,
    ]


def table_row(result: Result) -> list[str]:
    """Return the words of a row; what is not known is left empty."""
    rates, memory = result.samples_ts, result.peak_anonymous
    first, share = result.first_token_ns, result.of_limit
    return [
        *known_words(result.setting, result.job),
        f"{statistics.fmean(rates):.2f} ± {deviation(rates):.2f}" if rates else "",
        "" if memory is None else f"{memory / 1e6:.0f} MB",
        "" if first is None else f"{first / 1e6:.1f} ms",
        "" if share is None else f"{share:.0%}",
    ]


def binary_size(count: int) -> str:
    """Return a number of bytes as llama-bench writes it.

    >>> binary_size(1_128_927_232), binary_size(5_000_000)
    ('1.05 GiB', '4.77 MiB')
    """
    unit, power = ("GiB", 30) if count >= 1 << 30 else ("MiB", 20)
    return f"{count / (1 << power):.2f} {unit}"


def parameters(count: int) -> str:
    """Return a number of parameters as llama-bench writes it.

    >>> parameters(564_463_616), parameters(7_492_771_840)
    ('564.46 M', '7.49 B')
    """
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.2f} M"
