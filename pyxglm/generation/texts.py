"""Prompts that are texts: to ids, with what a line break means.

XGLM was trained on text whose lines ended in ``</s>``, the token that also
begins every text and ends every document. Its tokenizer, as in transformers,
turns a line break into a space: examples on lines of their own then look like
one long line to the model. With ``newline="eos"`` every line begins with
``</s>``, as in training.
"""

from __future__ import annotations

from typing import Any

from pyxglm.arguments import check_methods


def encode(tokenizer: Any, text: str, newline: str = "space") -> list[int]:
    r"""Return the ids of a prompt, the tokenizer's `</s>` first.

    Parameters
    ----------
    tokenizer
        Anything with transformers' ``encode``, which puts `</s>` first.
    text
        The prompt.
    newline
        What a line break means: ``"space"``, as the tokenizer has it, or
        ``"eos"``: every line is encoded by itself, so that each begins with
        `</s>`. An empty line gives a `</s>` of its own; line breaks at the end
        of the text are dropped, since what follows continues the last line.

    Raises
    ------
    ValueError
        If `newline` is something else.

    Examples
    --------
    >>> class Letters:
    ...     def encode(self, text):
    ...         return [2, *text.replace("\n", " ").encode()]
    >>> encode(Letters(), "a\nb\n"), encode(Letters(), "a\nb\n", "eos")
    ([2, 97, 32, 98, 32], [2, 97, 2, 98])
    """
    if newline not in ("space", "eos"):
        raise ValueError(f"newline is {newline!r}, expected 'space' or 'eos'")
    if newline == "space":
        return list(tokenizer.encode(text))
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return [id_ for line in lines for id_ in tokenizer.encode(line)]


def as_ids(inputs: Any, tokenizer: Any, newline: str) -> Any:
    """Return what a caller calls prompts with ids instead of texts.

    Raises
    ------
    ValueError
        If there are texts and no tokenizer.
    TypeError
        If texts and ids are mixed, or the tokenizer is none.
    """
    if isinstance(inputs, str):
        found: Any = as_ids([inputs], tokenizer, newline)
        return found
    if not isinstance(inputs, (list, tuple)) or not any(isinstance(one, str) for one in inputs):
        return inputs
    if tokenizer is None:
        raise ValueError("a prompt is a text, expected ids, or tokenizer=… to encode it with")
    for index, one in enumerate(inputs):
        if not isinstance(one, str):
            raise TypeError(f"prompt {index} is a {type(one).__name__}, expected a text")
    check_methods("tokenizer", tokenizer, ("encode",), "XGLMTokenizer")
    return [encode(tokenizer, one, newline) for one in inputs]
