"""How Flax's classes are called: parameters outside, keys, dtypes, misuse."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from frameworks.flax_models import build, tree_for
from frameworks.harness import TOLERANCE, case_named
from golden.compare import error
from golden.frameworks.arrays import load

from pyxglm import FlaxXGLMForCausalLM, FlaxXGLMModel, KVCache, XGLMConfig
from pyxglm.flax_style.randomness import generator_of, seed_of
from pyxglm.ops import available_backends

LM = case_named("flax", "lm")
IDS = np.array([[5, 9, 7, 11]])
ARGUMENTS = [
    "input_ids", "attention_mask", "position_ids", "encoder_hidden_states",
    "encoder_attention_mask", "output_attentions", "output_hidden_states", "return_dict",
    "train", "params", "past_key_values", "dropout_rng",
]  # fmt: skip


def config(**fields: Any) -> XGLMConfig:
    return XGLMConfig(**{**LM["config"], **fields})


@pytest.mark.parametrize("kind", [FlaxXGLMModel, FlaxXGLMForCausalLM])
def test_the_signatures_are_those_of_transformers(kind: type[Any]) -> None:
    assert list(inspect.signature(kind.__call__).parameters)[1:] == ARGUMENTS
    made = list(inspect.signature(kind).parameters)
    assert made[:5] == ["config", "input_shape", "seed", "dtype", "_do_init"]
    assert kind.framework == "flax"


# -------------------------------------------------------------------------------- parameters


def test_parameters_are_given_with_each_call() -> None:
    model = build(LM)
    plain = model(IDS).logits
    other = FlaxXGLMForCausalLM(config(), seed=9)
    assert error(other(IDS).logits, plain) > 0.01
    assert np.array_equal(other(IDS, params=model.params).logits, plain)
    assert np.array_equal(model(IDS).logits, plain)
    with pytest.raises(ValueError, match="read-only"):
        other.params["model"]["layer_norm"]["scale"][0] = 2
    bare = build(case_named("flax", "bare"))
    assert "model" not in bare.params


def test_parameters_that_change_are_read_anew() -> None:
    tree = tree_for(LM)
    fc1 = tree["model"]["layers"]["0"]["fc1"]
    fc1["kernel"] = kernel = np.ascontiguousarray(fc1["kernel"])  # as others store it
    model = FlaxXGLMForCausalLM(config(), _do_init=False)
    before = model(IDS, params=tree).logits
    assert kernel.flags.writeable
    kernel *= 2
    after = model(IDS, params=tree).logits
    assert error(after, before) > 0.01
    assert np.array_equal(FlaxXGLMForCausalLM(config(), _do_init=False)(IDS, params=tree)[0], after)


def test_parameters_that_cannot_change_are_read_once() -> None:
    model = FlaxXGLMForCausalLM(config(), seed=2)
    model(IDS)
    bound = model._bound
    assert bound is not None
    model(IDS)
    assert model._bound is bound
    model.params = FlaxXGLMForCausalLM(config(), seed=3).params
    fresh = model(IDS).logits
    assert model._bound is not bound
    assert np.array_equal(fresh, FlaxXGLMForCausalLM(config(), seed=3)(IDS).logits)


def test_arrays_in_the_memory_of_another_package_are_read() -> None:
    def lent(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: lent(value) for key, value in node.items()}
        array = np.from_dlpack(node.astype(np.float16))
        array.setflags(write=False)
        return array

    model = build(LM)
    wanted = model(IDS, params=model.to_fp16(model.params)).logits
    assert np.array_equal(model(IDS, params=lent(tree_for(LM))).logits, wanted)


def test_without_initialization_there_are_no_parameters() -> None:
    assert load("flax")[0]["answers"]["params_not_initialized"] == "ValueError"
    model = FlaxXGLMForCausalLM(config(), seed=4, _do_init=False)
    for attempt in (lambda: model.params, lambda: model(IDS)):
        with pytest.raises(ValueError, match=r"`params` cannot be accessed .* `_do_init=False`"):
            attempt()
    with pytest.raises(ValueError, match="`params` cannot be set"):
        model.params = {}
    params = model.init_weights(model.key, (1, 1))
    wanted = FlaxXGLMForCausalLM(config(), seed=4)
    assert np.array_equal(model(IDS, params=params).logits, wanted(IDS).logits)


def test_missing_parameters_are_named_and_can_be_made() -> None:
    assert load("flax")[0]["answers"]["params_missing"] == "ValueError"
    model, tree = build(LM), tree_for(LM)
    del tree["model"]["layer_norm"]["bias"]
    with pytest.raises(ValueError, match=r"missing.*\('model', 'layer_norm', 'bias'\)"):
        model.params = tree
    with pytest.raises(ValueError, match="model.layer_norm.bias is missing"):
        model(IDS, params=tree)
    filled = model.init_weights(0, (1, 1), tree)
    assert not filled["model"]["layer_norm"]["bias"].any()
    assert filled["model"]["layer_norm"]["scale"] is tree["model"]["layer_norm"]["scale"]
    tree["model"]["layer_norm"]["bias"] = np.zeros(3, np.float32)
    with pytest.raises(
        ValueError, match=r"model.layer_norm.bias is \(3,\), expected shape \(16,\)"
    ):
        model(IDS, params=tree)
    for wrong in ([1, 2], 3):
        with pytest.raises(TypeError, match="expected nested dicts"):
            model(IDS, params=wrong)


def test_a_parameter_too_many_is_left_out() -> None:
    model, tree = build(LM), tree_for(LM)
    tree["lm_head"] = {"kernel": np.zeros((16, 31), np.float32)}
    tree["model"]["pooler"] = {"kernel": np.zeros((16, 16), np.float32)}
    assert np.array_equal(model(IDS, params=tree).logits, model(IDS).logits)


@pytest.mark.parametrize("name", ["to_bf16", "to_fp16", "to_fp32"])
def test_storage_of_parameters(name: str) -> None:
    model = build(LM)
    cast = getattr(model, name)(model.params)
    assert not cast["model"]["embed_tokens"]["embedding"].flags.writeable
    found = model(IDS, params=cast).logits
    assert found.dtype == np.float32
    rounding = {"to_bf16": 2.0**-8, "to_fp16": 2.0**-11, "to_fp32": 0}[name]
    assert error(found, model(IDS).logits) <= 20 * rounding
    if rounding:
        assert error(found, model(IDS).logits) > rounding / 100
    with pytest.raises(ValueError, match="mask and params differ in 'lm_head/kernel'"):
        getattr(model, name)(model.params, {**model.params, "lm_head": {"kernel": True}})


# ------------------------------------------------------------------------------------ dtypes


def test_the_dtype_is_of_the_computation_only() -> None:
    for dtype in ("float32", "float16", "bfloat16", np.float16, "float64"):
        model = FlaxXGLMForCausalLM(config(), dtype=dtype)
        assert model.params["model"]["layer_norm"]["scale"].dtype == np.float32
    double = build(LM, dtype="float64")(IDS).logits
    assert double.dtype == np.float64
    assert 0 < error(build(LM)(IDS).logits, double) <= TOLERANCE
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        FlaxXGLMForCausalLM(config(), dtype="int8")


def test_float16_results_may_overflow_quietly() -> None:
    model, tree = build(LM, dtype="float16"), tree_for(LM)
    tree["model"]["layer_norm"]["scale"] = np.full(16, 1e5, np.float32)
    assert not np.isfinite(model(IDS, params=tree).logits).all()


# -------------------------------------------------------------------------------- randomness


def test_keys_seeds_and_generators() -> None:
    assert seed_of("x", np.array([1, 2], np.uint32)) == (1 << 32) + 2
    assert seed_of("x", [0, 7]) == seed_of("x", np.int64(7)) == 7
    again = generator_of("x", [0, 7]).random(3)
    assert np.array_equal(generator_of("x", 7).random(3), again)
    generator = np.random.default_rng(1)
    assert generator_of("x", generator) is generator
    assert seed_of("x", generator) != seed_of("x", generator)
    for wrong in ("7", 1.5, None, [1, 2, 3], [[1, 2]], object()):
        with pytest.raises(TypeError, match="key is a .*, expected a seed, a key of two numbers"):
            seed_of("key", wrong)
    with pytest.raises(ValueError, match="key is -1, expected a seed from 0"):
        seed_of("key", -1)


def test_training_drops() -> None:
    dropping = {**LM, "config": {**LM["config"], "dropout": 0.5}}
    model = build(dropping)
    key = np.array([0, 3], np.uint32)
    first = model(IDS, train=True, dropout_rng=key).logits
    assert np.array_equal(model(IDS, train=True, dropout_rng=key).logits, first)
    assert np.array_equal(model(IDS, train=True, dropout_rng=3).logits, first)
    assert not np.array_equal(model(IDS, train=True, dropout_rng=4).logits, first)
    assert not np.array_equal(model(IDS).logits, first)
    assert np.array_equal(model(IDS, dropout_rng=3).logits, model(IDS).logits)
    generator = np.random.default_rng(3)
    assert np.array_equal(model(IDS, train=True, dropout_rng=generator).logits, first)
    assert not np.array_equal(model(IDS, train=True, dropout_rng=generator).logits, first)


def test_training_without_a_key_needs_nothing_to_drop() -> None:
    answers = load("flax")[0]["answers"]
    assert answers["dropout_without_rng"] == "InvalidRngError"
    assert answers["nothing_to_drop_without_rng"] == "none"
    none = {"dropout": 0.0, "attention_dropout": 0.0}
    for name in ("dropout", "attention_dropout", "activation_dropout", "layerdrop"):
        model = build({**LM, "config": {**LM["config"], **none, name: 0.5}})
        with pytest.raises(ValueError, match=f"dropout_rng is None.*{name}=0.5"):
            model(IDS, train=True)
    model = build({**LM, "config": {**LM["config"], **none}})
    assert np.array_equal(model(IDS, train=True).logits, model(IDS).logits)


# -------------------------------------------------------------------------------- the cache


def test_the_static_cache() -> None:
    model = build(LM)
    empty = model.init_cache(1, 6)
    first = model(IDS[:, :3], past_key_values=empty).past_key_values
    one, two = (model(IDS[:, 3:], past_key_values=first) for _ in range(2))
    assert np.array_equal(one.logits, two.logits)
    layer = empty["model"]["layers"]["1"]["self_attn"]
    assert layer["cache_index"] == 0
    assert not layer["cached_key"].any()
    assert layer["cached_key"].shape == (1, 6, 4, 4)
    assert first["model"]["layers"]["1"]["self_attn"]["cache_index"] == 3
    assert "past_key_values" not in model(IDS)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda cache: KVCache(2), TypeError, "is a KVCache, expected nested dicts"),
        (lambda cache: {}, ValueError, "has no 'model/layers/0/self_attn/cached_key'"),
        (lambda cache: cache["model"], ValueError, "has no 'model/layers/0"),
        (lambda cache: edit(cache, "cached_key", np.zeros((2, 6, 4, 4))), ValueError,
         r"cached_key has shape \(2, 6, 4, 4\), expected \(1, 6, 4, 4\)"),
        (lambda cache: edit(cache, "cached_value", np.zeros((1, 5, 4, 4))), ValueError,
         r"cached_value has shape \(1, 5, 4, 4\), expected \(1, 6, 4, 4\)"),
        (lambda cache: edit(cache, "cache_index", np.int32(2)), ValueError,
         "layers/1/self_attn/cache_index is 0, expected 2"),
    ],
)  # fmt: skip
def test_a_cache_of_another_kind_is_refused(change: Any, kind: Any, message: str) -> None:
    model = build(LM)
    with pytest.raises(kind, match=message):
        model(IDS, past_key_values=change(model.init_cache(1, 6)))


def edit(cache: dict[str, Any], leaf: str, value: Any) -> dict[str, Any]:
    cache["model"]["layers"]["0"]["self_attn"][leaf] = value
    return cache


@pytest.mark.parametrize("compat", [None, "4.37"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input_ids": IDS[0]}, r"input_ids has shape \(4,\), expected \(B, T\)"),
        ({"input_ids": IDS, "attention_mask": np.ones((1, 3))}, "attention_mask has shape"),
        ({"input_ids": IDS, "attention_mask": np.ones(4)}, "attention_mask has shape"),
        ({"input_ids": IDS, "position_ids": [[0, 1]]}, "position_ids has shape"),
        ({"input_ids": IDS, "encoder_hidden_states": np.ones((1, 2, 16))}, "expected none"),
    ],
)
def test_misuse_is_refused(given: dict[str, Any], message: str, compat: str | None) -> None:
    with pytest.raises(ValueError, match=message):
        build(LM, compat=compat)(**given)


def test_sizes_of_a_cache_are_checked() -> None:
    for sizes in ((0, 5), (1, 0), (1, 2.5)):
        with pytest.raises(ValueError, match="expected a whole number from 1"):
            build(LM).init_cache(*sizes)


# -------------------------------------------------------------------------------- generation


def test_generation_takes_parameters_and_keys() -> None:
    model, other = build(LM), FlaxXGLMForCausalLM(config(), seed=9)
    wanted = model.generate(IDS, max_new_tokens=5)
    assert wanted.sequences.shape == (1, 9)
    assert np.array_equal(other.generate(IDS, max_new_tokens=5, params=model.params)[0], wanted[0])
    drawn = [
        model.generate(IDS, do_sample=True, max_new_tokens=8, top_k=0, prng_key=key).sequences
        for key in ([0, 1], 1, [0, 2])
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert model.can_generate()
    assert not FlaxXGLMModel(config()).can_generate()
    with pytest.raises(ValueError, match="input_ids has shape"):
        model.generate(IDS[0])


def test_construction() -> None:
    made = config()
    model = FlaxXGLMModel(made, (1, 1), 3, "float32", True)
    assert model.config.to_dict() == made.to_dict()
    assert model.config is not made
    named = FlaxXGLMModel(config=made, input_shape=(2, 5), seed=3, dtype="float32", _do_init=True)
    assert named.input_shape == (2, 5)
    assert np.array_equal(named(IDS)[0], model(IDS)[0])
    assert error(FlaxXGLMModel(made, seed=4)(IDS)[0], model(IDS)[0]) > 0.01
    assert copy.deepcopy(model)(IDS)[0].tobytes() == model(IDS)[0].tobytes()
    assert pickle.loads(pickle.dumps(model))(IDS)[0].tobytes() == model(IDS)[0].tobytes()  # noqa: S301


def test_construction_is_checked() -> None:
    with pytest.raises(TypeError, match="config is a dict, expected an XGLMConfig"):
        FlaxXGLMModel({})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="compat is '4.36'"):
        FlaxXGLMModel(config(), compat="4.36")


@pytest.mark.parametrize("backend", available_backends())
def test_every_backend_computes_the_same(backend: str) -> None:
    for case in (LM, case_named("flax", "full"), case_named("flax", "left_padded_steps")):
        for compat in (None, "4.37"):
            one = build(case, backend=backend, compat=compat)
            assert one.backend == backend
            out = one(IDS, np.array([[0, 1, 1, 1]]), output_attentions=True)
            wanted = build(case, backend="numpy", compat=compat)(IDS, np.array([[0, 1, 1, 1]]))
            assert error(out.logits[:, 1:], wanted.logits[:, 1:]) <= TOLERANCE
