"""The loss of a call with labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from model.small import IDS, lm
from ops import naive

from pyxglm.modeling import XGLMForCausalLM

LABELS = np.array([[2, 5, -100, 9, 4], [2, 11, 3, 8, -100]])


def judged(logits: Any, labels: np.ndarray, pad: int | None) -> float:
    """Return the mean loss over pairs of a position and the label it is judged by."""
    B, T = labels.shape
    rows = [(logits[b, t], labels[b, t + 1]) for b in range(B) for t in range(T - 1)]
    rows += [(logits[b, -1], pad) for b in range(B) if pad is not None]
    found = [np.asarray(row, float) for row, _ in rows]
    return naive.cross_entropy(found, [int(label) for _, label in rows])


@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_both_losses(compute: str) -> None:
    model = lm(compute=compute)
    logits, near = model(IDS).logits, {"float32": 1e-6, "float64": 1e-14}[compute]
    standard = model(IDS, labels=LABELS).loss
    quirk = model(IDS, labels=LABELS, loss_type="hf-4.37").loss
    assert abs(standard - judged(logits, LABELS, None)) <= near * 3
    assert abs(quirk - judged(logits, LABELS, 1)) <= near * 3
    assert standard.dtype == compute
    assert np.shape(standard) == ()


def test_the_kind_is_an_attribute_and_a_keyword() -> None:
    standard = lm()(IDS, labels=LABELS).loss
    model = XGLMForCausalLM.from_weights(lm().config, lm().state_dict(), loss_type="hf-4.37")
    quirk = model(IDS, labels=LABELS).loss
    assert quirk != standard
    assert model(IDS, labels=LABELS, loss_type="standard").loss == standard
    model.loss_type = "standard"
    assert model(IDS, labels=LABELS).loss == standard
    assert XGLMForCausalLM(lm().config).loss_type == "standard"


def test_the_padding_id_counts_unless_its_label_is_ignored() -> None:
    """In both losses, whatever the mask says; so it is in transformers 4.37.2."""
    model, mask = lm(), np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    padded = np.where(mask == 1, IDS, model.config.pad_token_id)
    logits = model(padded, mask).logits
    ignored = np.where(mask == 1, padded, -100)
    for kind, pad in (("standard", None), ("hf-4.37", 1)):
        losses = [model(padded, mask, labels=x, loss_type=kind).loss for x in (padded, ignored)]
        for loss, labels in zip(losses, (padded, ignored), strict=True):
            assert abs(loss - judged(logits, labels, pad)) < 1e-5
        assert losses[0] != losses[1]


def test_nothing_but_ignored_labels() -> None:
    nothing = np.full((2, 5), -100)
    assert math.isnan(lm()(IDS, labels=nothing).loss)
    quirk = lm()(IDS, labels=nothing, loss_type="hf-4.37").loss
    assert abs(quirk - judged(lm()(IDS).logits, nothing, 1)) < 1e-5


def test_one_token() -> None:
    model = lm()
    assert math.isnan(model(IDS[:, :1], labels=IDS[:, :1]).loss)
    quirk = model(IDS[:, :1], labels=IDS[:, :1], loss_type="hf-4.37").loss
    assert abs(quirk - judged(model(IDS[:, :1]).logits, IDS[:, :1], 1)) < 1e-5


def test_padding_in_labels_counts_whatever_the_mask_says() -> None:
    mask = np.array([[1, 1, 1, 0, 0]] * 2)
    labels = np.where(mask == 1, IDS, 1)
    model = lm()
    logits = model(IDS, attention_mask=mask).logits
    found = model(IDS, attention_mask=mask, labels=labels).loss
    assert abs(found - judged(logits, labels, None)) < 1e-5


def test_the_first_label_is_never_looked_at() -> None:
    # Nothing is asked to predict it, so even an impossible one does no harm.
    odd = LABELS.copy()
    odd[:, 0] = 10**6
    for kind in ("standard", "hf-4.37"):
        found, wanted = (lm()(IDS, labels=x, loss_type=kind).loss for x in (odd, LABELS))
        assert found == wanted


@pytest.mark.parametrize("kind", ["standard", "hf-4.37"])
@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (IDS[:, :4], ValueError, "labels has shape (2, 4), expected (2, 5)"),
        (IDS[0], ValueError, "labels has shape (5,), expected (2, 5)"),
        (IDS * 1.0, TypeError, "labels holds float64 values, expected whole numbers"),
        (np.full((2, 5), 23), IndexError, "labels[:, 1:] holds 23 at [0, 0], expected 0..22"),
        (np.full((2, 5), -1), IndexError, "labels[:, 1:] holds -1 at [0, 0], expected 0..22"),
        (np.full((2, 5), 2**64 - 100, np.uint64), IndexError,
         "labels[:, 1:] holds 18446744073709551516 at [0, 0], expected 0..22"),
        ([[10**30, 2, 3, 4, 5]] * 2, IndexError, f"labels holds {10**30} at [0, 0], expected"
         " -9223372036854775808..9223372036854775807"),
        ([[2, 3], [4]], ValueError, "labels is ragged, expected rows of one length"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit(kind: str, labels: Any, error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        lm()(IDS, labels=labels, loss_type=kind)
    assert str(caught.value) == message


def test_without_a_padding_id_only_the_loss_of_4_37_is_impossible() -> None:
    model = lm(pad_token_id=None)
    assert model(IDS, labels=LABELS).loss > 0
    with pytest.raises(TypeError, match="^config: pad_token_id is None, expected an id for loss_t"):
        model(IDS, labels=LABELS, loss_type="hf-4.37")
