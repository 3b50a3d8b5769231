"""Which options of ``pyxglm generate`` cannot be had together."""

from __future__ import annotations

import argparse
from typing import Any

from pyxglm.cli.arguments import UsageError


def check_together(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other, whatever the model."""
    if arguments.interactive:
        if arguments.json or arguments.jsonl is not None:
            raise UsageError("--interactive is given with --json or --jsonl, expected one of them")
        if arguments.stream is False:
            raise UsageError("--interactive is given with --no-stream, expected one of them")
        if arguments.file == "-" or arguments.text == ["-"]:
            raise UsageError(
                "- is given with --interactive, which reads its turns from standard input"
            )
    if arguments.json and arguments.jsonl is not None:
        raise UsageError("--json and --jsonl are given, expected one of them")
    if arguments.no_echo and (arguments.json or arguments.jsonl is not None):
        way = "--json" if arguments.json else "--jsonl"
        raise UsageError(f"--no-echo is given with {way}, which tells the prompt too")
    if arguments.batch_size is not None and arguments.jsonl is None:
        raise UsageError("--batch-size is given without --jsonl, whose prompts it counts")
    if arguments.num_assistant_tokens is not None and arguments.assistant_model is None:
        raise UsageError("--num-assistant-tokens is given without --assistant-model")


def check_asked(arguments: argparse.Namespace, asked: Any) -> None:
    """Refuse options that the settings, some of which may be the checkpoint's, leave no use."""
    why = told_at_the_end(arguments, asked)
    if why is not None and arguments.stream:
        raise UsageError(f"--stream is given with {why}, which tells the text only at the end")
    if why is None and asked.penalty_alpha:
        # It is shown as it comes, but does not go on from what is remembered of other turns.
        why = _told_as(arguments, "penalty_alpha", "--penalty-alpha", asked.penalty_alpha)
    if why is not None and arguments.interactive:
        raise UsageError(f"--interactive is given with {why}, expected one of them")
    if arguments.negative_prompt is not None and asked.guidance_scale in (None, 1):
        raise UsageError(
            "--negative-prompt is given, expected a --guidance-scale other than 1 with it"
        )


def told_at_the_end(arguments: argparse.Namespace, asked: Any) -> str | None:
    """Return what makes that no text is shown as it comes; None if nothing does."""
    if arguments.jsonl is not None:
        return "--jsonl"
    if arguments.json:
        return "--json"
    for name, option in (("num_beams", "--beams"), ("num_return_sequences", "--num-return")):
        number = getattr(asked, name)
        if number > 1:
            return _told_as(arguments, name, option, number)
    return None


def _told_as(arguments: argparse.Namespace, name: str, option: str, value: Any) -> str:
    """Return how a setting was asked for: by its option, or by --set or the checkpoint."""
    return option if getattr(arguments, name) is not None else f"{name}={value}"
