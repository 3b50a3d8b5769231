"""fairseq's checkpoints: arguments into a configuration, names, dictionaries, refusals.

The files in `tests/golden/fairseq` are of fairseq's structure, built with torch.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoint.build import (
    integer,
    members,
    name,
    plain_strides,
    state_dict,
    storage,
    tensor,
    text,
    tuple_of,
    zip_file,
)

from pyxglm.checkpoint import convert_checkpoint, load
from pyxglm.checkpoint.fairseq import check_dictionary, read_dictionary, read_fairseq
from pyxglm.checkpoint.names import canonical_names
from pyxglm.config import XGLMConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "fairseq"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def test_the_golden_cases_are_all_there():
    assert CASES == ["args-legacy", "dicts", "namespace-mevo", "omegaconf-2.0", "omegaconf-2.4"]


@pytest.mark.parametrize("case", CASES)
def test_configuration_and_tensors(case):
    found = read_fairseq(GOLDEN / case / "model.pt")
    expected = XGLMConfig(**json.loads((GOLDEN / case / "expected.json").read_text()))
    expected.architectures = ["XGLMForCausalLM"]
    assert found.config.to_dict() == expected.to_dict()
    arrays = np.load(GOLDEN / case / "expected.npz")
    names = canonical_names(found.tensors)
    assert set(arrays) <= set(names.values()) <= {*arrays, "lm_head.weight"}
    for file_name, known in names.items():
        if known in arrays:
            bits = found.tensors[file_name].view(arrays[known].dtype)
            np.testing.assert_array_equal(bits, arrays[known], strict=True)
            assert not found.tensors[file_name].flags.owndata


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
def test_converted(case, tmp_path):
    convert_checkpoint(GOLDEN / case, tmp_path / "new")
    config = XGLMConfig.from_pretrained(tmp_path / "new")
    arrays = np.load(GOLDEN / case / "expected.npz")
    found = load(tmp_path / "new", config).weights
    assert found.keys() == set(arrays)
    for known, array in found.items():
        np.testing.assert_array_equal(array.view(arrays[known].dtype), arrays[known], strict=True)
    assert config.torch_dtype == ("float32" if case == "args-legacy" else "float16")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors",
    }  # fmt: skip
    settings = json.loads((tmp_path / "new" / "generation_config.json").read_text())
    assert [settings[f"{key}_token_id"] for key in ("bos", "pad", "eos")] == [0, 1, 2]


# ------------------------------------------------------------- files made by hand, and wrong

ARGUMENTS = {
    "decoder_embed_dim": integer(4),
    "decoder_ffn_embed_dim": integer(6),
    "decoder_layers": integer(1),
    "decoder_attention_heads": integer(2),
    "activation_fn": text("gelu"),
}
EMBEDDING = tensor(storage(np.dtype("<f2"), "0", 32), (8, 4), plain_strides((8, 4)))


def mapping(items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def write(tmp_path, *, arguments=(), tensors=None, **state):
    """Write a checkpoint whose arguments are `ARGUMENTS` and those given."""
    fields = {**ARGUMENTS, **dict(arguments)}
    fields = {key: value for key, value in fields.items() if value is not None}
    parts = {"cfg": mapping({"model": mapping(fields)})}
    parts["model"] = mapping(tensors or {"decoder.embed_tokens.weight": EMBEDDING})
    program = state_dict({**parts, **state})
    path = tmp_path / "model.pt"
    path.write_bytes(zip_file(members(program, [bytes(64)])))
    return path


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"activation_fn": text("gelu_fast")}, "activation_function", "gelu_new"),
        ({"activation_fn": text("swish")}, "activation_function", "silu"),
        ({"activation_fn": None}, "activation_function", "relu"),  # fairseq's own default
        ({"decoder_layerdrop": b"G" + bytes.fromhex("3fb999999999999a")}, "layerdrop", 0.1),
        ({"no_scale_embedding": b"\x88"}, "scale_embedding", False),
        ({"share_decoder_input_output_embed": b"\x88"}, "tie_word_embeddings", True),
        ({}, "tie_word_embeddings", False),
        ({}, "max_position_embeddings", 1024),
        ({"tokens_per_sample": integer(64)}, "max_position_embeddings", 64),
        (
            {"max_target_positions": b"N", "tokens_per_sample": integer(64)},
            "max_position_embeddings", 64,
        ),
    ],
)  # fmt: skip
def test_arguments(tmp_path, given, field, value):
    assert getattr(read_fairseq(write(tmp_path, arguments=given)).config, field) == value


OBJECT = name("fairseq.tasks LanguageModelingTask") + b")\x81" + mapping({"a": b"N"}) + b"b"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arguments": {"decoder_learned_pos": b"\x88"}}, "decoder_learned_pos is 'True': a model"),
        ({"arguments": {"adaptive_softmax_cutoff": text("2,3")}}, "adaptive_softmax_cutoff is '2,"),
        ({"arguments": {"decoder_output_dim": integer(2)}}, "decoder_output_dim is '2', expected"),
        ({"arguments": {"decoder_embed_dim": None}}, "decoder_embed_dim is 'None', expected int"),
        ({"arguments": {"decoder_embed_dim": b"\x88"}}, "decoder_embed_dim is 'True', expected"),
        ({"arguments": {"decoder_layers": integer(-1)}}, "num_layers is -1"),
        ({"arguments": {"decoder_attention_heads": integer(3)}}, "attention_heads is 3"),
        ({"arguments": {"dropout": text("x")}}, "dropout is 'x', expected int or float"),
        ({"arguments": {"activation_fn": text("cos")}}, "activation_fn is 'cos', expected one of"),
        ({"arguments": {"activation_fn": integer(1)}}, "activation_fn is '1', expected one of"),
        ({"arguments": {"max_target_positions": text("${task.x}")}}, None),
        ({"tensors": {"decoder.w": EMBEDDING}}, "no decoder.embed_tokens.weight"),
        ({"tensors": {"decoder.w": text("x")}}, "tensor 'decoder.w' is a str, expected a tensor"),
        ({"tensors": {"decoder.w": OBJECT}}, "tensor 'decoder.w' is a Record, expected a tensor"),
        ({"cfg": b"N"}, "no arguments under 'cfg' or 'args'"),
        ({"cfg": mapping({"model": b"]"})}, "no arguments under 'cfg' or 'args'"),
        ({"model": b"N"}, "no dict with the tensors under 'model'"),
        ({"model": OBJECT}, "no dict with the tensors under 'model'"),
        ({"extra_state": name("os system") + tuple_of(text("true")) + b"R"}, "'os.system', which"),
        ({"extra_state": name("torch load") + b")R"}, "'torch.load', which"),
        ({"extra_state": name("builtins eval") + b")R"}, "'builtins.eval', which"),
        ({"extra_state": name("collections OrderedDict") + b")\x81"}, "an object of an unknown"),
        ({"extra_state": b"\x88)\x81"}, "an object of an unknown"),
        ({"extra_state": b"Na"}, "appends to a"),
        ({"extra_state": b"}N" + b"Ns"}, "a dict's key is a NoneType, expected a string or a num"),
    ],
)
def test_refusals(tmp_path, given, message):
    path = write(tmp_path, **given)
    if message is None:
        assert read_fairseq(path).config.max_position_embeddings == 1024
        return
    with pytest.raises(ValueError, match=message) as caught:
        read_fairseq(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_what_is_inert_stays_so(tmp_path):
    """Objects of fairseq's and omegaconf's classes are called, built and forgotten."""
    inert = mapping({"a": OBJECT, "b": name("omegaconf.nodes AnyNode") + b")\x81", "c": b"]Na"})
    found = read_fairseq(write(tmp_path, extra_state=inert))
    assert [*found.tensors] == ["decoder.embed_tokens.weight"]


def test_a_state_dict_may_not_mention_what_fairseq_may(tmp_path):
    from pyxglm.checkpoint.torch_file import read_torch

    path = write(tmp_path, extra_state=OBJECT)
    with pytest.raises(ValueError, match="'fairseq.tasks.LanguageModelingTask'"):
        read_torch(path)


def test_cycles_are_harmless(tmp_path):
    cycle = b"]q\x07h\x07a"
    assert read_fairseq(write(tmp_path, arguments={"self": cycle}, extra_state=cycle))


# --------------------------------------------------------------------------- dictionaries


def dictionary(tmp_path, content):
    path = tmp_path / "dict.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_dictionary(tmp_path):
    path = dictionary(tmp_path, "▁the 100\n, 99\na b 3\n\u2028 2\nx 1 #fairseq:overwrite\n")
    assert read_dictionary(path) == ["▁the", ",", "a b", "\u2028", "x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1 is ''"),
        ("the\n", "line 1 is 'the', expected a token and how often"),
        ("the 1\n\n, 2\n", "line 2 is ''"),
        (" 5\n", "line 1 is ' 5'"),
        ("the x\n", "line 1 is 'the x'"),
        (b"the 1\n\xff 2\n", "byte 6 is not UTF-8"),
        ("the " + "9" * 30, "line 1 is"),
    ],
)
def test_bad_dictionaries(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_dictionary(dictionary(tmp_path, content))


PIECES = ["<unk>", "<s>", "</s>", *"abcde"]


@pytest.mark.parametrize(
    ("words", "rows", "pieces", "message"),
    [
        ("abcde", 16, PIECES, None),  # 5 + 4 = 9: seven rows of padding
        ("abcde", 9, PIECES, None),
        ("abcde", 16, None, None),
        (["a", "b", "madeupword0000"], 8, PIECES[:5], None),
        ("abcde", 24, PIECES, "5 tokens make 16 rows, but the model's embedding has 24"),
        ("abcde", 8, PIECES, "5 tokens make 16 rows"),
        ("abcxe", 16, PIECES, "token 3 is 'x', but the sentencepiece model has 'd' there"),
        ("abcd", 8, PIECES, "4 tokens, but the sentencepiece model has 5 pieces besides"),
    ],
)
def test_a_dictionary_belongs_to_its_model(tmp_path, words, rows, pieces, message):
    path = dictionary(tmp_path, "".join(f"{word} 1\n" for word in words))
    config = XGLMConfig(vocab_size=rows)
    if message is None:
        check_dictionary(path, config, pieces)
        return
    with pytest.raises(ValueError, match=message):
        check_dictionary(path, config, pieces)
