"""transformers' model as an ONNX file that runtimes for such files open.

Inputs: ``input_ids`` (B, T); ``first``, the position from which on logits are wanted; and
each layer's cache, ``past.0.key`` (B, H, S, K) and so on. Outputs: ``logits`` and the longer
caches, ``present.0.key`` and so on. So one file serves the logits of the last position and
of all, and its weights are in memory once.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from converted import converted

FILE = "model.onnx"


def exported(path: str) -> Path:
    """Return the ONNX file of a checkpoint, in float32; written unless it is there."""
    versions = f"{version('transformers')}-{version('torch').split('+')[0]}"
    return converted(path, f"onnx-{versions}", export) / FILE


def caches(kind: str, layers: int) -> list[str]:
    """Return the names of all caches, ``past`` or ``present``, in order."""
    return [f"{kind}.{layer}.{part}" for layer in range(layers) for part in ("key", "value")]


def export(path: str, folder: Path) -> None:
    """Write the file."""
    import torch
    import transformers

    class Graph(torch.nn.Module):
        """What is traced."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, first: Any, *past: Any) -> tuple[Any, ...]:
            """Return logits and caches."""
            pairs = tuple(zip(past[::2], past[1::2], strict=True))
            outputs = self.model.model(input_ids=ids, past_key_values=pairs, use_cache=True)
            logits = self.model.lm_head(outputs.last_hidden_state[:, first:])
            return (logits, *(one for pair in outputs.past_key_values for one in pair))

    model = transformers.XGLMForCausalLM.from_pretrained(path, torch_dtype=torch.float32).eval()
    config = model.config
    B, T, S, H = 2, 3, 5, config.attention_heads  # any but 1, which means something of its own
    past = [torch.zeros(B, H, S, config.d_model // H) for _ in range(2 * config.num_layers)]
    ids = torch.randint(4, config.vocab_size, (B, T))
    before, after = (caches(kind, config.num_layers) for kind in ("past", "present"))
    axes = {
        "input_ids": {0: "B", 1: "T"},
        "logits": {0: "B", 1: "wanted"},
        **{name: {0: "B", 2: "S"} for name in before},
        **{name: {0: "B", 2: "S+T"} for name in after},
    }
    with torch.inference_mode():
        torch.onnx.export(
            Graph(model),
            (ids, torch.tensor(T - 1), *past),
            str(folder / FILE),
            input_names=["input_ids", "first", *before],
            output_names=["logits", *after],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
