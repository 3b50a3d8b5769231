"""Whatever the masks and the chunks: all shapes of the model say the same of real tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from frameworks.flax_models import build as flax_build
from frameworks.harness import TOLERANCE, case_named, weights_of
from golden.compare import error
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm import TFXGLMForCausalLM, XGLMConfig, XGLMForCausalLM

CASE = case_named("tf", "lm")
WEIGHTS = weights_of(CASE)
CONFIG = XGLMConfig(**CASE["config"])
TORCH = XGLMForCausalLM.from_weights(CONFIG, WEIGHTS)
TF = {c: TFXGLMForCausalLM.from_weights(CONFIG, WEIGHTS, compat=c) for c in (None, "4.37")}
FLAX = {c: flax_build(CASE, compat=c) for c in (None, "4.37")}


@st.composite
def batches(draw: Any) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Draw ids, a mask with a real token in each row, and the lengths of chunks."""
    B, T = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    ids = draw(st.lists(st.integers(0, 30), min_size=B * T, max_size=B * T))
    mask = draw(st.lists(st.integers(0, 1), min_size=B * T, max_size=B * T))
    mask_BT = np.array(mask).reshape(B, T)
    mask_BT[:, draw(st.integers(0, T - 1))] = 1
    cuts = sorted(draw(st.sets(st.integers(1, T), max_size=3)) | {T})
    return np.array(ids).reshape(B, T), mask_BT, np.diff([0, *cuts]).tolist()


@given(batches())
@settings(max_examples=40, deadline=None)
def test_chunks_behind_any_mask(batch: tuple[np.ndarray, np.ndarray, list[int]]) -> None:
    ids_BT, mask_BT, lengths = batch
    (B, T), real = ids_BT.shape, mask_BT == 1
    places = np.broadcast_to(np.arange(T), (B, T))
    wanted = TORCH(ids_BT, mask_BT).logits[real]
    for compat in (None, "4.37"):
        tf_parts, flax_parts, start = [], [], 0
        past, cache = None, FLAX[compat].init_cache(B, T + 2)
        room_BM = np.concatenate([mask_BT, np.ones((B, 2), int)], axis=1)
        for length in lengths:
            new = slice(start, start + length)
            out = TF[compat]([ids_BT[:, new], mask_BT[:, : new.stop]], past_key_values=past)
            past = out.past_key_values
            tf_parts.append(out.logits)
            out = FLAX[compat](ids_BT[:, new], room_BM, places[:, new], past_key_values=cache)
            cache = out.past_key_values
            flax_parts.append(out.logits)
            start = new.stop
        for parts in (tf_parts, flax_parts):
            assert error(np.concatenate(parts, axis=1)[real], wanted) <= TOLERANCE
