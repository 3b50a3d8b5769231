"""Score the bundled model on its prompts: ``python -m pyxglm.tiny.evaluate``.

The model is read and run as any other: this package's tokenizer, NumPy decoder and greedy search.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyxglm.tiny import PATH
from pyxglm.tiny.corpus.holdout import Prompt
from pyxglm.tiny.prompts import read
from pyxglm.tiny.scoring import answered, table

if TYPE_CHECKING:
    from pyxglm.modeling import XGLMForCausalLM
    from pyxglm.tokenization import XGLMTokenizer

__all__ = ["Continuation", "continue_all", "main"]

TOKENS = 16
"""New tokens a prompt: enough for the longest answer, its full stop and ``</s>``."""
BATCH = 64


class Continuation(NamedTuple):
    """What the model goes on with, and whether it ended by itself."""

    text: str
    ended: bool


def continue_all(
    model: XGLMForCausalLM,
    tokenizer: XGLMTokenizer,
    prompts: Sequence[Prompt],
    *,
    max_new_tokens: int = TOKENS,
) -> list[Continuation]:
    """Return the greedy continuation of every prompt, in their order.

    Prompts of similar length share a batch; their padding does not change what follows.
    """
    ids = [tokenizer(prompt.text)["input_ids"] for prompt in prompts]
    found: dict[int, Continuation] = {}
    order = sorted(range(len(prompts)), key=lambda index: len(ids[index]))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        width = max(len(ids[index]) for index in chosen)
        generated = model.generate([ids[index] for index in chosen], max_new_tokens=max_new_tokens)
        for index, row in zip(chosen, _new(generated, width), strict=True):
            ended = tokenizer.eos_token_id in row
            text = tokenizer.decode(row, skip_special_tokens=True)
            found[index] = Continuation(text, ended)
    return [found[index] for index in range(len(prompts))]


def _new(generated: np.ndarray, width: int) -> Iterator[list[int]]:
    """Yield the generated part of every row; prompts are padded on the left to ``width``."""
    for row in generated:
        yield [int(token) for token in row[width:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of scores; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyxglm.tiny.evaluate", description=__doc__)
    parser.add_argument("-m", "--model", default=str(PATH), help="a checkpoint's directory")
    parser.add_argument("--wrong", action="store_true", help="list the wrong answers too")
    options = parser.parse_args(arguments)
    from pyxglm.modeling import XGLMForCausalLM
    from pyxglm.tokenization import XGLMTokenizer

    directory = Path(options.model)
    model = XGLMForCausalLM.from_pretrained(directory)
    tokenizer = XGLMTokenizer.from_pretrained(directory)
    prompts = read()
    began = time.monotonic()
    continuations = continue_all(model, tokenizer, prompts)
    seconds = time.monotonic() - began
    right = [
        answered(prompt, continuation.text)
        for prompt, continuation in zip(prompts, continuations, strict=True)
    ]
    print(table(prompts, right))
    ended = sum(continuation.ended for continuation in continuations)
    print(f"\n{ended} of {len(prompts)} continuations end within {TOKENS} tokens", end=", ")
    print(f"{seconds:.1f} s")
    if options.wrong:
        for prompt, continuation, good in zip(prompts, continuations, right, strict=True):
            if not good:
                print(f"{prompt.group} {prompt.code}: {prompt.text} [{prompt.answer}]", end=" ")
                print(continuation.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
