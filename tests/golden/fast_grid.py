"""What the recorded results of the fast tokenizer are results of; see `tokenizer_grid`."""

from __future__ import annotations

from typing import Any

from golden import tokenizer_calls as calls
from golden.tokenizer_states import directories, looks, states, token
from golden.tokenizer_texts import DECODINGS, PAIRS, REFUSED, TEXTS

#: Where the fast tokenizer and the slow one differ, by what makes the difference.
DIFFERENCES: dict[str, tuple[Any, ...]] = {
    "trailing space": ("encode", ["a "], {}),
    "leading mark": ("encode", ["▁a b"], {}),
    "marks only": ("encode", ["▁▁ a▁ b"], {}),
    "Hangul jamo": ("encode", ["\u110b\u1169\u1102\u1173\u11af"], {}),
    "half-width voiced kana": ("encode", ["ｶﾞ ﾊﾟ"], {}),
    "fullwidth control token": ("encode", ["＜s＞ a ＜/s＞"], {}),
    "fullwidth filler": ("encode", ["＜pad＞ ＜madeupword3＞"], {}),
    "decoding spaces": ("decode", [[3 + 1, 4 + 1, 3 + 1]], {}),
    "decoding unknown ids": ("decode", [[5, 10**6]], {}),
    "mask of ids": ("get_special_tokens_mask", [[5, 6]], {}),
    "ids as input": ("encode", [[5, 6]], {}),
    "ids beyond": ("convert_ids_to_tokens", [10**6], {}),
    "round trip of spaces": ("round_trip", " a b ", {"clean_up_tokenization_spaces": False}),
}

#: More texts with one of those in them, or nearly.
DIFFERENT = (
    *(operation[1][0] for operation in [*DIFFERENCES.values()][:7]),
    "é\u0301\u0302 x\u0301",
    " a",
    "a  b   c",
    "▁",
    "\u0915\u093c \u0921\u093c",
    "a</s> b",
    "a\t<unk> b",
    "\n\n",
    "ⅷ㈱℃",
)

#: The roles that a byte-level tokenizer is given.
BPE_ROLES = {
    "bos_token": "<|endoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<pad>",
    "sep_token": None,
    "cls_token": None,
    "unk_token": None,
    "model_input_names": ["input_ids", "attention_mask"],
}

_WORDS = ["The", " dog ", "</s>", "runs.", "", "東京"]


def _lookings() -> list[tuple[Any, ...]]:
    """Return calls whose encodings are asked where tokens came from."""
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    cut = {"max_length": 6, "truncation": True, "stride": 2, "return_overflowing_tokens": True}
    texts = (*TEXTS[4:8], *TEXTS[12:18], *TEXTS[22:31], *DIFFERENT)
    return [
        *(("look", [text], options) for text in texts),
        *(("look", list(pair), options) for pair in PAIRS),
        ("look", [["The dog runs", "a"]], {**options, "padding": True}),
        ("look", ["The dog runs over the field"], {**options, **cut}),
        ("look", ["The dog runs over the field"], {**options, **cut, "return_tensors": "np"}),
        ("look", [["The dog runs over the field", "a"]], {**options, **cut, "padding": True}),
        ("look", ["The dog runs", "and more"], {**options, **cut, "truncation": "only_first"}),
        ("look", [_WORDS], {**options, "is_split_into_words": True}),
        ("look", [_WORDS, ["second", "text"]], {**options, "is_split_into_words": True}),
    ]


def _trained() -> list[tuple[Any, ...]]:
    """Return looks at a tokenizer with a new vocabulary."""
    return [
        *(("get", name) for name in ("special_tokens_map", "all_special_ids", "padding_side")),
        ("vocabulary",),
        ("get", "added_tokens_decoder"),
        ("encode", ["a<new> b</s> <end>", "c"], {}),
        *(("tokenize", [text], {}) for text in TEXTS[4:30:3]),
    ]


def _scenarios() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    facts = [("get", name) for name in ("vocab_size", "all_special_ids", "sep_token_id", "is_fast")]
    facts += [("len",), ("vocabulary",), ("get", "can_save_slow_tokenizer")]
    encodes = [("encode", [text], {}) for text in (*TEXTS, *DIFFERENT)]
    scenarios: list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]] = [
        (name, {}, [*facts, *encodes])
        for name in ("small", "large", "identity", "large-hub", "small-hub", "identity-saved")
    ]
    scenarios += [
        (name, {}, [("round_trip", text, options) for text in TEXTS for options in DECODINGS])
        for name in ("large", "large-hub")
    ]
    scenarios += [
        ("large-hub", {}, [("tokenize", [text], {}) for text in (*TEXTS, *DIFFERENT)]),
        ("large-hub", {}, _lookings()),
        ("large-saved", {}, _lookings()),
        ("large", {}, [("call", [text], {}) for text in REFUSED]),
        ("large", {}, calls.singles()),
        ("large", {"truncation_side": "left", "padding_side": "left"}, calls.singles()[::3]),
        ("large-hub", {}, calls.pairs()),
        ("small", {"truncation_side": "left"}, calls.pairs()[1::3]),
        ("large", {}, calls.batches()),
        ("large", {"padding_side": "left", "model_max_length": 6}, calls.batches()[::2]),
        ("large", {"model_max_length": 5}, calls.limits()),
        ("large-hub", {}, calls.inputs()),
        ("large", {}, calls.pads()),
        ("large", {}, calls.truncations()[::5]),
        ("large", {}, calls.conversions()),
        (
            "small",
            {"bos_token": token("<s>", lstrip=True)},
            [
                (
                    "train",
                    {
                        "vocab_size": 260,
                        "new_special_tokens": ["<new>", "<other>"],
                        "special_tokens_map": {"<pad>": "<PAD>", "</s>": "<end>"},
                        "show_progress": False,
                    },
                ),
                *_trained(),
            ],
        ),
        *states()[:-7],
        *(("small-hub", files, [*looks(), ("save",)]) for files in directories()[:3]),
    ]
    return scenarios + _byte_level()


def _byte_level() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    """Return scenarios on a byte-level BPE, such as other models of this architecture have."""
    many = ["new_tok", token("<l>", lstrip=True), token("<r>", rstrip=True, special=True)]
    return [
        ("bpe", BPE_ROLES, [("encode", [text], {}) for text in TEXTS]),
        ("bpe", BPE_ROLES, [("round_trip", text, options) for text in TEXTS for options in ({},)]),
        ("bpe", BPE_ROLES, _lookings()),
        ("bpe", BPE_ROLES, calls.batches()[::3]),
        (
            "bpe",
            BPE_ROLES,
            [*looks(), ("add_tokens", [many], {}), *looks(), ("pickle",), *looks()],
        ),
        (
            "bpe",
            BPE_ROLES,
            [("num_special_tokens_to_add", [], {"pair": pair}) for pair in (False, True)],
        ),
        (
            "bpe",
            BPE_ROLES,
            [("train", {"vocab_size": 350, "show_progress": False}), *_trained()],
        ),
    ]


SCENARIOS = _scenarios()
