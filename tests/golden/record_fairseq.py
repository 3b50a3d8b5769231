"""Build small checkpoints of fairseq's structure, and record what transformers makes of them.

    PYTHONPATH=<omegaconf's directory> python tests/golden/record_fairseq.py

For torch, transformers 4.37.2 and, one after the other, omegaconf 2.0.6 (which fairseq
asks for) and a later one. fairseq itself cannot be installed with a torch or Python of
today: these files are *not* written by fairseq. They are built, with torch.save and
omegaconf's own nodes, of the structure that fairseq's trainer writes: arguments under
``cfg`` (dicts or omegaconf nodes) or ``args`` (a Namespace), tensors under ``model`` with
the buffers that fairseq keeps there, the training's state beside them. Classes of
fairseq's own, which omegaconf's metadata name, are stand-ins in modules of those names.

Each directory of `tests/golden/fairseq/` holds ``model.pt`` and ``dict.txt``, and of the
transformers model that the tensors were taken from `expected.npz`, the bits of each
parameter, and `expected.json`, the configuration. That one follows from the arguments as
in transformers' conversion script, but for the activation function, which the script takes
to be GELU.
"""

import argparse
import enum
import json
import shutil
import sys
import types
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import omegaconf
import torch
from omegaconf import II, OmegaConf
from transformers import XGLMConfig, XGLMForCausalLM

HERE = Path(__file__).parent / "fairseq"
WORDS = 13  # with 4 special tokens and padding to a multiple of 8: 24 rows

ARGUMENTS = {
    "_name": "transformer_lm_gpt2_small",
    "activation_fn": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.0,
    "decoder_layerdrop": 0.0,
    "decoder_embed_dim": 8,
    "decoder_ffn_embed_dim": 12,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_input_dim": 8,
    "decoder_output_dim": 8,
    "decoder_normalize_before": False,  # as stored; the architecture sets it when it is built
    "decoder_learned_pos": False,
    "no_scale_embedding": False,
    "share_decoder_input_output_embed": True,
    "adaptive_softmax_cutoff": None,
    "max_target_positions": 2048,
    "tokens_per_sample": 2048,
}


def module(name: str) -> types.ModuleType:
    """Return a module that stands for one of fairseq's."""
    for end in range(1, name.count(".") + 2):
        part = ".".join(name.split(".")[:end])
        sys.modules.setdefault(part, types.ModuleType(part))
    return sys.modules[name]


def stand_in(name: str, cls: type) -> type:
    """Let a class be pickled under the name of one of fairseq's."""
    cls.__module__, cls.__qualname__ = name, cls.__name__
    setattr(module(name), cls.__name__, cls)
    return cls


@dataclass
class TransformerLanguageModelConfig:
    activation_fn: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    decoder_layerdrop: float = 0.0
    decoder_embed_dim: int = 8
    decoder_ffn_embed_dim: int = 12
    decoder_layers: int = 1
    decoder_attention_heads: int = 2
    decoder_learned_pos: bool = False
    no_scale_embedding: bool = False
    share_decoder_input_output_embed: bool = True
    adaptive_softmax_cutoff: Optional[str] = None  # noqa: UP045 (as omegaconf 2.0 reads it)
    max_target_positions: Optional[int] = II("task.max_target_positions")  # noqa: UP045


class DDP(enum.Enum):
    C10D = "pytorch_ddp"


def tensors(model: XGLMForCausalLM, *, head: bool, mevo: bool) -> OrderedDict[str, Any]:
    """Return a state dict as fairseq names and pads it."""
    state: OrderedDict[str, Any] = OrderedDict()
    state["decoder.version"] = torch.tensor([3.0])
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        state["decoder." + name.removeprefix("model.")] = value
    state["decoder.embed_positions._float_tensor"] = torch.zeros(1)
    if head:
        state["decoder.output_projection.weight"] = model.lm_head.weight.detach()
    if mevo:
        state["decoder.mevo_layer.proj_0.weight"] = torch.randn(3, 2)
        state["decoder.mevo_layer.proj_1.weight"] = torch.randn(3, 2)
    state._metadata = OrderedDict([("", {"version": 1})])
    return state


def training() -> dict[str, Any]:
    """Return what else a trainer writes."""
    return {
        "criterion": OrderedDict(),
        "optimizer_history": [
            {
                "criterion_name": "CrossEntropyCriterion",
                "optimizer_name": "MemoryEfficientFP16Optimizer",
                "lr_scheduler_state": {"best": None},
                "num_updates": 238000,
            }
        ],
        "task_state": {},
        "extra_state": {
            "metrics": OrderedDict(
                default=[(-20, "loss", "AverageMeter", {"val": torch.tensor(2.5), "round": 3})]
            ),
            "previous_training_time": 1.5e6,
            "train_iterator": {"epoch": 3, "iterations_in_epoch": 12, "shuffle": True},
            "val_loss": np.float64(2.25),
        },
        "last_optimizer_state": {"param_groups": [{"lr": 1e-4}], "state": {0: {"step": 1}}},
    }


def build(dtype: torch.dtype, seed: int, arguments: dict[str, Any]) -> XGLMForCausalLM:
    """Return a model of the configuration that transformers' conversion reads off."""
    torch.manual_seed(seed)
    config = XGLMConfig(
        vocab_size=24,
        max_position_embeddings=arguments["max_target_positions"],
        num_layers=arguments["decoder_layers"],
        attention_heads=arguments["decoder_attention_heads"],
        ffn_dim=arguments["decoder_ffn_embed_dim"],
        d_model=arguments["decoder_embed_dim"],
        layerdrop=arguments["decoder_layerdrop"],
        dropout=arguments["dropout"],
        attention_dropout=arguments["attention_dropout"],
        activation_dropout=arguments["activation_dropout"],
        activation_function=arguments["activation_fn"],  # "gelu" in the script, whatever it is
        scale_embedding=not arguments["no_scale_embedding"],
        tie_word_embeddings=arguments["share_decoder_input_output_embed"],
    )
    model = XGLMForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return model.to(dtype)


def keep(case: str, model: XGLMForCausalLM, checkpoint: dict[str, Any], **options: Any) -> None:
    """Write a case's files."""
    place = HERE / case
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    torch.save(checkpoint, place / "model.pt", **options)
    words = "".join(f"▁word{n} {1000 - n}\n" for n in range(WORDS))
    (place / "dict.txt").write_text(words, encoding="utf-8")
    (place / "expected.json").write_text(json.dumps(model.config.to_diff_dict(), indent=1))
    kinds = {2: torch.int16, 4: torch.int32}
    np.savez_compressed(
        place / "expected.npz",
        **{
            name: parameter.detach().view(kinds[parameter.element_size()]).numpy()
            for name, parameter in model.named_parameters()
        },
    )


def record(version: str) -> None:
    """Write every case; those with omegaconf's nodes under the name of its version."""
    stand_in("fairseq.models.transformer_lm", TransformerLanguageModelConfig)
    stand_in("fairseq.dataclass.constants", DDP)

    arguments = dict(ARGUMENTS)
    if version.startswith("2.0"):
        model = build(torch.float16, 1, arguments)
        cfg = {"_name": None, "model": arguments, "task": {"data": "/data", "_name": "lm"}}
        state = {"args": None, "cfg": cfg, "model": tensors(model, head=True, mevo=False)}
        keep("dicts", model, {**state, **training()})

        # The 4.5B model: ReLU, and layers that nothing reads.
        arguments = {**ARGUMENTS, "activation_fn": "relu"}
        model = build(torch.float16, 2, arguments)
        namespace = argparse.Namespace(**{**arguments, "arch": "transformer_lm_gpt2_big"})
        cfg = {"model": namespace, "distributed_training": {"ddp_backend": DDP.C10D}}
        state = {"args": None, "cfg": cfg, "model": tensors(model, head=True, mevo=True)}
        keep("namespace-mevo", model, {**state, **training()})

        # fairseq of 2020: a Namespace under "args", torch's older format, an untied head.
        arguments = {**ARGUMENTS, "share_decoder_input_output_embed": False}
        arguments |= {"no_scale_embedding": True, "max_target_positions": 512}
        model = build(torch.float32, 3, arguments)
        state = {"args": argparse.Namespace(**arguments)}
        state["model"] = tensors(model, head=True, mevo=False)
        keep("args-legacy", model, {**state, **training()}, _use_new_zipfile_serialization=False)

    arguments = dict(ARGUMENTS)
    model = build(torch.float16, 4, arguments)
    cfg = OmegaConf.create({
        "_name": None,
        "common": {"seed": 1, "fp16": True, "tensorboard_logdir": None, "log_interval": 25},
        "model": OmegaConf.structured(TransformerLanguageModelConfig),
        "task": {"max_target_positions": 2048, "data": "/data", "langs": ["en", "fr"]},
    })  # fmt: skip
    state = {"args": None, "cfg": cfg, "model": tensors(model, head=False, mevo=False)}
    keep("omegaconf-" + ".".join(version.split(".")[:2]), model, {**state, **training()})


if __name__ == "__main__":
    record(omegaconf.__version__)
