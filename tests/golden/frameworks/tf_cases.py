"""The calls on TensorFlow's classes whose results are recorded.

A case is plain JSON: a class, configuration fields, a seed of the weights
(`golden.weights`), and calls made one after the other. A call holds arguments
by name, and besides:

``form``
    How they are handed over: as ``"keywords"`` (the default), or the inputs in
    the first argument, as a ``"list"``, a ``"tuple"``, a ``"dict"``, or alone
    (``"first"``).
``past``
    Index of the earlier call whose cache it is given.
``keep``
    Fields recorded; all unless told.
``note``
    ``"quirk"``: what 4.37.2 does here, only ``compat="4.37"`` does.

A case whose ``head`` is ``"own"`` has a head that differs from the embedding
although the configuration ties them.
"""

from __future__ import annotations

from typing import Any

from golden.cases import BASE, Case, ids

#: A model whose greedy continuations wander instead of repeating one token.
WANDERING = {"d_model": 24, "max_position_embeddings": 64, "tie_word_embeddings": False}
EVERYTHING = {"output_hidden_states": True, "output_attentions": True}


def case(
    name: str, *calls: dict[str, Any], kind: str = "lm", seed: int = 1, profile: str = "plain",
    **fields: Any,
) -> Case:  # fmt: skip
    """Describe calls on one model, `fields` replacing those of `golden.cases.BASE`."""
    return {"name": name, "kind": kind, "config": {**BASE, **fields}, "seed": seed,
            "profile": profile, "calls": list(calls)}  # fmt: skip


def cases() -> list[Case]:
    """Return every case."""
    return [*outputs(), *forms(), *masks(), *caches(), *positions(), *options(), *losses()]


def outputs() -> list[Case]:
    """All that is returned, by both classes, in several widths."""
    two = ids(3, 2, 6)
    return [
        case("lm", {"input_ids": two, **EVERYTHING}),
        case("bare", {"input_ids": two, **EVERYTHING}, kind="bare"),
        case("lm_tuple", {"input_ids": two, "return_dict": False, **EVERYTHING}),
        case("bare_tuple", {"input_ids": two, "return_dict": False}, kind="bare"),
        case("no_cache", {"input_ids": two, "use_cache": False, "return_dict": False}),
        case("odd_width_relu", {"input_ids": two}, d_model=15, attention_heads=3,
             activation_function="relu", scale_embedding=False),
        case("one_token", {"input_ids": [[5], [9]], **EVERYTHING}),
        case("untied", {"input_ids": two}, tie_word_embeddings=False),
        {**case("head_of_its_own", {"input_ids": two}), "head": "own"},
    ]  # fmt: skip


def forms() -> list[Case]:
    """The inputs in the first argument."""
    two, mask = ids(4, 2, 5), [[1] * 5, [0, 0, 1, 1, 1]]
    places = [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]
    inputs = {"input_ids": two, "attention_mask": mask, "position_ids": places}
    keep = {"keep": ["logits"]}
    return [
        case("first", {"form": "first", "input_ids": two, **keep}),
        case("list", {"form": "list", **inputs, **keep}),
        case("tuple", {"form": "tuple", "input_ids": two, "attention_mask": mask, **keep}),
        case("list_with_a_gap",
             {"form": "list", "input_ids": two, "attention_mask": None, "position_ids": places,
              **keep}),
        case("dict", {"form": "dict", **inputs, **keep}),
        case("dict_with_more", {"form": "dict", "input_ids": two, "token_type_ids": two, **keep}),
        case("keywords", {**inputs, **keep}),
    ]  # fmt: skip


#: Three rows of ids, padding before them, and what shows who sees whom.
THREE = ids(5, 3, 5)
LEFT = [[1] * 5, [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]
SEEN = {"output_attentions": True, "keep": ["logits", "attentions"]}


def padded() -> list[Case]:
    """Padding as every framework is given it."""
    return [
        case("left", {"input_ids": THREE, "attention_mask": LEFT, **EVERYTHING}),
        case("left_bare", {"input_ids": THREE, "attention_mask": LEFT}, kind="bare"),
        case("right", {"input_ids": THREE, **SEEN,
                       "attention_mask": [[1] * 5, [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]}),
        case("gaps", {"input_ids": THREE, **SEEN,
                      "attention_mask": [[1, 0, 1, 1, 1], [0, 1, 0, 1, 1], [1, 1, 0, 0, 1]]}),
        case("nothing_to_see", {"input_ids": THREE, "attention_mask": [[0] * 5] * 3, **SEEN}),
    ]  # fmt: skip


def masks() -> list[Case]:
    """Padding, and masks with which a token may see nothing."""
    return [
        *padded(),
        case("sharp_left", {"input_ids": THREE, "attention_mask": LEFT, **SEEN}, seed=44,
             profile="sharp"),
        case("one_token_unseen", {"input_ids": [[5], [6]], "attention_mask": [[0], [1]], **SEEN}),
        case("fractions", {"input_ids": THREE, **SEEN, "note": "quirk", "attention_mask": {
            "values": [[1, 0.5, 1, 1, 1], [2, 1, 1, 1, 1], [1, 1, 0.9999999, 1, 1]],
            "dtype": "float32"}}),
    ]  # fmt: skip


def caches() -> list[Case]:
    """Decoding with a cache, step by step and in chunks."""
    row = ids(6, 2, 8)
    left = [[1] * 8, [0, 0, 0, 1, 1, 1, 1, 1]]

    def chunk(start: int, stop: int, past: int | None = None, **more: Any) -> dict[str, Any]:
        call = {"input_ids": [tokens[start:stop] for tokens in row], **more}
        return call if past is None else {**call, "past": past}

    def upto(stop: int) -> dict[str, Any]:
        return {"attention_mask": [line[:stop] for line in left]}

    def places(start: int, stop: int) -> dict[str, Any]:
        counted = [[sum(line[:t]) for t in range(8)] for line in left]
        return {"position_ids": [line[start:stop] for line in counted]}

    return [
        case("step_by_step", *(chunk(t, t + 1, t - 1 if t else None) for t in range(4))),
        case("step_by_step_bare", *(chunk(t, t + 1, t - 1 if t else None) for t in range(3)),
             kind="bare"),
        case("chunks", chunk(0, 3), chunk(3, 7, 0, output_attentions=True), chunk(7, 8, 1)),
        case("left_padded_steps", chunk(0, 5, **upto(5), **places(0, 5)),
             chunk(5, 6, 0, **upto(6), **places(5, 6), output_attentions=True),
             chunk(6, 8, 1, **upto(8), **places(6, 8))),
        case("cache_not_returned", chunk(0, 3), chunk(3, 4, 0, use_cache=False)),
    ]  # fmt: skip


def positions() -> list[Case]:
    """Explicit positions, which the bare class ignores."""
    two = ids(7, 2, 4)
    own = [[3, 1, 0, 7], [20, 21, 22, 23]]
    keep = {"keep": ["logits", "last_hidden_state"]}
    return [
        case("own_positions", {"input_ids": two, "position_ids": own, **keep}),
        case("shared_positions", {"input_ids": two, "position_ids": [own[0]], **keep}),
        case("bare_positions", {"input_ids": two, "position_ids": own, "note": "quirk", **keep},
             kind="bare"),
        case("far_positions",
             {"input_ids": two, "position_ids": [[100, 500, 1000, 2047]], **keep},
             max_position_embeddings=2048),
        case("pad_5", {"input_ids": two, **keep}, pad_token_id=5),
        case("position_minus_one", {"input_ids": two, "position_ids": [[-1, 0, 1, 2]], **keep}),
    ]  # fmt: skip


def options() -> list[Case]:
    """Head masks, inputs_embeds, cross-attention."""
    two = ids(8, 2, 5)
    heads = [[1, 0, 0.5, 1], [0, 1, 1, 2]]
    states = {"encoder_hidden_states": {"noise": 5, "shape": [2, 3, 16]}}
    seen = {"encoder_attention_mask": [[1, 1, 1], [0, 1, 1]]}
    step = {"input_ids": [[7], [8]], "past": 0, **states, **seen}
    return [
        case("head_mask", {"input_ids": two, "head_mask": heads, "output_attentions": True}),
        case("embeds", {"inputs_embeds": {"embedding_of": two, "scale": 4.0}}),
        case("embeds_bare", {"inputs_embeds": {"noise": 3, "shape": [2, 4, 16]}}, kind="bare"),
        case("cross", {"input_ids": two, **states, **seen, **EVERYTHING}, step,
             add_cross_attention=True),
        case("cross_bare", {"input_ids": two, **states, **EVERYTHING}, kind="bare",
             add_cross_attention=True),
        case("cross_head_mask",
             {"input_ids": two, **states, "cross_attn_head_mask": heads, "keep": ["logits"]},
             add_cross_attention=True),
        case("cross_nothing_to_see",
             {"input_ids": two, **states, "encoder_attention_mask": [[1, 1, 1], [0, 0, 0]],
              "output_attentions": True, "keep": ["logits", "cross_attentions"]},
             add_cross_attention=True),
        case("cross_not_used", {"input_ids": two, "keep": ["logits"]}, add_cross_attention=True),
    ]  # fmt: skip


def losses() -> list[Case]:
    """Labels: whole, with holes, of one token; the older loss; another padding id."""
    two = ids(9, 2, 5)
    holes = [[-100, two[0][1], -100, two[0][3], two[0][4]], two[1]]
    left = [[1] * 5, [0, 0, 1, 1, 1]]
    behind = [two[0], [-100, -100, -100, *two[1][3:]]]
    keep = {"keep": ["loss", "logits"]}
    return [
        case("labels", {"input_ids": two, "labels": two, **keep}),
        case("labels_tuple", {"input_ids": two, "labels": two, "return_dict": False}),
        case("labels_with_holes", {"input_ids": two, "labels": holes, **keep}),
        case("labels_with_padding",
             {"input_ids": two, "labels": behind, "attention_mask": left, **keep}),
        case("labels_of_one_token", {"input_ids": [[5], [6]], "labels": [[5], [6]], **keep}),
        case("labels_in_a_dict",
             {"form": "dict", "input_ids": two, "labels": holes, **keep}),
        case("legacy_loss", {"input_ids": two, "labels": holes, **keep}, tf_legacy_loss=True),
        case("pad_7", {"input_ids": two, "labels": two, **keep}, pad_token_id=7),
    ]  # fmt: skip


def greedy() -> list[dict[str, Any]]:
    """Return calls of generate; their models have sharp attention, so that they wander."""
    padded = [[2, 9, 17, 25], [1, 1, 2, 11], [1, 2, 30, 8]]
    seen = [[1, 1, 1, 1], [0, 0, 1, 1], [0, 1, 1, 1]]

    def call(name: str, seed: int, prompts: Any, mask: Any = None, **settings: Any) -> Any:
        return {"name": name, "kind": "lm", "config": {**BASE, **WANDERING}, "seed": seed,
                "profile": "sharp", "input_ids": prompts, "attention_mask": mask,
                "settings": settings}  # fmt: skip

    return [
        call("one_prompt", 1001, [[2, 9, 17, 25]], max_new_tokens=14),
        call("left_padded", 1001, padded, seen, max_new_tokens=14),
        call("no_mask", 1022, padded, max_new_tokens=14),
        call("all_stop", 1000, padded, seen, max_new_tokens=14),
        call("some_stop", 1020, padded, seen, max_new_tokens=14),
        call("max_length", 1024, padded, seen, max_length=9),
        call("eos_given", 1003, padded, seen, max_new_tokens=10, eos_token_id=19),
    ]
