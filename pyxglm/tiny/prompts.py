"""The committed list of prompts: ``python -m pyxglm.tiny.prompts`` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pyxglm.tiny import PATH
from pyxglm.tiny.corpus.holdout import Prompt
from pyxglm.tiny.corpus.stream import build

__all__ = ["FILE", "read", "write"]

FILE = PATH / "prompts.json"


def read(path: Path = FILE) -> list[Prompt]:
    """Read a list of prompts.

    Raises
    ------
    ValueError
        If an entry does not have the five fields of :class:`Prompt`, all strings.
    """
    prompts = []
    for number, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        if not (isinstance(row, list) and len(row) == 5 and all(isinstance(f, str) for f in row)):
            raise ValueError(f"{path}: entry {number} is {row!r}, expected five strings")
        prompts.append(Prompt(*row))
    return prompts


def write(prompts: Sequence[Prompt], path: Path = FILE) -> None:
    """Write a list of prompts, one a line: language, group, relation, text, answer."""
    lines = (json.dumps(list(prompt), ensure_ascii=False) for prompt in prompts)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write(build().prompts)
