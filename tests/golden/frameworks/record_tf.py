"""Record what TensorFlow's classes of transformers 4.37.2 compute: ``tf.npz`` beside this file.

Needs tensorflow 2.15.1 and transformers 4.37.2; the tests need neither. Run it
from the repository root::

    PYTHONPATH=tests python -m golden.frameworks.record_tf
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tensorflow as tf
import transformers
from golden.frameworks import tf_cases
from golden.frameworks.arrays import arguments, case_weights, flatten, save
from golden.frameworks.tf_cases import greedy
from transformers import TFXGLMForCausalLM, TFXGLMModel, XGLMConfig

CLEAR = 1e-3
KINDS = {"bare": TFXGLMModel, "lm": TFXGLMForCausalLM}


def torch_name(variable: str) -> str:
    """Return torch's name of a variable of TensorFlow's class."""
    name = ".".join(variable.split(":")[0].split("/")[1:])
    for theirs, ours in ((".kernel", ".weight"), (".gamma", ".weight"), (".beta", ".bias")):
        name = name.removesuffix(theirs) + ours if name.endswith(theirs) else name
    return name


def build(case: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the oracle's model with a case's weights, and these weights."""
    model = KINDS[case["kind"]](XGLMConfig(**case["config"]))
    model.build_in_name_scope()
    transposed = {torch_name(v.name) for v in model.weights if "kernel" in v.name}
    shapes = {torch_name(v.name): tuple(v.shape) for v in model.weights}
    shapes = {n: s[::-1] if n in transposed else s for n, s in shapes.items()}
    weights = case_weights(case, shapes)
    for variable in model.weights:
        name = torch_name(variable.name)
        variable.assign(weights[name].T if name in transposed else weights[name])
    return model, weights


def record() -> None:
    """Write the file."""
    arrays: dict[str, np.ndarray] = {}
    found = json.loads(json.dumps(tf_cases.cases()))
    for case in found:
        model, weights = build(case)
        caches: list[Any] = []
        for number, call in enumerate(case["calls"]):
            first, given = arguments(call, weights)
            if "past" in call:
                given["past_key_values"] = caches[call["past"]]
            first = [tf.constant(a) if isinstance(a, np.ndarray) else a for a in first]
            if not first:  # Keras wants a first argument, and transformers a tensor or None
                ids = given.pop("input_ids", None)
                first = [None if ids is None else tf.constant(ids)]
            outputs = model(*first, **given)
            is_tuple = isinstance(outputs, tuple)
            caches.append(None if is_tuple else outputs.get("past_key_values"))
            call["fields"] = None if is_tuple else list(outputs.keys())
            for name, value in flatten(outputs, call.get("keep"), np.asarray).items():
                arrays[f"{case['name']}/{number}/{name}"] = value
    calls = json.loads(json.dumps(greedy()))
    for call in calls:
        call["output_ids"], margin = generate(call)
        if margin < CLEAR:
            raise AssertionError(f"{call['name']}: two logits within {margin:.1e}")
    save("tf", arrays, cases=found, greedy=calls, prepared=prepared(), fresh=fresh(), **errors())


def generate(call: dict[str, Any]) -> tuple[list[list[int]], float]:
    """Return the oracle's ids, and the smallest lead of a chosen token."""
    model, _ = build(call)
    mask = call["attention_mask"]
    out = model.generate(
        tf.constant(call["input_ids"]),
        attention_mask=None if mask is None else tf.constant(mask),
        do_sample=False, output_scores=True, return_dict_in_generate=True, **call["settings"],
    )  # fmt: skip
    scores = np.sort(np.stack([np.asarray(s) for s in out.scores]), axis=-1)
    lead = (scores[..., -1] - scores[..., -2]) / np.abs(scores).max(-1)
    return np.asarray(out.sequences).tolist(), float(lead.min())


def prepared() -> list[dict[str, Any]]:
    """Return what `prepare_inputs_for_generation` makes of ids, masks and a past."""
    model, _ = build(tf_cases.case("any"))
    row, mask = [[4, 5, 6], [7, 8, 9]], [[1, 1, 1], [0, 1, 1]]
    past = model(tf.constant([line[:2] for line in row])).past_key_values
    found = []
    for given in (
        {}, {"attention_mask": mask}, {"past": True}, {"past": True, "attention_mask": mask},
        {"attention_mask": mask, "position_ids": [[5, 6, 7]] * 2, "use_cache": True},
    ):  # fmt: skip
        call = {k: tf.constant(v) if isinstance(v, list) else v for k, v in given.items()}
        cache = past if call.pop("past", False) else None
        out = model.prepare_inputs_for_generation(tf.constant(row), cache, **call)
        arrays = ("input_ids", "attention_mask", "position_ids")
        made = {
            k: v if v is None else np.asarray(v).tolist() for k, v in out.items() if k in arrays
        }
        made["past"], made["use_cache"] = out["past_key_values"] is not None, out["use_cache"]
        found.append({"input_ids": row, "given": given, "made": made})
    return found


def fresh() -> dict[str, Any]:
    """Return the spread of fresh weights for several padding ids."""
    found = {}
    for pad in (1, 3, None):
        fields = {"vocab_size": 400, "d_model": 32, "ffn_dim": 96, "num_layers": 1}
        config = XGLMConfig(**{**tf_cases.BASE, **fields, "pad_token_id": pad})
        tf.random.set_seed(1)
        model = TFXGLMForCausalLM(config)
        model.build_in_name_scope()
        found[str(pad)] = {
            torch_name(v.name): {
                "std": float(np.std(v)), "mean": float(np.mean(v)),
                "largest": float(np.abs(v).max()),
                "shape": list(v.shape)[:: -1 if "kernel" in v.name else 1],
            }
            for v in model.weights
        }  # fmt: skip
    return {"config": fields, "by_pad": found}


def errors() -> dict[str, Any]:
    """Return how the oracle answers ids and positions beyond its tables, and 4-D masks."""
    model, _ = build(tf_cases.case("any"))
    row = np.array([[4, 5, 6]])
    tries = {
        "too_long": {"input_ids": np.full((1, 25), 4)},
        "position_beyond": {"input_ids": row, "position_ids": np.array([[0, 1, 24]])},
        "position_before": {"input_ids": row, "position_ids": np.array([[-3, 1, 2]])},
        "id_beyond": {"input_ids": np.array([[4, 31]])},
        "mask_4d": {"input_ids": row, "attention_mask": np.ones((1, 1, 3, 3))},
        "one_axis": {"input_ids": row[0]},
    }
    answers = {}
    for name, given in tries.items():
        try:
            model(**{k: tf.constant(v) for k, v in given.items()})
            answers[name] = "none"
        except Exception as error:
            answers[name] = type(error).__name__
    return {"errors": answers}


if __name__ == "__main__":
    if transformers.__version__ != "4.37.2":
        sys.exit(f"transformers 4.37.2 is the oracle, found {transformers.__version__}")
    transformers.utils.logging.set_verbosity_error()
    record()
