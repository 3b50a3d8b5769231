"""XGLM in CTranslate2's format, which has a converter for many models but not for this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arrays import below_each_other, positions, queries_keys_values, weights_of
from checkpoint import config_of
from ctranslate2.specs import common_spec, transformer_spec

ACTIVATIONS = {
    "gelu": common_spec.Activation.GELU,
    "gelu_new": common_spec.Activation.GELUTanh,
    "relu": common_spec.Activation.RELU,
    "silu": common_spec.Activation.SWISH,
}


def token(index: int) -> str:
    """Return how a token is written: the runtime wants words."""
    return str(index)


def convert(path: str, folder: Path) -> None:
    """Write a checkpoint as CTranslate2 reads it, in float32."""
    config, weights = config_of(path), weights_of(path)
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config["num_layers"],
        config["attention_heads"],
        pre_norm=True,
        activation=ACTIVATIONS[config["activation_function"]],
    )
    decoder = spec.decoder
    decoder.scale_embeddings = config["scale_embedding"]
    decoder.embeddings.weight = weights["model.embed_tokens.weight"]
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = positions(
        config["max_position_embeddings"], config["d_model"]
    )
    norm(decoder.layer_norm, weights, "model.layer_norm")
    for index, layer in enumerate(decoder.layer):
        name = f"model.layers.{index}"
        norm(layer.self_attention.layer_norm, weights, f"{name}.self_attn_layer_norm")
        linear(layer.self_attention.linear[0], weights, *queries_keys_values(name))
        linear(layer.self_attention.linear[1], weights, f"{name}.self_attn.out_proj")
        norm(layer.ffn.layer_norm, weights, f"{name}.final_layer_norm")
        linear(layer.ffn.linear_0, weights, f"{name}.fc1")
        linear(layer.ffn.linear_1, weights, f"{name}.fc2")
    spec.register_vocabulary([token(index) for index in range(config["vocab_size"])])
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = (
        token(config[name]) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    )
    spec.validate()
    spec.optimize(quantization="float32")
    spec.save(str(folder))


def norm(spec: Any, weights: dict[str, Any], name: str) -> None:
    """Fill in a layer norm."""
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def linear(spec: Any, weights: dict[str, Any], *names: str) -> None:
    """Fill in a linear layer, or several of the same input, one below the other."""
    spec.weight, spec.bias = (
        below_each_other(weights, list(names), part) for part in ("weight", "bias")
    )
