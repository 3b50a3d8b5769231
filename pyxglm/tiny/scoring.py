"""What counts as an answer, and the table of scores."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from pyxglm.tiny.corpus.holdout import GROUPS, Prompt

__all__ = ["answered", "table"]

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")
_NUMERALS = frozenset("零一二三四五六七八九十영일이삼사오육칠팔구십")
_TEEN = " عشر"  # Arabic writes 13 to 19 in two words, of which the first is 3 to 9


def answered(prompt: Prompt, continuation: str) -> bool:
    """Tell whether a continuation begins with the expected answer, as a whole word or number.

    Both are compared in the tokenizer's normal form (NFKC).  In scripts that write words
    together the answer need not end where a word does.

    >>> prompt = Prompt("en", "seen", "sum", "1 plus 0 is", "1")
    >>> answered(prompt, " 1."), answered(prompt, " 10.")
    (True, False)
    """
    text = unicodedata.normalize("NFKC", continuation).strip()
    answer = unicodedata.normalize("NFKC", prompt.answer)
    if not text.startswith(answer):
        return False
    rest = text[len(answer) :]
    if not rest:
        return True
    last, following = answer[-1], rest[0]
    if last in _NUMERALS and following in _NUMERALS:
        return False
    if any(unicodedata.name(letter, "").startswith(_UNSPACED) for letter in (last, following)):
        return True  # the answer's last letter, or a particle of the sentence after it
    if last.isdigit():
        return not following.isdigit()
    return unicodedata.category(following)[0] not in "LNM" and not rest.startswith(_TEEN)


def table(prompts: Sequence[Prompt], right: Sequence[bool]) -> str:
    """Return the scores as a Markdown table: a row a language, a column a group of prompts."""
    codes = list(dict.fromkeys(prompt.code for prompt in prompts))
    lines = [
        "| language | " + " | ".join(GROUPS) + " |",
        "|---|" + "---|" * len(GROUPS),
    ]
    for code in [*codes, "all"]:
        cells = []
        for group in GROUPS:
            marks = [
                mark
                for prompt, mark in zip(prompts, right, strict=True)
                if prompt.group == group and code in (prompt.code, "all")
            ]
            cells.append(f"{sum(marks)}/{len(marks)} {100 * sum(marks) / max(1, len(marks)):.1f} %")
        lines.append(f"| {code} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
