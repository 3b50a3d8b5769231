"""Record small checkpoints of TensorFlow and Flax, and check that their classes read ours.

    python tests/golden/record_frameworks.py           record
    python tests/golden/record_frameworks.py --ours    check the other direction

For Python 3.11 with transformers 4.37.2, torch, tensorflow-cpu 2.15.1, tf-keras 2.15.1,
flax 0.8.0, jax 0.4.23 and h5py.

The first form writes `tests/golden/frameworks/<model>/<variant>/`: the files as
``save_pretrained`` of the TF and Flax classes wrote them; and beside the variants the
model's config.json and `expected.npz`, each parameter's bits, by torch's names and
orientation, as transformers' own conversion to torch has them.

The second form lets pyxglm write each model as TensorFlow's and Flax's files, whole and
in shards, opens these with transformers' classes, and compares bit by bit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
from transformers import (
    FlaxXGLMForCausalLM,
    FlaxXGLMModel,
    TFXGLMForCausalLM,
    TFXGLMModel,
    XGLMConfig,
    XGLMForCausalLM,
    XGLMModel,
)
from transformers.modeling_flax_pytorch_utils import load_flax_weights_in_pytorch_model
from transformers.modeling_tf_pytorch_utils import load_tf2_model_in_pytorch_model

HERE = Path(__file__).parent / "frameworks"

SIZES = {
    "vocab_size": 24,
    "d_model": 8,
    "ffn_dim": 12,
    "num_layers": 1,
    "attention_heads": 2,
    "max_position_embeddings": 16,
}
PART = 1200  # bytes a shard

#: Each model: its class, torch's class, its dtype, and what its configuration has besides.
MODELS = {
    "tf": (TFXGLMForCausalLM, XGLMForCausalLM, None, {"tie_word_embeddings": False}),
    "tf-bare": (TFXGLMModel, XGLMModel, None, {}),
    "tf-cross-attention": (TFXGLMForCausalLM, XGLMForCausalLM, None, {"add_cross_attention": True}),
    "flax": (FlaxXGLMForCausalLM, XGLMForCausalLM, jnp.float32, {}),
    "flax-bare": (FlaxXGLMModel, XGLMModel, jnp.float32, {}),
    "flax-untied": (
        FlaxXGLMForCausalLM, XGLMForCausalLM, jnp.float32, {"tie_word_embeddings": False},
    ),
    "flax-bfloat16": (FlaxXGLMForCausalLM, XGLMForCausalLM, jnp.bfloat16, {}),
    "flax-float16": (FlaxXGLMForCausalLM, XGLMForCausalLM, jnp.float16, {}),
}  # fmt: skip

#: The variants of those that are not recorded in one file alone.
VARIANTS = {
    "tf": ("one", "shards", "safetensors"),
    "flax": ("one", "shards", "safetensors"),
    "flax-bare": ("one", "safetensors"),
    "flax-bfloat16": ("one", "safetensors"),
}


def build(name: str) -> object:
    """Return a model whose every parameter is random, biases and norms included."""
    cls, _, dtype, options = MODELS[name]
    rng = np.random.default_rng(len(name))
    model = cls(XGLMConfig(**SIZES, **options))
    if dtype is None:
        model.build_in_name_scope()
        model.set_weights([rng.standard_normal(w.shape).astype("f4") for w in model.weights])
    else:
        model.params = jax.tree_util.tree_map(
            lambda w: jnp.asarray(rng.standard_normal(w.shape), dtype), model.params
        )
    return model


def expected(name: str, model: object) -> dict[str, np.ndarray]:
    """Return the bits of each parameter, as transformers converts the model to torch."""
    _, torch_cls, dtype, _ = MODELS[name]
    converted = torch_cls(model.config)
    if dtype is None:
        load_tf2_model_in_pytorch_model(converted, model, allow_missing_keys=True)
    else:
        wide = jax.tree_util.tree_map(lambda w: np.asarray(w, np.float32), model.params)
        load_flax_weights_in_pytorch_model(converted, wide)
    prefix = "model." if torch_cls is XGLMModel else ""
    found = {}
    for key, parameter in converted.named_parameters():
        # Each number goes back exactly to the dtype that it came from.
        array = jnp.asarray(parameter.detach().numpy(), dtype or jnp.float32)
        array = np.asarray(array)
        found[prefix + key] = array.view(f"<u{array.itemsize}")
    return found


def record() -> None:
    """Write every model in every variant."""
    shutil.rmtree(HERE, ignore_errors=True)
    for name in MODELS:
        model = build(name)
        place = HERE / name
        for variant in VARIANTS.get(name, ("one",)):
            options = {"max_shard_size": PART} if variant == "shards" else {}
            safe = variant == "safetensors"
            model.save_pretrained(place / variant, safe_serialization=safe, **options)
            for extra in ("config.json", "generation_config.json"):
                path = place / variant / extra
                if extra == "config.json":
                    path.replace(place / extra)
                else:
                    path.unlink(missing_ok=True)
        if name == "flax":
            limit, flax.serialization.MAX_CHUNK_SIZE = flax.serialization.MAX_CHUNK_SIZE, 100
            model.save_pretrained(place / "pieces")
            flax.serialization.MAX_CHUNK_SIZE = limit
            for path in (place / "pieces").glob("*.json"):
                path.unlink()
        np.savez_compressed(place / "expected.npz", **expected(name, model))


def check_ours() -> None:
    """Let pyxglm write every model, and open that with transformers."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from pyxglm.checkpoint import load, save
    from pyxglm.config import XGLMConfig as OurConfig

    for name, (cls, _, dtype, _) in MODELS.items():
        config = OurConfig.from_json_file(HERE / name / "config.json")
        bare = name.endswith("bare")
        ours = load(HERE / name / "one", config, with_head=not bare, keep_head=True)
        truth = build(name)
        for size in ("5GB", PART):
            with tempfile.TemporaryDirectory() as place:
                shutil.copy(HERE / name / "config.json", place)
                form = "tf" if dtype is None else "flax"
                files = save(ours.weights, place, max_shard_size=size, bare=bare, form=form)
                if dtype is None:
                    model, info = cls.from_pretrained(place, output_loading_info=True)
                    if any(info[key] for key in ("missing_keys", "unexpected_keys")):
                        raise SystemExit(f"{name}: {info}")
                else:  # whose missing parameters would be random
                    model = cls.from_pretrained(place, dtype=dtype)
                if not same(model, truth):
                    raise SystemExit(f"{name}: what pyxglm saved is not what transformers opens")
                print(f"{name}: {len(files)} files, equal bit for bit")


def same(a: object, b: object) -> bool:
    """Tell whether two models have the same parameters, to the bit."""
    if hasattr(a, "params"):
        pairs = jax.tree_util.tree_map(
            lambda x, y: x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes(),
            a.params, b.params,
        )  # fmt: skip
        return jax.tree_util.tree_all(pairs)
    # The name of the whole model is numbered from the second on.
    one, other = (
        {w.name.partition("/")[2]: w.numpy().tobytes() for w in model.weights} for model in (a, b)
    )
    return len(one) > 10 and one == other


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", action="store_true", help="check what pyxglm writes")
    arguments = parser.parse_args()
    if arguments.ours:
        check_ours()
    else:
        record()
