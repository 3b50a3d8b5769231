"""What is asked of `generate` in the recorded calls; the recorder and the tests read this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: Batches: one prompt, left-padded ones with pads inside, prompts of one token.
SINGLE = ([[2, 9, 17, 25, 9, 17]], None)
PADDED = (
    [[2, 9, 17, 25, 8], [1, 1, 2, 11, 9], [1, 2, 30, 8, 8]],
    [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]],
)
SHORT = ([[2], [7]], [[1], [1]])


def only_some(prompt: int, ids: Any) -> list[int]:
    """Allow ids of the parity that the last one does not have, and a few more."""
    last = int(ids[-1])
    return [i for i in range(31) if i % 2 != last % 2 or i == 2 + prompt]


def downhill(ids: Any, scores: Any) -> Any:
    """Prefer low ids: a user's processor."""
    return scores - np.arange(31, dtype=scores.dtype) / 20


#: What JSON cannot hold, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {"only_some": only_some, "downhill": downhill}

NEGATIVE = {"negative_prompt_ids": [[2, 5, 6], [1, 2, 12], [4, 3, 3]]}
NEGATIVE_MASK = {"negative_prompt_attention_mask": [[1, 1, 1], [0, 1, 1], [1, 1, 1]]}

#: Settings of a greedy search, and the batches that they are tried on.
GREEDY: list[tuple[dict[str, Any], list[Any]]] = [
    ({"repetition_penalty": 1.3}, [SINGLE, PADDED]),
    ({"repetition_penalty": 0.8}, [SINGLE, PADDED]),
    ({"encoder_repetition_penalty": 1.5}, [SINGLE, PADDED]),
    ({"encoder_repetition_penalty": 0.6}, [PADDED]),
    ({"no_repeat_ngram_size": 1}, [SINGLE, PADDED]),
    ({"no_repeat_ngram_size": 2}, [SINGLE, PADDED]),
    ({"no_repeat_ngram_size": 3, "max_new_tokens": 30}, [SINGLE, PADDED]),
    ({"encoder_no_repeat_ngram_size": 1}, [SINGLE, PADDED]),
    ({"encoder_no_repeat_ngram_size": 2, "max_new_tokens": 30}, [PADDED]),
    ({"bad_words_ids": [[5], [7], [9, 8], [11, 13, 14], [2], [20, 21]]}, [SINGLE, PADDED]),
    ({"bad_words_ids": [[i, j] for i in range(3, 31) for j in range(3, 31, 2)]}, [PADDED]),
    ({"sequence_bias": [[[5], 3.0], [[9], -4.0], [[8, 8], 2.5], [[5, 6], 6.0], [[17, 25, 3], 9.0]]},
     [SINGLE, PADDED]),
    ({"sequence_bias": [[[2, 5], 90.0], [[7, 5, 6], 90.0]]}, [SHORT]),
    ({"min_length": 12}, [SINGLE, PADDED]),
    ({"min_new_tokens": 9}, [SINGLE, PADDED]),
    ({"min_length": 9, "min_new_tokens": 3, "eos_token_id": [2, 13, 20]}, [PADDED]),
    ({"forced_bos_token_id": 6}, [SHORT]),
    ({"forced_bos_token_id": 6, "begin_suppress_tokens": list(range(20))}, [SHORT]),
    ({"forced_eos_token_id": 2}, [SINGLE, PADDED]),
    ({"forced_eos_token_id": [2, 9], "max_new_tokens": None, "max_length": 11}, [PADDED]),
    ({"forced_decoder_ids": [[6, 11], [7, 12], [9, 5]]}, [SINGLE, PADDED]),
    ({"forced_decoder_ids": [[1, 11], [2, 12]], "begin_suppress_tokens": list(range(3, 25))},
     [SHORT]),
    ({"suppress_tokens": list(range(3, 24, 2))}, [SINGLE, PADDED]),
    ({"begin_suppress_tokens": list(range(5, 31))}, [SINGLE, PADDED]),
    ({"exponential_decay_length_penalty": [3, 1.5], "max_new_tokens": 30}, [SINGLE, PADDED]),
    ({"exponential_decay_length_penalty": [0, 1.2], "eos_token_id": [2, 9]}, [PADDED]),
    ({"guidance_scale": 1.7}, [SINGLE, PADDED]),
    ({"guidance_scale": 3.0, "use_cache": False}, [PADDED]),
    ({"guidance_scale": 1.5, **NEGATIVE}, [PADDED]),
    ({"guidance_scale": 0.5, **NEGATIVE, **NEGATIVE_MASK}, [PADDED]),
    ({"renormalize_logits": True, "repetition_penalty": 1.2}, [PADDED]),
    ({"remove_invalid_values": True, "suppress_tokens": [9, 17]}, [PADDED]),
    ({"prefix_allowed_tokens_fn": "only_some"}, [SINGLE, PADDED]),
    ({"logits_processor": "downhill"}, [SINGLE, PADDED]),
    ({"logits_processor": "downhill", "renormalize_logits": True, "min_new_tokens": 4,
      "repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "suppress_tokens": [8, 11],
      "prefix_allowed_tokens_fn": "only_some", "sequence_bias": [[[6], 1.0]],
      "guidance_scale": 1.2}, [PADDED]),
    ({"use_cache": False, "repetition_penalty": 1.4, "bad_words_ids": [[25]]}, [PADDED]),
]  # fmt: skip

#: The same on the bundled model: prompts are texts.
TEXTS = ["la capitale du Japon est", "chat = cat, maison = house, chien =", "2 + 2 ="]
BUNDLED: list[dict[str, Any]] = [
    {},
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram_size": 2},
    {"min_new_tokens": 12, "suppress_tokens": [4, 5]},
    {"guidance_scale": 1.5},
    {"exponential_decay_length_penalty": [4, 1.3]},
]
