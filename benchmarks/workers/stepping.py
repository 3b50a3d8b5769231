"""Jobs for runtimes that take tokens and a cache, and return logits and a cache.

What differs between such runtimes is a class with three methods; the jobs are here, once.
Arrays are the runtime's own (NumPy's or torch's): they are cut, and asked for their largest
element. Nothing but the standard library may be imported here.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from typing import Any

from protocol import SAID, Measured, Runtime, Said

from pyxglm.bench.grid import Job

#: Seed of the tokens.
SEED = 7


class Stepping(ABC):
    """A model that takes tokens and a cache, and returns logits and a cache."""

    vocab_size: int

    @abstractmethod
    def ids(self, rows: list[list[int]]) -> Any:
        """Return tokens (B, T) as the runtime takes them."""

    @abstractmethod
    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return the logits (B, T or 1, V) of tokens behind a cache, or None, and the new cache."""

    @abstractmethod
    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""

    def run(self, job: Job) -> Measured:
        """Do a job."""
        return {
            "prompt": self._prompt,
            "generate": self._generate,
            "both": self._generate,
            "score": self._score,
        }[job.kind](job)

    def say(self, prompts: list[list[int]]) -> Said:
        """Return what the model says behind prompts."""
        logits, past = self.step(self.ids(prompts), None)
        behind, chosen = logits[:, -1].tolist(), []
        for _ in range(SAID):
            chosen.append(logits[:, -1:].argmax(-1))
            logits, past = self.step(chosen[-1], past)
        columns = [ids[:, 0].tolist() for ids in chosen]
        return Said([list(row) for row in zip(*columns, strict=True)], behind,
                    self.loss(self.ids(prompts)))  # fmt: skip

    def runtime(self, name: str, weights: str, weight_bytes: int) -> Runtime:
        """Return what `protocol.serve` wants."""
        return Runtime(name, weights, weight_bytes, self.run, self.say)

    def tokens(self, B: int, T: int) -> Any:
        """Return random ids, none of them a special token's."""
        return self.ids(random_ids(self.vocab_size, B, T))

    def _prompt(self, job: Job) -> Measured:
        """Process a prompt behind what is in the cache."""
        ids, past = self.tokens(job.batch, job.depth + job.prompt), None
        if job.depth:
            _, past = self.step(ids[:, : job.depth], None)
        begun = time.perf_counter_ns()
        logits, _ = self.step(ids[:, job.depth :], past, job.all_logits)
        logits[:, -1:].argmax(-1)
        took = time.perf_counter_ns() - begun
        return Measured(took, took)

    def _generate(self, job: Job) -> Measured:
        """Generate behind a prompt that is timed, or behind `depth` tokens that are not."""
        behind = job.prompt or job.depth
        ids, past = self.tokens(job.batch, behind or 1), None
        passes = job.generate + (1 if behind else 0)
        if job.depth:
            logits, past = self.step(ids, past)
            ids = logits[:, -1:].argmax(-1)
            passes -= 1
        begun, first = time.perf_counter_ns(), None
        for _ in range(passes):
            logits, past = self.step(ids, past)
            ids = logits[:, -1:].argmax(-1)
            first = time.perf_counter_ns() - begun if first is None else first
        return Measured(time.perf_counter_ns() - begun, first)

    def _score(self, job: Job) -> Measured:
        """Compute the loss of texts."""
        ids = self.tokens(job.batch, job.prompt)
        begun = time.perf_counter_ns()
        self.loss(ids)
        return Measured(time.perf_counter_ns() - begun, None)


def random_ids(vocab_size: int, B: int, T: int) -> list[list[int]]:
    """Return random ids, none of them a special token's.

    >>> random_ids(10, 2, 3) == random_ids(10, 2, 3)
    True
    """
    drawn = random.Random(SEED)  # noqa: S311
    return [[drawn.randrange(4, vocab_size) for _ in range(T)] for _ in range(B)]
