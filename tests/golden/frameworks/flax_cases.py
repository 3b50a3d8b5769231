"""The calls on Flax's classes whose results are recorded.

As in `golden.frameworks.tf_cases`, and besides:

``room``
    The call gets a fresh cache with room for so many tokens.

A case's ``dtype`` is what the model is told to compute in.
"""

from __future__ import annotations

from typing import Any

from golden.cases import Case, ids
from golden.frameworks.tf_cases import EVERYTHING, SEEN, THREE, case, padded


def cases() -> list[Case]:
    """Return every case."""
    return [*outputs(), *masks(), *caches(), *positions(), *dtypes()]


def outputs() -> list[Case]:
    """All that is returned, by both classes."""
    two = ids(3, 2, 6)
    return [
        case("lm", {"input_ids": two, **EVERYTHING}),
        case("bare", {"input_ids": two, **EVERYTHING}, kind="bare"),
        case("lm_tuple", {"input_ids": two, "return_dict": False, **EVERYTHING}),
        case("bare_tuple", {"input_ids": two, "return_dict": False, **EVERYTHING}, kind="bare"),
        case("bare_tuple_attentions",
             {"input_ids": two, "return_dict": False, "output_attentions": True}, kind="bare"),
        case("tuple_with_cache",
             {"input_ids": two, "return_dict": False, "room": 6, **EVERYTHING}),
        case("relu_unscaled", {"input_ids": two, "keep": ["logits"]}, activation_function="relu",
             scale_embedding=False, d_model=24, attention_heads=3),
        case("untied", {"input_ids": two, "keep": ["logits"]}, tie_word_embeddings=False),
    ]  # fmt: skip


def masks() -> list[Case]:
    """Padding, and masks with which a token may see nothing."""
    return [
        *padded(),
        case("other_values", {"input_ids": THREE, **SEEN,
                              "attention_mask": [[1, 2, 1, 1, 1], [1, -1, 1, 1, 1], [3] * 5]}),
        case("fractions", {"input_ids": THREE, **SEEN, "attention_mask": {
            "values": [[1, 0.5, 1, 1, 1], [1, 1.5, 1, 1, 1], [1, 1, 0.999, 1, 1]],
            "dtype": "float32"}}),
    ]  # fmt: skip


def caches() -> list[Case]:
    """The static cache: step by step, in chunks, masked, full."""
    row = ids(6, 2, 8)
    room = 9
    left = [[1] * 9, [0, 0, 0, 1, 1, 1, 1, 1, 1]]
    holes = [[1, 0, 1, 1, 0, 1, 1, 1, 1], [0, 1, 1, 0, 1, 1, 0, 1, 1]]

    def chunk(start: int, stop: int, past: int | None = None, **more: Any) -> dict[str, Any]:
        call = {"input_ids": [tokens[start:stop] for tokens in row],
                "attention_mask": [[1] * room] * 2, **more}  # fmt: skip
        return {**call, "room": room} if past is None else {**call, "past": past}

    def at(start: int, stop: int) -> dict[str, Any]:
        return {"position_ids": [list(range(start, stop))] * 2}

    def places(start: int, stop: int) -> dict[str, Any]:
        counted = [[sum(line[: t + 1]) - 1 for t in range(9)] for line in left]
        return {"position_ids": [line[start:stop] for line in counted]}

    quirk = {"note": "quirk"}
    return [
        case("step_by_step",
             *(chunk(t, t + 1, t - 1 if t else None, **at(t, t + 1)) for t in range(4))),
        case("step_by_step_bare",
             *(chunk(t, t + 1, t - 1 if t else None, **at(t, t + 1)) for t in range(3)),
             kind="bare"),
        case("chunks", chunk(0, 3, **at(0, 3)),
             chunk(3, 7, 0, **at(3, 7), output_attentions=True), chunk(7, 8, 1, **at(7, 8))),
        case("left_padded_steps",
             chunk(0, 5, attention_mask=left, **places(0, 5), **EVERYTHING),
             chunk(5, 6, 0, attention_mask=left, **places(5, 6), **EVERYTHING),
             chunk(6, 8, 1, attention_mask=left, **places(6, 8))),
        case("holes", chunk(0, 5, attention_mask=holes, **at(0, 5)),
             chunk(5, 8, 0, attention_mask=holes, **at(5, 8), output_attentions=True)),
        case("no_positions", chunk(0, 4), chunk(4, 6, 0, **quirk), chunk(6, 7, 1, **quirk)),
        case("one_token_no_mask", {"input_ids": [[5], [6]], "room": 4}),
        case("full", {**chunk(0, 8, **at(0, 8)), **quirk}, chunk(0, 1, 0, **at(8, 9), **quirk),
             chunk(1, 4, 1, **at(9, 12), output_attentions=True, **quirk)),
        case("full_to_the_table",
             {**chunk(0, 8, **at(0, 8)), **quirk},
             chunk(1, 4, 0, **at(5, 8), output_attentions=True, **quirk),
             max_position_embeddings=9),
    ]  # fmt: skip


def positions() -> list[Case]:
    """Explicit positions: near, far, minus one, beyond the table."""
    two = ids(7, 2, 4)
    own = [[3, 1, 0, 7], [20, 21, 22, 23]]
    keep = {"keep": ["logits"]}
    return [
        case("own_positions", {"input_ids": two, "position_ids": own, **keep}),
        case("far_positions", {"input_ids": two, "position_ids": [[100, 500, 1000, 2047]] * 2,
                               **keep}, max_position_embeddings=2048),
        case("minus_one", {"input_ids": two, "position_ids": [[-1, -1, 0, 1], [-2, -1, 0, 1]],
                           **keep}),
        case("pad_5", {"input_ids": two, **keep}, pad_token_id=5),
        case("beyond", {"input_ids": two, "position_ids": [[0, 1, 2, 24], own[0]], **keep,
                        "note": "quirk"}),
        case("counted_from_the_end", {"input_ids": two, "position_ids": [[0, 1, 2, -3]] * 2,
                                      **keep, "note": "quirk"}),
    ]  # fmt: skip


def dtypes() -> list[Case]:
    """Computation in half precision: parameters stay as they are."""
    two = ids(8, 2, 6)
    mask = [[1] * 6, [0, 0, 1, 1, 1, 1]]
    return [
        {**case(name, {"input_ids": two, "attention_mask": mask, **EVERYTHING},
                {"input_ids": two, "attention_mask": [[1] * 7] * 2, "room": 7}), "dtype": name}
        for name in ("float16", "bfloat16")
    ]  # fmt: skip


def preparations() -> list[dict[str, Any]]:
    """Return calls of prepare_inputs_for_generation, for two rows of three ids."""
    return [
        {"max_length": 5, "attention_mask": [[1, 1, 1], [0, 1, 1]]},
        {"max_length": 3, "attention_mask": [[0, 0, 1], [1, 1, 1]]},
        {"max_length": 6},
    ]
