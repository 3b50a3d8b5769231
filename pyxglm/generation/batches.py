"""A long list of prompts, some at a time: similar lengths together, results in their order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.outputs import GenerateBeamDecoderOnlyOutput, GenerateDecoderOnlyOutput
from pyxglm.generation.prompts import Prompts
from pyxglm.generation.setting_checks import check_integer

#: What `progress` may be: whether to show it, or a function of (prompts done, all).
Progress = bool | Callable[[int, int], object]


def in_batches(
    run: Callable[..., Any], prompts: Prompts, batch_size: int, progress: Progress, pad: int
) -> Any:
    """Continue prompts, `batch_size` at a time, the longest first.

    Parameters
    ----------
    run
        Continues a batch: called with ``input_ids``, ``attention_mask`` and
        ``numbers`` (which prompts they are, for their random numbers), it
        returns a structured result.
    prompts
        All of them; padding before them is left out.
    batch_size
        The most prompts at a time.
    progress
        See `Progress`.
    pad
        Fills up what is short.

    Returns
    -------
    GenerateDecoderOnlyOutput or GenerateBeamDecoderOnlyOutput
        `sequences` (B * num_return_sequences, S): the prompts as given, and to
        the right as many columns as the longest continuation has;
        `sequences_scores` and `log_probs` if there are any.

    Raises
    ------
    TypeError, ValueError
        If `batch_size` is no whole number above 0.
    """
    check_integer("batch_size", batch_size, 1)
    (ids_BT, mask_BT), B = prompts, len(prompts.ids_BT)
    starts = mask_BT.argmax(axis=-1).tolist()
    # The longest first: if they do not fit into memory, that is known at once.
    order = sorted(range(B), key=starts.__getitem__)
    parts: list[tuple[list[int], Any, int]] = []
    for begin in range(0, B, batch_size):
        numbers = order[begin : begin + batch_size]
        result = run(
            input_ids=[ids_BT[b, starts[b] :] for b in numbers],
            attention_mask=[mask_BT[b, starts[b] :] for b in numbers],
            numbers=numbers,
        )
        parts.append((numbers, result, ids_BT.shape[1] - starts[numbers[0]]))
        _tell(progress, begin + len(numbers), B)
    return _joined(parts, prompts, pad)


def _joined(parts: list[tuple[list[int], Any, int]], prompts: Prompts, pad: int) -> Any:
    """Put the results of all batches, whose prompts have a width each, into one, in order."""
    B, T = prompts.ids_BT.shape
    several = len(parts[0][1].sequences) // len(parts[0][0])
    longest = max(result.sequences.shape[1] - width for _, result, width in parts)
    sequences = np.full((B * several, T + longest), pad, np.int64)
    sequences[:, :T] = np.repeat(prompts.ids_BT, several, axis=0)
    others: dict[str, Array] = {}
    for numbers, result, width in parts:
        here = np.concatenate([np.arange(several) + number * several for number in numbers])
        new = result.sequences.shape[1] - width
        sequences[here, T : T + new] = result.sequences[:, width:]
        for name in ("sequences_scores", "log_probs"):
            value = result.get(name)
            if value is not None:
                shape = (B * several, longest)[: value.ndim]
                whole = others.setdefault(name, np.zeros(shape, value.dtype))
                if value.ndim == 1:
                    whole[here] = value
                else:
                    whole[here, : value.shape[1]] = value
    beams = isinstance(parts[0][1], GenerateBeamDecoderOnlyOutput)
    kind: Any = GenerateBeamDecoderOnlyOutput if beams else GenerateDecoderOnlyOutput
    return kind(sequences=sequences, **others)


def _tell(progress: Progress, done: int, total: int) -> None:
    if progress is True:
        sys.stderr.write(f"\r{done}/{total} prompts" + ("\n" if done == total else ""))
        sys.stderr.flush()
    elif progress:
        progress(done, total)
