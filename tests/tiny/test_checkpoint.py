"""The bundled model's files: the ordinary layout, small, and what the code expects of them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import sentencepiece

import pyxglm.tiny
from pyxglm.config import XGLMConfig
from pyxglm.parameters import parameter_shapes
from pyxglm.tiny.export import write_checkpoint
from pyxglm.tiny.vocabulary import BOUNDARY, END, PIECES, encode
from pyxglm.tokenization import XGLMTokenizer

PATH = pyxglm.tiny.PATH
LAYOUT = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "tokenizer_config.json",
}
MOST_BYTES = 8_000_000


def content(name):
    return json.loads((PATH / name).read_text(encoding="utf-8"))


def test_every_file_is_there_and_all_are_small():
    for name in LAYOUT:
        assert (PATH / name).is_file(), name
    assert sum((PATH / name).stat().st_size for name in LAYOUT) <= MOST_BYTES


def test_the_path_costs_nothing():
    code = "import sys, pyxglm.tiny; assert pyxglm.tiny.PATH.is_dir(); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd="/",
                          env={"PYTHONPATH": str(PATH.parents[1])})  # fmt: skip
    loaded = told.stdout.decode().split()
    assert "pyxglm.tiny" in loaded
    assert not {"torch", "sentencepiece", "safetensors", "pyxglm.tiny.corpus"} & set(loaded)


def test_the_configuration_is_xglm_s():
    config = XGLMConfig.from_pretrained(PATH)
    assert (config.bos_token_id, config.pad_token_id, config.eos_token_id) == (0, 1, 2)
    assert config.decoder_start_token_id == 2
    assert config.activation_function == "gelu"
    assert config.scale_embedding is True
    assert config.max_position_embeddings == 2048
    assert config.vocab_size == PIECES + 8
    assert content("config.json")["architectures"] == ["XGLMForCausalLM"]
    assert content("generation_config.json")["eos_token_id"] == 2


def test_the_weights_are_half_precision_and_complete():
    shapes = parameter_shapes(XGLMConfig.from_pretrained(PATH))
    with safetensors.safe_open(PATH / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == set(shapes)
        for name, shape in shapes.items():
            tensor = file.get_tensor(name)
            assert tensor.shape == shape, name
            assert tensor.dtype == np.float16, name
            assert np.isfinite(tensor).all(), name
    assert 2_000_000 < sum(np.prod(shape) for shape in shapes.values()) < 4_000_000


def test_the_vocabulary_is_laid_out_as_xglm_s():
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(PATH / "sentencepiece.bpe.model")
    )
    assert processor.get_piece_size() == PIECES
    assert [processor.id_to_piece(index) for index in range(3)] == ["<unk>", "<s>", "</s>"]
    tokenizer = XGLMTokenizer.from_pretrained(PATH)
    assert len(tokenizer) == PIECES + 8
    assert tokenizer("chat")["input_ids"][0] == END
    assert tokenizer("chat = cat </s> chien =")["input_ids"].count(END) == 2
    assert tokenizer.convert_ids_to_tokens(PIECES + 1) == "<madeupword0>"
    assert tokenizer.convert_ids_to_tokens(PIECES + 7) == "<madeupword6>"


def test_the_tokenizer_s_files_name_the_special_tokens():
    special = content("special_tokens_map.json")
    settings = content("tokenizer_config.json")
    assert settings["tokenizer_class"] == "XGLMTokenizer"
    assert [special[name] for name in ("eos_token", "sep_token", "pad_token", "unk_token")] == [
        "</s>", "</s>", "<pad>", "<unk>",
    ]  # fmt: skip
    assert special["additional_special_tokens"] == [f"<madeupword{n}>" for n in range(7)]
    table = {
        int(index): token["content"] for index, token in settings["added_tokens_decoder"].items()
    }
    assert [table[index] for index in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert table[PIECES + 1] == "<madeupword0>"
    assert len(table) == 11


def test_the_vocabulary_knows_every_sentence(corpus):
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(PATH / "sentencepiece.bpe.model")
    )
    units = corpus.epoch(0)[::8]
    for unit, ids in zip(units, encode(processor, units), strict=True):
        assert ids[-1] == END
        assert np.count_nonzero(ids == END) == len(unit)
    with pytest.raises(ValueError, match="not in the vocabulary"):
        encode(processor, [("ಕನ್ನಡ",)])


def test_no_piece_spans_a_prompt_and_its_answer(prompts):
    """Tokenized with its answer, a prompt begins with the tokens that it has alone."""
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(PATH / "sentencepiece.bpe.model")
    )
    for prompt in prompts:
        if prompt.group == "few-shot":
            continue
        blank = "" if prompt.code in ("zh", "ja") and prompt.relation != "translate" else " "
        alone = processor.encode(prompt.text)
        together = processor.encode(prompt.text + blank + prompt.answer)
        assert together[: len(alone)] == alone, prompt
    assert not any(BOUNDARY in processor.id_to_piece(index) for index in range(PIECES))


def test_the_bundled_files_are_what_export_writes(tmp_path):
    """The settings beside the weights are those of the export code, not edited since."""
    config = XGLMConfig.from_pretrained(PATH)
    with safetensors.safe_open(PATH / "model.safetensors", "np") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    write_checkpoint(
        tmp_path,
        weights,
        (PATH / "sentencepiece.bpe.model").read_bytes(),
        width=config.d_model,
        ffn=config.ffn_dim,
        layers=config.num_layers,
        heads=config.attention_heads,
    )
    for name in LAYOUT:
        assert (tmp_path / name).read_bytes() == (PATH / name).read_bytes(), name
