"""Record what Flax's classes of transformers 4.37.2 compute: ``flax.npz`` beside this file.

Needs jax 0.4.23, flax 0.8.0 and transformers 4.37.2; the tests need none of
them. Run it from the repository root::

    PYTHONPATH=tests python -m golden.frameworks.record_flax
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import transformers
from flax.traverse_util import flatten_dict, unflatten_dict
from golden.cases import BASE
from golden.frameworks import flax_cases
from golden.frameworks.arrays import arguments, case_weights, flatten, save
from golden.frameworks.tf_cases import case as describe
from golden.frameworks.tf_cases import greedy
from transformers import FlaxXGLMForCausalLM, FlaxXGLMModel, XGLMConfig

CLEAR = 1e-4
KINDS = {"bare": FlaxXGLMModel, "lm": FlaxXGLMForCausalLM}
LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight", "bias": "bias"}


def build(case: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the oracle's model with a case's weights, and these weights."""
    dtype = getattr(jnp, case.get("dtype", "float32"))
    model = KINDS[case["kind"]](XGLMConfig(**case["config"]), dtype=dtype)
    prefix = "model." if case["kind"] == "bare" else ""
    flat = flatten_dict(model.params)
    names = {path: prefix + ".".join((*path[:-1], LEAVES[path[-1]])) for path in flat}
    shapes = {
        names[path]: leaf.shape[::-1] if path[-1] == "kernel" else leaf.shape
        for path, leaf in flat.items()
    }
    weights = case_weights(case, shapes)
    model.params = unflatten_dict({
        path: jnp.asarray(weights[name].T if path[-1] == "kernel" else weights[name])
        for path, name in names.items()
    })  # fmt: skip
    return model, weights


def numpy(value: Any) -> np.ndarray:
    """Return an array; bfloat16, which NumPy lacks, as float32."""
    return np.asarray(value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value)


def record() -> None:
    """Write the file."""
    arrays: dict[str, np.ndarray] = {}
    found = json.loads(json.dumps(flax_cases.cases()))
    for case in found:
        model, weights = build(case)
        caches: list[Any] = []
        for number, call in enumerate(case["calls"]):
            first, given = arguments(call, weights)
            if "past" in call:
                given["past_key_values"] = caches[call["past"]]
            if "room" in call:
                batch = len(given["input_ids"])
                given["past_key_values"] = model.init_cache(batch, call["room"])
            outputs = model(*first, **given)
            is_tuple = isinstance(outputs, tuple)
            caches.append(None if is_tuple else outputs.get("past_key_values"))
            call["fields"] = None if is_tuple else list(outputs.keys())
            entries = flatten(outputs, call.get("keep"), lambda value: value)
            call["dtypes"] = {name: str(value.dtype) for name, value in entries.items()}
            for name, value in entries.items():
                arrays[f"{case['name']}/{number}/{name}"] = numpy(value)
    calls = json.loads(json.dumps(greedy()))
    for call in calls:
        call["output_ids"] = generate(call)
    save("flax", arrays, cases=found, greedy=calls, prepared=prepared(), casts=casts(),
         fresh=fresh(), **facts())  # fmt: skip


def generate(call: dict[str, Any]) -> list[list[int]]:
    """Return the oracle's ids, each of which leads clearly."""
    model, _ = build(call)
    mask = call["attention_mask"]
    given = {} if mask is None else {"attention_mask": jnp.array(mask)}
    prompts = jnp.array(call["input_ids"])
    ids = model.generate(prompts, do_sample=False, **given, **call["settings"]).sequences
    P, S = prompts.shape[1], ids.shape[1]
    seen = jnp.ones((len(ids), S), "i4")
    if mask is not None:
        seen = seen.at[:, :P].set(jnp.array(mask))
    places = jnp.clip(seen.cumsum(-1) - 1, 0)
    logits = numpy(model(ids, attention_mask=seen, position_ids=places).logits)[:, P - 1 : -1]
    scores = np.sort(logits, axis=-1)
    leads = (scores[..., -1] - scores[..., -2]) / np.abs(scores).max(-1)
    if leads.min() < CLEAR:
        raise AssertionError(f"{call['name']}: two logits within {leads.min():.1e}")
    return np.asarray(ids).tolist()


def prepared() -> list[dict[str, Any]]:
    """Return what `prepare_inputs_for_generation` and its successor make."""
    model, _ = build(describe("any"))
    row = jnp.array([[4, 5, 6], [7, 8, 9]])
    found = []
    for given in flax_cases.preparations():
        mask = given.get("attention_mask")
        made = model.prepare_inputs_for_generation(
            row, given["max_length"], None if mask is None else jnp.array(mask)
        )
        outputs = model(row, **made)
        updated = model.update_inputs_for_generation(outputs, dict(made))
        leaves = flatten_dict(made["past_key_values"])
        found.append({
            "given": given, "attention_mask": np.asarray(made["attention_mask"]).tolist(),
            "position_ids": np.asarray(made["position_ids"]).tolist(),
            "cache": {"/".join(k): [list(v.shape), str(v.dtype)] for k, v in leaves.items()},
            "updated_position_ids": np.asarray(updated["position_ids"]).tolist(),
            "updated_keys": sorted(updated),
        })  # fmt: skip
    return found


def casts() -> dict[str, Any]:
    """Return the dtypes of parameters after each cast, with a mask and without."""
    model, _ = build(describe("any"))
    mask = unflatten_dict({p: p[-1] != "scale" for p in flatten_dict(model.params)})
    found = {}
    for name in ("to_bf16", "to_fp16", "to_fp32"):
        for masked in (False, True):
            half = model.to_fp16(model.params)
            tree = getattr(model, name)(half, mask if masked else None)
            leaves = {"/".join(k): str(v.dtype) for k, v in flatten_dict(tree).items()}
            found[f"{name}{'_masked' if masked else ''}"] = leaves
    return found


def fresh() -> dict[str, Any]:
    """Return the shape and spread of fresh parameters, by path."""
    fields = {"vocab_size": 400, "d_model": 32, "ffn_dim": 96, "num_layers": 1}
    found = {}
    for kind, untied in (("bare", False), ("lm", False), ("lm", True)):
        config = XGLMConfig(**{**BASE, **fields, "tie_word_embeddings": not untied})
        model = KINDS[kind](config, seed=3)
        found[kind + ("_untied" if untied else "")] = {
            "/".join(path): {
                "shape": list(leaf.shape), "std": float(leaf.std()), "mean": float(leaf.mean()),
                "zero_rows": int((~np.asarray(leaf).any(axis=-1)).sum()),
            }
            for path, leaf in flatten_dict(model.params).items()
        }  # fmt: skip
    return {"config": fields, "by_kind": found}


def facts() -> dict[str, Any]:
    """Return what the oracle refuses, and what it does without being asked."""
    config = XGLMConfig(**BASE)
    model, row = FlaxXGLMForCausalLM(config), np.array([[4, 5, 6, 7]])

    def answer(attempt: Any) -> str:
        try:
            attempt()
        except Exception as error:
            return type(error).__name__
        return "none"

    def dropped(**fields: Any) -> Any:
        rates = {"dropout": 0.0, "attention_dropout": 0.0, **fields}
        made = FlaxXGLMForCausalLM(XGLMConfig(**BASE, **rates))
        return lambda **more: made(row, train=True, output_attentions=True, **more)

    rng = {"dropout_rng": jax.random.PRNGKey(1)}
    seen = dropped(attention_dropout=0.9)(**rng).attentions[1]
    cases = {
        "cross_attention":
            lambda: FlaxXGLMForCausalLM(XGLMConfig(**BASE, add_cross_attention=True)),
        "odd_width": lambda: FlaxXGLMForCausalLM(
            XGLMConfig(**{**BASE, "d_model": 15, "attention_heads": 3})),
        "layerdrop": lambda: dropped(layerdrop=0.999)(**rng),
        "dropout_without_rng": lambda: dropped(dropout=0.5)(),
        "nothing_to_drop_without_rng": lambda: dropped()(),
        "too_long": lambda: model(np.full((1, 25), 4)),
        "cache_too_long": lambda: model(row, past_key_values=model.init_cache(1, 25)),
        "mask_none_with_cache": lambda: model(row, past_key_values=model.init_cache(1, 6)),
        "mask_of_tokens_with_cache": lambda: model(
            row, attention_mask=np.ones((1, 4)), past_key_values=model.init_cache(1, 6)),
        "params_not_initialized": lambda: FlaxXGLMForCausalLM(config, _do_init=False).params,
        "params_missing":
            lambda: setattr(model, "params", {"model": {"layer_norm": {}}}),
    }  # fmt: skip
    return {
        "answers": {name: answer(attempt) for name, attempt in cases.items()},
        # Rows of attention weights add up to 1 unless some were dropped.
        "attention_dropout": bool(abs(np.asarray(seen).sum(-1) - 1).max() > 1e-3),
        "required": sorted("/".join(path) for path in model.required_params),
    }


if __name__ == "__main__":
    if transformers.__version__ != "4.37.2":
        sys.exit(f"transformers 4.37.2 is the oracle, found {transformers.__version__}")
    transformers.utils.logging.set_verbosity_error()
    record()
