"""The whole model once more, in a page: einsum and float64, from the published description."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, encoder_states, lm
from ops.naive import ACTIVATIONS

Array = np.ndarray


def norm(x: Array, part: dict[str, Array]) -> Array:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * part["weight"] + part["bias"]


def attend(x: Array, source: Array, part: dict[str, Any], heads: int, hidden: Array):
    def project(name: str, values: Array) -> Array:
        y = np.einsum("bti,oi->bto", values, part[name]["weight"]) + part[name]["bias"]
        return y.reshape(*y.shape[:2], heads, -1)

    q, k, v = project("q_proj", x), project("k_proj", source), project("v_proj", source)
    scores = np.einsum("bthk,bshk->bhts", q, k) / math.sqrt(q.shape[-1])
    powers = np.exp(np.where(hidden, -1e300, scores))
    weights = powers / powers.sum(-1, keepdims=True)
    out = np.einsum("bhts,bshk->bthk", weights, v).reshape(x.shape)
    out = np.einsum("bti,oi->bto", out, part["out_proj"]["weight"])
    return out + part["out_proj"]["bias"], weights


def tree(model: Any) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, array in model.state_dict().items():
        *parents, leaf = name.split(".")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array.astype(np.float64)
    return nested


def positions(T: int, D: int) -> Array:
    half = D // 2
    angles = (np.arange(T) + 2)[:, None] * 10000.0 ** (-np.arange(half) / (half - 1))
    return np.hstack([np.sin(angles), np.cos(angles), np.zeros((T, D % 2))])


def whole(model: Any, ids: Array, states: Array | None) -> dict[str, Any]:
    """Compute logits, hidden states and attentions."""
    config, weights = model.config, tree(model)
    T, D = ids.shape[1], config.d_model
    scale = math.sqrt(D) if config.scale_embedding else 1.0
    x = weights["model"]["embed_tokens"]["weight"][ids] * scale + positions(T, D)
    future = np.triu(np.ones((T, T), bool), 1)
    activation = np.vectorize(ACTIVATIONS[config.activation_function])
    hidden, attentions, crossed = [x], [], []
    for index in range(config.num_layers):
        layer = weights["model"]["layers"][str(index)]
        y = norm(x, layer["self_attn_layer_norm"])
        out, seen = attend(y, y, layer["self_attn"], config.attention_heads, future)
        x = x + out
        attentions.append(seen)
        if states is not None:
            y = norm(x, layer["encoder_attn_layer_norm"])
            nothing = np.zeros(1, bool)
            out, seen = attend(y, states, layer["encoder_attn"], config.attention_heads, nothing)
            x = x + out
            crossed.append(seen)
        y = norm(x, layer["final_layer_norm"])
        y = activation(y @ layer["fc1"]["weight"].T + layer["fc1"]["bias"])
        x = x + y @ layer["fc2"]["weight"].T + layer["fc2"]["bias"]
        hidden.append(x)
    hidden[-1] = norm(x, weights["model"]["layer_norm"])
    logits = hidden[-1] @ weights["lm_head"]["weight"].T
    return {"logits": logits, "hidden_states": hidden, "attentions": attentions,
            "cross_attentions": crossed}  # fmt: skip


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scale_embedding": False, "activation_function": "relu"},
        {"tie_word_embeddings": False, "attention_heads": 3, "d_model": 15, "ffn_dim": 1},
        {"add_cross_attention": True, "attention_heads": 1, "activation_function": "silu"},
        {"num_layers": 1, "attention_heads": 12},
    ],
)
def test_the_whole_model(fields: dict[str, Any], compute: str) -> None:
    model = lm(compute=compute, **fields)
    states = encoder_states() if model.config.add_cross_attention else None
    wanted = whole(model, IDS, states)
    found = model(
        IDS, encoder_hidden_states=states, output_attentions=True, output_hidden_states=True
    )
    # The table's angles are float32, by which these positions differ by 1e-7 at most.
    near = {"float32": 5e-6, "float64": 2e-6}[compute]
    assert apart(found.logits, wanted["logits"]) <= near
    for name in ("hidden_states", "attentions", "cross_attentions"):
        for mine, theirs in zip(found.get(name, ()), wanted[name], strict=True):
            assert apart(mine, theirs) <= near
