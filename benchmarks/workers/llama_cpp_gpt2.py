"""XGLM in llama.cpp's format, as a GPT-2: it has no XGLM.

The two differ in what a file can say (embeddings times √D, a table of sines for positions:
the weights say that) and in GELU, which GPT-2 takes by tanh: some logits differ a little.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from arrays import below_each_other, positions, queries_keys_values, weights_of
from checkpoint import config_of

FILE = "model.gguf"

#: GPT-2's names of what a layer has, beside its queries, keys and values.
PARTS = {
    "attn_norm": "self_attn_layer_norm",
    "attn_output": "self_attn.out_proj",
    "ffn_norm": "final_layer_norm",
    "ffn_up": "fc1",
    "ffn_down": "fc2",
}


def convert(path: str, folder: Path) -> None:
    """Write a checkpoint as llama.cpp reads it: matrices in float16, the rest in float32."""
    config, weights = config_of(path), weights_of(path)
    if config["activation_function"] != "gelu":
        raise ValueError(
            f"{path}: the activation is {config['activation_function']}, expected gelu for GPT-2"
        )
    D, P = config["d_model"], config["max_position_embeddings"]
    writer = gguf.GGUFWriter(folder / FILE, "gpt2")
    writer.add_context_length(P)
    writer.add_embedding_length(D)
    writer.add_feed_forward_length(config["ffn_dim"])
    writer.add_block_count(config["num_layers"])
    writer.add_head_count(config["attention_heads"])
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)

    embedding = weights["model.embed_tokens.weight"]
    scale = math.sqrt(D) if config["scale_embedding"] else 1.0
    matrix(writer, "token_embd", embedding * np.float32(scale))
    matrix(writer, "output", embedding)
    writer.add_tensor("position_embd.weight", positions(P, D))
    both(writer, "output_norm", weights, ["model.layer_norm"])
    for index in range(config["num_layers"]):
        layer = f"model.layers.{index}"
        both(writer, f"blk.{index}.attn_qkv", weights, queries_keys_values(layer))
        for theirs, ours in PARTS.items():
            both(writer, f"blk.{index}.{theirs}", weights, [f"{layer}.{ours}"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def both(writer: Any, name: str, weights: dict[str, Any], names: list[str]) -> None:
    """Write a weight and its bias."""
    weight, bias = (below_each_other(weights, names, part) for part in ("weight", "bias"))
    if weight.ndim == 2:
        matrix(writer, name, weight)
    else:
        writer.add_tensor(f"{name}.weight", weight)
    writer.add_tensor(f"{name}.bias", bias)


def matrix(writer: Any, name: str, value: Any) -> None:
    """Write a matrix in float16."""
    writer.add_tensor(f"{name}.weight", value.astype(np.float16))
