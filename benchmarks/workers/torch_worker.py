"""transformers on torch as a worker (see `protocol`); option: the dtype, float32 by default."""

from __future__ import annotations

import time
from typing import Any

import torch
import transformers
from protocol import Measured, Runtime, serve
from strategies import STRATEGIES, check_length, options, prompts

from pyxglm.bench.grid import Job


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    torch.set_num_threads(threads)
    dtype = words[0] if words else "float32"
    model = transformers.XGLMForCausalLM.from_pretrained(
        path, torch_dtype=getattr(torch, dtype)
    ).eval()
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())

    def run(job: Job) -> Measured:
        with torch.inference_mode():
            if job.kind in STRATEGIES:
                return generated(model, job)
            return {"prompt": prompt, "score": score}.get(job.kind, generate)(model, job)

    name = f"transformers {transformers.__version__} + torch {torch.__version__}"
    return Runtime(name, dtype, size, run)


def tokens(model: Any, B: int, T: int) -> torch.Tensor:
    """Return random ids, none of them a special token's."""
    generator = torch.Generator().manual_seed(7)
    return torch.randint(4, model.config.vocab_size, (B, T), generator=generator)


def step(
    model: Any, ids: torch.Tensor, past: Any, all_logits: bool = False
) -> tuple[torch.Tensor, Any]:
    """Run tokens through the model; return the next one and the cache."""
    outputs = model.model(input_ids=ids, past_key_values=past, use_cache=True)
    hidden = outputs.last_hidden_state
    logits = model.lm_head(hidden if all_logits else hidden[:, -1:])
    return logits[:, -1:].argmax(dim=-1), outputs.past_key_values


def prompt(model: Any, job: Job) -> Measured:
    """Process a prompt behind what is in the cache."""
    ids, past = tokens(model, job.batch, job.depth + job.prompt), None
    if job.depth:
        _, past = step(model, ids[:, : job.depth], None)
    begun = time.perf_counter_ns()
    step(model, ids[:, job.depth :], past, job.all_logits)
    took = time.perf_counter_ns() - begun
    return Measured(took, took)


def generate(model: Any, job: Job) -> Measured:
    """Generate behind a prompt that is timed, or behind `depth` tokens that are not."""
    behind = job.prompt or job.depth
    ids, past = tokens(model, job.batch, behind or 1), None
    passes = job.generate + (1 if behind else 0)
    if job.depth:
        ids, past = step(model, ids, past)
        passes -= 1
    begun, first = time.perf_counter_ns(), None
    for _ in range(passes):
        ids, past = step(model, ids, past)
        first = time.perf_counter_ns() - begun if first is None else first
    return Measured(time.perf_counter_ns() - begun, first)


def generated(model: Any, job: Job) -> Measured:
    """Call transformers' `generate`."""
    ids = torch.tensor(prompts(job, model.config.vocab_size))
    model.generation_config.eos_token_id = None  # what None in a call falls back to
    begun = time.perf_counter_ns()
    found = model.generate(ids, attention_mask=torch.ones_like(ids), **options(job))
    took = time.perf_counter_ns() - begun
    check_length(job, len(found[0]))
    return Measured(took, None)


def score(model: Any, job: Job) -> Measured:
    """Compute the loss of texts."""
    ids = tokens(model, job.batch, job.prompt)
    begun = time.perf_counter_ns()
    model(input_ids=ids, labels=ids, use_cache=False).loss.item()
    return Measured(time.perf_counter_ns() - begun, None)


if __name__ == "__main__":
    serve(opened)
