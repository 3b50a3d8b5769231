"""The grid of forward calls whose results are recorded, in groups.

A case is plain JSON: a model (configuration fields, seed, weight profile,
storage) and the calls made on it, one after the other. A call's `past` is the
index of the earlier call whose cache it is given; `keep` says which outputs
are recorded (the logits unless told); arrays are described as
`golden.weights.as_array` reads them.
"""

from __future__ import annotations

from typing import Any

Case = dict[str, Any]

BASE = {
    "vocab_size": 31,
    "max_position_embeddings": 24,
    "d_model": 16,
    "ffn_dim": 40,
    "num_layers": 2,
    "attention_heads": 4,
}
ACTIVATIONS = [
    "gelu", "gelu_10", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh",
    "gelu_accurate", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2",
    "relu6", "sigmoid", "silu", "swish", "tanh",
]  # fmt: skip
# d_model, heads, ffn_dim, layers, vocabulary, seed and other fields
WIDTHS: list[tuple[int, int, int, int, int, dict[str, Any]]] = [
    (4, 1, 7, 2, 30, {}),
    (5, 5, 3, 2, 31, {}),
    (15, 3, 37, 2, 33, {}),
    (15, 3, 37, 2, 33, {"scale_embedding": False}),
    (16, 4, 1, 1, 31, {"tie_word_embeddings": False}),
    (18, 6, 31, 4, 41, {}),
    (24, 8, 29, 3, 37, {"tie_word_embeddings": False, "scale_embedding": False}),
    (33, 3, 65, 2, 30, {}),
    (35, 7, 50, 1, 45, {"tie_word_embeddings": False}),
    (48, 2, 192, 2, 32, {}),
    (60, 4, 101, 1, 36, {"scale_embedding": False}),
    (64, 1, 64, 1, 33, {}),
    (64, 8, 129, 2, 60, {"tie_word_embeddings": False}),
    (63, 1, 31, 1, 31, {"add_cross_attention": True}),
]


def ids(seed: int, batch: int, length: int, vocab: int = 31) -> list[list[int]]:
    """Return ids from 4 upwards (no special token) that differ from place to place."""
    span = vocab - 4
    return [
        [4 + (seed + 7 * b + 11 * t + 3 * t * t) % span for t in range(length)]
        for b in range(batch)
    ]


def typed(values: Any, dtype: str) -> dict[str, Any]:
    """Describe an array with a dtype."""
    return {"values": values, "dtype": dtype}


def case(
    name: str,
    *calls: dict[str, Any],
    seed: int = 1,
    profile: str = "plain",
    stored: str = "float32",
    **fields: Any,
) -> Case:
    """Describe calls on one model, `fields` replacing those of `BASE`."""
    return {
        "name": name,
        "config": {**BASE, **fields},
        "seed": seed,
        "profile": profile,
        "stored": stored,
        "calls": list(calls),
    }


def widths() -> list[Case]:
    """Vary width, heads, head width (1 to 64), FFN size, depth, scaling and tying."""
    return [
        case(
            f"D{D}_H{H}_F{F}_L{L}" + "".join(f"_{key}_{value}" for key, value in extra.items()),
            {"input_ids": ids(n, 2, 7, V), "attention_mask": [[1] * 7, [0, 0, 1, 1, 1, 1, 1]]},
            seed=100 + n,
            d_model=D,
            attention_heads=H,
            ffn_dim=F,
            num_layers=L,
            vocab_size=V,
            **extra,
        )
        for n, (D, H, F, L, V, extra) in enumerate(WIDTHS)
    ]


def activations() -> list[Case]:
    """Go through every activation of transformers 4.37's table, tails included."""
    return [
        case(
            name,
            {"input_ids": ids(5, 1, 6, 29)},
            seed=200,
            profile="wide",
            vocab_size=29,
            d_model=12,
            attention_heads=3,
            ffn_dim=17,
            activation_function=name,
        )
        for name in ACTIVATIONS
    ]


def masks() -> list[Case]:
    """Give every kind of mask to calls without a past."""
    T = 6
    three = ids(3, 3, T)
    left = [[1] * 6, [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]]
    right = [[1] * 6, [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    gaps = [[1, 0, 1, 1, 0, 1], [0, 1, 0, 1, 0, 1], [1, 1, 0, 0, 0, 1]]
    row_masked = [[1] * 6, [0] * 6, [0, 1, 1, 1, 1, 1]]
    odd = [[1, 2, 1, 1, -1, 1], [1, 1, 0.5, 1, 1, 1], [1e-3, 1, 1, 1.5, 1, 0]]
    prefix = [[[[1 if s < 3 or s <= t else 0 for s in range(T)] for t in range(T)]]] * 3
    band = [[[[1 if t - 2 < s <= t else 0 for s in range(T)] for t in range(T)]]] * 2 + [
        [[[1 if t != 2 else 0 for s in range(T)] for t in range(T)]]
    ]
    every = [[[[1] * T] * T]] * 3
    both = {"attention_mask": left, "keep": ["logits", "attentions"], "output_attentions": True}
    whole = {
        "none": None, "ones": [[1] * T] * 3, "left": left, "right": right, "gaps": gaps,
        "row_masked": row_masked, "bool": typed(gaps, "bool"), "float32": typed(left, "float32"),
        "uint8": typed(right, "uint8"), "int32": typed(gaps, "int32"),
        "other_values": typed(odd, "float32"), "integer_two": [[1, 2, 1, 0, 1, 1]] * 3,
        "4d_prefix": prefix, "4d_band_and_masked_query": band, "4d_everything": every,
        "4d_float": typed(prefix, "float32"),
        "4d_other_values": typed([[[[1.0, 0.5, 1.0, 2.0, 1.0, 1.0]] * T]] * 3, "float32"),
    }  # fmt: skip
    found = [
        case(name, {"input_ids": three, "attention_mask": mask}, seed=300)
        for name, mask in whole.items()
    ]
    found += [
        case("attentions", {"input_ids": three, **both}, seed=301),
        case("sharp_left", {"input_ids": three, **both}, seed=302, profile="sharp"),
        case(
            "sharp_row_masked",
            {"input_ids": three, "attention_mask": row_masked},
            seed=302,
            profile="sharp",
        ),
        case(
            "odd_width_left",
            {"input_ids": three, "attention_mask": left},
            seed=303,
            d_model=15,
            attention_heads=3,
            ffn_dim=21,
        ),
        case(
            "ids_of_three_axes",
            {"input_ids": [three[:2], three[1:]], "attention_mask": [*left[:2], *gaps[:2]]},
            seed=300,
        ),
    ]
    one = [row[:1] for row in three]
    for name, mask in {
        "one_token_none": None, "one_token_ones": [[1]] * 3, "one_token_zero": [[1], [0], [0]],
        "one_token_4d": [[[[1]]], [[[0]]], [[[1]]]],
    }.items():  # fmt: skip
        found.append(case(name, {"input_ids": one, "attention_mask": mask}, seed=304))
    return found


def past() -> list[Case]:
    """Decode with a cache: token by token, in chunks, masked, branching."""
    row = ids(8, 2, 9)

    def part(start: int, stop: int) -> list[list[int]]:
        return [tokens[start:stop] for tokens in row]

    def chunk(start: int, stop: int, past: int | None = None, **more: Any) -> dict[str, Any]:
        call = {"input_ids": part(start, stop), **more}
        return call if past is None else {**call, "past": past}

    left = [[1] * 9, [0, 0, 0, 1, 1, 1, 1, 1, 1]]
    zeroed = [[1, 0, 1, 1, 0, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1, 0, 1, 1]]

    def upto(mask: list[list[int]], stop: int) -> dict[str, Any]:
        return {"attention_mask": [line[:stop] for line in mask]}

    def places(start: int, stop: int) -> dict[str, Any]:
        seen = [
            [max(sum(line[: t + 1]) - 1, 0) if line[t] else 1 for t in range(9)] for line in left
        ]
        return {"position_ids": [line[start:stop] for line in seen]}

    corner = [[[[1, 0, 1, 1, 1, 0], [0, 1, 1, 1, 0, 1]]], [[[1] * 6, [0] * 6]]]
    last = {"keep": ["logits", "past_key_values"]}
    found = [
        case("token_by_token", chunk(0, 4), chunk(4, 5, 0), chunk(5, 6, 1), chunk(6, 7, 2, **last)),
        case("from_one_token", chunk(0, 1), chunk(1, 2, 0), chunk(2, 3, 1)),
        case("left_padded", chunk(0, 6, **upto(left, 6), **places(0, 6)),
             *(chunk(t, t + 1, t - 6, **upto(left, t + 1), **places(t, t + 1)) for t in (6, 7, 8))),
        case("chunks", chunk(0, 3), chunk(3, 7, 0), chunk(7, 9, 1, **last)),
        case("chunks_masked", chunk(0, 3, **upto(zeroed, 3)), chunk(3, 7, 0, **upto(zeroed, 7)),
             chunk(7, 9, 1, **upto(zeroed, 9))),
        case("past_zeroed_later", chunk(0, 5), chunk(5, 6, 0, **upto(zeroed, 6)),
             chunk(5, 8, 0, **upto(zeroed, 8))),
        case("all_masked_token", chunk(0, 4),
             chunk(4, 5, 0, attention_mask=[[1] * 5, [0] * 5])),
        case("past_4d", chunk(0, 4), chunk(4, 6, 0, attention_mask=corner)),
        case("past_4d_one_token", chunk(0, 4),
             chunk(4, 5, 0, attention_mask=[[[[1, 0, 1, 0, 1]]], [[[0, 0, 1, 1, 0]]]])),
        case("branches", chunk(0, 4), chunk(4, 7, 0), chunk(6, 8, 0), chunk(4, 5, 0)),
        case("embeds", chunk(0, 4),
             {"inputs_embeds": {"noise": 5, "shape": [2, 3, 16]}, "past": 0}),
        case("no_cache_out", chunk(0, 4), chunk(4, 6, 0, use_cache=False)),
        case("head_mask", chunk(0, 4),
             chunk(4, 6, 0, head_mask=[[1.0, 0.0, 1.0, 0.5], [0.0, 1.0, 1.0, 1.0]])),
        case("hidden_and_attentions", chunk(0, 4),
             chunk(4, 6, 0, **upto(zeroed, 6), output_attentions=True, output_hidden_states=True,
                   keep=["logits", "hidden_states", "attentions"])),
    ]  # fmt: skip
    for n, one in enumerate(found):
        one["seed"] = 400 + n % 3
    found.append(case("sharp_chunks", chunk(0, 3), chunk(3, 7, 0), chunk(7, 8, 1), seed=404,
                      profile="sharp"))  # fmt: skip
    return found


def heads() -> list[Case]:
    """Mask heads, with the probabilities that come out."""
    seen = {"output_attentions": True, "keep": ["logits", "attentions.0"]}
    mask = [[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    table = {
        "one": [[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]],
        "all": [[0.0] * 4] * 2,
        "any_number": [[0.5, -1.0, 2.0, 1.0], [0.25, 0.0, 1.0, -0.5]],
        "integer": [[1, 0, 0, 1], [0, 1, 1, 1]],
    }
    return [
        case(name, {"input_ids": ids(4, 2, 5), "attention_mask": mask, "head_mask": value, **seen},
             seed=500)
        for name, value in table.items()
    ]  # fmt: skip


def embeds() -> list[Case]:
    """Give embeddings in place of ids: nothing scales them."""
    some = {"inputs_embeds": {"noise": 9, "shape": [2, 5, 16]}}
    return [
        case("noise", some, seed=510),
        case("unscaled_model", some, seed=510, scale_embedding=False),
        case("masked", {**some, "attention_mask": [[0, 1, 1, 1, 1], [1, 1, 0, 1, 1]]}, seed=510),
        case("of_ids", {"inputs_embeds": {"embedding_of": ids(4, 2, 5), "scale": 4.0}},
             {"input_ids": ids(4, 2, 5)}, seed=510),
        case("one_token", {"inputs_embeds": {"noise": 9, "shape": [2, 1, 16]}}, seed=510),
    ]  # fmt: skip
