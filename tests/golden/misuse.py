"""Calls that must be refused, and what transformers 4.37.2 says to them.

`expect` is what this project answers. Where 4.37.2 raises a considered
ValueError, ours is a ValueError too; with ``"same_text": True`` its text is the
same (a shape is written ``(4,)`` where torch writes ``torch.Size([4])``). Of 2-D
masks the oracle only says which 4-D mask it made of them; ours names the argument.
Where it stumbles (an IndexError from deep inside, an AttributeError, a
RuntimeError of a matrix product) or where it answers at all, ours is one clear
error of a type that says what is wrong.
"""

from __future__ import annotations

import re
from typing import Any

from golden.cases import BASE, ids

Misuse = dict[str, Any]


def plain_text(message: str) -> str:
    """Write torch's shapes as tuples."""

    def as_tuple(found: re.Match[str]) -> str:
        sizes = [size.strip() for size in found[1].split(",") if size.strip()]
        return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

    return re.sub(r"torch\.Size\(\[([^\]]*)\]\)", as_tuple, message)


def misuses() -> list[Misuse]:
    """Return every misuse: a model, calls that work, and the last one, which must not.

    One without calls is a configuration that must be refused.
    """
    rows = ids(1, 2, 5)
    heads = [[1.0] * 4] * 2
    encoder = {"encoder_hidden_states": {"noise": 1, "shape": [2, 4, 16]}}
    embeds = {"inputs_embeds": {"noise": 2, "shape": [2, 5, 16]}}
    cross = {"add_cross_attention": True}
    value, index, other = "ValueError", "IndexError ValueError", "TypeError ValueError"
    one = [row[:1] for row in rows]
    five = {"input_ids": rows}

    def ask(
        name: str, expect: str, *calls: dict[str, Any], same: bool = False, **fields: Any
    ) -> Misuse:
        return {"name": name, "config": {**BASE, **fields}, "seed": 1, "profile": "plain",
                "stored": "float32", "calls": list(calls), "expect": expect.split(),
                "same_text": same}  # fmt: skip

    return [
        ask("ids_and_embeds", value, five | {**embeds}, same=True),
        ask("neither_ids_nor_embeds", value, {}, same=True),
        ask("labels_only", value, {"labels": rows}, same=True),
        ask("head_mask_of_three_layers", value, five | {"head_mask": [[1.0] * 4] * 3}, same=True),
        ask("head_mask_of_one_axis", value, five | {"head_mask": [1.0] * 4}, same=True),
        ask("head_mask_of_three_heads", value, five | {"head_mask": [[1.0] * 3] * 2}, same=True),
        ask("cross_head_mask_of_one_layer", value,
            five | {**encoder, "cross_attn_head_mask": heads[:1]}, **cross),
        ask("cross_head_mask_of_three_layers_beside_head_mask", value, five | encoder
            | {"head_mask": heads, "cross_attn_head_mask": heads + heads[:1]}, **cross),
        ask("cross_head_mask_of_five_heads", value,
            five | {**encoder, "cross_attn_head_mask": [[1.0] * 5] * 2}, same=True, **cross),
        ask("mask_too_short", value, five | {"attention_mask": [[1] * 4] * 2}),
        ask("mask_too_long", value, five | {"attention_mask": [[1] * 6] * 2}),
        ask("mask_too_long_for_one_token", value,
            {"input_ids": one, "attention_mask": [[1] * 3] * 2}),
        ask("mask_of_new_tokens_only", value, five,
            five | {"attention_mask": [[1] * 5] * 2, "past": 0}),
        ask("mask_of_one_new_token_only", value, five,
            {"input_ids": one, "attention_mask": [[1], [1]], "past": 0}),
        ask("mask_of_other_batch", value, five | {"attention_mask": [[1] * 5] * 3}),
        ask("mask_4d_wrong_keys", value,
            five | {"attention_mask": [[[[1] * 4] * 5]] * 2}, same=True),
        ask("mask_4d_wrong_queries", value,
            five | {"attention_mask": [[[[1] * 5] * 4]] * 2}, same=True),
        ask("mask_4d_per_head", value,
            five | {"attention_mask": [[[[1] * 5] * 5] * 4] * 2}, same=True),
        ask("mask_4d_without_past", value, five,
            {"input_ids": one, "attention_mask": [[[[1]]]] * 2, "past": 0}, same=True),
        ask("mask_of_three_axes", value, five | {"attention_mask": [[[1] * 5]] * 2}),
        ask("mask_of_one_axis", value, five | {"attention_mask": [1] * 5}),
        ask("encoder_without_cross_attention", value, five | {**encoder}),
        ask("encoder_of_other_width", value, five | {"encoder_hidden_states":
            {"noise": 1, "shape": [2, 4, 15]}}, **cross),
        ask("encoder_of_other_batch", value, five | {"encoder_hidden_states":
            {"noise": 1, "shape": [3, 4, 16]}}, **cross),
        ask("encoder_mask_too_short", value,
            five | {**encoder, "encoder_attention_mask": [[1] * 3] * 2}, **cross),
        ask("encoder_mask_of_other_batch", value,
            five | {**encoder, "encoder_attention_mask": [[1] * 4] * 3}, **cross),
        ask("encoder_mask_4d", value,
            five | {**encoder, "encoder_attention_mask": [[[[1] * 4] * 5]] * 2}, **cross),
        ask("position_beyond_the_table", index, five | {"position_ids": [[0, 1, 2, 3, 24]]}),
        # The oracle keeps a table that grew, so that an earlier call decides on a later one.
        ask("position_of_an_earlier_longer_call", index, {"input_ids": ids(2, 1, 12)},
            five | {"position_ids": [[11, 10, 9, 8, 7]]}, max_position_embeddings=8),
        ask("position_minus_three", index, five | {"position_ids": [[0, 1, 2, -3, 4]]}),
        ask("positions_of_other_length", value, five | {"position_ids": [[0, 1, 2]]}),
        ask("positions_of_other_batch", value, five | {"position_ids": [[0, 1, 2, 3, 4]] * 3}),
        ask("id_beyond_the_vocabulary", index, {"input_ids": [[4, 31]]}),
        ask("negative_id", index, {"input_ids": [[4, -1]]}),
        ask("ids_not_integers", other, {"input_ids": [[4.0, 5.0]]}),
        ask("embeds_of_other_width", value, {"inputs_embeds": {"noise": 2, "shape": [2, 5, 15]}}),
        ask("embeds_of_two_axes", value, {"inputs_embeds": {"noise": 2, "shape": [5, 16]}}),
        ask("labels_of_other_length", value, five | {"labels": [row[:4] for row in rows]}),
        ask("label_beyond_the_vocabulary", index, five | {"labels": [[31] * 5] * 2}),
        ask("label_minus_one", index, five | {"labels": [[5, 6, -1, 7, 8]] * 2}),
        ask("past_of_other_batch", value, {"input_ids": rows[:1]}, {"input_ids": one, "past": 0}),
        ask("loss_of_4_37_without_a_pad_token", other,
            five | {"labels": rows, "loss_type": "hf-4.37"}, pad_token_id=None),
        # The oracle takes the self-attention's keys for the encoder's.
        ask("cache_without_the_encoder", value, five,
            {"input_ids": one, **encoder, "past": 0}, **cross),
        ask("past_of_too_few_layers", value, five, {"input_ids": one, "past": 0, "past_layers": 1}),
        ask("activation_unknown", f"{value} KeyError", activation_function="gellu"),
        ask("width_not_divisible", value, d_model=15),
        ask("width_without_frequencies", value, d_model=3, attention_heads=1),
    ]  # fmt: skip
