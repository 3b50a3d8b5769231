"""The arguments of a forward pass: what each changes, what it accepts, what it leaves alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from model.small import IDS, SIZES, apart, bare, encoder_states, lm
from strategies import left_alone

from pyxglm.check.patterns import LAYOUTS
from pyxglm.dtypes import convert
from pyxglm.modeling import XGLMForCausalLM
from pyxglm.positions import PositionTable

SCALE = np.float32(np.sqrt(SIZES["d_model"]))
MASK = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 1]])

#: One of every argument that is an array.
ARRAYS: dict[str, Any] = {
    "input_ids": IDS,
    "attention_mask": MASK,
    "position_ids": np.array([[0, 1, 2, 3, 7]]),
    "encoder_hidden_states": encoder_states(),
    "encoder_attention_mask": np.array([[1, 1, 1, 0, 1, 1], [1, 0, 0, 1, 1, 1]]),
    "head_mask": np.array([[1, 0], [0.5, 1], [1, 1]]),
    "cross_attn_head_mask": np.array([[1, 1], [0, 1], [1, 0.25]]),
    "labels": np.array([[2, 5, -100, 9, 4], [2, 11, 3, 8, -100]]),
}


@pytest.fixture(scope="module")
def model() -> XGLMForCausalLM:
    return lm(add_cross_attention=True)


# ------------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "input_ids"])
def test_every_argument_has_an_effect(model: XGLMForCausalLM, name: str) -> None:
    full = model(**ARRAYS)
    less = {key: value for key, value in ARRAYS.items() if key != name}
    if name == "encoder_hidden_states":
        less = {key: v for key, v in less.items() if key != "encoder_attention_mask"}
    other = model(**less)
    if name == "labels":
        assert full.loss > 0
        assert other.loss is None
    else:
        assert apart(other.logits, full.logits) > 1e-4


def test_lists_are_accepted(model: XGLMForCausalLM) -> None:
    wanted = model(**ARRAYS)
    found = model(**{name: array.tolist() for name, array in ARRAYS.items()})
    assert np.array_equal(found.logits, wanted.logits)
    assert found.loss == wanted.loss


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_callers_arrays_are_never_changed(model: XGLMForCausalLM, layout: str) -> None:
    given = {name: LAYOUTS[layout](array) for name, array in ARRAYS.items()}
    with left_alone(given):
        found = model(**given, output_attentions=True, output_hidden_states=True)
    assert apart(found.logits, model(**ARRAYS).logits) <= 1e-5
    embeds = LAYOUTS[layout](model.get_input_embeddings()(IDS))
    with left_alone({"embeds": embeds}):
        model(inputs_embeds=embeds)


def test_results_share_no_memory_with_arguments_or_weights(model: XGLMForCausalLM) -> None:
    embeds = model.get_input_embeddings()(IDS)
    output = model(inputs_embeds=embeds, output_hidden_states=True)
    for hidden in output.hidden_states:
        assert not np.shares_memory(hidden, embeds)
    for array in model.parameters():
        assert not np.shares_memory(array, output.logits)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint32", "int64", "uint64", ">i4"])
def test_ids_of_any_integer_type(model: XGLMForCausalLM, kind: str) -> None:
    assert np.array_equal(model(IDS.astype(kind)).logits, model(IDS).logits)


@pytest.mark.parametrize("kind", [bool, np.int8, np.float16, np.float64])
def test_masks_of_any_type(model: XGLMForCausalLM, kind: Any) -> None:
    wanted = model(IDS, attention_mask=MASK).logits
    assert np.array_equal(model(IDS, attention_mask=MASK.astype(kind)).logits, wanted)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_vectors_of_any_type(model: XGLMForCausalLM, kind: str) -> None:
    embeds = np.round(model.get_input_embeddings()(IDS) * 16)  # exact in every type
    wanted = model(inputs_embeds=embeds)
    found = model(inputs_embeds=convert(embeds, kind))
    assert found.logits.dtype == np.float32
    assert np.array_equal(found.logits, wanted.logits)


def test_ids_of_one_text_and_of_texts_of_texts(model: XGLMForCausalLM) -> None:
    # (T,) is a batch of one, and leading axes are joined, as in transformers.
    assert np.array_equal(model(IDS[0]).logits, model(IDS[:1]).logits)
    assert np.array_equal(model(IDS[:, None]).logits, model(IDS).logits)


def test_one_text_needs_no_axis_for_texts(model: XGLMForCausalLM) -> None:
    """What a tokenizer gives of one text: lists of numbers, ids and mask."""
    mask, positions, labels = [1, 1, 0, 1, 1], [0, 1, 5, 2, 3], [2, 5, -100, 9, 4]
    plain = {"input_ids": IDS[0].tolist(), "attention_mask": mask}
    more = {"position_ids": positions, "labels": labels}
    nested = {name: [value] for name, value in (plain | more).items()}
    found, wanted = model(**plain, **more), model(**nested)
    assert np.array_equal(found.logits, wanted.logits)
    assert found.loss == wanted.loss
    lossless = model(**plain, **more, output_logits=False)
    assert lossless.loss == pytest.approx(float(wanted.loss), rel=1e-6)
    assert np.array_equal(model.log_probs(**plain, **more), model.log_probs(**nested))
    cached = model(IDS[0, :3], mask[:3], positions[:3])
    later = model(IDS[0, 3:], mask, positions[3:], past_key_values=cached.past_key_values)
    assert apart(later.logits, wanted.logits[:, 3:]) < 1e-5


# -------------------------------------------------------------------- what it comes down to


def test_embeddings_times_their_scale_stand_for_ids(model: XGLMForCausalLM) -> None:
    embeds = model.get_input_embeddings()(IDS)
    assert np.array_equal(embeds, model.state_dict()["model.embed_tokens.weight"][IDS])
    wanted = model(IDS, attention_mask=MASK).logits
    assert np.array_equal(model(inputs_embeds=embeds * SCALE, attention_mask=MASK).logits, wanted)
    assert apart(model(inputs_embeds=embeds, attention_mask=MASK).logits, wanted) > 1e-3
    unscaled = lm(scale_embedding=False, add_cross_attention=True)
    assert np.array_equal(unscaled(inputs_embeds=embeds).logits, unscaled(IDS).logits)


def test_logits_are_hidden_states_times_the_head(model: XGLMForCausalLM) -> None:
    hidden_BTD = model.model(IDS).last_hidden_state
    logits_BTV = model(IDS).logits
    assert np.array_equal(model.lm_head(hidden_BTD), logits_BTV)
    wanted = hidden_BTD.astype(float) @ model.lm_head.weight.T.astype(float)
    assert apart(logits_BTV, wanted) <= 1e-6


def test_a_4d_mask_that_says_the_same_as_a_2d_mask(model: XGLMForCausalLM) -> None:
    causal_TS = np.tri(5)
    whole = causal_TS * MASK[:, None, None, :]
    wanted = model(IDS, attention_mask=MASK)
    assert np.array_equal(model(IDS, attention_mask=whole).logits, wanted.logits)
    past = model(IDS[:, :2], attention_mask=MASK[:, :2]).past_key_values
    rest = model(IDS[:, 2:], attention_mask=whole[:, :, 2:], past_key_values=past)
    assert apart(rest.logits, wanted.logits[:, 2:]) <= 1e-5


def test_a_4d_mask_replaces_the_causal_rule(model: XGLMForCausalLM) -> None:
    everything = model(IDS, attention_mask=np.ones((2, 1, 5, 5)), output_attentions=True)
    assert (everything.attentions[0] > 0).all()
    assert apart(everything.logits, model(IDS).logits) > 1e-3


def test_a_value_other_than_one_masks(model: XGLMForCausalLM) -> None:
    wanted = model(IDS, attention_mask=MASK).logits
    odd = np.where(MASK == 1, 1.0, [[0.5, 2, 0, 0, 0], [0, 0, 0, -1, 0]])
    assert np.array_equal(model(IDS, attention_mask=odd).logits, wanted)


def test_no_mask_and_a_mask_of_ones_agree(model: XGLMForCausalLM) -> None:
    wanted = model(IDS).logits
    assert np.array_equal(model(IDS, attention_mask=np.ones((2, 5))).logits, wanted)
    one = model(IDS[:, :1]).logits
    assert apart(model(IDS[:, :1], attention_mask=[[1], [1]]).logits, one) <= 1e-6


def test_rows_that_see_nothing_are_finite_and_even() -> None:
    output = bare()(IDS, attention_mask=MASK, output_attentions=True)
    assert np.isfinite(output.last_hidden_state).all()
    for weights_BHTS in output.attentions:
        assert np.all(weights_BHTS[0, :, :2] == np.float32(1) / 5)


def test_real_tokens_do_not_see_padding_or_the_future(model: XGLMForCausalLM) -> None:
    wanted = model(IDS, attention_mask=MASK).logits
    changed = np.where(MASK == 1, IDS, 17)
    found = model(changed, attention_mask=MASK).logits
    assert np.array_equal(found[MASK == 1], wanted[MASK == 1])
    later = IDS.copy()
    later[:, 3:] = 1
    assert np.array_equal(model(later, attention_mask=[[1] * 5] * 2).logits[:, :3],
                          model(IDS, attention_mask=[[1] * 5] * 2).logits[:, :3])  # fmt: skip


def test_rows_of_a_batch_do_not_see_each_other(model: XGLMForCausalLM) -> None:
    for row in (0, 1):
        assert apart(model(IDS[row : row + 1]).logits[0], model(IDS).logits[row]) <= 1e-5


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_head_of_factor_zero_is_a_head_pruned(layer: int) -> None:
    head_mask = np.ones((3, 2))
    head_mask[layer, 1] = 0
    masked = lm()(IDS, attention_mask=MASK, head_mask=head_mask, output_attentions=True)
    pruned = lm()
    pruned.prune_heads({layer: [1]})
    found = pruned(IDS, attention_mask=MASK, output_attentions=True)
    assert apart(found.logits, masked.logits) <= 1e-5
    assert [a.shape[1] for a in found.attentions] == [2 - (i == layer) for i in range(3)]
    # The mask of a pruned model still counts heads as in the whole one.
    assert np.array_equal(
        pruned(IDS, attention_mask=MASK, head_mask=head_mask).logits, found.logits
    )
    assert apart(lm()(IDS, attention_mask=MASK).logits, masked.logits) > 1e-3


def test_without_an_encoder_cross_attention_is_skipped(model: XGLMForCausalLM) -> None:
    weights = {n: a for n, a in model.state_dict().items() if "encoder_attn" not in n}
    config = lm().config
    plain = XGLMForCausalLM.from_weights(config, weights)
    assert np.array_equal(plain(IDS).logits, model(IDS).logits)


def test_masked_encoder_tokens_do_not_count(model: XGLMForCausalLM) -> None:
    states = encoder_states()
    mask = np.array([[1, 1, 1, 1, 0, 0]] * 2)
    wanted = model(IDS, encoder_hidden_states=states[:, :4]).logits
    states[:, 4:] = 1e3
    found = model(IDS, encoder_hidden_states=states, encoder_attention_mask=mask).logits
    assert apart(found, wanted) <= 1e-5


@pytest.mark.parametrize("keep", [1, 2, 5, 9, np.int64(1)])
def test_logits_of_the_last_positions(model: XGLMForCausalLM, keep: int) -> None:
    wanted = model(IDS).logits
    assert apart(model(IDS, logits_to_keep=keep).logits, wanted[:, -keep:]) <= 1e-6
    assert np.array_equal(model(IDS, logits_to_keep=0).logits, wanted)


@pytest.mark.parametrize(("B", "T"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_in_nothing_out(model: XGLMForCausalLM, B: int, T: int) -> None:
    output = model(np.zeros((B, T), int), labels=np.zeros((B, T), int))
    assert output.logits.shape == (B, T, SIZES["vocab_size"])
    assert np.isnan(output.loss)
    assert output.past_key_values[0][0].shape == (B, 2, T, 6)
    assert model(inputs_embeds=np.zeros((B, T, SIZES["d_model"]))).logits.shape[:2] == (B, T)


# ---------------------------------------------------------------- arithmetic and surroundings


@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_storage_and_arithmetic_are_two_things(dtype: str, compute: str) -> None:
    model = lm(dtype=dtype, compute=compute)
    output = model(IDS, labels=IDS, output_attentions=True, output_hidden_states=True)
    results = [output.loss, output.logits, *output.hidden_states, *output.attentions]
    assert {array.dtype.name for array in results} == {compute}
    assert {array.dtype.name for entry in output.past_key_values for array in entry} == {compute}
    # What is stored narrow is computed wide: as if the weights had been widened beforehand.
    wide = {name: convert(array, compute) for name, array in model.state_dict().items()}
    wanted = XGLMForCausalLM.from_weights(model.config, wide, compute=compute)(IDS).logits
    assert apart(output.logits, wanted) <= {"float32": 1e-5, "float64": 1e-13}[compute]


def test_float64_is_what_float32_comes_near_to() -> None:
    wanted = lm(compute="float64")(IDS, attention_mask=MASK).logits
    found = lm()(IDS, attention_mask=MASK).logits
    assert 1e-9 < apart(found, wanted) <= 2e-6


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_weights_that_are_no_numbers_give_results_that_are_none(value: float) -> None:
    # Without a warning (which is an error here), whatever the caller's settings.
    for name in ("model.embed_tokens.weight", "model.layers.1.fc1.weight", "lm_head.weight",
                 "model.layers.0.self_attn.k_proj.bias"):  # fmt: skip
        model = lm(tie_word_embeddings=False)
        model.state_dict()[name][...] = value
        with np.errstate(all="raise"):
            output = model(IDS, labels=IDS)
        if value == 3e38 and name.endswith("k_proj.bias"):
            continue  # a score q · k then overflows or does not, as its sum is ordered
        assert not np.isfinite(output.logits).all()
        assert not np.isfinite(output.loss)


def test_one_model_serves_many_threads() -> None:
    # Also while its position table grows: lengths differ, and so do the rows that are needed.
    generator = np.random.default_rng(3)
    texts = [generator.integers(2, 23, (1, T)) for T in generator.integers(1, 120, 60)]
    wanted = [lm()(text).logits for text in texts]
    for _ in range(3):
        shared = lm()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda text, model=shared: model(text).logits, texts))
        for mine, theirs in zip(found, wanted, strict=True):
            assert np.array_equal(mine, theirs)


class Raced(PositionTable):
    """A table in which another thread's shorter one always stands as soon as it is set."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value[:3] if name == "_computed_PD" else value)


def test_a_table_swapped_in_by_another_thread_does_no_harm() -> None:
    # The race of the test above that threads seldom run.
    model = lm()
    wanted = model(IDS).logits
    model.model._positions = Raced(model.config)
    for _ in range(2):
        assert np.array_equal(model(IDS).logits, wanted)
