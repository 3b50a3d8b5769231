"""Losses and log-probabilities without stored logits."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from model.small import IDS, lm
from model.test_labels import LABELS

from pyxglm import XGLMConfig, XGLMForCausalLM
from pyxglm.check.bounds import U, truth
from pyxglm.check.cases import Case
from pyxglm.check.head_cases import HeadCase, log_sums
from pyxglm.ops import available_backends, reference

KINDS = ["standard", "hf-4.37"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("compute", "near"), [("float32", 2e-6), ("float64", 1e-14)])
def test_the_loss_is_that_of_the_logits(kind: str, compute: str, near: float) -> None:
    model = lm(compute=compute)
    stored = model(IDS, labels=LABELS, loss_type=kind).loss
    found = model(IDS, labels=LABELS, loss_type=kind, output_logits=False).loss
    assert abs(found - stored) <= near * stored
    assert found.dtype == compute
    assert np.shape(found) == ()


@pytest.mark.parametrize("backend", available_backends())
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_within_its_bound(backend: str, dtype: str, kind: str) -> None:
    """The head's part, from the hidden states that the model has, against float64."""
    sizes = {"vocab_size": 1300, "d_model": 40, "num_layers": 1, "ffn_dim": 8}
    config = XGLMConfig(**sizes, attention_heads=2, init_std=0.5)
    model = XGLMForCausalLM(config, seed=2, dtype=dtype, backend=backend)
    labels = np.random.default_rng(4).integers(0, 1300, (3, 50))
    labels[:, ::7] = -100
    hidden_BTD = model.model(np.abs(labels)).last_hidden_state
    targets_BT = np.full_like(labels, -100 if kind == "standard" else 1)
    targets_BT[:, :-1] = labels[:, 1:]
    counted = targets_BT != -100
    arguments = {
        "x_BTI": hidden_BTD[counted][None], "weight_OI": model.lm_head.weight,
        "bias_O": None, "activation": None, "residual_BTO": None,
    }  # fmt: skip
    product = Case("linear", dtype, arguments, "normal")
    logits, error = (array[0] for array in truth(product)["y"][0])
    rows, targets = np.arange(counted.sum()), targets_BT[counted]
    sums = log_sums(HeadCase(product, 0, targets))
    wanted = (sums.expected - logits[rows, targets]).mean()
    off = (error[rows, targets] + sums.bound).mean()
    off += 4 * U * np.abs(sums.expected - logits[rows, targets]).mean()
    found = model(np.abs(labels), labels=labels, loss_type=kind, output_logits=False).loss
    assert abs(found - wanted) <= off
    assert off < 1e-4 * wanted


def test_absent_logits_take_no_part() -> None:
    model = lm()
    output = model(IDS, labels=LABELS, output_logits=False)
    assert output.logits is None
    assert output.keys() == ["loss"]  # and no cache, which nobody asked for
    assert output[0] == output.loss
    assert model(IDS, labels=LABELS, output_logits=False, return_dict=False) == (output.loss,)
    asked = model(IDS, output_logits=False, use_cache=True, output_attentions=True)
    assert asked.keys() == ["past_key_values", "attentions"]
    assert model(IDS, output_logits=False).keys() == []
    assert "logits" in model(IDS, labels=LABELS, output_logits=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (IDS[:, :4], ValueError, "labels has shape (2, 4), expected (2, 5)"),
        (IDS * 1.0, TypeError, "labels holds float64 values, expected whole numbers"),
        (np.full((2, 5), 23), IndexError, "labels[:, 1:] holds 23 at [0, 0], expected 0..22"),
        (np.full((2, 5), -1), IndexError, "labels[:, 1:] holds -1 at [0, 0], expected 0..22"),
    ],
)
def test_labels_that_do_not_fit(kind: str, labels: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        lm()(IDS, labels=labels, loss_type=kind, output_logits=False)
    assert str(caught.value) == message


def test_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match="^logits_to_keep is 2, expected 0: output_logits is Fal"):
        lm()(IDS, logits_to_keep=2, output_logits=False)
    with pytest.raises(TypeError, match="^config: pad_token_id is None, expected an id for loss_t"):
        lm(pad_token_id=None)(IDS, labels=LABELS, loss_type="hf-4.37", output_logits=False)


def test_when_nothing_counts() -> None:
    model, nothing = lm(), np.full((2, 5), -100)
    assert math.isnan(model(IDS, labels=nothing, output_logits=False).loss)
    assert math.isnan(model(IDS[:, :1], labels=IDS[:, :1], output_logits=False).loss)
    for ids, labels in ((IDS, nothing), (IDS[:, :1], IDS[:, :1])):
        wanted = model(ids, labels=labels, loss_type="hf-4.37").loss
        found = model(ids, labels=labels, loss_type="hf-4.37", output_logits=False).loss
        assert abs(found - wanted) < 1e-5


def test_only_positions_that_count_go_through_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    model = lm()
    head_log_probs = model._ops.head_log_probs

    def spy(hidden: Any, *rest: Any) -> Any:
        rows.append(len(hidden))
        return head_log_probs(hidden, *rest)

    monkeypatch.setattr(model._ops, "head_log_probs", spy)
    model(IDS, labels=LABELS, output_logits=False)
    assert rows == [6]
    long = np.full((4, 300), 3)
    big = lm(max_position_embeddings=400)
    rows.clear()
    big(long, labels=long, output_logits=False)
    assert sum(rows) == 4 * 299
    assert max(rows) == 512


@pytest.mark.parametrize("backend", available_backends())
def test_no_logits_are_stored(backend: str) -> None:
    sizes = {"vocab_size": 30_000, "d_model": 8, "num_layers": 1, "ffn_dim": 8}
    model = XGLMForCausalLM(XGLMConfig(**sizes, attention_heads=2), seed=2, backend=backend)
    ids = np.random.default_rng(4).integers(0, 30_000, (2, 200))
    model(ids, labels=ids, output_logits=False)
    tracemalloc.start()
    model(ids, labels=ids, output_logits=False)
    model.log_probs(ids)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 * 30_000 * 4 / 4  # a quarter of the logits


# ------------------------------------------------------------------------------ log_probs


def by_hand(model: Any, ids: np.ndarray, **others: Any) -> np.ndarray:
    """Log-probabilities of the tokens of rows, from all logits."""
    logs = reference.log_softmax(model(ids, **others).logits)
    return np.take_along_axis(logs[:, :-1], ids[:, 1:, None], -1)[..., 0]


@pytest.mark.parametrize(("compute", "near"), [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("chunk_size", [1, 2, 3, 4, 512])
def test_log_probs(compute: str, near: float, chunk_size: int) -> None:
    model = lm(compute=compute)
    found = model.log_probs(IDS, chunk_size=chunk_size)
    assert found.shape == (2, 4)
    assert found.dtype == compute
    assert np.abs(found - by_hand(model, IDS)).max() < near


def test_log_probs_of_labels() -> None:
    model = lm()
    found = model.log_probs(IDS, LABELS)
    assert ((found == 0) == (LABELS[:, 1:] == -100)).all()
    counted = LABELS[:, 1:] != -100
    assert abs(-found[counted].mean() - model(IDS, labels=LABELS).loss) < 1e-5
    others = np.where(LABELS == -100, -100, (LABELS + 3) % 23)
    assert (model.log_probs(IDS, others)[counted] != found[counted]).all()
    # The first label is never looked at.
    odd = LABELS.copy()
    odd[:, 0] = 10**6
    assert (model.log_probs(IDS, odd) == found).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_log_probs_of_padded_texts(side: str) -> None:
    model = lm()
    alone = [model.log_probs(IDS[:1, :3])[0], model.log_probs(IDS[1:])[0]]
    padding = ((0, 0), (2, 0) if side == "left" else (0, 2))
    ids = np.concatenate([np.pad(IDS[:1, :3], padding, constant_values=1), IDS[1:]])
    mask = np.concatenate([np.pad(np.ones((1, 3), int), padding), np.ones((1, 5), int)])
    for chunk_size in (2, 512):
        found = model.log_probs(ids, attention_mask=mask, chunk_size=chunk_size)
        real = slice(2, 4) if side == "left" else slice(0, 2)
        assert (found[0, [i for i in range(4) if i not in range(4)[real]]] == 0).all()
        if model.backend == "c":
            assert found[0, real].tolist() == alone[0].tolist()
            assert found[1].tolist() == alone[1].tolist()
        assert np.abs(found[0, real] - alone[0]).max() < 1e-5


def test_nothing_is_asked_behind_padding() -> None:
    mask = [[1, 1, 0, 1, 1], [1, 1, 1, 1, 0]]
    found = lm().log_probs(IDS, IDS, mask)
    assert ((found == 0) == [[False, False, True, False], [False] * 4]).all()
    default = lm().log_probs(IDS, attention_mask=mask)
    assert ((default == 0) == [[False, True, True, False], [False, False, False, True]]).all()
    assert (default[default != 0] == found[default != 0]).all()


@pytest.mark.parametrize("odd", [2, -1, 0.5, np.nan])
def test_a_mask_of_other_numbers_is_refused(odd: float) -> None:
    mask = np.ones(IDS.shape)
    mask[1, 2] = odd
    with pytest.raises(ValueError, match=rf"^attention_mask holds {odd:g}, expected 0 or 1$"):
        lm().log_probs(IDS, attention_mask=mask)


def test_log_probs_at_given_positions() -> None:
    model = lm()
    shifted = np.arange(5)[None] + 3
    found = model.log_probs(IDS, position_ids=shifted, chunk_size=2)
    assert np.abs(found - by_hand(model, IDS, position_ids=shifted)).max() < 1e-5
    assert np.abs(found - model.log_probs(IDS)).max() > 1e-3


def test_short_texts_have_no_log_probs() -> None:
    assert lm().log_probs(IDS[:, :1]).shape == (2, 0)
    assert lm().log_probs(np.zeros((0, 4), int)).shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": IDS[:, :4]}, ValueError, "labels has shape (2, 4), expected (2, 5)"),
        ({"labels": IDS + 20}, IndexError, "labels[:, 1:] holds 25 at [0, 0], expected 0..22"),
        ({"attention_mask": [[1, 1]]}, ValueError,
         "attention_mask has shape (1, 2), expected (2, 5) as input_ids"),
        ({"position_ids": [[1, 1]]}, ValueError,
         "position_ids has shape (1, 2), expected (2, 5) or (1, 5)"),
        ({"chunk_size": 0}, ValueError, "chunk_size is 0, expected a whole number from 1"),
    ],
)  # fmt: skip
def test_log_probs_that_cannot_be(arguments: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        lm().log_probs(IDS, **arguments)
    assert str(caught.value) == message
    with pytest.raises(IndexError, match="^input_ids holds 23 at"):
        lm().log_probs([[2, 23]])
