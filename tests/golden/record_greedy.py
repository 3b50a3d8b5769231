"""Record greedy continuations of transformers 4.37.2: ``tests/golden/model/greedy.json``.

The models are random, with sharp attention and a head of their own, so that
they wander instead of repeating one token; the seeds were chosen so that some
rows stop early, some write the pad id as an ordinary token, and none decides
between two nearly equal logits (`CLEAR`, relative to the largest logit).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from golden.oracle import build
from golden.weights import as_array

CONFIG = {
    "vocab_size": 31,
    "max_position_embeddings": 64,
    "d_model": 24,
    "ffn_dim": 40,
    "num_layers": 2,
    "attention_heads": 4,
    "tie_word_embeddings": False,
}
CLEAR = 1e-3


def entry(
    name: str,
    seed: int,
    ids: list[list[int]],
    mask: list[list[int]] | None = None,
    fields: dict[str, Any] | None = None,
    encoder: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Describe one call of generate."""
    return {"name": name, "config": {**CONFIG, **(fields or {})}, "seed": seed, "profile": "sharp",
            "stored": "float32", "input_ids": ids, "attention_mask": mask,
            **({"encoder": encoder} if encoder else {}),
            "settings": {"max_new_tokens": 14, **settings}}  # fmt: skip


def entries() -> list[dict[str, Any]]:
    """Return the calls: single prompts, padded batches, early stops, special ids in prompts."""
    padded = [[2, 9, 17, 25], [1, 1, 2, 11], [1, 2, 30, 8]]
    seen = [[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]]
    same = [[2, 9, 17, 25], [2, 30, 8, 8], [5, 6, 7, 2]]
    cross = {"add_cross_attention": True}
    states = {"encoder_hidden_states": {"noise": 61, "shape": [3, 5, 24]}}
    some = {**states, "encoder_attention_mask": [[1] * 5, [1, 1, 0, 0, 0], [0, 1, 0, 1, 1]]}
    ragged = [[1] * 6 + [2], [2, 9, 8, 7, 6, 5, 4], [1, 1, 1, 2, 19, 20, 21]]
    return [
        entry("one_prompt", 1001, [[2, 9, 17, 25]]),
        entry("one_token", 1001, [[2]]),
        entry("one_new_token", 1001, padded, seen, max_new_tokens=1),
        entry("two_new_tokens", 1001, padded, seen, max_new_tokens=2),
        entry("no_specials_needed", 1003, [[30, 29]], max_new_tokens=20),
        entry("equal_prompts", 1020, same),
        entry("equal_prompts_with_mask", 1020, same, [[1] * 4] * 3),
        entry("left_padded", 1001, padded, seen),
        entry("left_padded_much", 1020, ragged, [[0] * 6 + [1], [1] * 7, [0, 0, 0, 1, 1, 1, 1]]),
        entry("mask_from_pads", 1022, padded),
        entry("all_stop", 1000, padded, seen),
        entry("some_stop", 1020, padded, seen),
        entry("stop_at_different_steps", 1022, padded, seen),
        entry("last_token_stops", 1024, padded, seen),
        entry("pads_as_text", 1012, padded, seen),
        entry("pad_in_the_prompt_unmasked", 1005, [[2, 1, 17, 25], [2, 9, 1, 1]], [[1] * 4] * 2),
        entry("pad_in_the_prompt_masked", 1005, [[2, 1, 17, 25], [2, 9, 1, 8]]),
        entry("eos_in_the_prompt", 1005, [[2, 9, 2, 2], [7, 2, 2, 8]]),
        entry("hole_in_the_mask", 1020, same, [[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 1]]),
        entry("past_the_table", 1005, padded, seen, {"max_position_embeddings": 8}),
        entry("two_eos_ids", 1003, padded, seen, eos_token_id=[2, 13]),
        entry("eos_given", 1003, padded, seen, eos_token_id=19),
        entry("pad_given", 1020, same, [[1] * 4] * 3, pad_token_id=0),
        entry("specials_of_the_model", 1018, same, [[1] * 4] * 3,
              {"eos_token_id": 28, "pad_token_id": 0}),
        entry("unscaled", 1040, padded, seen, {"scale_embedding": False}),
        entry("odd_width_relu", 1041, padded, seen,
              {"d_model": 15, "attention_heads": 5, "ffn_dim": 33, "activation_function": "relu"}),
        entry("cross", 1050, same, [[1] * 4] * 3, cross, states),
        entry("cross_left_padded", 1050, padded, seen, cross, some),
        entry("cross_one_token", 1051, [[2]] * 3, None, cross, some),
        entry("cross_without_cache", 1051, padded, seen, cross, some, use_cache=False),
    ]  # fmt: skip


def record(folder: Path) -> None:
    """Write the file."""
    found = json.loads(json.dumps(entries()))
    stopped = 0
    smallest = 1.0
    for one in found:
        one["output_ids"], one["margin"] = generate(one)
        smallest = min(smallest, one["margin"])
        new = [row[len(one["input_ids"][0]) :] for row in one["output_ids"]]
        stopped += sum(row[-1] == one["settings"].get("pad_token_id", 1) for row in new)
        if one["margin"] < CLEAR:
            raise AssertionError(f"{one['name']}: two logits within {one['margin']:.1e}")
    path = folder / "greedy.json"
    lines = ",\n".join(json.dumps(one) for one in found)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{path.name}: {len(found)} calls, {path.stat().st_size} bytes, about {stopped} rows "
          f"stopped early, smallest margin {smallest:.1e}")  # fmt: skip


def attend(model: Any, encoder: dict[str, Any]) -> None:
    """Let generate hand an encoder's states to the model: 4.37.2 drops them without a word."""
    states = {name: torch.from_numpy(as_array(value, {})) for name, value in encoder.items()}
    prepare = model.prepare_inputs_for_generation
    model.prepare_inputs_for_generation = lambda ids, **kwargs: {**prepare(ids, **kwargs), **states}


def generate(one: dict[str, Any]) -> tuple[list[list[int]], float]:
    """Return the oracle's ids, and the smallest lead of a chosen token."""
    model, _ = build(one, torch.float32)
    mask = one["attention_mask"]
    if "encoder" in one:
        attend(model, one["encoder"])
    with torch.no_grad():
        out = model.generate(
            torch.tensor(one["input_ids"]),
            attention_mask=None if mask is None else torch.tensor(mask),
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
            **one["settings"],
        )
    scores = torch.stack(out.scores)
    first, second = scores.topk(2).values.unbind(-1)
    return out.sequences.tolist(), ((first - second) / scores.abs().amax(-1)).min().item()
