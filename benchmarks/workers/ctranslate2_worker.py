"""CTranslate2 as a worker (see `protocol`), through a loader of ours.

Its environment has NumPy and safetensors as well, for the loader. Generation is one call of
the runtime, which tells of each token when it has chosen it: that is where the clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ctranslate2
import numpy as np
from checkpoint import config_of, parameters
from converted import converted
from ctranslate2_xglm import convert, token
from protocol import SAID, Measured, Runtime, Said, serve
from stepping import random_ids

from pyxglm.bench.grid import Job


class Generator:
    """A model of the runtime."""

    def __init__(self, generator: Any, vocab_size: int) -> None:
        self.generator, self.vocab_size = generator, vocab_size

    def run(self, job: Job) -> Measured:
        """Do a job."""
        if job.kind == "prompt" and job.depth:
            raise ValueError("CTranslate2 takes no prompt behind a cache of the caller's")
        return {
            "prompt": self._every if job.all_logits else self._last,
            "generate": self._generate,
            "both": self._generate,
            "score": self._score,
        }[job.kind](job)

    def say(self, prompts: list[list[int]]) -> Said:
        """Return what the model says behind prompts."""
        logits = np.array(self.generator.forward_batch(prompts))[:, -1].tolist()
        return Said(self._chosen(prompts, SAID), logits, self._loss(prompts))

    def _chosen(
        self, ids: list[list[int]], count: int, tell: Callable[[Any], bool] | None = None
    ) -> list[list[int]]:
        """Return the next tokens, none of which ends the text."""
        found = self.generator.generate_batch(
            [[token(one) for one in row] for row in ids],
            max_length=count,
            end_token=[],
            sampling_topk=1,
            include_prompt_in_result=False,
            callback=tell,
        )
        chosen = [result.sequences_ids[0] for result in found]
        if any(len(row) != count for row in chosen):
            raise RuntimeError(f"a text ended before it had {count} tokens more")
        return chosen

    def _loss(self, ids: list[list[int]]) -> float:
        found = self.generator.score_batch(
            [[token(one) for one in row] for row in ids], max_input_length=0
        )
        every = [one for result in found for one in result.log_probs]
        return -sum(every) / len(every)

    def _last(self, job: Job) -> Measured:
        ids = random_ids(self.vocab_size, job.batch, job.prompt)
        begun = time.perf_counter_ns()
        self._chosen(ids, 1)
        took = time.perf_counter_ns() - begun
        return Measured(took, took)

    def _every(self, job: Job) -> Measured:
        ids = random_ids(self.vocab_size, job.batch, job.prompt)
        begun = time.perf_counter_ns()
        logits = np.array(self.generator.forward_batch(ids), copy=False)
        logits[:, -1:].argmax(-1)
        took = time.perf_counter_ns() - begun
        return Measured(took, took)

    def _generate(self, job: Job) -> Measured:
        behind = job.prompt or job.depth
        ids, times = random_ids(self.vocab_size, job.batch, behind or 1), []

        def tell(result: Any) -> bool:
            if result.batch_id == job.batch - 1:
                times.append(time.perf_counter_ns())
            return False

        begun = time.perf_counter_ns()
        self._chosen(ids, job.generate + (1 if behind else 0), tell)
        if job.depth:
            begun = times.pop(0)
        return Measured(times[-1] - begun, times[0] - begun)

    def _score(self, job: Job) -> Measured:
        ids = random_ids(self.vocab_size, job.batch, job.prompt)
        begun = time.perf_counter_ns()
        self._loss(ids)
        return Measured(time.perf_counter_ns() - begun, None)


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    version = ctranslate2.__version__
    generator = ctranslate2.Generator(
        str(converted(path, f"ctranslate2-{version}", convert)),
        compute_type="float32",
        inter_threads=1,
        intra_threads=threads,
    )
    model = Generator(generator, config_of(path)["vocab_size"])
    return Runtime(f"CTranslate2 {version}", "float32", 4 * parameters(path), model.run, model.say)


if __name__ == "__main__":
    serve(opened)
