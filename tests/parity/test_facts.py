"""Names and shapes, fresh weights, activations, resizing, pruning, argument order."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest
from golden.compare import activation_inputs, cases, error, expected, load
from parity.harness import TOLERANCES, arguments, build, weights_of

from pyxglm.config import XGLMConfig
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.ops.reference import ACTIVATIONS
from pyxglm.parameters import parameter_shapes

FACTS = json.loads(load("facts")["json"].tobytes())
CONFIGS = FACTS["configs"]


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_have_the_names_shapes_and_order_of_transformers(name: str) -> None:
    wanted = [(key, tuple(shape)) for key, shape in FACTS["parameters"][name]]
    config = XGLMConfig(**CONFIGS[name])
    assert list(parameter_shapes(config).items()) == wanted
    model = XGLMForCausalLM(config, seed=1)
    assert [(key, value.shape) for key, value in model.named_parameters()] == wanted


@pytest.mark.parametrize("name", CONFIGS)
def test_fresh_weights(name: str) -> None:
    model = XGLMForCausalLM(XGLMConfig(**CONFIGS[name]), seed=3)
    for key, value in model.named_parameters():
        wanted = FACTS["initial"][name][key]
        if isinstance(wanted, float):
            assert np.all(value == np.float32(wanted)), key
        else:
            assert np.flatnonzero(~value.any(axis=1)).tolist() == wanted["zero_rows"], key
            # Two samples of one deviation, of a few hundred numbers and more.
            assert abs(value.std() / wanted["std"] - 1) < 5 / np.sqrt(value.size), key
            assert abs(value.mean()) < 5 * wanted["std"] / np.sqrt(value.size), key


def test_the_activations_are_those_of_transformers() -> None:
    assert sorted(ACTIVATIONS) == sorted(FACTS["activations"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FACTS["activations"])
def test_activation(name: str, dtype: str) -> None:
    x = activation_inputs().astype(dtype)
    found, wanted = ACTIVATIONS[name](x), load("facts")[f"{name}.{dtype}"]
    assert found.dtype == dtype
    size = np.abs(wanted.astype(np.float64)) + np.minimum(np.abs(x), 20)
    bound = {"float32": 6e-7, "float64": 2e-15}[dtype]
    apart = np.abs(found.astype(np.float64) - wanted) / (size + 1e-3)
    assert apart.max() <= bound, f"at {x[apart.argmax()]}"


@pytest.mark.parametrize("number", range(len(FACTS["resize"])))
def test_resize_token_embeddings(number: int) -> None:
    wanted = FACTS["resize"][number]
    model = build(wanted)
    before = weights_of(wanted)["model.embed_tokens.weight"]
    model.resize_token_embeddings(*wanted["arguments"])
    kept = min(len(before), wanted["vocab_size"])
    assert model.config.vocab_size == wanted["vocab_size"]
    parameters = dict(model.named_parameters())
    assert list(parameters["model.embed_tokens.weight"].shape) == wanted["embedding"]
    assert np.array_equal(parameters["model.embed_tokens.weight"][:kept], before[:kept])
    if not wanted["config"]["tie_word_embeddings"]:
        assert list(parameters["lm_head.weight"].shape) == wanted["head"]
    logits = np.asarray(model(np.array(wanted["input_ids"])).logits)
    assert logits.shape[-1] == wanted["head"][0]
    assert error(logits[:, -2:, :kept], load("facts")[wanted["logits"]]) <= TOLERANCES["float32"]


def test_pruned_heads_are_noted_and_gone() -> None:
    # 4.37.2 notes the heads in the configuration and then fails, for XGLM has no
    # `_prune_heads`. Here pruning works: a pruned head adds nothing to the output, which
    # is what masking it gives.
    assert FACTS["prune"]["type"] == "AttributeError"
    case = next(case for case in cases("heads") if case["name"] == "one")
    stored = weights_of(case)
    model = build(case, weights=stored)
    model.prune_heads({0: [1]})
    assert {str(k): v for k, v in model.config.pruned_heads.items()} == FACTS["prune"][
        "pruned_heads"
    ]
    call = {k: v for k, v in case["calls"][0].items() if k != "head_mask"}
    found = model(**arguments(call, stored, [], "float32")).logits
    assert error(found, expected("heads", "one", 0, "float32")["logits"]) <= TOLERANCES["float32"]


@pytest.mark.parametrize("kind", [XGLMModel, XGLMForCausalLM])
def test_forward_takes_the_arguments_of_transformers_in_order(kind: type[Any]) -> None:
    wanted = FACTS["arguments"][kind.__name__]
    found = list(inspect.signature(kind.forward).parameters)[1:]
    assert found[: len(wanted)] == wanted
