"""What transformers 4.37.2 and torch compute for a case. Only the recorder imports this."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from golden.flatten import FIELDS, flatten, structure
from golden.weights import Draws, as_array, as_stored, make_weights, widen
from transformers import XGLMConfig, XGLMForCausalLM

FLOATS = {"encoder_hidden_states", "head_mask", "cross_attn_head_mask", "inputs_embeds"}
ARRAYS = FLOATS | {
    "input_ids",
    "attention_mask",
    "position_ids",
    "encoder_attention_mask",
    "labels",
}


def build(model: dict[str, Any], dtype: torch.dtype) -> tuple[XGLMForCausalLM, dict[str, Any]]:
    """Return the oracle's model with the case's weights, and these weights as stored."""
    torch.manual_seed(0)
    made = XGLMForCausalLM(XGLMConfig(**model["config"]))
    shapes = {name: tuple(p.shape) for name, p in made.named_parameters()}
    weights = as_stored(make_weights(shapes, model["seed"], model["profile"]), model["stored"])
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(torch.from_numpy(widen(weights[name])))
    return made.to(dtype).eval(), weights


def arguments(
    call: dict[str, Any], weights: dict[str, Any], caches: list[Any], dtype: torch.dtype
) -> dict[str, Any]:
    """Turn a call's JSON into the keyword arguments of the oracle's forward."""
    found: dict[str, Any] = {}
    for name, value in call.items():
        if name == "past":
            # A copy: the oracle's cache must not be shared between branches.
            found["past_key_values"] = copy.deepcopy(caches[value][: call.get("past_layers")])
        elif name in ARRAYS and value is not None:
            tensor = torch.from_numpy(np.array(as_array(value, weights)))
            floats = name in FLOATS or (tensor.is_floating_point() or tensor.ndim == 4)
            found[name] = tensor.to(dtype) if floats else tensor
        elif name not in {"keep", "past_layers", "loss_type"}:
            found[name] = value
    return found


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make `dtype` torch's default for a while.

    The oracle builds its causal mask in the default dtype, which cannot hold
    the lowest float64: a float64 model runs only where float64 is the default.
    Its position table is computed in float32 all the same.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def trained(model: XGLMForCausalLM, case: dict[str, Any]) -> Iterator[None]:
    """Put a case's model into training mode, if it says so, with the case's draws.

    What to keep is drawn by `Draws` instead of torch, at the places where the
    oracle calls dropout, and for each call first of all the layers to leave out.
    """
    if "training" not in case:
        yield
        return
    draws, layers = Draws(case["training"]), []

    def begin(*_: Any) -> None:
        layers[:] = draws.random(model.config.num_layers) if model.config.layerdrop else []

    def rand(size: Any) -> torch.Tensor:
        return torch.tensor(layers.pop(0) if layers else 1.0)

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True) -> torch.Tensor:
        if not training or p == 0:
            return x
        kept = torch.from_numpy(draws.random(tuple(x.shape)) >= p).to(x.dtype)
        return x * (kept.div(1 - p) if p < 1 else torch.zeros_like(x))

    hook = model.model.register_forward_pre_hook(begin)
    functional = torch.nn.functional
    before = functional.dropout, torch.rand
    functional.dropout, torch.rand = dropout, rand
    model.train()
    try:
        yield
    finally:
        hook.remove()
        functional.dropout, torch.rand = before


def run_case(case: dict[str, Any], dtype: torch.dtype) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return, for each call, its arrays and structure; and the position table at the end."""
    model, weights = build(case, dtype)
    with default_dtype(dtype), torch.no_grad(), trained(model, case):
        results = run_calls(model, case, weights, dtype)
    return results, model.model.embed_positions.weights.float().numpy()


def run_calls(
    model: XGLMForCausalLM, case: dict[str, Any], weights: dict[str, Any], dtype: torch.dtype
) -> list[dict[str, Any]]:
    """Make a case's calls one after the other."""
    caches: list[Any] = []
    results = []
    for call in case["calls"]:
        given = arguments(call, weights, caches, dtype)
        outputs = model(**{**given, "return_dict": True})
        caches.append(outputs.past_key_values)
        arrays = flatten(outputs, call.get("keep", ["logits"]))
        if "labels" in call:
            arrays["loss_standard"] = standard_loss(outputs.logits, given["labels"])
        results.append({"arrays": arrays, "structure": structure(outputs)})
        asked = call.get("return_dict", case["config"].get("return_dict", True))
        if not asked:
            given = arguments(call, weights, caches, dtype)
            results[-1]["tuple"] = tuple_fields(model(**{**given, "return_dict": False}), outputs)
    return results


def standard_loss(logits_BTV: torch.Tensor, labels_BT: torch.Tensor) -> np.ndarray:
    """Return the mean next-token loss as upstream computes it since 2025: no invented target."""
    shifted = logits_BTV[:, :-1].reshape(-1, logits_BTV.shape[-1])
    targets = labels_BT[:, 1:].reshape(-1).long()
    return torch.nn.functional.cross_entropy(shifted, targets, ignore_index=-100).numpy()


def tuple_fields(found: tuple[Any, ...], outputs: Any) -> list[str]:
    """Name the entries of a tuple result by the mapping result of the same call."""
    present = {field: getattr(outputs, field) for field in FIELDS}

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, tuple) or isinstance(b, tuple):
            both = isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b)
            return both and all(same(x, y) for x, y in zip(a, b, strict=True))
        return bool(a.shape == b.shape and torch.equal(a, b))

    return [
        next(field for field, value in present.items() if value is not None and same(entry, value))
        for entry in found
    ]
