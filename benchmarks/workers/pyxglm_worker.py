"""pyxglm as a worker (see `protocol`).

Options: keywords of from_pretrained, as ``compute=x``; ``shortlist=1`` to make one.
"""

from __future__ import annotations

import time
from typing import Any

from protocol import SAID, Measured, Runtime, Said, serve
from strategies import STRATEGIES, check_length, options, prompts

import pyxglm
from pyxglm.bench import jobs, work
from pyxglm.bench.grid import Job
from pyxglm.dtypes import dtype_name


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    settings = dict(word.split("=", 1) for word in words)
    keywords = {name: value for name, value in settings.items() if name != "shortlist"}
    model = pyxglm.XGLMForCausalLM.from_pretrained(path, **keywords)
    if settings.get("shortlist") == "1":
        model.make_shortlist()
    name = [f"pyxglm {pyxglm.__version__}", model.backend]
    if model.backend == "c":
        from pyxglm.ops.native_library import isa

        pyxglm.set_num_threads(threads)
        name.append(isa())

    def run(job: Job) -> Measured:
        if job.kind in STRATEGIES:
            return generated(model, job)
        return Measured(*jobs.run(model, job))

    stored = work.weight_bytes(dict(model.named_parameters()))
    words = [f"{key} {value}" for key, value in settings.items()]

    def say(ids: list[list[int]]) -> Said:
        return said(model, ids)

    return Runtime(" ".join([*name, *words]), dtype_name(model.dtype), stored, run, say)


def said(model: Any, ids: list[list[int]]) -> Said:
    """Return what the model says behind prompts."""
    outputs = model(ids, labels=ids, use_cache=False, loss_type="standard")
    found = model.generate(
        ids, max_new_tokens=SAID, do_sample=False, eos_token_id=None, pad_token_id=1
    )
    chosen = [[int(token) for token in row[len(ids[0]) :]] for row in found]
    return Said(chosen, outputs.logits[:, -1].tolist(), float(outputs.loss))


def generated(model: Any, job: Job) -> Measured:
    """Call `generate`."""
    ids = prompts(job, model.config.vocab_size)
    mask = [[1] * len(row) for row in ids]
    begun = time.perf_counter_ns()
    found = model.generate(ids, attention_mask=mask, **options(job))
    took = time.perf_counter_ns() - begun
    check_length(job, len(found[0]))
    return Measured(took, None)


if __name__ == "__main__":
    serve(opened)
