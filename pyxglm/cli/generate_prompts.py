"""What ``pyxglm generate`` continues: one text, or a file with a prompt on each line."""

from __future__ import annotations

import argparse
from typing import Any

from pyxglm.cli.arguments import Parser, UsageError, add_text_options, file_text, given_text
from pyxglm.cli.arguments import stdin_text as standard_input
from pyxglm.strict_json import RefusalError, parse_value


def add_prompt_options(parser: Parser) -> None:
    """Add the ways to give prompts."""
    add_text_options(parser, "PROMPT", "the text to continue")
    parser.add_argument(
        "--jsonl",
        metavar="FILE",
        help='continue many prompts: each line of FILE is a JSON text, or an object with "prompt";'
        " for each there is a line of JSON, in the same order, as soon as it is known; - reads"
        " standard input",
    )
    parser.add_argument(
        "--few-shot", metavar="FILE", help="lines (examples) to put before every prompt"
    )
    parser.add_argument(
        "--line-breaks",
        "--newline",
        dest="newline",
        choices=("space", "eos"),
        help="what a line break in the prompt means: a space, as for transformers' tokenizer,"
        " or the token </s>, as in XGLM's training data (default: space, unless the checkpoint"
        " says otherwise)",
    )


def given_prompts(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the prompts: objects that have a "prompt" at least."""
    before = ""
    if arguments.few_shot is not None:
        before = file_text(arguments.few_shot, "--few-shot").rstrip("\r\n")
        before = f"{before}\n" if before.strip() else ""  # of no examples nothing is told
    if arguments.jsonl is None:
        return [{"prompt": before + given_text(arguments, "PROMPT")}]
    if arguments.text or arguments.file is not None:
        raise UsageError("PROMPT and --jsonl FILE are given, expected one of them")
    name = arguments.jsonl
    text = standard_input() if name == "-" else file_text(name, "--jsonl")
    found = [
        _prompt(line, number, name, before)
        for number, line in enumerate(text.split("\n"), 1)  # others may stand in a JSON text
        if line.strip()
    ]
    if not found:
        raise UsageError(f"{name} has no lines, expected a prompt on each")
    return found


def _prompt(line: str, number: int, name: str, before: str) -> dict[str, Any]:
    try:
        # It is written back: what no JSON can say would make the results' line none either.
        value = parse_value(line)
    except RefusalError as refusal:
        raise UsageError(f"{name}: line {number}: {refusal}") from None
    except (ValueError, RecursionError):
        value = None
    value = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or not isinstance(value.get("prompt"), str):
        raise UsageError(
            f'{name}: line {number} is {line[:40]!r}, expected a JSON text or {{"prompt": …}}'
        )
    return {**value, "prompt": before + value["prompt"]}
