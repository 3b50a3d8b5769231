"""XGLMTokenizer."""

from __future__ import annotations

from documented.parts import Documented, Method, Part, rows

SCENARIO = "tokenization/test_golden.py::test_scenario"
LAYOUT = "tokenization/test_keywords.py::test_the_layout_of_sequences"
FILE = "tokenization/test_keywords.py::test_the_vocabulary_file"
SAMPLING = "tokenization/test_tokenizer.py::test_sampling"
SAVING = "tokenization/test_saving.py::test_everything_comes_back"

ROLES = (
    ("bos_token", "'<s>'", "begins a text (but no sequence of XGLM's)"),
    ("eos_token", "'</s>'", "ends a text"),
    ("sep_token", "'</s>'", "begins every sequence, and separates a pair"),
    ("cls_token", "'<s>'", "stands for a whole sequence"),
    ("unk_token", "'<unk>'", "stands for what the vocabulary lacks"),
    ("pad_token", "'<pad>'", "fills up shorter sequences"),
)
IDS = (
    ("token_ids_0", None, "ids of the text"),
    ("token_ids_1", "None", "ids of the second text of a pair"),
)
BUILD = Method(
    "build_inputs_with_special_tokens",
    "put the special tokens around one sequence or two",
    SCENARIO,
    rows(LAYOUT, *IDS),
    result="a list of ids: `</s> A`, `</s> A </s> </s> B` (what 4.37.2 does; its text says else)",
)
TYPES = Method(
    "create_token_type_ids_from_sequences",
    "as many zeros as there will be tokens",
    SCENARIO,
    rows(LAYOUT, *IDS),
    result="a list of zeros",
)

CLASSES = (
    Documented(
        "XGLMTokenizer",
        "text to ids and back, on the sentencepiece library",
        SCENARIO,
        rows(
            SCENARIO,
            ("vocab_file", None, "path of the sentencepiece model", FILE),
            *ROLES,
            ("sp_model_kwargs", "None", "arguments of the library's processor: `enable_sampling`,"
             " `nbest_size` and `alpha` draw other segmentations", SAMPLING),
        ),
        (
            BUILD,
            Method(
                "get_special_tokens_mask", "which ids are special", SCENARIO,
                rows(LAYOUT, *IDS, ("already_has_special_tokens", "False",
                                      "whether they stand among the ids already")),
                result="a list of 1 for special tokens, 0 for others",
            ),
            TYPES,
            Method(
                "save_vocabulary", "write the sentencepiece model", FILE,
                rows(FILE, ("save_directory", None, "where to"),
                     ("filename_prefix", "None", "put before the file's name")),
                result="a tuple with the path",
            ),
            Method("from_pretrained", "open the files of a directory or a hub id", SAVING),
            Method("save_pretrained", "write them", SAVING),
            Method("encode", "ids of one text or a pair", SCENARIO),
            Method("__call__", "ids and masks of texts, padded and cut", SCENARIO),
            Method("decode", "the text of ids", SCENARIO),
        ),
        (
            Part("sp_model", "the library's processor",
                 "tokenization/test_properties.py::test_pieces_spell_the_normalised_text"),
        ),
        open_ended=True,
    ),
)  # fmt: skip
