"""Print what ``compute="bfloat16"`` costs in accuracy, on the bundled model and its prompts.

Run it from the repository root: ``PYTHONPATH=.:tests python -m parity.coarse``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyxglm import XGLMForCausalLM, XGLMTokenizer, tiny
from pyxglm.tiny.prompts import read


class Apart(NamedTuple):
    """How far the coarse logits are from the exact ones.

    Attributes
    ----------
    largest
        The largest error of a text's logits, as a fraction of its largest logit.
    log_prob
        The largest error of a token's log-probability, in nats.
    same
        The share of positions with the same best token.
    """

    largest: float
    log_prob: float
    same: float


def apart(count: int = 200, backend: str | None = None) -> Apart:
    """Compare the coarse mode with float32 on so many of the prompts."""
    tokenizer = XGLMTokenizer.from_pretrained(tiny.PATH)
    exact, coarse = (
        XGLMForCausalLM.from_pretrained(tiny.PATH, backend=backend, compute=compute)
        for compute in ("float32", "bfloat16")
    )
    errors, log_probs, same = [], [], []
    prompts = read()
    for prompt in prompts[:: max(1, len(prompts) // count)]:
        ids_1T = np.array([tokenizer(f"{prompt.text} {prompt.answer}")["input_ids"]])
        wanted, found = (model(ids_1T).logits for model in (exact, coarse))
        errors.append(float(np.abs(found - wanted).max() / np.abs(wanted).max()))
        same.append(found.argmax(axis=-1) == wanted.argmax(axis=-1))
        difference = coarse.log_probs(ids_1T) - exact.log_probs(ids_1T)
        log_probs.append(float(np.abs(difference).max(initial=0)))
    return Apart(max(errors), max(log_probs), float(np.concatenate(same, axis=1).mean()))


if __name__ == "__main__":
    found = apart()
    print(f"logits: largest error {found.largest:.1e} of the largest logit")
    print(f"log-probability of a token: largest error {found.log_prob:.2f} nats")
    print(f"same best token: {found.same:.1%} of the positions")
