"""The texts of the recorded tokenizer results, awkward ones above all."""

from __future__ import annotations

from typing import Any

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

DECODINGS: tuple[dict[str, Any], ...] = (
    {},
    {"skip_special_tokens": True},
    {"clean_up_tokenization_spaces": False},
    {"spaces_between_special_tokens": False, "skip_special_tokens": True},
)
