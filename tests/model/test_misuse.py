"""Misuse: one sentence that says what was found, what was expected, and where."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from model.small import IDS, bare, config, encoder_states, lm

from pyxglm import BatchEncoding, FlaxXGLMForCausalLM, TFXGLMForCausalLM
from pyxglm.modeling import XGLMForCausalLM, XGLMModel
from pyxglm.pretrained import XGLMPreTrainedModel

ONES = np.ones((2, 5))

#: Arguments of a call, the error, and what it says.
CALLS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, ValueError, "You have to specify either input_ids or inputs_embeds"),
    ({"input_ids": IDS, "inputs_embeds": np.ones((2, 5, 12))}, ValueError,
     "You cannot specify both input_ids and inputs_embeds at the same time"),
    ({"input_ids": 3}, ValueError,
     "input_ids is a single number, expected an array of shape (B, T)"),
    ({"input_ids": [[2, 3], [4]]}, ValueError,
     "input_ids is ragged, expected rows of one length"),
    ({"input_ids": [[2.0, 3.0]]}, TypeError,
     "input_ids holds float64 values, expected whole numbers"),
    ({"input_ids": [["a"]]}, TypeError, "input_ids holds <U1 values, expected whole numbers"),
    ({"input_ids": [[None]]}, TypeError, "input_ids holds object values, expected whole numbers"),
    ({"input_ids": [[True]]}, TypeError, "input_ids holds bool values, expected whole numbers"),
    ({"input_ids": [[2, 23]]}, IndexError, "input_ids holds 23 at [0, 1], expected 0..22"),
    ({"input_ids": [[2], [-1]]}, IndexError, "input_ids holds -1 at [1, 0], expected 0..22"),
    ({"input_ids": [[2, 2**80]]}, IndexError,
     "input_ids holds 1208925819614629174706176 at [0, 1], expected 0..22"),
    ({"input_ids": np.array([[2**63 + 5]], np.uint64)}, IndexError,
     "input_ids holds 9223372036854775813 at [0, 0], expected 0..22"),
    ({"position_ids": np.full((2, 5), 2**64 - 2, np.uint64)}, IndexError,
     "position_ids holds 18446744073709551614 at [0, 0], expected -2..39"),
    ({"inputs_embeds": np.ones((2, 5, 11))}, ValueError,
     "inputs_embeds has shape (2, 5, 11), expected (B, T, 12)"),
    ({"inputs_embeds": np.ones((5, 12))}, ValueError,
     "inputs_embeds has shape (5, 12), expected (B, T, 12)"),
    ({"inputs_embeds": np.ones((2, 5, 12)) * 1j}, TypeError,
     "inputs_embeds holds complex128 values, expected numbers"),
    ({"attention_mask": np.ones((2, 4))}, ValueError,
     "attention_mask has shape (2, 4), expected (2, 5), one column for each of 0 past and 5 new"
     " tokens, or (2, 1, 5, 5)"),
    ({"attention_mask": np.ones((1, 5))}, ValueError,
     "attention_mask has shape (1, 5), expected (2, 5), one column for each of 0 past and 5 new"
     " tokens, or (2, 1, 5, 5)"),
    ({"attention_mask": np.ones(5)}, ValueError,
     "attention_mask has shape (5,), expected (2, 5), one column for each of 0 past and 5 new"
     " tokens, or (2, 1, 5, 5)"),
    ({"attention_mask": np.ones((2, 2, 5, 5))}, ValueError,
     "Incorrect 4D attention_mask shape: (2, 2, 5, 5); expected: (2, 1, 5, 5)."),
    ({"attention_mask": [["1"] * 5] * 2}, TypeError,
     "attention_mask holds <U1 values, expected numbers"),
    ({"position_ids": [[0, 1]]}, ValueError,
     "position_ids has shape (1, 2), expected (2, 5) or (1, 5)"),
    ({"position_ids": ONES}, TypeError,
     "position_ids holds float64 values, expected whole numbers"),
    ({"encoder_hidden_states": encoder_states()}, ValueError,
     "encoder_hidden_states is given, expected none: the model has no cross-attention"
     " (add_cross_attention is false in its configuration)"),
    ({"head_mask": np.ones((2, 2))}, ValueError,
     "The `head_mask` should be specified for 3 layers, but it is for 2."),
    ({"head_mask": 1}, ValueError,
     "The `head_mask` should be specified for 3 layers, but it is for 0."),
    ({"head_mask": np.ones((3, 3))}, ValueError,
     "Head mask for a single layer should be of size (2,), but is (3,)"),
    ({"head_mask": np.ones(3)}, ValueError,
     "Head mask for a single layer should be of size (2,), but is ()"),
    ({"cross_attn_head_mask": np.ones((4, 2))}, ValueError,
     "The `cross_attn_head_mask` should be specified for 3 layers, but it is for 4."),
]  # fmt: skip


def complete(arguments: dict[str, Any]) -> dict[str, Any]:
    """Add ids to a call that is not about them."""
    about_ids = not arguments or {"input_ids", "inputs_embeds"} & set(arguments)
    return arguments if about_ids else {"input_ids": IDS, **arguments}


@pytest.mark.parametrize("make", [lm, bare])
@pytest.mark.parametrize(("arguments", "error", "message"), CALLS)
def test_a_call(make: Any, arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error) as caught:
        make()(**complete(arguments))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("states", "mask", "message"),
    [
        (encoder_states(B=3), None, "encoder_hidden_states has batch size 3, expected 2 as the"),
        (encoder_states()[..., :5], None, "encoder_hidden_states has shape (2, 6, 5), expected"),
        (encoder_states(), np.ones((2, 5)), "encoder_attention_mask has shape (2, 5), expected (2"),
        (encoder_states(), np.ones((2, 1, 5, 6)), "encoder_attention_mask has shape (2, 1, 5, 6)"),
    ],
)
def test_an_encoder_that_does_not_fit(states: Any, mask: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        lm(add_cross_attention=True)(IDS, encoder_hidden_states=states, encoder_attention_mask=mask)
    assert str(caught.value).startswith(message)


def test_ids_that_no_int64_can_hold_elsewhere() -> None:
    large = np.full((2, 5), 2**63 + 5, np.uint64)
    for call in (lm().log_probs, TFXGLMForCausalLM(config())):
        with pytest.raises(IndexError, match=r"^input_ids holds 9223372036854775813 at \[0, 0\]"):
            call(large)
    says = f"holds {2**63 + 5} at [0, 0], expected {-(2**63)}..{2**63 - 1}"
    with pytest.raises(IndexError, match=f"^input_ids {re.escape(says)}$"):
        FlaxXGLMForCausalLM(config())(large)
    for ids in ([[2, 10**30]], np.array([[2, 10**19]], np.uint64)):
        with pytest.raises(ValueError, match=r"^input_ids\[0\]\[1\] is 10{19,}, expected an id"):
            lm().generate(ids)


@pytest.mark.parametrize("whole", [dict, BatchEncoding])
def test_what_a_tokenizer_gives_is_passed_by_name(whole: Any) -> None:
    """transformers stumbles over it: KeyError, AttributeError."""
    given = whole({"input_ids": IDS, "attention_mask": ONES})
    model, flax = lm(), FlaxXGLMForCausalLM(config())
    for call in (model, bare(), model.generate, model.log_probs, flax, flax.generate):
        with pytest.raises(TypeError) as caught:
            call(given)
        assert str(caught.value) == (
            f"input_ids is a {whole.__name__}, expected an array: write **inputs to pass what such"
            " inputs hold by name"
        )
    with pytest.raises(TypeError, match="^attention_mask is a "):
        model(IDS, given)
    assert model(**given).logits.shape == (2, 5, 23)


@pytest.mark.parametrize("keep", [-1, 1.0, "1", None, True, [1]])
def test_logits_to_keep(keep: Any) -> None:
    with pytest.raises(ValueError, match="^logits_to_keep is .*, expected a whole number from 0$"):
        lm()(IDS, logits_to_keep=keep)


def test_a_loss_needs_all_logits() -> None:
    with pytest.raises(ValueError, match="^labels and logits_to_keep are given, expected one"):
        lm()(IDS, labels=IDS, logits_to_keep=1)


def test_after_a_refused_call_the_model_works() -> None:
    model = lm()
    wanted = model(IDS).logits
    for arguments, error, _ in CALLS:
        with pytest.raises(error):
            model(**complete(arguments))
    assert np.array_equal(model(IDS).logits, wanted)


# --------------------------------------------------------------------------- construction


@pytest.mark.parametrize("kind", [XGLMModel, XGLMForCausalLM])
def test_construction(kind: type[XGLMPreTrainedModel]) -> None:
    with pytest.raises(TypeError, match="^config is a dict, expected an XGLMConfig$"):
        kind({})  # type: ignore[arg-type]
    for compute in ("float16", "double", None, np.float32, ["float32"]):
        with pytest.raises(
            ValueError, match="^compute is .*, expected one of: float32, float64, b"
        ):
            kind(config(), compute=compute)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^dtype is 'int8', expected one of float32, float16"):
        kind(config(), dtype="int8")
    with pytest.raises(ValueError, match="^backend is 'cuda', expected one of: c, numpy"):
        kind(config(), backend="cuda")
    with pytest.raises(TypeError, match="colour"):
        kind(config(), colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        kind.from_weights(config(), kind(config()).state_dict(), colour="red")


def test_a_configuration_that_was_made_impossible_later() -> None:
    changed = config()
    changed.attention_heads = 5
    with pytest.raises(ValueError, match="attention_heads is 5"):
        XGLMModel(changed)


def test_an_unknown_backend_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYXGLM_BACKEND", "abacus")
    with pytest.raises(ValueError, match="^PYXGLM_BACKEND is 'abacus', expected one of: c, numpy"):
        lm()
    monkeypatch.setenv("PYXGLM_BACKEND", "")
    assert lm().backend == "c"


def test_a_loss_type_of_another_name() -> None:
    with pytest.raises(ValueError, match="^loss_type is 'mean', expected one of standard, hf-4.37"):
        XGLMForCausalLM(config(), loss_type="mean")
    with pytest.raises(ValueError, match="^loss_type is 'mean'"):
        lm()(IDS, loss_type="mean")


@pytest.mark.parametrize("kind", [XGLMModel, XGLMForCausalLM])
def test_weights_that_do_not_fit(kind: Any) -> None:
    prefix = "" if kind is XGLMModel else "model."
    good = kind(config()).state_dict()
    name = f"{prefix}layers.1.fc1.weight"
    cases = [
        ({k: v for k, v in good.items() if k != name}, f"{name} is missing"),
        ({**good, name: good[name].T}, f"{name} is (12, 17), expected shape (17, 12)"),
        ({**good, name: 3.0}, f"{name} is (), expected shape (17, 12)"),
        ({**good, "extra": good[name]}, "extra is given"),
        ({**good, name: good[name].astype(int)}, f"{name} is int64"),
    ]
    for weights, message in cases:
        with pytest.raises(ValueError, match="^weights: ") as caught:
            kind.from_weights(config(), weights)
        assert message in str(caught.value)
