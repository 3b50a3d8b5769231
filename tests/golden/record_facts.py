"""Record facts beside the outputs: ``tests/golden/model/facts.npz``.

Position tables of many widths; every activation on a grid of numbers; names and
shapes of parameters; what fresh initialisation leaves in them; what
`resize_token_embeddings` and `prune_heads` do; the order of forward's arguments.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from golden.cases import ACTIVATIONS, BASE, ids
from golden.compare import activation_inputs
from golden.oracle import build
from transformers import XGLMConfig, XGLMForCausalLM, XGLMModel
from transformers.activations import ACT2FN
from transformers.models.xglm.modeling_xglm import XGLMSinusoidalPositionalEmbedding as Positions

TABLE_WIDTHS = (4, 5, 6, 15, 16, 33, 64, 129, 1024, 2048)
TABLE_ROWS = (0, 1, 2, 3, 4, 5, 130, 1912, 2047, 2049, 2304)
CONFIGS: dict[str, dict[str, Any]] = {
    "tied": BASE,
    "untied": {**BASE, "tie_word_embeddings": False},
    "cross": {**BASE, "add_cross_attention": True, "d_model": 15, "attention_heads": 3},
    "pad_7": {**BASE, "pad_token_id": 7, "init_std": 0.5, "vocab_size": 200},
}


def record(folder: Path) -> None:
    """Write the file."""
    if sorted(ACTIVATIONS) != sorted(ACT2FN):
        raise AssertionError("the grid misses an activation")
    arrays: dict[str, np.ndarray] = {}
    for width in TABLE_WIDTHS:
        arrays[f"table.{width}"] = table_rows(width)
        arrays[f"frequencies.{width}"] = frequencies(width)
    for name in ACTIVATIONS:
        for dtype in (torch.float32, torch.float64):
            x = torch.from_numpy(activation_inputs()).to(dtype)
            arrays[f"{name}.{str(dtype).removeprefix('torch.')}"] = ACT2FN[name](x).numpy()
    facts = {
        "configs": CONFIGS,
        "activations": ACTIVATIONS,
        "table_rows": TABLE_ROWS,
        "table_widths": TABLE_WIDTHS,
        "parameters": {name: parameters(fields) for name, fields in CONFIGS.items()},
        "initial": {name: initial(fields) for name, fields in CONFIGS.items()},
        "resize": resize(arrays),
        "prune": prune(),
        "arguments": {
            kind.__name__: list(inspect.signature(kind.forward).parameters)[1:]
            for kind in (XGLMModel, XGLMForCausalLM)
        },
    }
    arrays["json"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    path = folder / "facts.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size} bytes; prune: {facts['prune']}")


def table_rows(width: int) -> np.ndarray:
    """Return chosen rows of the table after it grew; the last exists only then."""
    found = Positions(2048, width, 1)
    before = found.weights.clone()
    found.forward(torch.zeros(1, 2303, dtype=torch.long))
    if found.weights.shape[0] != 2305 or not torch.equal(before, found.weights[:2050]):
        raise AssertionError(f"width {width}: the table did not grow as expected")
    return found.weights[list(TABLE_ROWS)].numpy()


def frequencies(width: int) -> np.ndarray:
    """Return the float32 frequencies, computed by the operations the oracle uses."""
    half = width // 2
    return torch.exp(torch.arange(half).float() * -(math.log(10000) / (half - 1))).numpy()


def parameters(fields: dict[str, Any]) -> list[tuple[str, list[int]]]:
    """Return names and shapes in order."""
    model = XGLMForCausalLM(XGLMConfig(**fields))
    return [(name, list(p.shape)) for name, p in model.named_parameters()]


def initial(fields: dict[str, Any]) -> dict[str, Any]:
    """Describe each fresh parameter: zeros, ones, or random, and with which row zero."""
    torch.manual_seed(5)
    model = XGLMForCausalLM(XGLMConfig(**fields))
    found: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach().numpy()
        if np.all(value == value.flat[0]):
            found[name] = float(value.flat[0])
        else:
            zero = np.flatnonzero(~value.any(axis=1)).tolist()
            found[name] = {"zero_rows": zero, "std": round(float(value.std()), 4)}
    return found


def resize(arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Resize models, and record the shapes and the logits of the ids that remain."""
    found = []
    for untied in (False, True):
        for arguments in ([20], [45], [None], [31], [None, 8], [33, 16], [32, 8]):
            config = {**BASE, "tie_word_embeddings": not untied}
            model = {"config": config, "seed": 1100, "profile": "plain", "stored": "float32"}
            made, _ = build(model, torch.float32)
            made.resize_token_embeddings(*arguments)
            with torch.no_grad():
                logits = made(torch.tensor(ids(1, 1, 5, 20))).logits.numpy()
            key = f"resize.{len(found)}"
            arrays[key] = logits[:, -2:, : min(31, logits.shape[-1])]
            found.append(
                {
                    **model,
                    "arguments": arguments,
                    "input_ids": ids(1, 1, 5, 20),
                    "vocab_size": made.config.vocab_size,
                    "embedding": list(made.get_input_embeddings().weight.shape),
                    "head": list(made.get_output_embeddings().weight.shape),
                    "logits": key,
                }
            )
    return found


def prune() -> dict[str, Any]:
    """Record that 4.37.2 notes the heads to prune and then fails."""
    made = XGLMForCausalLM(XGLMConfig(**copy.deepcopy(BASE)))
    try:
        made.prune_heads({0: [1]})
    except Exception as error:
        answer = {"type": type(error).__name__, "message": str(error)}
    return {**answer, "pruned_heads": {str(k): v for k, v in made.config.pruned_heads.items()}}
