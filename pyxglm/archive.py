"""The tables of published checkpoints that transformers 4.37.2 has, under its names.

They hold what they hold there: one model, and where its files are. Nothing here
looks anything up in them; any hub id is accepted (`pyxglm.checkpoint.locate`).
"""

from __future__ import annotations

_NAME = "facebook/xglm-564M"
_FILES = f"https://huggingface.co/{_NAME}/resolve/main"

#: Where each published model's ``config.json`` is.
XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP: dict[str, str] = {_NAME: f"{_FILES}/config.json"}

#: The models that the PyTorch-shaped classes list, and TensorFlow's.
XGLM_PRETRAINED_MODEL_ARCHIVE_LIST: list[str] = [_NAME]
TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST: list[str] = [_NAME]

#: The files of a tokenizer: the slow one's, and the fast one's.
VOCAB_FILES_NAMES: dict[str, str] = {"vocab_file": "sentencepiece.bpe.model"}
FAST_VOCAB_FILES_NAMES: dict[str, str] = {**VOCAB_FILES_NAMES, "tokenizer_file": "tokenizer.json"}

#: Where each published tokenizer's files are: the slow one's, and the fast one's.
PRETRAINED_VOCAB_FILES_MAP: dict[str, dict[str, str]] = {
    name: {_NAME: f"{_FILES}/{file}"} for name, file in VOCAB_FILES_NAMES.items()
}
FAST_PRETRAINED_VOCAB_FILES_MAP: dict[str, dict[str, str]] = {
    name: {_NAME: f"{_FILES}/{file}"} for name, file in FAST_VOCAB_FILES_NAMES.items()
}

#: How many tokens a published model takes.
PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES: dict[str, int] = {_NAME: 2048}
