"""Record small checkpoints written by torch and transformers, and check that they read ours.

    python tests/golden/record_checkpoints.py           record (torch, transformers 4.37.2)
    python tests/golden/record_checkpoints.py --ours    check the other direction

The first form writes `tests/golden/checkpoints/<case>/`: the files as
transformers' `save_pretrained` or `torch.save` wrote them, and `expected.npz`,
each parameter's bits as torch sees them. The tests need neither library.

The second form lets pyxglm save every case, in one file and in shards, opens
that with transformers' `from_pretrained`, and compares bit by bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from transformers import XGLMConfig, XGLMForCausalLM, XGLMModel

HERE = Path(__file__).parent / "checkpoints"

SIZES = {
    "vocab_size": 40,
    "d_model": 8,
    "ffn_dim": 12,
    "num_layers": 1,
    "attention_heads": 2,
    "max_position_embeddings": 16,
}
PARTS = 3000  # bytes a shard: the fp32 cases split


def model(dtype: torch.dtype, seed: int, cls: type = XGLMForCausalLM, **options: object) -> object:
    """Return a model whose every parameter is random, biases and norms included."""
    torch.manual_seed(seed)
    built = cls(XGLMConfig(**SIZES, **options))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return built.to(dtype)


def bits(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's bits, as unsigned integers of its width."""
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    flat = tensor.detach().contiguous().view(kinds[tensor.element_size()])
    return flat.numpy().view(f"<u{tensor.element_size()}")


def keep(case: str, tensors: dict[str, torch.Tensor]) -> None:
    """Store what the case's parameters must be."""
    arrays = {name: bits(tensor) for name, tensor in tensors.items()}
    np.savez_compressed(HERE / case / "expected.npz", **arrays)


def fresh(case: str) -> Path:
    directory = HERE / case
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def record() -> None:
    """Write every case."""
    types = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    for number, (name, dtype) in enumerate(types.items()):
        for safe in (True, False):
            for sharded in (False, True):
                form = ("safetensors" if safe else "bin") + ("-sharded" if sharded else "")
                case = f"{form}-{name}"
                directory = fresh(case)
                built = model(dtype, number)
                size = PARTS * dtype.itemsize // 8 if sharded else "5GB"
                built.save_pretrained(directory, safe_serialization=safe, max_shard_size=size)
                keep(case, dict(built.named_parameters()))

    directory = fresh("untied")
    built = model(torch.float32, 10, tie_word_embeddings=False)
    built.save_pretrained(directory, safe_serialization=False)
    keep("untied", dict(built.named_parameters()))

    directory = fresh("cross-attention")
    built = model(torch.float16, 11, add_cross_attention=True)
    built.save_pretrained(directory)
    keep("cross-attention", dict(built.named_parameters()))

    directory = fresh("bare")
    built = model(torch.float16, 12, cls=XGLMModel)
    built.save_pretrained(directory)
    keep("bare", {f"model.{name}": tensor for name, tensor in built.named_parameters()})

    # What torch.save makes of Parameter objects, of views with strides and offsets, of an
    # OrderedDict with attributes, and of the position buffers of early hub files.
    directory = fresh("parameters")
    built = model(torch.float16, 13)
    built.config.save_pretrained(directory)
    state = OrderedDict(built.named_parameters(remove_duplicate=False))
    state["model.embed_positions.weights"] = torch.randn(18, 8)
    transposed = state["model.layers.0.fc1.weight"].detach().t().contiguous().t()
    assert not transposed.is_contiguous()
    state["model.layers.0.fc1.weight"] = transposed
    pair = torch.stack(
        [state[f"model.layers.0.{x}.bias"].detach() for x in ("fc2", "final_layer_norm")]
    )
    state["model.layers.0.fc2.bias"], state["model.layers.0.final_layer_norm.bias"] = pair
    state._metadata = OrderedDict([("", {"version": 1})])
    torch.save(state, directory / "pytorch_model.bin")
    keep("parameters", dict(built.named_parameters()))

    # The format from before the zip archives, which torch still writes when asked.
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        directory = fresh(f"legacy-{name}")
        built = model(dtype, 14)
        built.config.save_pretrained(directory)
        state = OrderedDict(built.state_dict())
        transposed = state["model.layers.0.fc2.weight"].t().contiguous().t()
        state["model.layers.0.fc2.weight"] = transposed
        torch.save(state, directory / "pytorch_model.bin", _use_new_zipfile_serialization=False)
        keep(f"legacy-{name}", dict(built.named_parameters()))

    directory = fresh("bin-bare")
    built = model(torch.float16, 15, cls=XGLMModel)
    built.save_pretrained(directory, safe_serialization=False)
    keep("bin-bare", {f"model.{name}": tensor for name, tensor in built.named_parameters()})
    # Nothing of a checkpoint: half of the files otherwise.
    for path in HERE.rglob("generation_config.json"):
        path.unlink()


def digests(directory: str | Path) -> dict[str, tuple[str, str]]:
    """Return what transformers finds in a directory: name to type and digest of the bits."""
    architectures = json.loads((Path(directory) / "config.json").read_text()).get("architectures")
    bare = architectures == ["XGLMModel"]
    cls = XGLMModel if bare else XGLMForCausalLM
    built, info = cls.from_pretrained(directory, torch_dtype="auto", output_loading_info=True)
    if any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise SystemExit(f"{directory}: {info}")
    return {
        name: (str(tensor.dtype), hashlib.sha256(bits(tensor).tobytes()).hexdigest())
        for name, tensor in built.named_parameters()
    }


def check_ours() -> None:
    """Save every case with pyxglm, in one file and in shards; open it with transformers."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from pyxglm.checkpoint import load, save
    from pyxglm.config import XGLMConfig as OurConfig

    for case in sorted(path.name for path in HERE.iterdir()):
        source = HERE / case
        truth = digests(source)
        for size in ("5GB", 900):
            with tempfile.TemporaryDirectory() as target:
                shutil.copy(source / "config.json", target)
                found = load(source, OurConfig.from_json_file(source / "config.json"))
                files = save(found.weights, target, max_shard_size=size, bare="bare" in case)
                if digests(target) != truth:
                    raise SystemExit(f"{case}: what pyxglm saved is not what transformers opens")
                print(f"{case}: {len(files)} files, {len(truth)} parameters, equal bit for bit")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", action="store_true", help="check what pyxglm saves")
    arguments = parser.parse_args()
    if arguments.ours:
        check_ours()
    else:
        record()
