"""A model with everything that is asked of it but the prompt: for ``pyxglm generate``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from pyxglm.cli.terminal import say

#: A batch is chosen among the prompts of so many batches.
AHEAD = 8

#: What is given to generate besides settings.
_NO_SETTINGS = ("tokenizer", "assistant_model", "negative_prompt_ids")


class Call:
    """A model with everything that is asked of it but the prompt.

    Parameters
    ----------
    model, tokenizer
        What a text is continued with.
    options
        Of `pyxglm.generation.generate`.
    verbose
        Whether to tell of speed.
    """

    def __init__(self, model: Any, tokenizer: Any, options: dict[str, Any], verbose: bool) -> None:
        from pyxglm.generation.planning import default_settings

        # Whatever a checkpoint or --set says: what is told of a text here is told otherwise.
        options = {**options, "tokenizer": tokenizer, "return_dict_in_generate": False}
        self.model, self.tokenizer, self.options = model, tokenizer, options
        self.verbose = verbose
        settings = {name: value for name, value in options.items() if name not in _NO_SETTINGS}
        self.settings = default_settings(model).updated(**settings)
        self.stops = self.settings.stop_strings or ()
        lookup = self.settings.prompt_lookup_num_tokens is not None
        proposes = lookup or "assistant_model" in options
        self._one_at_a_time = proposes or "negative_prompt_ids" in options
        self._forget_speed()

    def encoded(self, prompt: str) -> list[int]:
        """Return the ids of a prompt, `</s>` first, as XGLM expects."""
        from pyxglm.generation.texts import encode

        return encode(self.tokenizer, prompt, self.settings.newline)

    def steps(self, prompt_ids: list[int], **more: Any) -> Iterator[int]:
        """Check everything; return an iterator over the ids that are added to a prompt."""
        from pyxglm.generation import stream

        self._forget_speed()
        options = {**self.options, **_no_padding([prompt_ids]), **more}
        return self._timed(stream(self.model, [prompt_ids], **options))

    def pieces(self, prompt_ids: list[int], **more: Any) -> Iterator[str]:
        """Check everything; return an iterator over the text that is added to a prompt."""
        return self.text_of(self.steps(prompt_ids, **more), prompt_ids)

    def text_of(self, ids: Iterable[int], prompt_ids: list[int]) -> Iterator[str]:
        """Yield the text of ids behind a prompt, up to a stop string."""
        from pyxglm.generation import text_pieces

        return text_pieces(
            self.tokenizer, ids, prompt_ids=prompt_ids, stop_strings=self.stops,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,  # the text as the model wrote it
        )  # fmt: skip

    def texts(self, prompts: Sequence[str], batch_size: int) -> Iterator[list[dict[str, Any]]]:
        """Yield what is told in JSON of each prompt's texts, in order, as soon as it is known."""
        self._forget_speed()
        ids = [self.encoded(prompt) for prompt in prompts]
        batches = list(in_order([*map(len, ids)], 1 if self._one_at_a_time else batch_size))
        self._check(batches, ids)
        done: dict[int, list[dict[str, Any]]] = {}
        waited_for = 0
        for numbers in batches:
            batch = [ids[number] for number in numbers]
            rows = self._added(batch, numbers)
            several = len(rows) // len(batch)
            for place, number in enumerate(numbers):
                new = rows[place * several : (place + 1) * several]
                done[number] = [self._told(added, ids[number]) for added in new]
            self._last = time.perf_counter()
            while waited_for in done:
                texts = done.pop(waited_for)
                self._count += sum(len(one["ids"]) for one in texts)
                waited_for += 1
                yield texts

    def tell(self) -> None:
        """Tell of speed, if that is wanted and anything was generated."""
        if self.verbose and self._count:
            took = max(self._last - self._begun, 1e-9)
            told = f"{self._count} tokens in {took:.2f} s: {self._count / took:.1f} tokens/s"
            if self._first is not None:
                told += f", the first after {self._first - self._begun:.3f} s"
            say(told)

    def _forget_speed(self) -> None:
        self._begun = self._last = time.perf_counter()
        self._first: float | None = None
        self._count = 0

    def _timed(self, steps: Iterator[Any]) -> Iterator[int]:
        for step in steps:
            self._last = time.perf_counter()
            self._count += 1
            if self._first is None:
                self._first = self._last
            yield int(step[0])

    def _check(self, batches: list[list[int]], ids: list[list[int]]) -> None:
        """Refuse now what would fail half-way: a prompt or a batch that is too large."""
        from pyxglm.generation.plan import Extras
        from pyxglm.generation.planning import plan_of

        given = {name: self.options[name] for name in _NO_SETTINGS if name in self.options}
        lengths = [max(len(ids[number]) for number in numbers) for numbers in batches]
        longest = max(range(len(batches)), key=lengths.__getitem__)
        largest = max(range(len(batches)), key=lambda b: lengths[b] * len(batches[b]))
        for b in {longest, largest}:
            batch = [ids[number] for number in batches[b]]
            mask = _no_padding(batch)["attention_mask"]
            plan_of(self.model, batch, mask, self.settings, Extras(**given), {})

    def _added(self, prompt_ids: list[list[int]], numbers: list[int]) -> list[list[int]]:
        """Return what is added to the prompts of a batch: the ids of each row."""
        from pyxglm.generation import generate

        # An end token follows a beam that time has ended: that it came from no beam tells it
        # from one that was chosen.
        origins = self.settings.num_beams > 1 and self.settings.max_time is not None
        options = {**self.options, **_no_padding(prompt_ids), "ignore_padding": True}
        options["return_dict_in_generate"] = origins
        found = generate(self.model, prompt_ids, numbers=numbers, **options)
        width = max(map(len, prompt_ids))
        if not origins:
            return [row[width:].tolist() for row in found]
        chosen = (found.beam_indices >= 0).sum(axis=-1)
        pairs = zip(found.sequences, chosen, strict=True)
        return [row[width : width + count].tolist() for row, count in pairs]

    def _told(self, ids: list[int], prompt_ids: list[int]) -> dict[str, Any]:
        """Return a text, its ids without those behind its end, and why it ended."""
        s = self.settings
        most = s.max_new_tokens
        # In a batch, a row is filled up behind its end, perhaps with an id that ends others.
        ids = ids[: s.max_length - len(prompt_ids) if most is None else most]
        stopped = self._stopped_after(ids, prompt_ids)
        if stopped is not None:
            ids = ids[:stopped]
        elif s.num_beams > 1:  # where nothing can follow, a beam is shorter than others
            while len(ids) > 1 and ids[-1] == s.pad_token_id:
                ids = ids[:-1]
        text = "".join(self.text_of(ids, prompt_ids))
        return {"text": text, "ids": ids, "finish_reason": "length" if stopped is None else "stop"}

    def _stopped_after(self, ids: list[int], prompt_ids: list[int]) -> int | None:
        """Return after how many ids an end token or a stop string came; None if none did."""
        import numpy as np

        from pyxglm.generation.stopping import Stopping

        begun = len(prompt_ids)
        # The very rule that ended the row, but for the time.
        stopping = Stopping(self.settings.updated(max_time=None), begun, self.tokenizer)
        row_1S = np.array([[*prompt_ids, *ids]])
        for count in range(1, len(ids) + 1):
            if stopping(row_1S[:, : begun + count])[0]:
                return count
        return None


def in_order(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Yield batches of prompts: similar lengths together, and the first ones soon.

    The first prompt that is left is in the next batch; with it those that are
    nearest to it in length, among the few that follow.

    Examples
    --------
    >>> list(in_order([5, 90, 6, 91, 5], 2))
    [[0, 4], [1, 3], [2]]
    """
    waiting, window = iter(range(len(lengths))), list[int]()
    while True:
        window += islice(waiting, AHEAD * size - len(window))
        if not window:
            return
        first = lengths[window[0]]
        nearest = sorted(window, key=lambda number: abs(lengths[number] - first))[:size]
        window = [number for number in window if number not in nearest]
        yield nearest


def _no_padding(prompt_ids: list[list[int]]) -> dict[str, Any]:
    """Return a mask that shows every token: in a text, even one called <pad>."""
    return {"attention_mask": [[1] * len(ids) for ids in prompt_ids]}
