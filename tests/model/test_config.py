"""XGLMConfig: defaults, aliases, refusals, round trips."""

from __future__ import annotations

import copy
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyxglm.config import XGLMConfig

#: Of the transformers 4.37 documentation, in the order of its signature.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 256008, "max_position_embeddings": 2048, "d_model": 1024, "ffn_dim": 4096,
    "num_layers": 24, "attention_heads": 16, "activation_function": "gelu", "dropout": 0.1,
    "attention_dropout": 0.1, "activation_dropout": 0.0, "layerdrop": 0.0, "init_std": 0.02,
    "scale_embedding": True, "use_cache": True, "decoder_start_token_id": 2, "pad_token_id": 1,
    "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
INHERITED: dict[str, Any] = {
    "tie_word_embeddings": True, "add_cross_attention": False, "return_dict": True,
    "output_attentions": False, "output_hidden_states": False, "tf_legacy_loss": False,
    "architectures": None, "is_encoder_decoder": False,
}  # fmt: skip
ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "attention_heads",
    "num_hidden_layers": "num_layers",
}
EARLY = {
    "decoder_layers": "num_layers",
    "decoder_attention_heads": "attention_heads",
    "decoder_ffn_dim": "ffn_dim",
}


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def refused(**fields: Any) -> str:
    with pytest.raises(ValueError, match=r"^config: ") as caught:
        XGLMConfig(**fields)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


# ------------------------------------------------------------------------------- fields


@pytest.mark.parametrize("name", [*DEFAULTS, *INHERITED])
def test_defaults(name: str) -> None:
    wanted = {**DEFAULTS, **INHERITED}[name]
    found = getattr(XGLMConfig(), name)
    assert found == wanted
    assert type(found) is type(wanted)


def test_class_attributes() -> None:
    assert XGLMConfig.model_type == "xglm"
    assert XGLMConfig.attribute_map == ALIASES
    assert list(XGLMConfig.keys_to_ignore_at_inference) == ["past_key_values"]


def test_arguments_in_the_documented_order() -> None:
    assert XGLMConfig(*DEFAULTS.values()) == XGLMConfig()
    config = XGLMConfig(99, 33, d_model=64, attention_heads=4)
    assert (config.vocab_size, config.max_position_embeddings, config.d_model) == (99, 33, 64)
    with pytest.raises(TypeError, match="positional"):
        XGLMConfig(99, vocab_size=99)
    with pytest.raises(TypeError, match="positional"):
        XGLMConfig(*range(19))


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_aliases_read_write_and_construct(alias: str, name: str) -> None:
    config = XGLMConfig(**{alias: 32})
    assert getattr(config, name) == getattr(config, alias) == 32
    setattr(config, alias, 64)
    assert getattr(config, name) == 64
    assert alias not in config.to_dict()


@pytest.mark.parametrize(("early", "name"), EARLY.items())
def test_the_first_published_spelling_is_understood(early: str, name: str) -> None:
    config = XGLMConfig(**{early: 8})
    assert getattr(config, name) == 8
    assert early not in config.to_dict()


@pytest.mark.parametrize(("other", "name"), [*ALIASES.items(), *EARLY.items()])
def test_two_names_of_one_field_must_agree(other: str, name: str) -> None:
    assert getattr(XGLMConfig(**{other: 16, name: 16}), name) == 16
    message = refused(**{other: 16, name: 32})
    assert other in message
    assert name in message


def test_unknown_keys_are_kept_and_unknown_attributes_refused() -> None:
    config = XGLMConfig(architectures=["XGLMForCausalLM"], my_note={"a": [1, None]})
    assert config.architectures == ["XGLMForCausalLM"]
    assert config.to_dict()["my_note"] == {"a": [1, None]}
    with pytest.raises(AttributeError, match="no field 'my_other_note'"):
        _ = config.my_other_note


def test_values_are_not_shared_between_configurations() -> None:
    XGLMConfig().pruned_heads[0] = [1]
    assert XGLMConfig().pruned_heads == {}
    config = XGLMConfig(note=[1])
    config.to_dict()["note"].append(2)
    assert config.note == [1]


def test_equality() -> None:
    assert XGLMConfig() == XGLMConfig(d_model=1024)
    assert XGLMConfig() != XGLMConfig(d_model=512)
    assert XGLMConfig() != XGLMConfig(note=1)
    assert XGLMConfig() != XGLMConfig().to_dict()
    with pytest.raises(TypeError, match="unhashable"):
        hash(XGLMConfig())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies(copied: Any) -> None:
    config = XGLMConfig(d_model=64, note=[1])
    assert copied(config) == config
    assert copied(config).hidden_size == 64


# ---------------------------------------------------------------------------- refusals

SIZES = ["vocab_size", "max_position_embeddings", "d_model", "ffn_dim", "num_layers",
         "attention_heads"]  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "value",
    [0, -1, 2**31, 10**300, 10**5000, 1.0, 16.5, "16", "", None, True, [16], {}, math.nan, b"1",
     np.int64(16)],
    ids=lambda value: f"{type(value).__name__} {str(value)[:9] if value != 10**5000 else 'vast'}",
)  # fmt: skip
def test_impossible_sizes(name: str, value: Any) -> None:
    message = refused(**{name: value})
    assert message.startswith(f"config: {name} is ")
    assert ", expected a whole number 1.." in message


@pytest.mark.parametrize(("width", "heads"), [(1024, 15), (16, 32), (7, 2)])
def test_a_width_that_the_heads_do_not_divide(width: int, heads: int) -> None:
    message = refused(d_model=width, attention_heads=heads)
    assert f"d_model is {width} and attention_heads is {heads}" in message


@pytest.mark.parametrize("width", [2, 3])
def test_a_width_for_which_positions_divide_by_zero(width: int) -> None:
    assert f"d_model is {width}," in refused(d_model=width, attention_heads=1)
    assert XGLMConfig(d_model=1, attention_heads=1).d_model == 1
    assert "num_layers is 10001" in refused(num_layers=10_001)  # nor is there such a depth


@pytest.mark.parametrize("value", ["", "GELU", "gelu ", "geglu", None, 3, ["gelu"], {}, b"gelu"])
def test_activations_that_4_37_does_not_have(value: Any) -> None:
    message = refused(activation_function=value)
    assert f"activation_function is {value!r}" in message
    assert "gelu_new" in message


@pytest.mark.parametrize(
    "name", ["dropout", "attention_dropout", "activation_dropout", "layerdrop", "init_std"]
)
@pytest.mark.parametrize(
    "value", [-0.1, math.nan, math.inf, -math.inf, "0.1", None, True, [], 10**400, 1e39],
    ids=lambda value: str(value)[:9],
)  # fmt: skip
def test_impossible_numbers(name: str, value: Any) -> None:
    assert refused(**{name: value}).startswith(f"config: {name} is ")


@pytest.mark.parametrize(
    "name", ["dropout", "attention_dropout", "activation_dropout", "layerdrop"]
)
def test_a_probability_is_at_most_one(name: str) -> None:
    assert getattr(XGLMConfig(**{name: 1}), name) == 1
    assert refused(**{name: 1.01}).endswith("expected a number 0..1")


@pytest.mark.parametrize(
    "name",
    ["scale_embedding", "use_cache", "tie_word_embeddings", "add_cross_attention", "return_dict",
     "output_attentions", "output_hidden_states"],
)  # fmt: skip
def test_switches(name: str) -> None:
    assert getattr(XGLMConfig(**{name: 1}), name)
    for value in (2, -1, "true", None, 0.0, []):
        assert f"{name} is {value!r}, expected true or false" in refused(**{name: value})


@pytest.mark.parametrize(
    "name", ["decoder_start_token_id", "pad_token_id", "bos_token_id", "eos_token_id"]
)
def test_token_ids(name: str) -> None:
    assert getattr(XGLMConfig(**{name: None}), name) is None
    for value in ("2", 2.0, True, [None, "a"], [[2]], {}):
        assert f"{name} is " in refused(**{name: value})
    assert XGLMConfig(eos_token_id=[2, 5]).eos_token_id == [2, 5]


@pytest.mark.parametrize("pad", [-1, 8, 10**400])
def test_the_padding_id_is_a_row_of_the_embedding(pad: int) -> None:
    assert "expected null or an id 0..7" in refused(vocab_size=8, pad_token_id=pad)


@pytest.mark.parametrize(
    "value",
    [[], "0", {2: [0]}, {-1: [0]}, {0: [4]}, {0: [-1]}, {0: 1}, {0: None}, {"a": [0]}, {1.5: [0]},
     {0: [0.0]}, {0: [True]}, {0: [[0]]}, {0: "1"}, {math.inf: [0]}, {"01": [0]}, {0: ["1", 1]}],
    ids=repr,
)  # fmt: skip
def test_impossible_pruned_heads(value: Any) -> None:
    message = refused(num_layers=2, d_model=16, attention_heads=4, pruned_heads=value)
    assert message.startswith("config: pruned_heads is ")
    assert "2 layers with 4 heads" in message


def test_pruned_heads_by_the_strings_of_json() -> None:
    config = XGLMConfig(pruned_heads={"3": [5, 1, 5], 0: []})
    assert config.pruned_heads == {3: [1, 5], 0: []}


@pytest.mark.parametrize("value", ["gpt2", "", None, 3, ["xglm"]])
def test_another_model_type_is_refused(value: Any) -> None:
    assert refused(model_type=value) == f"config: model_type is {value!r}, expected 'xglm'"


@pytest.mark.parametrize(
    "key", ["validate", "to_dict", "from_dict", "__class__", "use_return_dict"]
)
def test_a_key_cannot_take_the_place_of_a_method(key: str) -> None:
    assert key in refused(**{key: 1})
    with pytest.raises(ValueError, match=key):
        XGLMConfig.from_dict({}, **{key: 1})


def test_changes() -> None:
    config = XGLMConfig(note=1)
    config.update({"hidden_size": 64, "note": 2})
    assert config == XGLMConfig(d_model=64, note=2)
    with pytest.raises(ValueError, match="attention_heads is 7"):
        config.update({"ffn_dim": 5, "attention_heads": 7})
    assert config.ffn_dim == 4096
    config.attention_heads = 7
    with pytest.raises(ValueError, match="attention_heads is 7"):
        config.validate()


# --------------------------------------------------------------------------------- files


def test_round_trip_through_a_directory(tmp_path: Path) -> None:
    config = XGLMConfig(
        hidden_size=64, attention_heads=4, pruned_heads={1: [2]}, tie_word_embeddings=False,
        eos_token_id=[2, 4], torch_dtype="float16", note="naïve 日本", nested={"a": [1, None, 0.5]},
        pad_token_id=None,
    )  # fmt: skip
    config.save_pretrained(tmp_path / "new" / "folder")
    file = tmp_path / "new" / "folder" / "config.json"
    assert [p.name for p in file.parent.iterdir()] == ["config.json"]
    for again in (
        XGLMConfig.from_pretrained(file.parent),
        XGLMConfig.from_pretrained(str(file.parent)),
        XGLMConfig.from_pretrained(file),
        XGLMConfig.from_json_file(file),
        XGLMConfig.from_json_file(str(file)),
        XGLMConfig.from_dict(config.to_dict()),
        XGLMConfig.from_dict(json.loads(config.to_json_string())),
        XGLMConfig.from_dict(json.loads(config.to_json_string(use_diff=False))),
    ):
        assert again == config
    fields = json.loads(file.read_text("utf-8"))
    assert fields["model_type"] == "xglm"
    assert set(DEFAULTS) <= set(fields)
    assert "return_dict" not in fields  # as everywhere


def test_the_hub_configuration_is_read(tmp_path: Path) -> None:
    # With what stands in published files beside the fields.
    fields = {
        **DEFAULTS, "activation_dropout": 0, "architectures": ["XGLMForCausalLM"],
        "model_type": "xglm", "transformers_version": "4.16.0.dev0",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert XGLMConfig.from_pretrained(tmp_path) == XGLMConfig(architectures=["XGLMForCausalLM"])


def test_overrides(tmp_path: Path) -> None:
    XGLMConfig(d_model=64, attention_heads=4).save_pretrained(tmp_path)
    config = XGLMConfig.from_pretrained(tmp_path, num_hidden_layers=3, use_cache=False)
    assert (config.num_layers, config.use_cache, config.d_model) == (3, False, 64)
    with pytest.raises(ValueError, match=r"config\.json: d_model is 64 and attention_heads is 5"):
        XGLMConfig.from_pretrained(tmp_path, attention_heads=5)
    with pytest.raises(TypeError, match="'n_layer' is given, expected a field"):
        XGLMConfig.from_pretrained(tmp_path, n_layer=3)


def test_what_json_has_no_word_for_is_not_written(tmp_path: Path) -> None:
    XGLMConfig(d_model=64).save_pretrained(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        XGLMConfig(note=math.nan).save_pretrained(tmp_path)
    with pytest.raises(TypeError, match="JSON"):
        XGLMConfig(note={1}).save_pretrained(tmp_path)
    assert (tmp_path / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b"[]", "array"), (b"3", "number"),
        (b'{"d_model": NaN}', "NaN"), (b'{"d_model": 1, "d_model": 2}', "twice"),
        (b'{"d_model": "64"}', "d_model is '64'"), (b'{"d_model": 0}', "d_model is 0"),
        (b'{"model_type": "gpt2"}', "model_type is 'gpt2'"), (b"\xff\xfe{}", "UTF-8"),
        (b'{"num_layers": 1e400}', "float64"), (b'{"validate": 1}', "validate"),
        (b'{"hidden_size": 64, "d_model": 32}', "both mean d_model"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(text: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(text)
    for read, path in ((XGLMConfig.from_json_file, file), (XGLMConfig.from_pretrained, tmp_path)):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            read(path)
        assert str(caught.value).startswith(f"{file}: ")
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        XGLMConfig.from_json_file(tmp_path / "config.json")
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        XGLMConfig.from_pretrained(tmp_path)
