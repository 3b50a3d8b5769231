"""The documentation's examples, on the bundled model, with NumPy's arrays for torch's."""

from __future__ import annotations

import numpy as np

from pyxglm import XGLMConfig, XGLMForCausalLM, XGLMModel, XGLMTokenizer, tiny

TEXT = "Hello, my dog is cute"


def test_a_configuration_makes_a_model_and_is_read_from_it() -> None:
    configuration = XGLMConfig(vocab_size=40, d_model=16, num_layers=2, attention_heads=4)
    model = XGLMModel(configuration)
    assert model.config == configuration


def test_hidden_states_of_a_text() -> None:
    tokenizer = XGLMTokenizer.from_pretrained(tiny.PATH)
    model = XGLMModel.from_pretrained(tiny.PATH)
    inputs = tokenizer(TEXT, return_tensors="np")
    last_hidden_states = model(**inputs).last_hidden_state
    assert last_hidden_states.shape == (*inputs["input_ids"].shape, model.config.d_model)


def test_loss_and_logits_of_a_text() -> None:
    tokenizer = XGLMTokenizer.from_pretrained(tiny.PATH)
    model = XGLMForCausalLM.from_pretrained(tiny.PATH)
    inputs = tokenizer(TEXT, return_tensors="np")
    outputs = model(**inputs, labels=inputs["input_ids"])
    logits, ids = outputs.logits.astype(np.float64)[0, :-1], inputs["input_ids"][0, 1:]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    assert abs(outputs.loss + log_probs[np.arange(len(ids)), ids].mean()) <= 1e-5
    # What it has learnt makes a text more probable than chance does.
    assert outputs.loss < np.log(model.config.vocab_size)
