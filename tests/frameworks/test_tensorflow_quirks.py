"""Where TensorFlow's classes of 4.37.2 are no torch's: what is done by default, and with compat.

The recorded outputs (`test_tensorflow_outputs`) cover masks that add up, the
cache and the losses; here stands what they do not show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frameworks.harness import TOLERANCE, case_named, of_kind, weights_of
from golden.compare import error
from golden.frameworks.arrays import expected, load

from pyxglm import TFXGLMForCausalLM, TFXGLMModel, XGLMConfig, XGLMForCausalLM, XGLMModel
from pyxglm.ops import available_backends
from pyxglm.parameters import HEAD
from pyxglm.tensorflow_style.attention import AdditiveMasks

KINDS: dict[str, Any] = {"bare": TFXGLMModel, "lm": TFXGLMForCausalLM}
FACTS = load("tf")[0]
COMPAT = {"compat": "4.37"}


def build(name: str, **settings: Any) -> Any:
    case = case_named("tf", name)
    config = XGLMConfig(**case["config"])
    return KINDS[case["kind"]].from_weights(config, of_kind(case, weights_of(case)), **settings)


def torch_build(name: str) -> Any:
    case = case_named("tf", name)
    kind: Any = XGLMForCausalLM if case["kind"] == "lm" else XGLMModel
    return kind.from_weights(XGLMConfig(**case["config"]), of_kind(case, weights_of(case)))


# ------------------------------------------------------------------------------------- masks


def test_masks_add_up_to_numbers_that_float32_rounds() -> None:
    # Two queries of one key each, scores 3 and 5: 5 - 1e8 is nearer to 8 - 1e8, 3 - 1e8 to -1e8.
    ones = np.ones((1, 1, 2, 1), np.float32)
    keys = np.float32([[[[3.0], [5.0]]]])
    ops = AdditiveMasks(None, np.float32([[0, 0]]), None)
    _, weights = ops.attention(ones, keys, ones, return_weights=True)
    assert weights is not None
    # Query 0: key 0 at 3 - 1e8 = -1e8; key 1 at 5 - 2e8 = -2e8. Query 1: -1e8 and 8 - 1e8.
    assert weights[0, 0, 0].tolist() == [1.0, 0.0]
    assert np.allclose(weights[0, 0, 1], np.exp([-8.0, 0.0]) / np.exp([-8.0, 0.0]).sum())


def test_tokens_that_see_nothing_differ_from_torch_only_with_compat() -> None:
    ids, mask = [[5, 9, 7, 11]], [[0, 0, 1, 1]]
    torch_logits = torch_build("lm")(ids, mask).logits
    assert np.array_equal(build("lm")([ids, mask]).logits, torch_logits)
    as_was = build("lm", **COMPAT)([ids, mask]).logits
    assert error(as_was[:, 2:], torch_logits[:, 2:]) <= TOLERANCE
    assert error(as_was[:, :2], torch_logits[:, :2]) > 100 * TOLERANCE


@pytest.mark.parametrize("backend", available_backends())
def test_every_backend_adds_masks_up(backend: str) -> None:
    case = case_named("tf", "sharp_left")
    given = {name: case["calls"][0][name] for name in ("input_ids", "attention_mask")}
    model = build("sharp_left", backend=backend, **COMPAT)
    assert model.backend == backend
    out = model(given, output_attentions=True)
    wanted = expected("tf", "sharp_left", 0)
    assert error(out.logits, wanted["logits"]) <= TOLERANCE
    assert error(out.attentions[1], wanted["attentions.1"]) <= TOLERANCE


def test_a_mask_of_four_axes_is_refused_as_it_was() -> None:
    assert FACTS["errors"]["mask_4d"] == "InvalidArgumentError"
    ids, mask = [[5, 9]], np.tril(np.ones((1, 1, 2, 2)))
    assert build("lm")(ids, mask).logits.shape == (1, 2, 31)
    with pytest.raises(ValueError, match=r"attention_mask has shape \(1, 1, 2, 2\)"):
        build("lm", **COMPAT)(ids, mask)


# --------------------------------------------------------------------------------- positions


def test_the_table_grows_unless_compat() -> None:
    assert FACTS["errors"]["too_long"] == "InvalidArgumentError"
    long = np.full((1, 30), 4)
    long[0, ::3] = 9
    assert error(build("lm")(long).logits, torch_build("lm")(long).logits) == 0
    with pytest.raises(IndexError, match="30 tokens are given or remembered, expected at most 24"):
        build("lm", **COMPAT)(long)
    past = build("lm", **COMPAT)(long[:, :24]).past_key_values
    with pytest.raises(IndexError, match="expected at most 24"):
        build("lm", **COMPAT)(long[:, 24:25], past_key_values=past)
    for length in (22, 24):
        with pytest.raises(IndexError, match="position_ids holds 24"):
            build("lm", **COMPAT).generate(long[:, :length], max_new_tokens=5, eos_token_id=None)


@pytest.mark.parametrize("compat", [None, "4.37"])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("position_beyond", {"input_ids": [[4, 5, 6]], "position_ids": [[0, 1, 24]]}),
        ("position_before", {"input_ids": [[4, 5, 6]], "position_ids": [[-3, 1, 2]]}),
        ("id_beyond", {"input_ids": [[4, 31]]}),
    ],
)
def test_what_is_beyond_a_table_is_refused(
    name: str, given: dict[str, Any], compat: str | None
) -> None:
    assert FACTS["errors"][name] == "InvalidArgumentError"
    with pytest.raises(IndexError, match=r"holds (24|-3|31) at"):
        build("lm", compat=compat)(given)


def test_the_bare_class_honours_positions_unless_compat() -> None:
    case = case_named("tf", "bare_positions")
    ids, places = (case["calls"][0][name] for name in ("input_ids", "position_ids"))
    recorded = expected("tf", "bare_positions", 0)["last_hidden_state"]
    theirs = torch_build("bare_positions")(ids, position_ids=places).last_hidden_state
    found = build("bare_positions")(ids, position_ids=places).last_hidden_state
    assert np.array_equal(found, theirs)
    assert error(found, recorded) > 0.1
    as_was = build("bare_positions", **COMPAT)
    assert error(as_was(ids, position_ids=places)[0], recorded) <= TOLERANCE
    assert np.array_equal(as_was(ids)[0], as_was(ids, position_ids=places)[0])


@pytest.mark.parametrize("number", range(len(FACTS["prepared"])))
def test_prepare_inputs_for_generation(number: int) -> None:
    recorded = FACTS["prepared"][number]
    model, given = build("lm"), dict(recorded["given"])
    past = model([line[:2] for line in recorded["input_ids"]]).past_key_values
    cache = past if given.pop("past", False) else None
    made = model.prepare_inputs_for_generation(recorded["input_ids"], cache, **given)
    for name in ("input_ids", "attention_mask", "position_ids"):
        wanted = recorded["made"][name]
        assert made[name] is None if wanted is None else np.array_equal(made[name], wanted)
    assert (made["past_key_values"] is not None) == recorded["made"]["past"]
    assert made["use_cache"] == recorded["made"]["use_cache"]


# ---------------------------------------------------------------------------------- the head


def test_the_head_is_a_matrix_of_its_own() -> None:
    case = case_named("tf", "head_of_its_own")
    weights = weights_of(case)
    model = build("head_of_its_own")
    assert model.config.tie_word_embeddings
    assert np.array_equal(model.state_dict()[HEAD], weights[HEAD])
    model.tie_weights()
    assert np.array_equal(model.get_output_embeddings().weight, weights[HEAD])
    before = model([[5, 6]]).logits
    model.resize_token_embeddings(40)
    assert model.get_output_embeddings().weight.shape == (40, 16)
    assert np.array_equal(model.get_output_embeddings().weight[:31], weights[HEAD])
    assert error(model([[5, 6]]).logits[..., :31], before) <= TOLERANCE
    without = {name: array for name, array in weights.items() if name != HEAD}
    begun = TFXGLMForCausalLM.from_weights(XGLMConfig(**case["config"]), without)
    assert np.array_equal(begun.lm_head.weight, weights["model.embed_tokens.weight"])
    with pytest.raises(ValueError, match=r"lm_head.weight is \(3, 16\)"):
        TFXGLMForCausalLM.from_weights(begun.config, {**weights, HEAD: weights[HEAD][:3]})


def test_a_head_that_is_the_embedding_stays_it_in_another_dtype() -> None:
    case = case_named("tf", "lm")
    weights = {name: array for name, array in weights_of(case).items() if name != HEAD}
    model = TFXGLMForCausalLM.from_weights(XGLMConfig(**case["config"]), weights).half()
    assert model.dtype == np.float16
    assert model.lm_head.weight is model.get_input_embeddings().weight
    own = build("head_of_its_own").half()
    assert own.lm_head.weight.dtype == np.float16
    assert not np.array_equal(own.lm_head.weight, own.get_input_embeddings().weight)
    with pytest.raises(ValueError, match="'int8' is given"):
        model.to("int8")
    assert model.lm_head.weight is model.get_input_embeddings().weight


@pytest.mark.parametrize("pad", ["1", "3", "None"])
def test_fresh_weights(pad: str) -> None:
    recorded = FACTS["fresh"]["by_pad"][pad]
    fields = {**FACTS["fresh"]["config"], "pad_token_id": None if pad == "None" else int(pad)}
    config = XGLMConfig(**{"attention_heads": 4, **fields})
    drawn = TFXGLMForCausalLM(config, seed=3, **COMPAT).state_dict()
    plain = TFXGLMForCausalLM(config, seed=3).state_dict()
    assert sorted(drawn) == sorted(plain) == sorted(recorded)
    for name, wanted in recorded.items():
        found = drawn[name]
        assert list(found.shape) == wanted["shape"]
        # Two samples of one deviation; one is as large as a sample of its size gets.
        assert abs(found.std() - wanted["std"]) <= 5 / np.sqrt(found.size) * wanted["std"], name
        assert abs(found.mean() - wanted["mean"]) <= 8 / np.sqrt(found.size) * wanted["std"], name
        assert np.abs(found).max() == pytest.approx(wanted["largest"], rel=0.1), name
        if found.ndim == 2:
            assert plain[name].std() == pytest.approx(config.init_std, rel=0.15), name
    assert not np.array_equal(plain[HEAD], plain["model.embed_tokens.weight"])


# ------------------------------------------------------------------------------------ losses


def test_the_standard_loss_on_request() -> None:
    ids = [[5, 9, 7, 11]]
    theirs = torch_build("lm")
    wanted = theirs(ids, labels=ids).loss
    model = build("lm", loss_type="standard")
    assert model(ids, labels=ids).loss.shape == (1,)
    assert error(model(ids, labels=ids).loss[0], wanted) <= TOLERANCE
    assert error(build("lm")(ids, labels=ids, loss_type="standard").loss[0], wanted) <= TOLERANCE
    as_was = build("lm")(ids, labels=ids).loss
    assert error(as_was[0], theirs(ids, labels=ids, loss_type="hf-4.37").loss) <= TOLERANCE


def test_the_older_loss_is_not_averaged() -> None:
    ids = [[5, 9, 7, 11], [6, 8, 4, 30]]
    labels = [[5, 9, -100, 11], [-100] * 4]
    model = build("legacy_loss")
    whole, older = build("lm")(ids, labels=labels), model(ids, labels=labels)
    assert older.loss.shape == (4,)  # 9 and 11, and the padding id after either row
    assert error(older.loss.mean(), whole.loss[0]) <= TOLERANCE
    assert model(ids, labels=labels, loss_type="standard").loss.shape == (2,)
    assert np.array_equal(model(ids, labels=labels, loss_type="standard").loss, older.loss[:2])
