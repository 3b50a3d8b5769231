"""Where Flax's classes of 4.37.2 are no torch's: what is done by default, and with compat.

The recorded outputs (`test_flax_outputs`) cover whole results, the cache that
is full, and positions beyond the table; here stands what they do not show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frameworks.flax_models import build
from frameworks.harness import TOLERANCE, case_named, cases
from golden.compare import error
from golden.frameworks.arrays import arguments, expected, load

from pyxglm import FlaxXGLMForCausalLM, FlaxXGLMModel, XGLMConfig
from pyxglm.flax_style.positions import float64_positions
from pyxglm.ops.reference import sinusoidal_positions

FACTS = load("flax")[0]
ANSWERS = FACTS["answers"]
LM = case_named("flax", "lm")
IDS = np.array([[5, 9, 7, 11]])
COMPAT = {"compat": "4.37"}


def lm(**settings: Any) -> FlaxXGLMForCausalLM:
    model: FlaxXGLMForCausalLM = build(LM, **settings)
    return model


def config(**fields: Any) -> XGLMConfig:
    return XGLMConfig(**{**LM["config"], **fields})


# --------------------------------------------------------------------------------- positions


def test_a_cache_without_positions_goes_on_from_its_index_unless_compat() -> None:
    model, whole = lm(), lm()(IDS).logits
    first = model(IDS[:, :3], past_key_values=model.init_cache(1, 6))
    last = model(IDS[:, 3:], past_key_values=first.past_key_values)
    assert error(last.logits[:, 0], whole[:, 3]) <= TOLERANCE
    as_was = lm(**COMPAT)
    restarted = as_was(IDS[:, 3:], past_key_values=first.past_key_values)
    assert error(restarted.logits[:, 0], whole[:, 3]) > 100 * TOLERANCE
    told = as_was(IDS[:, 3:], past_key_values=first.past_key_values, position_ids=[[3]])
    assert error(told.logits[:, 0], whole[:, 3]) <= TOLERANCE


def test_the_table_is_made_in_float64_and_row_one_is_zero() -> None:
    rows, width = 2050, 64
    table = float64_positions(rows, width)
    p, i = np.arange(rows)[:, None], np.arange(width // 2)
    angles = p * 10000.0 ** (-i / (width // 2 - 1))
    wanted = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    wanted[1] = 0
    assert np.abs(table - wanted).max() <= 2.0**-24
    assert table.dtype == np.float32
    apart = np.abs(table - sinusoidal_positions(rows, width))
    assert 1e-5 < apart.max() <= 2e-4  # what torch rounds on the way
    assert float64_positions(4, 5)[:, -1].any() == np.False_  # an odd width ends in zeros
    assert np.array_equal(float64_positions(4, 5)[:, :4], float64_positions(4, 4))


@pytest.mark.parametrize("pad", [1, 5, None])
def test_the_zero_row_does_not_follow_the_padding_id(pad: int | None) -> None:
    model = FlaxXGLMModel(config(pad_token_id=pad))
    model.params = build(case_named("flax", "bare")).params
    plain = build(case_named("flax", "bare"))
    places = np.array([[3, 4, -1, 2]])  # row 5 is position 3
    assert np.array_equal(model(IDS, position_ids=places)[0], plain(IDS, position_ids=places)[0])


def test_the_table_grows_unless_compat() -> None:
    assert ANSWERS["too_long"] == "ValueError"
    long = np.full((1, 30), 4)
    long[0, ::3] = 9
    model = lm()
    assert np.isfinite(model(long).logits).all()
    parts, cache = [], model.init_cache(1, 30)
    for start in (0, 20, 25):
        out = model(long[:, start : start + (20 if start == 0 else 5)], past_key_values=cache)
        parts.append(out.logits)
        cache = out.past_key_values
    assert error(np.concatenate(parts, axis=1), model(long).logits) <= TOLERANCE
    with pytest.raises(ValueError, match="30 tokens are given or have room in the cache"):
        lm(**COMPAT)(long)
    assert ANSWERS["cache_too_long"] == "ValueError"
    with pytest.raises(ValueError, match="max_length is 25, expected at most 24"):
        lm(**COMPAT).init_cache(1, 25)
    with pytest.raises(ValueError, match="room in the cache, expected at most 24"):
        lm(**COMPAT)(IDS, np.ones((1, 25)), past_key_values=model.init_cache(1, 25))
    with pytest.raises(ValueError, match="are to have 26 tokens, expected at most 24"):
        lm(**COMPAT).generate(IDS, max_new_tokens=22)


def test_positions_beyond_the_table_are_refused_unless_compat() -> None:
    for places in ([[0, 1, 2, 24]], [[0, 1, 2, -3]]):
        with pytest.raises(IndexError, match="position_ids holds"):
            lm()(IDS, position_ids=places)
    beyond = lm(**COMPAT)(IDS, position_ids=[[0, 1, 2, 24]]).logits
    assert np.isnan(beyond).all()  # NaN in one key is NaN in every query
    two = lm(**COMPAT)(np.repeat(IDS, 2, 0), position_ids=[[0, 1, 2, 24], [0, 1, 2, 3]]).logits
    assert np.isnan(two[0]).all()
    assert error(two[1], lm()(IDS).logits[0]) <= TOLERANCE


@pytest.mark.parametrize("compat", [None, "4.37"])
@pytest.mark.parametrize("number", range(len(FACTS["prepared"])))
def test_preparing_inputs_for_generation(number: int, compat: str | None) -> None:
    recorded = FACTS["prepared"][number]
    model, ids = lm(compat=compat), np.array([[4, 5, 6], [7, 8, 9]])
    made = model.prepare_inputs_for_generation(ids, **recorded["given"])
    for name in ("attention_mask", "position_ids"):
        assert made[name].tolist() == recorded[name]
        assert made[name].dtype == np.int32
    found = dict(leaves(made["past_key_values"]))
    assert {n: [list(a.shape), str(a.dtype)] for n, a in found.items()} == recorded["cache"]
    assert not any(array.any() for array in found.values())
    updated = model.update_inputs_for_generation(model(ids, **made), dict(made))
    assert updated["position_ids"].tolist() == recorded["updated_position_ids"]
    assert sorted(updated) == recorded["updated_keys"]


def leaves(tree: Any, path: str = "") -> Any:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}/")
        else:
            yield path + key, value


# ------------------------------------------------------------------------- masks and the cache


def test_a_cache_without_a_mask_sees_all_its_tokens_unless_compat() -> None:
    assert ANSWERS["mask_none_with_cache"] == "ValueError"
    model = lm()
    out = model(IDS, past_key_values=model.init_cache(1, 6))
    assert error(out.logits, model(IDS).logits) <= TOLERANCE
    with pytest.raises(ValueError, match=r"attention_mask has shape \(1, 4\), expected \(1, 6\)"):
        lm(**COMPAT)(IDS, past_key_values=model.init_cache(1, 6))


@pytest.mark.parametrize("compat", [None, "4.37"])
def test_a_mask_of_the_tokens_alone_is_refused_with_a_cache(compat: str | None) -> None:
    assert ANSWERS["mask_of_tokens_with_cache"] == "ValueError"
    model = lm(compat=compat)
    with pytest.raises(ValueError, match=r"attention_mask has shape \(1, 4\), expected \(1, 6\)"):
        model(IDS, np.ones((1, 4)), past_key_values=model.init_cache(1, 6))


def test_a_full_cache_is_refused_unless_compat() -> None:
    case = case_named("flax", "full")
    model = build(case)
    first = case["calls"][0]
    out = model(np.array(first["input_ids"]), past_key_values=model.init_cache(2, 9))
    assert error(out.logits, expected("flax", "full", 0)["logits"]) <= TOLERANCE
    with pytest.raises(ValueError, match="holds 8 tokens and 2 are given, expected at most 9"):
        model(np.array([[4, 5], [6, 7]]), past_key_values=out.past_key_values)
    as_was = build(case, **COMPAT)
    over = as_was(np.array([[4], [6]]), np.ones((2, 9)), past_key_values=out.past_key_values)
    for _ in range(3):  # it goes on for ever, over the last place
        over = as_was(np.array([[4], [6]]), np.ones((2, 9)), past_key_values=over.past_key_values)
    assert over.past_key_values["model"]["layers"]["0"]["self_attn"]["cache_index"] == 12
    with pytest.raises(ValueError, match="10 tokens are given, expected at most 9"):
        as_was(np.full((2, 10), 4), np.ones((2, 9)), past_key_values=as_was.init_cache(2, 9))


def test_queries_that_see_nothing_spread_over_all_the_room_only_with_compat() -> None:
    mask = np.array([[0, 0, 1, 1, 1, 1]])
    for compat, shares in ((None, 4), ("4.37", 6)):
        model = lm(compat=compat)
        cache = model.init_cache(1, 6)
        out = model(IDS, mask, past_key_values=cache, output_attentions=True)
        weights = out.attentions[0]
        assert weights.shape == (1, 4, 4, 6)
        assert np.allclose(weights[:, :, 0, :shares], 1 / shares)
        assert np.allclose(weights[:, :, 2:].sum(-1), 1)
        assert not weights[:, :, 3, [0, 1, 4, 5]].any()


# ------------------------------------------------------------------------ what never worked


def test_cross_attention_works_unless_compat() -> None:
    assert ANSWERS["cross_attention"] == "AttributeError"
    crossed = config(add_cross_attention=True)
    with pytest.raises(ValueError, match="cross-attention never worked there"):
        FlaxXGLMForCausalLM(crossed, **COMPAT)
    # TensorFlow's works, and was recorded with weights of the same names.
    case = case_named("tf", "cross")
    model = build({**case, "config": {**case["config"], "return_dict": True}})
    _, given = arguments(case["calls"][0], {})
    wanted = expected("tf", "cross", 0)
    out = model(**given)
    assert error(out.logits, wanted["logits"]) <= TOLERANCE
    for layer, weights in enumerate(out.cross_attentions):
        assert error(weights, wanted[f"cross_attentions.{layer}"]) <= TOLERANCE
    steps, cache = [], model.init_cache(2, 6)
    for t in range(5):
        step = model(given["input_ids"][:, t : t + 1], past_key_values=cache, **{
            name: given[name] for name in ("encoder_hidden_states", "encoder_attention_mask")
        })  # fmt: skip
        cache = step.past_key_values
        steps.append(step.logits)
    assert error(np.concatenate(steps, axis=1), wanted["logits"]) <= TOLERANCE


def test_an_odd_width_works_unless_compat() -> None:
    assert ANSWERS["odd_width"] == "ValueError"
    odd = config(d_model=15, attention_heads=3)
    with pytest.raises(ValueError, match="d_model is 15, expected an even number"):
        FlaxXGLMModel(odd, **COMPAT)
    assert np.isfinite(FlaxXGLMModel(odd)(IDS)[0]).all()


def test_layers_are_left_out_in_training_unless_compat() -> None:
    assert ANSWERS["layerdrop"] == "AttributeError"
    dropping = {**LM, "config": {**LM["config"], "layerdrop": 0.5, "dropout": 0.0,
                                 "attention_dropout": 0.0}}  # fmt: skip
    model, kept = build(dropping), set()
    for seed in range(12):
        out = model(IDS, train=True, dropout_rng=seed, output_attentions=True)
        kept.add(len(out.attentions))
    assert kept == {0, 1, 2}
    with pytest.raises(ValueError, match="layerdrop is 0.5"):
        model(IDS, train=True, dropout_rng=1, past_key_values=model.init_cache(1, 6))
    as_was = build(dropping, **COMPAT)
    with pytest.raises(ValueError, match="LayerDrop never worked there"):
        as_was(IDS, train=True, dropout_rng=1)
    assert np.isfinite(as_was(IDS).logits).all()


def test_attention_weights_are_dropped_in_training_unless_compat() -> None:
    assert FACTS["attention_dropout"] is False
    dropping = {**LM, "config": {**LM["config"], "dropout": 0.0, "attention_dropout": 0.5}}
    out = build(dropping)(IDS, train=True, dropout_rng=3, output_attentions=True)
    plain = build(dropping)(IDS, output_attentions=True)
    below = np.tril(np.ones((4, 4), bool))
    factors = out.attentions[0][..., below] / plain.attentions[0][..., below]
    assert set(np.unique(factors.round(4))) == {0.0, 2.0}  # after dropout, scaled
    assert (factors.round(4) == factors[:1, :1].round(4)).all()  # alike in every head
    as_was = build(dropping, **COMPAT)
    assert error(as_was(IDS, train=True, dropout_rng=3).logits, plain.logits) <= TOLERANCE


# -------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("kind", ["bare", "lm", "lm_untied"])
def test_fresh_parameters(kind: str) -> None:
    recorded = FACTS["fresh"]["by_kind"][kind]
    fields = {**FACTS["fresh"]["config"], "attention_heads": 4}
    made = XGLMConfig(**fields, tie_word_embeddings=kind != "lm_untied")
    model: Any = (FlaxXGLMModel if kind == "bare" else FlaxXGLMForCausalLM)(made, seed=5)
    found = dict(leaves(model.params))
    assert sorted(found) == sorted(recorded)
    assert {"/".join(path) for path in model.required_params} == set(recorded)
    shapes = dict(leaves(model.params_shape_tree))
    for path, wanted in recorded.items():
        array = found[path]
        assert list(array.shape) == list(shapes[path].shape) == wanted["shape"]
        assert array.dtype == shapes[path].dtype == np.float32
        spread = 5 / np.sqrt(array.size) * wanted["std"]
        assert abs(array.std() - wanted["std"]) <= spread, path
        assert abs(array.mean() - wanted["mean"]) <= 2 * spread, path
        assert (~array.any(axis=-1)).sum() == wanted["zero_rows"], path


def test_required_params() -> None:
    assert sorted("/".join(path) for path in lm().required_params) == FACTS["required"]


@pytest.mark.parametrize("name", FACTS["casts"])
def test_casts(name: str) -> None:
    model = lm()
    half = model.to_fp16(model.params)
    mask = None
    if name.endswith("_masked"):
        mask = build(LM).params
        for path, _ in list(leaves(mask)):
            *parents, leaf = path.split("/")
            node = mask
            for parent in parents:
                node = node[parent]
            node[leaf] = leaf != "scale"
    cast = getattr(model, name.removesuffix("_masked"))(half, mask)
    found = {
        path: "bfloat16" if array.dtype.names else str(array.dtype) for path, array in leaves(cast)
    }
    assert found == FACTS["casts"][name]
    assert all(array.dtype == np.float16 for _, array in leaves(half))


def test_every_recorded_case_was_looked_at() -> None:
    assert len(cases("flax")) == len({case["name"] for case in cases("flax")}) == 32
