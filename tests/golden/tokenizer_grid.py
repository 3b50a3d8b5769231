"""What the recorded tokenizer results are results of: models, texts and calls.

`record_tokenizer.py` runs this grid on the slow XGLMTokenizer of transformers
4.37.2 and stores what it returns; `tests/tokenization/test_golden.py` runs it
on ours and compares. A scenario is a model, the constructor's arguments and a
row of operations on one tokenizer, so that states are covered as well.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ("small", "large", "bytes", "identity")

TEXTS = (
    "",
    " ",
    "\n",
    " \t\r\n  ",
    "Hello world!",
    "This is a test",
    "  two  spaces   and a tail  ",
    "line one\nline two\r\n\r\nline four\tand a tab",
    "nul \x00 bell \x07 escape \x1b[0m delete \x7f soft\u00adhyphen",
    "zero\u200bwidth\u200c and\u200d joiners \ufeffbom \u2060word",
    "no\u00a0break \u3000ideographic \u2003em \u2028line \u2029paragraph \x85next",
    "</s>",
    "<s><pad></s><unk>",
    "one</s>two</s></s> three </s> four",
    "a <s> b <pad> c <unk> d",
    "<madeupword0> <madeupword6><madeupword3>",
    "< /s> <S> </S> <madeupword7> <madeupword> ＜s＞ <s",
    "<</s>>s> <unk<unk>>",
    "▁starts with the mark ▁ and▁has it",
    "the 9th of May 1998, 12.50 € or $37.80 (50 %)",
    "She didn't know: they'd've gone, it 's here , is n't it ? ' so ' !",
    "L'été, où est la clé ? Là-bas !",
    "Größe, Straße, ÄÖÜ, ß ẞ",
    "今日はとても良い天気です。東京",
    "今天天气很好，我们去公园。",
    "오늘은 날씨가 좋습니다",
    "\u110b\u1169\u1102\u1173\u11af NFD 한국",
    "e\u0301te\u0301 n\u0303 A\u030a o\u0308",
    "ﬁne ﬂow ½ ² ③ ㈱ ℃ Ⅷ",
    "ＦＵＬＬ　ｗｉｄｔｈ　１２３！ ｶﾞｷﾞ ﾊﾟ",
    "วันนี้อากาศดีมาก เราไปเดินเล่น กำ",
    "ဒီနေ့ ရာသီဥတု အရမ်းကောင်းတယ်။",
    "الطقس جميل اليوم، لله ﷺ ﷽",
    "आज मौसम बहुत अच्छा है क़ ड़",
    "আজ আবহাওয়া খুব ভালো",
    "இன்று வானிலை ఈ రోజు",
    "Сегодня хорошая погода",
    "Ο σκύλος τρέχει; ΌΣ",
    "👩\u200d👩\u200d👧\u200d👦 family 🏳️\u200d🌈 flag 🇯🇵 👍🏽 😀",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 \U000e0041tag \U0010ffff \ufffe \ufffd",
    "\u0301starts with a mark",
    "\u202eright to left\u202c override",
    "x" * 300,
    "ab " * 40,
    "saoneuhaoesuth qwrtzpsdfg žščř ≤≥≠ ☃",
    "https://example.org/a?b=c&d=e#f def f(x): return {x: 'y'}",
    "<sep> between <sep>東京<sep>",
    "tail</s> ",
    " </s> head",
)

#: 4.37.2 refuses these one way or another; so must we, in a sentence.
REFUSED = (None, b"bytes", 5, 1.5, "half \ud800", {"a": 1}, [5, 6], [[5, 6]], [None], [[]])

PAIRS = (
    ("This is a test", "of two texts"),
    ("The dog runs over the green field", "and"),
    ("", "The capital of Japan is Tokyo!"),
)

BATCHES = (
    ["Hello", "This is a test of the tokenizer", ""],
    [["The dog", "runs"], ["A", "long second text of several words"]],
)


def _scenarios() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    scenarios: list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]] = []
    for model in MODELS:
        encodes = [("encode", [text], {}) for text in TEXTS]
        facts = [("get", name) for name in ("vocab_size", "all_special_ids", "sep_token_id")]
        scenarios.append((model, {}, [*facts, ("vocabulary",), *encodes]))
    scenarios += [
        ("large", {}, [("tokenize", [text], {}) for text in TEXTS]),
        ("small", {"split_special_tokens": True}, [("encode", [text], {}) for text in TEXTS]),
        ("large", {}, [("round_trip", text, options) for text in TEXTS for options in DECODINGS]),
        ("identity", {}, [("round_trip", text, DECODINGS[0]) for text in TEXTS]),
        ("large", {}, [("call", [text], {}) for text in REFUSED]),
        ("large", {}, _singles()),
        ("large", {"truncation_side": "left", "padding_side": "left"}, _singles()[::3]),
        ("large", {}, _pairs()),
        ("small", {"truncation_side": "left"}, _pairs()[1::3]),
        ("large", {}, _batches()),
        ("large", {"padding_side": "left", "model_max_length": 6}, _batches()[::2]),
        ("large", {"model_max_length": 5}, _limits()),
        ("large", {}, _inputs()),
        ("large", {}, _pads()),
        ("large", {"padding_side": "left"}, _pads()),
        ("large", {}, _truncations()),
        ("large", {"truncation_side": "left"}, _truncations()),
        ("large", {}, _conversions()),
        ("bytes", {}, _conversions()),
    ]
    return scenarios + _states()


DECODINGS: tuple[dict[str, Any], ...] = (
    {},
    {"skip_special_tokens": True},
    {"clean_up_tokenization_spaces": False},
    {"spaces_between_special_tokens": False, "skip_special_tokens": True},
)


def _singles() -> list[tuple[Any, ...]]:
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


def _pairs() -> list[tuple[Any, ...]]:
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


def _batches() -> list[tuple[Any, ...]]:
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


def _limits() -> list[tuple[Any, ...]]:
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


def _inputs() -> list[tuple[Any, ...]]:
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


def _pads() -> list[tuple[Any, ...]]:
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


def _truncations() -> list[tuple[Any, ...]]:
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


def _conversions() -> list[tuple[Any, ...]]:
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


_PROBES = (
    "a<ent>b <ent> c",
    "x [SEP] y[SEP]z",
    " left  <l>  right ",
    " left  <r>  right ",
    "sin<w>gle <w> word<w> <w>!",
    "new new_tok newest",
    "tab\t<w> line\n<w>\n<w>",
    "<r> q x<l> q <r>  ",
    "▁The dog</s>",
    "<madeupword1>[BOS]<pad>",
)


def _token(content: str, **flags: Any) -> dict[str, Any]:
    return {"token": {"content": content, **flags}}


def _looks() -> list[tuple[Any, ...]]:
    """Look at everything that a change of the special tokens may change."""
    return [
        ("len",),
        ("vocabulary",),
        ("get", "special_tokens_map"),
        ("get", "special_tokens_map_extended"),
        ("get", "all_special_tokens"),
        ("get", "all_special_tokens_extended"),
        ("get", "all_special_ids"),
        ("get", "added_tokens_encoder"),
        ("get", "added_tokens_decoder"),
        ("get_added_vocab", [], {}),
        ("get", "additional_special_tokens_ids"),
        *(("tokenize", [text], {}) for text in _PROBES),
        *(("round_trip", text, options) for text in _PROBES for options in DECODINGS[:2]),
    ]


def _states() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    many = [
        _token("<l>", lstrip=True),
        _token("<r>", rstrip=True),
        _token("<w>", single_word=True),
        "new_tok",
        "new",
        " q ",
        "▁The",
        "",
        _token("<ent>", special=True, normalized=True),
        _token("<lrw>", lstrip=True, rstrip=True, single_word=True),
    ]
    roles = {"bos_token": "[BOS]", "sep_token": _token("[SEP]", lstrip=True), "mask_token": "<l>"}
    reload = [("save",), ("reload", {}), *_looks(), ("save",)]
    return [
        ("small", {}, [*_looks(), *reload]),
        ("small", {}, [("add_tokens", [many], {}), *_looks(), *reload]),
        ("small", {}, [("add_tokens", [many], {"special_tokens": True}), *_looks(), *reload]),
        ("small", {}, [("add_special_tokens", [roles], {}), *_looks(), *reload]),
        (
            "small",
            {},
            [
                ("add_special_tokens", [{"additional_special_tokens": ["<ent>", "<x>"]}], {}),
                *_looks(),
                (
                    "add_special_tokens",
                    [{"additional_special_tokens": ["<y>", "<x>"]}],
                    {"replace_additional_special_tokens": False},
                ),
                ("add_tokens", ["<z>"], {}),
                ("add_tokens", [_token("<zz>")], {}),
                (
                    "add_tokens",
                    [[_token("<d>"), "<d>", _token("<d>", lstrip=True)]],
                    {"special_tokens": True},
                ),
                ("add_tokens", [[]], {}),
                ("add_tokens", [[5]], {}),
                ("add_special_tokens", [{"nonsense": "x"}], {}),
                ("add_special_tokens", [{"bos_token": 5}], {}),
                ("add_special_tokens", [{}], {}),
                *_looks(),
                *reload,
            ],
        ),
        (
            "small",
            {
                "bos_token": _token("<ent>"),
                "pad_token": "</s>",
                "additional_special_tokens": ["<l>", _token("<r>", rstrip=True), "<madeupword3>"],
                "model_max_length": 77,
                "padding_side": "left",
                "clean_up_tokenization_spaces": False,
                "extra": {"kept": [1, None]},
                "sp_model_kwargs": {"alpha": 0.5},
            },
            [*_looks(), *reload, ("call", [["a", "b c"]], {"padding": True})],
        ),
        (
            "small",
            {},
            [
                ("set", "pad_token", "</s>"),
                ("get", "pad_token_id"),
                ("set", "bos_token_id", 2),
                ("get", "bos_token"),
                ("set", "eos_token", None),
                ("get", "eos_token_id"),
                ("set", "mask_token", _token("<mask>")),
                ("get", "mask_token"),
                ("set", "cls_token", 5),
                ("set", "additional_special_tokens", ["<s>", "▁is"]),
                ("get", "additional_special_tokens_ids"),
                ("set", "additional_special_tokens_ids", [4, 5]),
                ("get", "additional_special_tokens"),
                ("get", "all_special_ids"),
                ("round_trip", "This is it", {"skip_special_tokens": True}),
                ("set", "padding_side", "left"),
                ("call", [["a", "b c"]], {"padding": True}),
                ("set", "pad_token", None),
                ("call", [["a", "b c"]], {"padding": True}),
                ("save",),
            ],
        ),
        ("small", {}, [("add_tokens", [many], {}), ("pickle",), *_looks(), ("copy",), *_looks()]),
        ("small", {"unk_token": None}, [("encode", ["This ☃ is"], {})]),
        ("small", {"padding_side": "top"}, [("len",)]),
        *(("small", files, [*_looks(), ("save",)]) for files in _directories()),
    ]


def _directories() -> list[dict[str, Any]]:
    """Return directories as older releases, or other programs, write them."""
    words = [f"<madeupword{index}>" for index in range(7)]
    entry = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    config = {"tokenizer_class": "XGLMTokenizer", "additional_special_tokens": words}
    fast = [
        {"id": 2, "content": "</s>", "special": True, **entry},
        {"id": 700, "content": "<ent>", "special": False, **entry, "lstrip": True},
        {"id": 628, "content": "[SEP]", "special": True, **entry},
    ]
    return [
        {"files": files}
        for files in (
            {},
            {"tokenizer_config.json": {**config, "model_max_length": 99, "padding_side": "left"}},
            {
                "tokenizer_config.json": {**config, "sp_model_kwargs": {}, "name_or_path": "x"},
                "special_tokens_map.json": {
                    "bos_token": {"content": "[BOS]", **entry},
                    "pad_token": "<pad>",
                    "additional_special_tokens": [*words, "<l>", {"content": "<r>", **entry}],
                },
                "added_tokens.json": {"<l>": 629, "[BOS]": 628, "new_tok": 630, "<r>": 631},
            },
            {"tokenizer.json": {"added_tokens": fast, "model": {"type": "Unigram"}}},
            {
                "tokenizer_config.json": {"eos_token": "</s>", "sep_token": "</s>"},
                "tokenizer.json": {"added_tokens": [{**fast[0], "lstrip": True}]},
            },
            {
                "special_tokens_map.json": {
                    role: {"content": "[BOS]", **entry} for role in ("bos_token", "cls_token")
                }
            },
            {
                "tokenizer_config.json": {
                    "bos_token": {"__type": "AddedToken", "content": "<s>", **entry},
                    "added_tokens_decoder": {
                        "3": {"content": "<unk>", "special": True, **entry},
                        "0": {"content": "<s>", "special": True, **entry},
                        "650": {"content": "<w>", "special": False, **entry, "single_word": True},
                        "640": {"content": "<l>", "special": True, **entry, "lstrip": True},
                        "9": {"content": "new", "special": False, **entry},
                    },
                },
                "added_tokens.json": {"ignored": 700},
            },
        )
    ]


def revive(value: Any, added_token: Any) -> Any:
    """Make the AddedTokens that a scenario's arguments describe."""
    if isinstance(value, dict):
        if value.keys() == {"token"}:
            return added_token(**value["token"])
        return {key: revive(item, added_token) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(revive(item, added_token) for item in value)
    return value


def plain(value: Any) -> Any:
    """Turn a result into what JSON can hold, arrays and tokens recognisable."""
    if isinstance(value, np.ndarray):
        kind = "ragged" if value.dtype == object else value.dtype.name
        return {kind: plain(value.tolist())}
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "items"):
        return [[plain(key), plain(item)] for key, item in value.items()]
    return repr(value)


def run_scenario(
    scenario: tuple[str, dict[str, Any], list[tuple[Any, ...]]],
    make: Any,
    added_token: Any,
    models: Path,
    folder: Path,
) -> list[Any]:
    """Run one scenario; return what each operation returned, or "!" for an error."""
    model, arguments, operations = scenario
    vocabulary = models / f"{model}.model"
    try:
        if "files" in arguments:
            folder.mkdir(parents=True)
            shutil.copy(vocabulary, folder / "sentencepiece.bpe.model")
            for name, content in arguments["files"].items():
                (folder / name).write_text(json.dumps(content), encoding="utf-8")
            tokenizer = make.from_pretrained(str(folder))
        else:
            tokenizer = make(str(vocabulary), **revive(copy.deepcopy(arguments), added_token))
    except (ValueError, TypeError):
        return ["!"]
    results: list[Any] = []
    saved = ""
    for number, (name, *rest) in enumerate(operations):
        target = folder / f"step{number}"
        try:
            rest = revive(copy.deepcopy(rest), added_token)
            if name == "reload":
                tokenizer = make.from_pretrained(saved, **rest[0])
                results.append(None)
                continue
            if name == "save":
                saved = str(target)
            if name == "pickle":
                tokenizer = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
                results.append(None)
                continue
            if name == "copy":
                tokenizer = copy.deepcopy(tokenizer)
                results.append(None)
                continue
            results.append(plain(_operate(tokenizer, name, rest, target)))
        except (
            ValueError, TypeError, IndexError, AttributeError, AssertionError, RuntimeError
        ):  # fmt: skip
            results.append("!")
    return results


def _operate(tokenizer: Any, name: str, rest: list[Any], target: Path) -> Any:
    if name == "get":
        return getattr(tokenizer, rest[0])
    if name == "set":
        return setattr(tokenizer, rest[0], rest[1])
    if name == "len":
        return len(tokenizer)
    if name == "vocabulary":
        text = json.dumps(tokenizer.get_vocab(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    if name == "round_trip":
        return tokenizer.decode(tokenizer.encode(rest[0]), **rest[1])
    if name == "save":
        tokenizer.save_pretrained(str(target))
        return {
            path.name: path.read_text(encoding="utf-8") for path in sorted(target.glob("*.json"))
        }
    method = tokenizer if name == "call" else getattr(tokenizer, name)
    return method(*rest[0], **rest[1])


def splitting_cases() -> list[tuple[list[str], str]]:
    """Return special strings and texts over few letters, so that they overlap in many ways."""
    random = np.random.default_rng(4372)

    def word(letters: str, shortest: int, longest: int) -> str:
        length = int(random.integers(shortest, longest + 1))
        return "".join(random.choice(list(letters), length).tolist())

    cases = []
    for number in range(1500):
        letters = "ab" if number % 3 else "abc"
        strings = [word(letters, 1, 5) for _ in range(int(random.integers(1, 6)))]
        cases.append((strings, word(letters + "?", 0, 14)))
    return cases


SCENARIOS = _scenarios()
