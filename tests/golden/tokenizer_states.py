"""The recorded tokenizer results in which the tokenizer changes, is saved or is read."""

from __future__ import annotations

from typing import Any

from golden.tokenizer_texts import DECODINGS

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


def token(content: str, **flags: Any) -> dict[str, Any]:
    return {"token": {"content": content, **flags}}


def looks() -> list[tuple[Any, ...]]:
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


def states() -> list[tuple[str, dict[str, Any], list[tuple[Any, ...]]]]:
    """Return scenarios that change special and added tokens, save, reload and copy."""
    many = [
        token("<l>", lstrip=True),
        token("<r>", rstrip=True),
        token("<w>", single_word=True),
        "new_tok",
        "new",
        " q ",
        "▁The",
        "",
        token("<ent>", special=True, normalized=True),
        token("<lrw>", lstrip=True, rstrip=True, single_word=True),
    ]
    roles = {"bos_token": "[BOS]", "sep_token": token("[SEP]", lstrip=True), "mask_token": "<l>"}
    reload = [("save",), ("reload", {}), *looks(), ("save",)]
    return [
        ("small", {}, [*looks(), *reload]),
        ("small", {}, [("add_tokens", [many], {}), *looks(), *reload]),
        ("small", {}, [("add_tokens", [many], {"special_tokens": True}), *looks(), *reload]),
        ("small", {}, [("add_special_tokens", [roles], {}), *looks(), *reload]),
        (
            "small",
            {},
            [
                ("add_special_tokens", [{"additional_special_tokens": ["<ent>", "<x>"]}], {}),
                *looks(),
                (
                    "add_special_tokens",
                    [{"additional_special_tokens": ["<y>", "<x>"]}],
                    {"replace_additional_special_tokens": False},
                ),
                ("add_tokens", ["<z>"], {}),
                ("add_tokens", [token("<zz>")], {}),
                (
                    "add_tokens",
                    [[token("<d>"), "<d>", token("<d>", lstrip=True)]],
                    {"special_tokens": True},
                ),
                ("add_tokens", [[]], {}),
                ("add_tokens", [[5]], {}),
                ("add_special_tokens", [{"nonsense": "x"}], {}),
                ("add_special_tokens", [{"bos_token": 5}], {}),
                ("add_special_tokens", [{}], {}),
                *looks(),
                *reload,
            ],
        ),
        (
            "small",
            {
                "bos_token": token("<ent>"),
                "pad_token": "</s>",
                "additional_special_tokens": ["<l>", token("<r>", rstrip=True), "<madeupword3>"],
                "model_max_length": 77,
                "padding_side": "left",
                "clean_up_tokenization_spaces": False,
                "extra": {"kept": [1, None]},
                "sp_model_kwargs": {"alpha": 0.5},
            },
            [*looks(), *reload, ("call", [["a", "b c"]], {"padding": True})],
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
                ("set", "mask_token", token("<mask>")),
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
        ("small", {}, [("add_tokens", [many], {}), ("pickle",), *looks(), ("copy",), *looks()]),
        ("small", {"unk_token": None}, [("encode", ["This ☃ is"], {})]),
        ("small", {"padding_side": "top"}, [("len",)]),
        *(("small", files, [*looks(), ("save",)]) for files in directories()),
    ]


def directories() -> list[dict[str, Any]]:
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
