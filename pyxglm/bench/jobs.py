"""Doing a job once, with the clock running only while it should.

Generation goes through `pyxglm.generation.stream`, prompts and scoring through the
model's own call: what is timed is what users run, with everything around it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pyxglm.bench.grid import Job
from pyxglm.cache import KVCache
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.generation import stream
from pyxglm.memory import check_generation

#: Seed of the tokens.
SEED = 7


class Sample(NamedTuple):
    """Nanoseconds that a job took, and until its first token was chosen, if it chose one."""

    ns: int
    first_token_ns: int | None


def run(model: Any, job: Job) -> Sample:
    """Do a job once with an `XGLMForCausalLM`."""
    return {
        "prompt": _prompt,
        "generate": _generate,
        "both": _generate,
        "score": _score,
    }[job.kind](model, job)


def check_memory(model: Any, job: Job) -> None:
    """Refuse a job whose keys and values, or whose passes, will not fit into memory.

    Raises
    ------
    MemoryError
        Saying how much is needed, and how much there is.
    """
    known, number = job.depth + job.prompt, COMPUTE[model.compute].itemsize
    length = known + job.generate
    check_generation(model.config, model.backend, number, job.batch, known, length)


def tokens(model: Any, B: int, T: int) -> Array:
    """Return random ids, none of them a special token's."""
    size = model.config.vocab_size
    return np.random.default_rng(SEED).integers(min(4, size - 1), size, (B, T))


def _prompt(model: Any, job: Job) -> Sample:
    ids_BT = tokens(model, job.batch, job.depth + job.prompt)
    cache = KVCache(model.config.num_layers, ids_BT.shape[1])
    if job.depth:
        model(ids_BT[:, : job.depth], past_key_values=cache, use_cache=True, logits_to_keep=1)
    begun = time.perf_counter_ns()
    outputs = model(
        ids_BT[:, job.depth :],
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=0 if job.all_logits else 1,
    )
    outputs.logits[:, -1].argmax(axis=-1)
    took = time.perf_counter_ns() - begun
    return Sample(took, took)


def _generate(model: Any, job: Job) -> Sample:
    """Generate behind a prompt that is timed, or behind `depth` tokens that are not."""
    behind = job.prompt or job.depth
    # As in llama-bench, n tokens are n passes besides the one over what comes before. Where
    # nothing does, there is one token to start from, and its pass is the first of the n.
    steps = job.generate + (1 if behind else 0)
    chosen = chosen_tokens(model, tokens(model, job.batch, behind or 1), steps)
    if job.depth:
        next(chosen)
    begun = time.perf_counter_ns()
    next(chosen)
    first = time.perf_counter_ns() - begun
    for _ in chosen:
        pass
    return Sample(time.perf_counter_ns() - begun, first)


def chosen_tokens(model: Any, ids_BT: Array, steps: int) -> Iterator[Array]:
    """Return greedy steps that no token ends."""
    return stream(model, ids_BT, max_new_tokens=steps, do_sample=False, eos_token_id=None)


def _score(model: Any, job: Job) -> Sample:
    ids_BT = tokens(model, job.batch, job.prompt)
    begun = time.perf_counter_ns()
    float(model(ids_BT, labels=ids_BT, use_cache=False, **loss_only(model)).loss)
    return Sample(time.perf_counter_ns() - begun, None)


def loss_only(model: Any) -> dict[str, bool]:
    """Return the argument that asks for the loss without all logits, if the model has it."""
    takes = "output_logits" in inspect.signature(model.forward).parameters
    return {"output_logits": False} if takes else {}
