"""The calls of the recorded tokenizer results that leave the tokenizer as it is."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from golden.tokenizer_texts import BATCHES, DECODINGS, PAIRS


def singles() -> list[tuple[Any, ...]]:
    """Return calls on one text."""
    calls = []
    for text, truncation, max_length, padding in itertools.product(
        ("This is a test of the world", "Hi", ""),
        (None, False, True, "only_first", "only_second", "nonsense"),
        (None, 0, 4, 9),
        (False, True, "max_length", "do_not_pad"),
    ):
        options = {"truncation": truncation, "max_length": max_length, "padding": padding}
        calls.append(("call", [text], {k: v for k, v in options.items() if v is not None}))
    for flags in (
        {"return_special_tokens_mask": True, "return_length": True},
        {"return_token_type_ids": True, "return_attention_mask": False},
        {"add_special_tokens": False, "return_special_tokens_mask": True},
        {"add_special_tokens": False, "return_token_type_ids": True},
        {"return_overflowing_tokens": True},
        {"return_overflowing_tokens": True, "max_length": 4, "truncation": True, "stride": 2},
        {"return_overflowing_tokens": True, "max_length": 4, "truncation": True, "stride": 99},
        {"return_overflowing_tokens": True, "max_length": 40},
        {"return_tensors": "np"},
        {"return_tensors": "np", "padding": "max_length", "max_length": 9, "return_length": True},
        {"return_tensors": "np", "return_overflowing_tokens": True, "max_length": 4},
        {"return_tensors": "nonsense"},
        {"padding": True, "pad_to_multiple_of": 8},
        {"padding": True, "pad_to_multiple_of": 8, "max_length": 4, "truncation": True},
        {"padding": "max_length", "pad_to_multiple_of": 8, "max_length": 9},
        {"pad_to_multiple_of": 8},
        {"return_offsets_mapping": True},
        {"split_special_tokens": True},
        {"unknown_argument": 3},
    ):
        calls += [("call", [text], flags) for text in ("This is </s> a test", "")]
    return calls


def pairs() -> list[tuple[Any, ...]]:
    """Return calls on a pair."""
    calls = []
    for (first, second), truncation, max_length, stride, overflow in itertools.product(
        PAIRS,
        (False, "longest_first", "only_first", "only_second"),
        (None, 0, 3, 8, 12),
        (0, 2),
        (False, True),
    ):
        options: dict[str, Any] = {"truncation": truncation, "stride": stride}
        options |= {"return_overflowing_tokens": overflow}
        if max_length is not None:
            options["max_length"] = max_length
        calls.append(("call", [first, second], options))
    flags = {"return_special_tokens_mask": True, "return_token_type_ids": True}
    calls += [("call", list(pair), flags) for pair in PAIRS]
    calls += [("encode", list(pair), {"add_special_tokens": False}) for pair in PAIRS]
    return calls


def batches() -> list[tuple[Any, ...]]:
    """Return calls on batches."""
    calls = []
    for batch, padding, multiple, tensors in itertools.product(
        BATCHES, (False, True, "max_length"), (None, 4), (None, "np")
    ):
        options: dict[str, Any] = {"padding": padding, "max_length": 8, "truncation": True}
        options |= {"pad_to_multiple_of": multiple, "return_tensors": tensors}
        options |= {"return_length": True, "return_special_tokens_mask": True}
        calls.append(("batch_encode_plus", [batch], options))
        calls.append(("call", [batch], {"padding": padding, "return_tensors": tensors}))
    calls += [
        ("call", [["a", "b"], ["c", "d e f"]], {"padding": True}),
        ("call", [["a", "b"], "c"], {}),
        ("call", [["a", "b"], ["c"]], {}),
        ("call", [[]], {}),
        ("call", ["a"], {"text_target": "b c"}),
        ("call", [], {"text_target": ["b c", "d"]}),
        ("call", [], {}),
        ("call", [["a", "b c d"]], {"max_length": 2, "return_overflowing_tokens": True}),
        ("call", [["a", "b c d"]], {"padding": True, "return_attention_mask": False}),
        ("call", [["a", "b c d"]], {"padding": True, "return_token_type_ids": True}),
        ("call", [["a", "b c d"]], {"padding": True, "max_length": 2}),
        ("call", [["a", "b c d"]], {"pad_to_max_length": True, "max_length": 3}),
        ("call", [["a", "b c d"]], {"truncation_strategy": "only_first", "max_length": 3}),
        (
            "call",
            ["This is a test", "of two texts"],
            {"truncation": True, "truncation_strategy": "only_first", "max_length": 8},
        ),
    ]
    return calls


def limits() -> list[tuple[Any, ...]]:
    """Return calls that meet model_max_length."""
    return [
        ("call", ["This is a test of the world"], options)
        for options in (
            {},
            {"truncation": True},
            {"padding": "max_length"},
            {"padding": "max_length", "truncation": True},
            {"padding": True},
            {"padding": "max_length", "max_length": 12},
        )
    ] + [("get", "max_len_single_sentence"), ("get", "max_len_sentences_pair")]


def inputs() -> list[tuple[Any, ...]]:
    """Return calls on words, tokens and ids."""
    words = ["The", " dog ", "</s>", "runs.", ""]
    split = {"is_split_into_words": True}
    return [
        ("call", [words], split),
        ("call", [words, ["second", "text"]], split),
        ("call", [[words, ["a"]]], split),
        ("call", [[words, ["a"]], [["b"], ["c", "d"]]], {**split, "padding": True}),
        ("call", ["a str all the same"], split),
        ("call", [[]], split),
        ("call", [[[]]], split),
        ("encode", [["▁The", "▁dog", "nonsense", "</s>"]], {}),
        ("encode", [[5, 6, 7]], {}),
        ("encode", [[5, 6, 7], [8, 9]], {"max_length": 6, "truncation": True}),
        ("encode", [["a", 5]], {}),
        ("encode", [[5.5]], {}),
        ("encode", [[]], {}),
        ("encode", ["text", "pair"], {"return_tensors": "np"}),
        ("batch_encode_plus", [[[5, 6], [7]]], {}),
        ("batch_encode_plus", [[([5, 6], [7]), ([8], [9])]], {"padding": True}),
        ("batch_encode_plus", [[("a", "b"), "c"]], {"padding": True}),
        ("batch_encode_plus", [[("a", "b", "c")]], {}),
        ("batch_encode_plus", [[]], {}),
        ("prepare_for_model", [[5, 6, 7]], {}),
        ("prepare_for_model", [[5, 6, 7], [8]], {"return_length": True, "padding": "max_length"}),
        ("prepare_for_model", [[5, 6, 7]], {"return_tensors": "np"}),
        ("prepare_for_model", [[5, 6, 7]], {"return_tensors": "np", "prepend_batch_axis": True}),
        ("prepare_for_model", [[]], {"add_special_tokens": False}),
        ("prepare_for_model", [[]], {"add_special_tokens": False, "return_attention_mask": False}),
        ("prepare_for_model", [[]], {"padding": "max_length", "max_length": 4}),
        ("prepare_for_model", [[5]], {"max_length": 1, "truncation": "only_first"}),
    ]


def pads() -> list[tuple[Any, ...]]:
    """Return calls of `pad`."""
    ragged = {"input_ids": [[2, 5, 6], [2], [2, 7]], "attention_mask": [[1, 1, 1], [1], [1, 0]]}
    rows = [{"input_ids": [2, 5, 6], "labels": [1]}, {"input_ids": [2], "labels": [2]}]
    single = {"input_ids": [2, 5, 6], "token_type_ids": [0, 0, 0], "special_tokens_mask": [1, 0, 0]}
    calls = []
    for encoded, options in itertools.product(
        (ragged, rows, single, {"input_ids": []}, {"input_ids": [[], [2]]}),
        (
            {},
            {"padding": False},
            {"padding": "max_length", "max_length": 5},
            {"padding": "max_length", "max_length": 2},
            {"padding": "max_length"},
            {"pad_to_multiple_of": 4},
            {"return_attention_mask": False},
            {"return_attention_mask": True, "return_tensors": "np"},
        ),
    ):
        calls.append(("pad", [encoded], options))
    calls += [
        ("pad", [{"input_ids": np.array([[2, 5], [2, 6]])}], {}),
        ("pad", [{"input_ids": np.array([[2, 5], [2, 6]])}], {"pad_to_multiple_of": 4}),
        ("pad", [[{"input_ids": np.array([2, 5])}, {"input_ids": np.array([2])}]], {}),
        ("pad", [{"attention_mask": [1]}], {}),
        ("pad", [{"input_ids": [[2], [3]], "other": [1]}], {}),
        ("pad", [[]], {}),
    ]
    return calls


def truncations() -> list[tuple[Any, ...]]:
    """Return calls of `truncate_sequences`."""
    first, second = [1, 2, 3, 4, 5, 6], [11, 12, 13]
    return [
        ("truncate_sequences", [first, pair, remove], {"truncation_strategy": s, "stride": stride})
        for pair, remove, s, stride in itertools.product(
            (None, second, [11, 12, 13, 14, 15, 16, 17]),
            (-1, 0, 1, 4, 6, 9, 20),
            ("longest_first", "only_first", "only_second", "do_not_truncate"),
            (0, 1),
        )
    ]


def conversions() -> list[tuple[Any, ...]]:
    """Return calls between tokens, ids and text."""
    every_id = list(range(0, 890, 7)) + list(range(825, 837))
    return [
        ("convert_ids_to_tokens", [[index for index in every_id if index < 828]], {}),
        *(("convert_ids_to_tokens", [index], {}) for index in (0, 1, 2, 3, 4, 620, 827)),
        *(("convert_ids_to_tokens", [index], {}) for index in (888, 10**6)),
        ("convert_ids_to_tokens", [[2, 3, 50, 1]], {"skip_special_tokens": True}),
        *(
            ("convert_tokens_to_ids", [token], {})
            for token in (
                "<s>",
                "</s>",
                "▁The",
                "▁",
                "",
                "nonsense",
                "<0x41>",
                None,
                "<madeupword5>",
            )
        ),
        ("convert_tokens_to_ids", [["▁The", "<unk>", "☃", "▁dog", "Ａ"]], {}),
        ("convert_tokens_to_string", [["▁The", "▁do", "g", "▁"]], {}),
        ("convert_tokens_to_string", [[]], {}),
        *(
            ("decode", [ids], options)
            for ids in (
                [2, 57, 4, 3, 2],
                [],
                57,
                2,
                np.array([2, 57, 4]),
                np.int64(9),
                [821, 822, 3],
            )
            for options in DECODINGS
        ),
        ("decode", [np.array([[2, 57]])], {}),
        ("decode", [[2, 10**6]], {}),
        ("batch_decode", [[[2, 57], [4, 9, 1]]], {}),
        ("batch_decode", [np.array([[2, 57, 5], [4, 9, 1]])], {"skip_special_tokens": True}),
        ("batch_decode", [[2, 57]], {}),
        ("build_inputs_with_special_tokens", [[5, 6]], {}),
        ("build_inputs_with_special_tokens", [[5, 6], [7]], {}),
        ("build_inputs_with_special_tokens", [[], []], {}),
        ("get_special_tokens_mask", [[5, 6]], {}),
        ("get_special_tokens_mask", [[5, 6], [7]], {}),
        ("get_special_tokens_mask", [[2, 5, 3, 1]], {"already_has_special_tokens": True}),
        ("get_special_tokens_mask", [[2], [5]], {"already_has_special_tokens": True}),
        ("create_token_type_ids_from_sequences", [[5, 6]], {}),
        ("create_token_type_ids_from_sequences", [[5, 6], [7]], {}),
        ("num_special_tokens_to_add", [], {}),
        ("num_special_tokens_to_add", [], {"pair": True}),
    ]
