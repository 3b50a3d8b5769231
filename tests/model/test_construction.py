"""Where parameters come from: random numbers, given arrays, copies; and pruning."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from model.small import IDS, SIZES, apart, bare, config, lm
from strategies import left_alone

import pyxglm
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16, convert
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.parameters import parameter_shapes

#: The published models: layers, width, feed-forward width, heads, and parameters.
PUBLISHED = {
    "564M": (24, 1024, 4096, 16, 564_463_616),
    "1.7B": (24, 2048, 8192, 16, 1_732_907_008),
    "2.9B": (48, 2048, 8192, 16, 2_941_505_536),
    "4.5B": (48, 2048, 16384, 16, 4_552_511_488),
    "7.5B": (32, 4096, 16384, 32, 7_492_771_840),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_the_published_models(name: str) -> None:
    L, D, F, H, wanted = PUBLISHED[name]
    published = XGLMConfig(num_layers=L, d_model=D, ffn_dim=F, attention_heads=H)
    count = sum(int(np.prod(shape)) for shape in parameter_shapes(published).values())
    assert count == wanted
    published.tie_word_embeddings = False
    untied = sum(int(np.prod(shape)) for shape in parameter_shapes(published).values())
    assert untied == wanted + 256_008 * D


def test_num_parameters() -> None:
    V, D, F, L = (SIZES[name] for name in ("vocab_size", "d_model", "ffn_dim", "num_layers"))
    wanted = V * D + L * (4 * (D * D + D) + 4 * D + 2 * D * F + F + D) + 2 * D
    assert lm().num_parameters() == bare().num_parameters() == wanted
    assert lm().num_parameters(exclude_embeddings=True) == wanted - V * D
    assert lm().num_parameters(only_trainable=True) == wanted
    assert lm(tie_word_embeddings=False).num_parameters() == wanted + V * D
    assert bare(tie_word_embeddings=False).num_parameters() == wanted
    crossed = wanted + L * (4 * (D * D + D) + 2 * D)
    assert lm(add_cross_attention=True).num_parameters() == crossed


# ------------------------------------------------------------------------ random weights


def test_random_weights() -> None:
    sizes = {"vocab_size": 300, "d_model": 64, "ffn_dim": 128, "num_layers": 2}
    model = XGLMForCausalLM(XGLMConfig(**sizes, attention_heads=4, init_std=0.05), seed=3)
    for name, array in model.named_parameters():
        if array.ndim == 1:
            assert np.all(array == ("norm.weight" in name)), name
            continue
        drawn = np.delete(array, 1, axis=0) if "embed" in name else array
        # Four standard errors of the deviation and of the mean of n normal numbers.
        n = drawn.size
        assert abs(drawn.std() / 0.05 - 1) < 4 / np.sqrt(2 * n), name
        assert abs(drawn.mean()) < 4 * 0.05 / np.sqrt(n), name
        assert np.abs(drawn).max() < 0.05 * 6  # and no outliers
    assert not model.get_input_embeddings().weight[1].any()


def test_the_padding_row_is_zero_and_no_other() -> None:
    for pad in (None, 0, 7):
        weight = XGLMModel(config(pad_token_id=pad)).get_input_embeddings().weight
        assert np.flatnonzero(~weight.any(axis=1)).tolist() == ([] if pad is None else [pad])


def test_every_matrix_is_drawn_anew() -> None:
    matrices = [a.ravel()[:50].tolist() for _, a in lm().named_parameters() if a.ndim == 2]
    assert len({tuple(numbers) for numbers in matrices}) == len(matrices)


def test_seeds() -> None:
    def weights(**settings: Any) -> list[bytes]:
        return [a.tobytes() for a in XGLMForCausalLM(config(), **settings).parameters()]

    assert weights() == weights(seed=0) == weights(seed=0, compute="float64")
    assert weights(seed=1) != weights(seed=2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_the_stored_dtype(dtype: str) -> None:
    model = XGLMForCausalLM(config(), seed=4, dtype=dtype)
    whole = XGLMForCausalLM(config(), seed=4)
    wanted = bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    assert model.dtype == wanted
    assert {array.dtype for array in model.parameters()} == {wanted}
    for mine, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert np.array_equal(mine, convert(theirs, dtype))


# ------------------------------------------------------------------------- given weights


@pytest.mark.parametrize("kind", [XGLMModel, XGLMForCausalLM])
@pytest.mark.parametrize("tied", [True, False])
def test_a_model_of_given_arrays_does_not_copy_them(kind: Any, tied: bool) -> None:
    model = kind(config(tie_word_embeddings=tied), seed=5)
    state = model.state_dict()
    assert ("lm_head.weight" in state) == (kind is XGLMForCausalLM)
    again = kind.from_weights(model.config, state)
    for name, array in again.state_dict().items():
        assert array is state[name]
    assert list(again.state_dict()) == list(state)
    with left_alone(state):
        assert np.array_equal(again(IDS)[0], model(IDS)[0])


def test_given_arrays_are_converted_if_asked() -> None:
    model = XGLMForCausalLM.from_weights(config(), lm().state_dict(), dtype="bfloat16")
    assert model.dtype == bfloat16
    assert apart(model(IDS).logits, lm()(IDS).logits) < 0.05


def test_read_only_weights_are_enough() -> None:
    model = lm()
    for array in model.parameters():
        array.flags.writeable = False
    model(IDS, labels=IDS)
    model.prune_heads({0: [0]})
    model.resize_token_embeddings(30)
    model(IDS)


def test_the_configuration_is_the_models_own_copy() -> None:
    given = config()
    model = XGLMForCausalLM(given)
    given.use_cache = False
    assert model.config.use_cache
    assert model.config is model.model.config
    model.config.use_cache = False
    assert model(IDS).past_key_values is None


def test_what_a_model_says_of_itself() -> None:
    for model in (lm(), bare()):
        assert model.eval() is model
        assert model.training is False
        assert model.device == "cpu"
        assert model.base_model_prefix == "model"
        assert model.config_class is XGLMConfig
        assert isinstance(model, pyxglm.XGLMPreTrainedModel)
        assert [n for n, _ in model.named_parameters()] == [
            n for n in model.state_dict() if n != "lm_head.weight"
        ]
        assert len(list(model.parameters())) == len(list(model.named_parameters()))
        assert model.main_input_name == "input_ids"
        assert model.get_memory_footprint() == 4 * model.num_parameters()
    model = lm()
    assert model.can_generate()
    assert model.base_model is model.model
    assert model.model.base_model is model.model
    assert model.train(False) is model


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_storage_can_be_changed(dtype: str) -> None:
    model, wanted = lm(), lm()
    assert model.to("cpu") is model.to(device="cpu") is model
    assert model.to(dtype) is model
    for mine, theirs in zip(model.parameters(), wanted.parameters(), strict=True):
        assert mine.dtype == model.dtype
        assert mine.tobytes() == convert(theirs, dtype).tobytes()
    assert model.model.dtype == model.dtype
    assert model(IDS).logits.dtype == np.float32
    assert model.to("cpu", np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="^to: 'cuda' is given, expected 'cpu' or one of float32"):
        model.to("cuda")


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [lm, bare])
def test_copies_share_nothing(make: Any, how: str) -> None:
    model = make()
    wanted = model(IDS)[0]
    twin = copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(twin(IDS)[0], wanted)
    twin.resize_token_embeddings(40)
    twin.get_input_embeddings().weight[...] = 0
    assert np.array_equal(model(IDS)[0], wanted)
    assert model.config.vocab_size == 23
    if make is lm:
        assert twin.config is twin.model.config
        assert twin.model.get_input_embeddings().weight is twin.lm_head.weight
        assert not twin(IDS).logits.any()


# ------------------------------------------------------------------------------ pruning


def test_pruning_in_steps_is_pruning_at_once() -> None:
    at_once, in_steps = (lm(attention_heads=4) for _ in range(2))
    at_once.prune_heads({0: [0, 2], 2: [3]})
    in_steps.prune_heads({0: [2]})
    in_steps.prune_heads({0: [0]})  # counted as in the whole model
    in_steps.prune_heads({0: {0, 2}, 2: np.array([3])})  # those that are gone may be named again
    assert in_steps.config.pruned_heads == at_once.config.pruned_heads == {0: [0, 2], 2: [3]}
    assert np.array_equal(in_steps(IDS).logits, at_once(IDS).logits)
    shapes = {n: a.shape for n, a in at_once.named_parameters()}
    assert shapes == parameter_shapes(at_once.config)
    assert shapes["model.layers.0.self_attn.out_proj.weight"] == (12, 6)
    json.loads(in_steps.config.to_json_string())


def test_a_layer_may_lose_all_its_heads() -> None:
    model = lm()
    model.prune_heads({1: [0, 1]})
    mask = [[1, 1], [0, 0], [1, 1]]
    assert apart(model(IDS).logits, lm()(IDS, head_mask=mask).logits) <= 1e-5
    past = model(IDS[:, :3]).past_key_values
    assert past[1][0].shape == (2, 0, 3, 6)
    found = model(IDS[:, 3:], past_key_values=past).logits
    assert apart(found, model(IDS).logits[:, 3:]) <= 1e-5


def test_a_pruned_model_is_a_whole_model() -> None:
    model = lm(dtype="bfloat16")
    model.prune_heads({1: [0]})
    again = XGLMForCausalLM.from_weights(model.config, model.state_dict())
    assert np.array_equal(again(IDS).logits, model(IDS).logits)
    assert np.array_equal(copy.deepcopy(model)(IDS).logits, model(IDS).logits)


@pytest.mark.parametrize("heads", [{3: [0]}, {-1: [0]}, {0: [2]}, {0: [0], 1: [-1]}])
def test_heads_that_are_not_there(heads: dict[int, list[int]]) -> None:
    model = lm()
    with pytest.raises(
        ValueError, match=r"^heads_to_prune asks for heads .*, expected heads 0\.\.1"
    ):
        model.prune_heads(heads)
    assert model.config.pruned_heads == {}
    assert np.array_equal(model(IDS).logits, lm()(IDS).logits)


# ------------------------------------------------------------------- for those who generate


def test_the_inputs_of_the_next_step() -> None:
    model = lm()
    mask = np.array([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    found = model.prepare_inputs_for_generation(IDS, attention_mask=mask, use_cache=True)
    assert list(found) == [
        "input_ids", "attention_mask", "position_ids", "past_key_values", "use_cache"
    ]  # fmt: skip
    assert np.array_equal(found["input_ids"], IDS)
    assert found["attention_mask"] is mask
    assert found["position_ids"].tolist() == [[1, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert (found["past_key_values"], found["use_cache"]) == (None, True)


@pytest.mark.parametrize(("held", "kept"), [(1, 4), (3, 2), (4, 1), (5, 1)])
def test_the_inputs_after_a_past(held: int, kept: int) -> None:
    # What the cache holds is left out; the last id stays in any case.
    model, mask = lm(), np.ones((2, 5), int)
    past = model(IDS[:, :held]).past_key_values
    found = model.prepare_inputs_for_generation(IDS, past, mask)
    assert np.array_equal(found["input_ids"], IDS[:, 5 - kept :])
    assert found["position_ids"].tolist() == [list(range(5 - kept, 5))] * 2
    if held < 5:
        assert apart(model(**found).logits, model(IDS).logits[:, held:]) <= 1e-5


def test_given_positions_are_dropped_as_in_transformers() -> None:
    model = lm()
    found = model.prepare_inputs_for_generation(
        IDS.tolist(), attention_mask=np.ones((2, 5)), position_ids=IDS, other=3
    )
    assert found["position_ids"] is None
    found = model.prepare_inputs_for_generation(IDS)
    assert found["position_ids"] is None
    assert found["attention_mask"].tolist() == [[1] * 5] * 2
