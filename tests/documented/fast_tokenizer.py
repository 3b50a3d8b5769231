"""XGLMTokenizerFast."""

from __future__ import annotations

from dataclasses import replace

from documented.parts import Documented, Method, rows
from documented.slow_tokenizer import BUILD as SLOW_BUILD
from documented.slow_tokenizer import IDS, ROLES, TYPES

SCENARIO = "tokenization/fast/test_golden.py::test_scenario"
MADE = "tokenization/fast/test_tokenizer.py::test_arguments"
LAYOUT = "tokenization/fast/test_keywords.py::test_the_layout_of_sequences"
OPENED = "tokenization/fast/test_files.py::test_what_is_opened"
SAVED = "tokenization/fast/test_files.py::test_files_and_their_order"

CLASSES = (
    Documented(
        "XGLMTokenizerFast",
        "text to ids and back, with offsets, on the tokenizers library",
        SCENARIO,
        rows(
            SCENARIO,
            ("vocab_file", "None", "path of the sentencepiece model, to be converted", OPENED),
            ("tokenizer_file", "None", "path of the tokenizer.json", OPENED),
            *ROLES,
        ),
        (
            replace(SLOW_BUILD, test=SCENARIO, arguments=rows(LAYOUT, *IDS)),
            replace(TYPES, test=SCENARIO, arguments=rows(LAYOUT, *IDS)),
            Method("from_pretrained", "open the files of a directory or a hub id", OPENED),
            Method("save_pretrained", "write them", SAVED),
            Method("encode", "ids of one text or a pair", SCENARIO),
            Method("__call__", "ids, masks and offsets of texts, padded and cut", SCENARIO),
            Method("decode", "the text of ids", SCENARIO),
        ),
        keywords=rows(
            MADE,
            ("additional_special_tokens", None, "more special tokens; default: XGLM's seven"
             " `<madeupword0>` … (4.37.2 does not add the `<s>NOTUSED` that it documents)"),
        ),
        open_ended=True,
    ),
)  # fmt: skip
