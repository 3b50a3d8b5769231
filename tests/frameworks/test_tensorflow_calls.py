"""How TensorFlow's classes are called: inputs in the first argument, training, misuse."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from frameworks.harness import case_named, of_kind, weights_of

import pyxglm
from pyxglm import BatchEncoding, KVCache, TFXGLMForCausalLM, TFXGLMModel, XGLMConfig
from pyxglm.tensorflow_style.calls import gather

INPUTS = [
    "input_ids", "attention_mask", "position_ids", "encoder_hidden_states",
    "encoder_attention_mask", "head_mask", "cross_attn_head_mask", "past_key_values",
    "inputs_embeds",
]  # fmt: skip
OPTIONS = ["use_cache", "output_attentions", "output_hidden_states", "return_dict", "training"]
IDS, MASK = [[5, 9, 7]], [[0, 1, 1]]


def build(**fields: Any) -> TFXGLMForCausalLM:
    case = case_named("tf", "lm")
    config = XGLMConfig(**{**case["config"], **fields})
    return TFXGLMForCausalLM.from_weights(config, weights_of(case))


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (TFXGLMModel, [*INPUTS, *OPTIONS]),
        (TFXGLMForCausalLM, [*INPUTS, "labels", *OPTIONS]),
    ],
)
def test_call_takes_the_arguments_of_transformers_in_order(kind: Any, wanted: list[str]) -> None:
    found = list(inspect.signature(kind.call).parameters)[1:]
    assert found[: len(wanted)] == wanted
    assert inspect.signature(kind.__call__) == inspect.signature(kind.call)


def test_every_form_gives_the_same() -> None:
    model = build()
    wanted = model(input_ids=IDS, attention_mask=MASK).logits
    ids, mask = np.array(IDS), np.array(MASK)
    for first, more in [
        ((ids, mask), {}),
        ((IDS, MASK), {}),
        (([IDS, MASK],), {}),
        ((tuple(IDS),), {"attention_mask": mask}),
        (([ids, mask],), {}),
        (((ids, mask),), {}),
        (([ids],), {"attention_mask": mask}),
        (({"input_ids": ids, "attention_mask": mask},), {}),
        (({"input_ids": ids}, mask), {}),
        ((BatchEncoding({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids}),), {}),
        ((), {"input_ids": {"input_ids": ids, "attention_mask": mask}}),
        ((), {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids}),
    ]:
        assert np.array_equal(model(*first, **more).logits, wanted)
        assert np.array_equal(model.call(*first, **more).logits, wanted)
    embeds = model.get_input_embeddings()(ids) * 4
    assert np.allclose(model({"inputs_embeds": embeds}, mask).logits, wanted, atol=1e-5)
    assert np.allclose(model([None, mask], inputs_embeds=embeds).logits, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("first", "more", "kind", "message"),
    [
        ((np.array(IDS)[0],), {}, ValueError, r"input_ids has shape \(3,\), expected \(B, T\)"),
        (([np.array(IDS)[0]],), {}, ValueError, r"input_ids has shape \(3,\), expected \(B, T\)"),
        ((IDS[0],), {}, ValueError, r"input_ids has shape \(\), expected \(B, T\)"),
        (([],), {}, ValueError, "You have to specify either"),
        ((np.array(IDS)[None],), {}, ValueError, r"input_ids has shape \(1, 1, 3\)"),
        (([np.array(IDS)] * 20,), {}, TypeError, "20 inputs are given, expected at most 15"),
        ((np.array(IDS), *[None] * 15), {}, TypeError, "16 inputs are given"),
        (([np.array(IDS), MASK],), {"attention_mask": MASK}, TypeError, "given twice"),
        ((np.array(IDS),), {"input_ids": IDS}, TypeError, "input_ids is given twice"),
        ((np.array(IDS),), {"atention_mask": MASK}, TypeError, "'atention_mask' is given"),
        (({"ids": IDS},), {}, TypeError, "'ids' is given"),
        ((), {}, ValueError, "You have to specify either input_ids or inputs_embeds"),
        ((np.array(IDS),), {"inputs_embeds": np.zeros((1, 3, 16))}, ValueError, "both"),
        ((np.array(IDS), [[1, 1]]), {}, ValueError, "attention_mask has shape"),
    ],
)
def test_misuse_is_refused(
    first: tuple[Any, ...], more: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        build()(*first, **more)


def test_compat_leaves_out_what_is_no_argument() -> None:
    found = gather(["ids", "mask"], [{"ids": 1, "other": 2}], {"mask": 3, "more": 4}, strict=False)
    assert found == {"ids": 1, "mask": 3}


def test_compat_is_checked() -> None:
    case = case_named("tf", "lm")
    config = XGLMConfig(**case["config"])
    for make in (
        lambda: TFXGLMModel(config, compat="4.36"),
        lambda: TFXGLMForCausalLM.from_weights(config, weights_of(case), compat=True),
    ):
        with pytest.raises(ValueError, match="compat is .*, expected None or '4.37'"):
            make()


def test_the_cache_is_a_tuple_of_tuples_and_a_cache_object_serves() -> None:
    model, ids = build(), np.array([[5, 9, 7, 8]])
    out = model(ids[:, :3])
    assert isinstance(out.past_key_values, tuple)
    assert [len(layer) for layer in out.past_key_values] == [2, 2]
    assert out.past_key_values[0][0].shape == (1, 4, 3, 4)
    wanted = model(ids[:, 3:], past_key_values=out.past_key_values).logits
    cache = KVCache(2)
    model(ids[:, :3], past_key_values=cache)
    assert np.array_equal(model(ids[:, 3:], past_key_values=cache).logits, wanted)


def test_training_drops_and_its_generator_goes_on() -> None:
    model = build(dropout=0.5)
    plain = model(np.array(IDS)).logits
    first = model(np.array(IDS), training=True).logits
    second = model(np.array(IDS), training=True).logits
    assert not np.array_equal(first, plain)
    assert not np.array_equal(first, second)
    assert np.array_equal(model(np.array(IDS)).logits, plain)
    again = build(dropout=0.5)
    assert np.array_equal(again(np.array(IDS), training=True).logits, first)
    assert np.array_equal(again(np.array(IDS), training=True).logits, second)
    seeded = [model(np.array(IDS), training=True, rng=7).logits for _ in range(2)]
    assert np.array_equal(*seeded)
    assert np.array_equal(model(np.array(IDS), rng=7).logits, plain)  # not in training


@pytest.mark.parametrize("compat", [None, "4.37"])
def test_training_leaves_out_layers(compat: str | None) -> None:
    case = case_named("tf", "lm")
    config = XGLMConfig(**case["config"], layerdrop=0.5, dropout=0.0, attention_dropout=0.0)
    model = TFXGLMForCausalLM.from_weights(config, weights_of(case), compat=compat)
    kept = set()
    for seed in range(12):
        out = model(
            np.array(IDS), training=True, rng=seed, output_attentions=True,
            output_hidden_states=True,
        )  # fmt: skip
        assert len(out.past_key_values) == len(out.attentions)
        assert len(out.hidden_states) == 3
        kept.add(len(out.attentions))
    assert kept == {0, 1, 2}


def test_compat_and_training_go_together() -> None:
    case = case_named("tf", "lm")
    config = XGLMConfig(**case["config"], dropout=0.0, attention_dropout=0.5)
    weights = weights_of(case)
    plain = TFXGLMForCausalLM.from_weights(config, weights)
    as_was = TFXGLMForCausalLM.from_weights(config, weights, compat="4.37")
    found = [m([IDS, MASK], training=True, rng=3).logits[:, 1:] for m in (plain, as_was)]
    assert np.allclose(*found, atol=1e-5)
    assert not np.allclose(found[0], plain([IDS, MASK]).logits[:, 1:], atol=1e-2)


@pytest.mark.parametrize("compat", [None, "4.37"])
def test_a_model_in_training_mode_drops_without_being_told(compat: str | None) -> None:
    case = case_named("tf", "lm")
    config = XGLMConfig(**case["config"], dropout=0.5)
    model = TFXGLMForCausalLM.from_weights(config, weights_of(case), compat=compat)
    plain = model(IDS).logits
    once = model.train(rng=7)(IDS).logits
    assert not np.array_equal(once, plain)
    assert np.array_equal(model.train(rng=7)(IDS).logits, once)
    assert np.array_equal(model.eval()(IDS).logits, plain)


def test_models_can_be_copied_and_pickled() -> None:
    case = case_named("tf", "bare")
    weights = of_kind(case, weights_of(case))
    model = TFXGLMModel.from_weights(XGLMConfig(**case["config"]), weights, compat="4.37")
    wanted = model([IDS, MASK])[0]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert other.compat == "4.37"
        assert np.array_equal(other([IDS, MASK])[0], wanted)


def test_construction() -> None:
    config = XGLMConfig(**case_named("tf", "lm")["config"])
    embed = np.ones((31, 16), np.float32)
    model = TFXGLMModel(config, embed_tokens=embed)
    assert np.array_equal(model.get_input_embeddings().weight, embed)
    assert TFXGLMForCausalLM.from_config(config, seed=3).framework == "tf"
    assert pyxglm.TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST == ["facebook/xglm-564M"]
