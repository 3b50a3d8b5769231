"""The embedding and the head: given out, replaced, tied, resized."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from model.small import IDS, apart, bare, config, lm

from pyxglm.dtypes import convert
from pyxglm.embeddings import Embedding, Head
from pyxglm.modeling import XGLMForCausalLM, XGLMModel

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


# -------------------------------------------------------------------------- giving out


def test_the_embedding_is_callable_and_is_the_models_own() -> None:
    model = lm()
    embedding = model.get_input_embeddings()
    assert embedding.weight is model.state_dict()[EMBEDDING]
    for ids in (IDS, IDS.tolist(), IDS[0], IDS[:, None]):
        assert np.array_equal(embedding(ids), embedding.weight[np.asarray(ids)])
    embedding.weight[5] += 1
    assert np.array_equal(model.model.embed_tokens([5]), embedding.weight[[5]])
    with pytest.raises(IndexError, match=r"input_ids holds 23 at \[0, 1\]"):
        embedding([[2, 23]])
    with pytest.raises(ValueError, match="input_ids is a single number"):
        embedding(3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_embedding_and_head_compute_in_the_models_arithmetic(dtype: str) -> None:
    model = lm(dtype=dtype, compute="float64")
    wide = convert(model.get_input_embeddings().weight, "float64")
    assert np.array_equal(model.get_input_embeddings()(IDS), wide[IDS])
    hidden = [[[1] * 12]]
    np.testing.assert_allclose(model.lm_head(hidden)[0, 0], wide.sum(axis=1), atol=1e-12)
    assert lm().lm_head(hidden).dtype == np.float32


def test_embeddings_are_compared_by_identity() -> None:
    one, other = lm().get_input_embeddings(), lm().get_input_embeddings()
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_a_bare_model_has_no_head() -> None:
    assert bare().get_output_embeddings() is None
    with pytest.raises(ValueError, match="XGLMModel has no output head"):
        bare().set_output_embeddings(np.ones((23, 12)))


# --------------------------------------------------------------------------- replacing


def test_replacing_the_embedding_leaves_the_head_until_they_are_tied() -> None:
    model = lm()
    old, new = model.lm_head.weight, np.full((23, 12), 0.5, np.float32)
    model.set_input_embeddings(new)
    assert model.get_input_embeddings().weight is new
    assert model.lm_head.weight is old
    assert HEAD in dict(model.named_parameters())
    model.tie_weights()
    assert model.lm_head.weight is new
    assert HEAD not in dict(model.named_parameters())


def test_replacing_it_in_the_inner_model_is_the_same() -> None:
    model = lm()
    old = model.lm_head.weight
    model.model.embed_tokens = np.zeros((23, 12), np.float32)
    assert model.lm_head.weight is old
    assert not model.get_input_embeddings().weight.any()


def test_an_untied_head_stays_untied() -> None:
    model = lm(tie_word_embeddings=False)
    assert not np.array_equal(model.lm_head.weight, model.get_input_embeddings().weight)
    model.tie_weights()
    assert HEAD in dict(model.named_parameters())
    before = model(IDS).logits
    model.lm_head = Head(model.lm_head.weight * 2)
    assert apart(model(IDS).logits, before * 2) <= 1e-6


def test_matrices_may_come_as_objects_arrays_or_lists() -> None:
    matrix = np.random.default_rng(1).standard_normal((30, 12)).astype(np.float32)
    for value in (matrix, matrix.tolist(), Embedding(matrix), Head(matrix)):
        model = lm()
        model.set_input_embeddings(value)
        assert np.array_equal(model.get_input_embeddings()([29])[0], matrix[29])
        assert model.lm_head.weight.shape == (23, 12)
        built = XGLMModel(config(), value)
        assert np.array_equal(built.embed_tokens.weight, matrix)
    assert XGLMModel(config(), embed_tokens=matrix)([[29]]).last_hidden_state.shape == (1, 1, 12)


@pytest.mark.parametrize("value", [np.ones(12), np.ones((23, 11)), np.ones((2, 23, 12)), 3])
def test_matrices_of_another_width_are_refused(value: Any) -> None:
    shape = np.shape(value)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        lm().set_input_embeddings(value)
    assert str(caught.value) == f"embed_tokens has shape {shape}, expected (rows, 12)"
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        lm().set_output_embeddings(value)
    assert str(caught.value) == f"lm_head has shape {shape}, expected (rows, 12)"
    with pytest.raises(ValueError, match="embed_tokens has shape"):
        XGLMModel(config(), value)


# ---------------------------------------------------------------------------- resizing


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    ("rows", "multiple", "wanted"),
    [(30, None, 30), (10, None, 10), (23, None, 23), (24, 8, 24), (25, 8, 32), (None, 16, 32),
     (np.int64(26), np.int32(13), 26), (2, None, 2)],
)  # fmt: skip
def test_resizing(rows: Any, multiple: Any, wanted: int, tied: bool) -> None:
    model = lm(tie_word_embeddings=tied)
    old = {name: model.state_dict()[name].copy() for name in (EMBEDDING, HEAD)}
    output = model([[1, 0, 1]], attention_mask=[[1, 1, 1]]).logits
    returned = model.resize_token_embeddings(rows, pad_to_multiple_of=multiple)
    assert returned.weight is model.get_input_embeddings().weight
    assert model.config.vocab_size == model.model.config.vocab_size == wanted
    assert type(model.config.vocab_size) is int
    kept = min(wanted, 23)
    for name, matrix in old.items():
        new = model.state_dict()[name]
        assert new.shape == (wanted, 12)
        assert np.array_equal(new[:kept], matrix[:kept])
        if wanted > 23:
            assert abs(new[23:].std() / model.config.init_std - 1) < 0.4
            assert abs(new[23:].mean()) < 0.15
    assert (HEAD in dict(model.named_parameters())) != tied
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied
    found = model([[1, 0, 1]], attention_mask=[[1, 1, 1]]).logits
    assert found.shape == (1, 3, wanted)
    assert apart(found[..., :kept], output[..., :kept]) <= 1e-6
    # What comes out is a whole model: it can be built again from what it says of itself.
    XGLMForCausalLM.from_weights(model.config, model.state_dict())


def test_resizing_to_nothing_in_particular_changes_nothing() -> None:
    model = lm()
    before = model.get_input_embeddings().weight
    assert model.resize_token_embeddings().weight is before
    assert model.resize_token_embeddings(None).weight is before


def test_new_rows_follow_the_seed_and_keep_the_dtype() -> None:
    for dtype in ("float16", "bfloat16"):
        rows = [lm(dtype=dtype).resize_token_embeddings(30, seed=seed).weight for seed in (1, 1, 2)]
        assert rows[0].dtype == rows[2].dtype == lm(dtype=dtype).dtype
        assert rows[0].tobytes() == rows[1].tobytes() != rows[2].tobytes()


def test_resizing_ties_again() -> None:
    model = lm()
    model.set_input_embeddings(np.ones((23, 12)))
    model.resize_token_embeddings(24)
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_resizing_does_not_write_into_the_old_matrix() -> None:
    model = lm()
    old = model.get_input_embeddings().weight
    old.flags.writeable = False  # as a mapped file is
    model.resize_token_embeddings(30)
    model.get_input_embeddings().weight[0] = 5


def test_a_bare_model_can_be_resized() -> None:
    model = bare()
    model.resize_token_embeddings(40)
    assert model([[39]]).last_hidden_state.shape == (1, 1, 12)
    assert model.num_parameters() == bare().num_parameters() + 17 * 12


@pytest.mark.parametrize("value", [0, -3, 2.5, "30", True, [30]])
def test_impossible_sizes(value: Any) -> None:
    model = lm()
    for arguments in ({"new_num_tokens": value}, {"pad_to_multiple_of": value}):
        (name,) = arguments
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            model.resize_token_embeddings(**arguments)
        assert str(caught.value) == f"{name} is {value!r}, expected a whole number from 1"
    assert model.config.vocab_size == 23


def test_the_padding_id_must_stay_a_row() -> None:
    with pytest.raises(
        ValueError, match="^new_num_tokens is 5, expected more than pad_token_id, 5"
    ):
        lm(pad_token_id=5).resize_token_embeddings(5)
    lm(pad_token_id=None).resize_token_embeddings(1)
