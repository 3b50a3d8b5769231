"""transformers on torch as a worker (see `protocol`); option: the dtype, float32 by default."""

from __future__ import annotations

import time
from typing import Any

import torch
import transformers
from protocol import Measured, Runtime, serve
from stepping import Stepping
from strategies import STRATEGIES, check_length, options, prompts

from pyxglm.bench.grid import Job


class Torch(Stepping):
    """transformers' model."""

    def __init__(self, model: Any) -> None:
        self.model, self.vocab_size = model, model.config.vocab_size

    def ids(self, rows: list[list[int]]) -> torch.Tensor:
        """Return tokens (B, T) as the runtime takes them."""
        return torch.tensor(rows)

    @torch.inference_mode()
    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return logits, of the last position or of all, and the new cache."""
        outputs = self.model.model(input_ids=ids, past_key_values=past, use_cache=True)
        hidden = outputs.last_hidden_state
        return self.model.lm_head(hidden if all_logits else hidden[:, -1:]), outputs.past_key_values

    @torch.inference_mode()
    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""
        loss: float = self.model(input_ids=ids, labels=ids, use_cache=False).loss.item()
        return loss

    def run(self, job: Job) -> Measured:
        """Do a job, one of `generate` too."""
        return self.generated(job) if job.kind in STRATEGIES else super().run(job)

    @torch.inference_mode()
    def generated(self, job: Job) -> Measured:
        """Call transformers' `generate`."""
        ids = self.ids(prompts(job, self.vocab_size))
        self.model.generation_config.eos_token_id = None  # what None in a call falls back to
        begun = time.perf_counter_ns()
        found = self.model.generate(ids, attention_mask=torch.ones_like(ids), **options(job))
        took = time.perf_counter_ns() - begun
        check_length(job, len(found[0]))
        return Measured(took, None)


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    torch.set_num_threads(threads)
    dtype = words[0] if words else "float32"
    model = transformers.XGLMForCausalLM.from_pretrained(
        path, torch_dtype=getattr(torch, dtype)
    ).eval()
    model.config.pad_token_id = -100  # the last label of old versions: then it does not count
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    name = f"transformers {transformers.__version__} + torch {torch.__version__}"
    return Torch(model).runtime(name, dtype, size)


if __name__ == "__main__":
    serve(opened)
