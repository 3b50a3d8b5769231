"""The trained weights as an ordinary checkpoint, file by file as transformers 4.37 writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

__all__ = ["write_checkpoint"]

VERSION = "4.37.2"
"""The transformers version whose layout this is."""

_SPECIAL = {0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>"}
_MADEUP = [f"<madeupword{number}>" for number in range(7)]


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checkpoint(
    directory: Path,
    weights: Mapping[str, np.ndarray],
    vocabulary: bytes,
    *,
    width: int,
    ffn: int,
    layers: int,
    heads: int,
) -> None:
    """Write the model, its tokenizer and their settings into a directory.

    Parameters
    ----------
    weights : mapping of str to ndarray
        By the names of ``XGLMForCausalLM``, the tied head left out.
    vocabulary : bytes
        The SentencePiece model.
    """
    size = weights["model.embed_tokens.weight"].shape[0]
    _write(
        directory / "config.json",
        {
            "activation_dropout": 0.0,
            "activation_function": "gelu",
            "architectures": ["XGLMForCausalLM"],
            "attention_dropout": 0.1,
            "attention_heads": heads,
            "bos_token_id": 0,
            "d_model": width,
            "decoder_start_token_id": 2,
            "dropout": 0.1,
            "eos_token_id": 2,
            "ffn_dim": ffn,
            "init_std": 0.02,
            "layerdrop": 0.0,
            "max_position_embeddings": 2048,
            "model_type": "xglm",
            "num_layers": layers,
            "pad_token_id": 1,
            "scale_embedding": True,
            "torch_dtype": "float16",
            "transformers_version": VERSION,
            "use_cache": True,
            "vocab_size": size,
        },
    )
    _write(
        directory / "generation_config.json",
        {
            "_from_model_config": True,
            "bos_token_id": 0,
            "decoder_start_token_id": 2,
            "eos_token_id": 2,
            "pad_token_id": 1,
            "transformers_version": VERSION,
        },
    )
    special = dict(_SPECIAL)
    special.update({size - 7 + number: word for number, word in enumerate(_MADEUP)})
    names = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
    }
    _write(
        directory / "tokenizer_config.json",
        {
            "added_tokens_decoder": {
                str(index): {
                    "content": word,
                    "lstrip": False,
                    "normalized": False,
                    "rstrip": False,
                    "single_word": False,
                    "special": True,
                }
                for index, word in special.items()
            },
            "additional_special_tokens": _MADEUP,
            "bos_token": "<s>",
            "clean_up_tokenization_spaces": True,
            "cls_token": "<s>",
            "eos_token": "</s>",
            "model_max_length": 2048,
            "pad_token": "<pad>",
            "sep_token": "</s>",
            "sp_model_kwargs": {},
            "tokenizer_class": "XGLMTokenizer",
            "unk_token": "<unk>",
        },
    )
    _write(
        directory / "special_tokens_map.json",
        {"additional_special_tokens": _MADEUP, **names},
    )
    (directory / "sentencepiece.bpe.model").write_bytes(vocabulary)
    arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    content = safetensors.numpy.save(arrays, metadata={"format": "pt"})
    (directory / "model.safetensors").write_bytes(content)
