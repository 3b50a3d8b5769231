"""Flax-shaped models with a recorded case's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frameworks.harness import of_kind, weights_of

from pyxglm import FlaxXGLMForCausalLM, FlaxXGLMModel, XGLMConfig
from pyxglm.checkpoint.names import flax_tree
from pyxglm.parameters import HEAD

KINDS: dict[str, Any] = {"bare": FlaxXGLMModel, "lm": FlaxXGLMForCausalLM}


def tree_for(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case's weights as Flax has them: a tied head is no leaf."""
    weights = of_kind(case, weights_of(case))
    if case["config"].get("tie_word_embeddings", True):
        weights.pop(HEAD, None)
    return flax_tree(weights)


def build(case: Mapping[str, Any], **settings: Any) -> Any:
    """Return a case's model."""
    config = XGLMConfig(**case["config"])
    settings = {"dtype": case.get("dtype", "float32"), **settings}
    model = KINDS[case["kind"]](config, **settings)
    model.params = tree_for(case)
    return model
