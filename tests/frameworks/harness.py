"""Run a recorded case on a class of another framework's shape, and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from golden.compare import error
from golden.frameworks.arrays import arguments, case_weights, flatten, load

from pyxglm.config import XGLMConfig
from pyxglm.parameters import HEAD, parameter_shapes

TOLERANCE = 2e-5


def weights_of(case: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return a case's weights by torch's names, the head among them."""
    config = XGLMConfig(**case["config"])
    shapes = parameter_shapes(config) | {HEAD: (config.vocab_size, config.d_model)}
    return case_weights(case, shapes)


def of_kind(case: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights as a case's class names them: a bare one has no prefix and no head."""
    if case["kind"] == "lm":
        return dict(weights)
    return {n.removeprefix("model."): w for n, w in weights.items() if n != HEAD}


def cases(framework: str) -> list[dict[str, Any]]:
    """Return the recorded cases."""
    found: list[dict[str, Any]] = load(framework)[0]["cases"]
    return found


def case_named(framework: str, name: str) -> dict[str, Any]:
    """Return one recorded case."""
    return next(case for case in cases(framework) if case["name"] == name)


def run(
    model: Any,
    case: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    fresh_cache: Callable[[int, int], Any] | None = None,
    **more: Any,
) -> list[Any]:
    """Make a case's calls one after the other, and return their outputs."""
    caches: list[Any] = []
    outputs = []
    for call in case["calls"]:
        first, given = arguments(call, weights)
        if "past" in call:
            given["past_key_values"] = caches[call["past"]]
        if "room" in call and fresh_cache is not None:
            given["past_key_values"] = fresh_cache(len(given["input_ids"]), call["room"])
        outputs.append(model(*first, **given, **more))
        is_tuple = isinstance(outputs[-1], tuple)
        caches.append(None if is_tuple else outputs[-1].past_key_values)
    return outputs


def named(outputs: Any, call: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a call's outputs that were recorded, by name."""
    return flatten(outputs, call.get("keep"), np.asarray)


def real_error(
    found: np.ndarray,
    wanted: np.ndarray,
    name: str,
    call: Mapping[str, Any],
    start: int | None = None,
) -> float:
    """Return the error at real tokens only: of queries, and of what is remembered of them.

    The new tokens are those of the mask's columns from `start`; by default the last.
    """
    if found.shape != wanted.shape:
        return float("inf")
    mask = call.get("attention_mask")
    if mask is None:
        return error(found, wanted)
    real_BS = np.asarray(mask["values"] if isinstance(mask, dict) else mask) == 1
    T = len(call["input_ids"][0])
    start = real_BS.shape[1] - T if start is None else start
    keep = chosen(name, found.shape, real_BS, real_BS[:, start : start + T])
    return error(found[keep], wanted[keep]) if keep.any() else 0.0


def chosen(
    name: str, shape: tuple[int, ...], real_BS: np.ndarray, real_BT: np.ndarray
) -> np.ndarray:
    """Return True where an output is about a real token."""
    field, last = name.split(".")[0], name.split(".")[-1]
    if field == "loss" or not shape or (field == "past_key_values" and last in {"2", "3"}):
        return np.ones(shape, bool)  # no matter of tokens, or of an encoder's
    if field == "past_key_values":
        axis, real = 1 if last.startswith("cached") else 2, real_BS
    else:
        axis, real = 2 if "attentions" in field else 1, real_BT
    sizes = [1] * len(shape)
    sizes[0], sizes[axis] = real.shape
    return np.broadcast_to(real.reshape(sizes), shape)
