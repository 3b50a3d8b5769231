"""The second half of the grid: cross-attention, positions, losses, outputs, storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from golden.cases import Case, activations, case, embeds, heads, ids, masks, past, typed, widths


def cross() -> list[Case]:
    """Attend to an encoder: masks of its states, cached keys and values, head masks."""
    encoder = {"encoder_hidden_states": {"noise": 21, "shape": [2, 5, 16]}}
    other = {"encoder_hidden_states": {"noise": 22, "shape": [2, 5, 16]}}
    mask = {"encoder_attention_mask": [[1, 1, 1, 0, 0], [0, 1, 0, 1, 1]]}
    row = ids(6, 2, 6)
    start, one, two = ([r[a:b] for r in row] for a, b in ((0, 3), (3, 4), (4, 6)))
    shown = {"output_attentions": True, "keep": ["logits", "cross_attentions", "past_key_values"]}
    table: dict[str, list[dict[str, Any]]] = {
        "plain": [{"input_ids": start, **encoder}],
        "masked": [{"input_ids": start, **encoder, **mask}],
        "mask_bool": [{"input_ids": start, **encoder, "encoder_attention_mask":
                       typed(mask["encoder_attention_mask"], "bool")}],
        "mask_other_values": [{"input_ids": start, **encoder, "encoder_attention_mask":
                               typed([[1, 2, 1, 0.5, 1], [0, 1, 1, 1, -1]], "float32")}],
        "row_masked": [{"input_ids": start, **encoder,
                        "encoder_attention_mask": [[0] * 5, [1, 0, 0, 0, 0]]}],
        "both_masks": [{"input_ids": start, **encoder, **mask,
                        "attention_mask": [[0, 1, 1], [1, 1, 0]]}],
        "cached": [{"input_ids": start, **encoder, **mask},
                   {"input_ids": one, **encoder, **mask, "past": 0},
                   {"input_ids": two, **encoder, **mask, "past": 1, **shown}],
        "cached_keys_win": [{"input_ids": start, **encoder},
                            {"input_ids": one, **other, "past": 0}],
        "no_encoder": [{"input_ids": start, **mask}],
        "encoder_left_out_later": [{"input_ids": start, **encoder},
                                   {"input_ids": two, "past": 0,
                                    "keep": ["logits", "past_key_values"]}],
        "head_masks": [{"input_ids": start, **encoder, **shown,
                        "head_mask": [[1.0, 1.0, 0.0, 1.0], [0.5, 1.0, 1.0, 1.0]],
                        "cross_attn_head_mask": [[0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, -1.0]]}],
        "one_token": [{"input_ids": one, **encoder, **mask}],
        "one_encoder_state": [{"input_ids": start, "encoder_hidden_states":
                               {"noise": 23, "shape": [2, 1, 16]}}],
    }  # fmt: skip
    found = [case(name, *calls, seed=600 + n % 3, add_cross_attention=True)
             for n, (name, calls) in enumerate(table.items())]  # fmt: skip
    found.append(case("odd_width", {"input_ids": start, "encoder_hidden_states":
                 {"noise": 24, "shape": [2, 7, 15]}}, seed=605, add_cross_attention=True,
                 d_model=15, attention_heads=5, ffn_dim=19, tie_word_embeddings=False))  # fmt: skip
    return found


def positions() -> list[Case]:
    """Read the position table at chosen places, beyond its end, with other zero rows."""
    five = ids(2, 2, 5)
    small = {"max_position_embeddings": 8}
    twelve = ids(2, 1, 12)
    return [
        case("shared_row", {"input_ids": five, "position_ids": [[3, 1, 4, 1, 20]]}),
        case("each_its_own", {"input_ids": five,
                              "position_ids": [[0, 1, 2, 3, 4], [1, 1, 1, 0, 1]]}),
        case("as_generate_gives", {"input_ids": five, "attention_mask": [[1] * 5, [0, 0, 1, 1, 1]],
                                   "position_ids": [[0, 1, 2, 3, 4], [1, 1, 0, 1, 2]]}),
        case("minus_one_and_two", {"input_ids": five, "position_ids": [[-1, -2, 0, -1, 23]]}),
        case("longer_than_the_table", {"input_ids": twelve}, **small),
        case("past_beyond_the_table", {"input_ids": [twelve[0][:7]]},
             {"input_ids": [twelve[0][7:11]], "past": 0}, {"input_ids": [[5]], "past": 1}, **small),
        case("odd_width_grows", {"input_ids": twelve}, d_model=15, attention_heads=3, **small),
        case("pad_5", {"input_ids": five}, pad_token_id=5),
        case("pad_0", {"input_ids": five, "position_ids": [[-1, -2, 0, 1, 2]]}, pad_token_id=0),
        case("pad_none", {"input_ids": five, "position_ids": [[-1, -2, 0, 1, 2]]},
             pad_token_id=None),
        case("pad_5_grows", {"input_ids": twelve}, pad_token_id=5, **small),
    ]  # fmt: skip


def losses() -> list[Case]:
    """Compute both losses: labels ignored, padded, all ignored, one token."""
    rows = ids(7, 2, 6)
    holes = [[-100, -100, *rows[0][2:]], [*rows[1][:3], -100, rows[1][4], -100]]
    table: dict[str, dict[str, Any]] = {
        "all": {"input_ids": rows, "labels": rows},
        "holes": {"input_ids": rows, "labels": holes},
        "first_only_ignored": {"input_ids": rows, "labels": [[-100, *row[1:]] for row in rows]},
        "first_label_absurd": {"input_ids": rows, "labels": [[99, *row[1:]] for row in rows]},
        "pads_count": {"input_ids": rows, "labels": [[1, 1, *row[2:]] for row in rows],
                       "attention_mask": [[0, 0, 1, 1, 1, 1]] * 2},
        "all_ignored": {"input_ids": rows, "labels": [[-100] * 6] * 2},
        "one_token": {"input_ids": [row[:1] for row in rows], "labels": [row[:1] for row in rows]},
        "two_tokens": {"input_ids": [rows[0][:2]], "labels": [rows[0][:2]]},
        "embeds": {"inputs_embeds": {"noise": 31, "shape": [2, 6, 16]}, "labels": rows},
        "tuple": {"input_ids": rows, "labels": rows, "return_dict": False},
        "int32": {"input_ids": typed(rows, "int32"), "labels": typed(holes, "int64")},
    }  # fmt: skip
    found = [case(name, {**call, "keep": ["logits", "loss"]}, seed=700)
             for name, call in table.items()]  # fmt: skip
    call = {"input_ids": rows, "labels": rows, "keep": ["loss"]}
    found.append(case("pad_7", call, seed=701, pad_token_id=7, tie_word_embeddings=False))
    found.append(case("with_past", {"input_ids": rows, "keep": []},
                      {**call, "past": 0, "use_cache": False}, seed=701))  # fmt: skip
    return found


def outputs() -> list[Case]:
    """Ask for every output, by argument and by configuration, as a mapping and as a tuple."""
    rows = ids(9, 2, 4)
    hidden = {"output_hidden_states": True}
    every = {"output_attentions": True, **hidden}
    encoder = {"encoder_hidden_states": {"noise": 41, "shape": [2, 3, 16]}}
    keep = {
        "keep": ["logits", "hidden_states", "attentions", "cross_attentions", "past_key_values"]
    }
    plain = {"input_ids": rows}
    full = {**plain, **every, **keep}
    bare = {**plain, "keep": []}
    as_tuple = {**bare, "return_dict": False}
    return [
        case("everything", full, seed=800, num_layers=3),
        case("everything_odd", full, seed=801, d_model=15, attention_heads=3),
        case("cross", {**full, **encoder}, seed=802, add_cross_attention=True),
        case("tuple_everything", {**as_tuple, **every, **encoder, "labels": rows}, seed=803,
             add_cross_attention=True),
        case("tuple_no_cache", {**as_tuple, **every, "use_cache": False}, seed=804),
        case("tuple_plain", as_tuple, seed=804),
        case("tuple_hidden", {**as_tuple, **hidden}, seed=804),
        case("no_cache", {**bare, "use_cache": False}, seed=804),
        case("by_configuration", bare, seed=805, output_attentions=True, **hidden,
             use_cache=False),
        case("configuration_overruled", {**bare, "output_attentions": False, "use_cache": True},
             seed=805, output_attentions=True, **hidden, use_cache=False),
        case("tuple_by_configuration", bare, seed=806, return_dict=False),
    ]  # fmt: skip


def hazards() -> list[Case]:
    """Store weights in half precision; carry massive activations; sharpen attention."""
    call = {"input_ids": ids(10, 2, 8), "attention_mask": [[1] * 8, [0, 0, 1, 1, 1, 1, 1, 1]]}
    step = [{"input_ids": ids(10, 2, 6)}, {"input_ids": ids(11, 2, 1), "past": 0}]
    return [
        case("float16", call, *step[:1], seed=900, stored="float16"),
        case("float16_untied", call, seed=901, stored="float16", tie_word_embeddings=False),
        case("bfloat16", call, seed=900, stored="bfloat16"),
        case("bfloat16_untied_odd", call, seed=902, stored="bfloat16", tie_word_embeddings=False,
             d_model=21, attention_heads=7, ffn_dim=23),
        case("massive", call, {**call, "output_hidden_states": True, "keep": ["hidden_states"]},
             seed=903, profile="massive", d_model=32),
        case("massive_steps", *step, seed=904, profile="massive"),
        case("sharp", call, {**call, "output_attentions": True, "keep": ["attentions"]},
             seed=905, profile="sharp"),
        case("extreme", {"input_ids": ids(10, 4, 5), "attention_mask":
             [[1] * 5, [0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0] * 5]}, seed=908, profile="extreme"),
        case("sharp_float16", call, seed=906, profile="sharp", stored="float16"),
        case("wide_relu", call, seed=907, profile="wide", activation_function="relu"),
    ]  # fmt: skip


def training() -> list[Case]:
    """Run in training mode: every rate alone and all together, layers left out, a cache."""
    rows = ids(12, 2, 5)
    every = {
        "output_attentions": True,
        "output_hidden_states": True,
        "keep": ["logits", "loss", "hidden_states", "attentions", "cross_attentions"],
    }
    rates = {"dropout": 0.3, "attention_dropout": 0.4, "activation_dropout": 0.2}
    none = dict.fromkeys(rates, 0.0)
    call = {"input_ids": rows, "attention_mask": [[1] * 5, [0, 0, 1, 1, 1]], "labels": rows}
    encoder = {
        "encoder_hidden_states": {"noise": 51, "shape": [2, 3, 16]},
        "encoder_attention_mask": [[1, 1, 0], [1, 1, 1]],
    }
    steps = [
        {"input_ids": rows, "keep": []},
        {"input_ids": ids(13, 2, 2), "past": 0, "keep": ["logits", "past_key_values.1"]},
    ]
    found = [case(name, {**call, "keep": ["loss", "logits"]}, seed=920, **{**none, name: rate})
             for name, rate in rates.items()]  # fmt: skip
    found += [
        case("all", {**call, **every}, {**call, "keep": ["loss"]}, seed=921, **rates),
        case("head_mask", {**call, "output_attentions": True, "keep": ["attentions"],
                           "head_mask": [[0.5, 1, 0, 1], [1, 1, 2, 1]]}, seed=922, **rates),
        case("cross", {**call, **encoder, **every}, seed=923, add_cross_attention=True, **rates),
        case("embeds", {"inputs_embeds": {"noise": 52, "shape": [2, 5, 16]}}, seed=924, **rates),
        case("past", *steps, seed=925, **rates),
        case("layers", *[{**call, **every, "keep": ["hidden_states"]}] * 2, seed=926,
             num_layers=5, layerdrop=0.4, **none),
        case("layers_and_all", {"input_ids": rows, "keep": ["past_key_values.1", "logits"]},
             seed=927, num_layers=4, layerdrop=0.4, **rates),
        case("no_layers", {**call, **every, "keep": ["hidden_states"]}, seed=928,
             layerdrop=1.0, **rates),
        case("nothing_left", {**call, "keep": ["logits"]}, seed=929, **dict.fromkeys(rates, 1.0)),
        case("nothing_dropped", {**call, "keep": ["logits"]}, seed=929, **none),
    ]  # fmt: skip
    return [{**one, "training": one["seed"]} for one in found]


GROUPS: dict[str, Callable[[], list[Case]]] = {
    "widths": widths, "activations": activations, "masks": masks, "past": past, "heads": heads,
    "embeds": embeds, "cross": cross, "positions": positions, "losses": losses,
    "outputs": outputs, "hazards": hazards, "training": training,
}  # fmt: skip
