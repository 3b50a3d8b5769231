"""When a row ends: its last token, a stop string, the time, or what a user's function says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyxglm.arguments import check_methods
from pyxglm.dtypes import Array
from pyxglm.generation.callbacks import Criterion, ended_by
from pyxglm.generation.setting_checks import stop_texts
from pyxglm.generation.settings import GenerationConfig


class Stopping:
    """All that ends a row but its length.

    Parameters
    ----------
    settings
        What is asked for.
    prompt_length
        Columns before the first generated one.
    tokenizer
        Anything with transformers' ``decode``; for `stop_strings`.
    own
        Users' functions.

    Raises
    ------
    ValueError
        If there are `stop_strings` and no tokenizer.
    TypeError
        If it is none.
    """

    def __init__(
        self,
        settings: GenerationConfig,
        prompt_length: int,
        tokenizer: Any = None,
        own: Sequence[Criterion] = (),
    ) -> None:
        self._eos_ids, self._own = settings.eos_ids, tuple(own)
        self._prompt_length, self._tokenizer = prompt_length, tokenizer
        self._texts = stop_texts(settings.stop_strings)
        if self._texts and tokenizer is None:
            raise ValueError(
                "stop_strings are given without a tokenizer, expected tokenizer=… to decode with"
            )
        if self._texts:
            check_methods("tokenizer", tokenizer, ("decode",), "XGLMTokenizer")
        self._until = None if settings.max_time is None else time.monotonic() + settings.max_time

    def __call__(self, ids_BS: Array, scores: Any = None) -> Array:
        """Tell which rows have ended with their last token."""
        return np.isin(ids_BS[:, -1], self._eos_ids) | self.besides_eos(ids_BS, scores)

    def besides_eos(self, ids_BS: Array, scores: Any = None) -> Array:
        """Tell which rows have ended for another reason than the id of their last token."""
        ended_B = np.zeros(len(ids_BS), bool)
        if self._until is not None and time.monotonic() > self._until:
            ended_B[:] = True
        if self._texts:
            ended_B |= [self._stopped(ids_S) for ids_S in ids_BS]
        return ended_B | ended_by(self._own, ids_BS, scores)

    @property
    def need_all_rows(self) -> bool:
        """Whether finished rows must come along: users' functions may count on them."""
        return bool(self._own)

    def _stopped(self, ids_S: Array) -> bool:
        """Tell whether the text generated for a row holds a stop string."""
        # A character is at most 4 tokens (of a byte each); earlier ones have been looked at.
        tokens = 4 * max(map(len, self._texts)) + 8
        text = text_after(self._tokenizer, ids_S, max(self._prompt_length, len(ids_S) - tokens))
        return any(stop in text for stop in self._texts)


def text_after(tokenizer: Any, ids_S: Array, start: int) -> str:
    """Return the text of the ids from `start` on, as the continuation of those before.

    The tokenizer drops the space at the beginning of a text; behind another
    token it is there. Special tokens show.
    """
    context = start
    before = ""
    while context > 0 and not before:
        context -= 1
        before = _decoded(tokenizer, ids_S[context:start])
    return _decoded(tokenizer, ids_S[context:])[len(before) :]


def _decoded(tokenizer: Any, ids: Array) -> str:
    text: str = tokenizer.decode(
        [int(id_) for id_ in ids], skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return text
