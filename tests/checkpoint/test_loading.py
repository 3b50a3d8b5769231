"""Loading: which files are read, what the tensors in them are called, what does not fit."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from checkpoint.build import (
    safetensors_entries,
    safetensors_file,
    torch_members,
    zip_file,
)

from pyxglm.checkpoint import load
from pyxglm.checkpoint.names import canonical_names
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16
from pyxglm.parameters import parameter_shapes

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
CASES = sorted(path.name for path in GOLDEN.iterdir())
CONFIG = XGLMConfig(
    vocab_size=11, d_model=6, ffn_dim=5, num_layers=2, attention_heads=2, max_position_embeddings=8
)
UNTIED = XGLMConfig(**{**CONFIG.to_dict(), "tie_word_embeddings": False})


def weights(config=CONFIG, dtype="<f2", seed=0):
    rng = np.random.default_rng(seed)
    shapes = parameter_shapes(config)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


def put(directory, tensors, filename="model.safetensors"):
    safe = filename.endswith(".safetensors")
    content = (
        safetensors_file(*safetensors_entries(tensors))
        if safe
        else zip_file(torch_members(tensors))
    )
    (directory / filename).write_bytes(content)


def put_index(directory, shards, suffix=".safetensors", **more):
    """Write shards, and the index that names them."""
    stem = {".safetensors": "model.safetensors", ".bin": "pytorch_model.bin"}[suffix]
    weight_map = {}
    for filename, tensors in shards.items():
        put(directory, tensors, filename)
        weight_map |= dict.fromkeys(tensors, filename)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map, **more}
    (directory / f"{stem}.index.json").write_text(json.dumps(index))
    return directory / f"{stem}.index.json"


def raw(array):
    array = array["bfloat16"] if array.dtype == bfloat16 else array
    return np.ascontiguousarray(array).view(f"<u{array.itemsize}")


@pytest.mark.parametrize("case", CASES)
def test_what_torch_and_transformers_wrote(case):
    """Bit for bit, in the file's dtype, mapped."""
    config = XGLMConfig.from_json_file(GOLDEN / case / "config.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = load(GOLDEN / case, config, with_head="bare" not in case)
    expected = np.load(GOLDEN / case / "expected.npz")
    assert [*found.weights] == [*parameter_shapes(config)]
    assert sorted(found.weights) == sorted(expected.files)
    dtype = {"float16": "float16", "float32": "float32", "bfloat16": bfloat16}.get(
        case.rpartition("-")[2]
    )
    for name, array in found.weights.items():
        assert not array.flags.writeable
        assert not array.flags.owndata
        assert array.dtype == dtype or dtype is None
        np.testing.assert_array_equal(raw(array), expected[name], strict=True)
    assert found.unexpected == ()
    assert all(path.parent == GOLDEN / case for path in found.files)
    assert len(found.files) == (3 if "sharded" in case else 1)


def test_the_golden_cases_are_all_there():
    assert len(CASES) == 19
    assert not np.load(GOLDEN / "parameters" / "expected.npz")["model.layers.0.fc1.weight"].size < 8


def test_files_are_looked_for_in_transformers_order(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights: looked for model.safetensors, model"):
        load(tmp_path, CONFIG)
    values = {}
    for number, kind in enumerate(["bin.index", "bin", "safetensors.index", "safetensors"]):
        tensors = weights(seed=number)
        values[kind] = tensors["model.layer_norm.bias"]
        if kind == "bin.index":
            put_index(tmp_path, {"pytorch_model-00001-of-00001.bin": tensors}, ".bin")
        elif kind == "bin":
            put(tmp_path, tensors, "pytorch_model.bin")
        elif kind == "safetensors.index":
            put_index(tmp_path, {"model-00001-of-00001.safetensors": tensors})
        else:
            put(tmp_path, tensors)
        found = load(tmp_path, CONFIG).weights["model.layer_norm.bias"]
        np.testing.assert_array_equal(found, values[kind])


@pytest.mark.parametrize("filename", ["model.safetensors", "pytorch_model.bin"])
def test_the_prefix_may_be_missing(tmp_path, filename):
    tensors = weights()
    put(tmp_path, {name.removeprefix("model."): a for name, a in tensors.items()}, filename)
    found = load(tmp_path, CONFIG).weights
    assert [*found] == [*tensors]
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)


def test_a_bare_file_may_hold_a_head(tmp_path):
    tensors = {name.removeprefix("model."): a for name, a in weights(UNTIED).items()}
    put(tmp_path, tensors)
    assert "lm_head.weight" in load(tmp_path, UNTIED).weights


def test_a_tied_head_is_the_embedding(tmp_path):
    """Absent, the same or another: the embedding counts."""
    tensors = weights()
    for head in (None, tensors["model.embed_tokens.weight"], np.zeros((11, 6), "<f2")):
        put(tmp_path, tensors | ({} if head is None else {"lm_head.weight": head}))
        found = load(tmp_path, CONFIG)
        assert "lm_head.weight" not in found.weights
        assert found.unexpected == ()
    put(tmp_path, tensors | {"lm_head.weight": np.zeros((10, 6), "<f2")})
    with pytest.raises(
        ValueError, match=r"'lm_head.weight' of shape '\(10, 6\)', expected \(11, 6"
    ):
        load(tmp_path, CONFIG)
    del tensors["model.embed_tokens.weight"]
    put(tmp_path, tensors | {"lm_head.weight": np.zeros((11, 6), "<f2")})
    with pytest.raises(ValueError, match="missing: 'model.embed_tokens.weight'"):
        load(tmp_path, CONFIG)


def test_an_untied_head_must_be_there_for_a_language_model(tmp_path):
    tensors = weights(UNTIED)
    put(tmp_path, tensors)
    np.testing.assert_array_equal(
        load(tmp_path, UNTIED).weights["lm_head.weight"], tensors.pop("lm_head.weight")
    )
    put(tmp_path, tensors)
    with pytest.raises(ValueError, match="missing: 'lm_head.weight'$"):
        load(tmp_path, UNTIED)
    assert "lm_head.weight" not in load(tmp_path, UNTIED, with_head=False).weights


@pytest.mark.parametrize("prefix", ["model.", ""])
def test_buffers_and_unread_layers_are_dropped_silently(tmp_path, prefix):
    stray = {
        f"{prefix}embed_positions.weights": np.zeros((10, 6), "<f4"),
        f"{prefix}embed_positions._float_tensor": np.zeros(1, "<f4"),
        "_float_tensor": np.zeros(1, "<f4"),
        "decoder.mevo_layer.alpha": np.zeros(3, "<i8"),
        "model.mevo_layer.0.beta": np.zeros(3, "<f2"),
    }
    tensors = {prefix + name.removeprefix("model."): array for name, array in weights().items()}
    put(tmp_path, stray | tensors, "pytorch_model.bin")
    found = load(tmp_path, CONFIG)
    assert found.unexpected == ()
    assert [*found.weights] == [*parameter_shapes(CONFIG)]


def test_the_prefix_is_judged_by_the_kept_names_only():
    names = ["model.mevo_layer.0.beta", "layers.0.fc1.bias"]
    assert canonical_names(names) == {"layers.0.fc1.bias": "model.layers.0.fc1.bias"}


def test_unexpected_tensors_warn_by_name(tmp_path):
    stray = {f"model.stray.{n}": np.zeros(2, "<i8") for n in range(5)}
    put(tmp_path, weights() | stray | {"layers.0.fc1.bias": np.zeros(5, "<f2")})
    with pytest.warns(UserWarning, match=r"ignored: '.*', '.*', '.*' and 3 more") as caught:
        found = load(tmp_path, CONFIG)
    assert set(found.unexpected) == {*stray, "layers.0.fc1.bias"}
    assert len(caught) == 1


def test_cross_attention_without_the_option_is_unexpected(tmp_path):
    config = XGLMConfig(**{**CONFIG.to_dict(), "add_cross_attention": True})
    put(tmp_path, weights(config))
    with pytest.warns(UserWarning, match="encoder_attn"):
        found = load(tmp_path, CONFIG)
    assert len(found.unexpected) == 2 * 10
    assert len(load(tmp_path, config).weights) == len(parameter_shapes(config))


def test_missing_misshapen_and_mistyped_are_reported_together(tmp_path):
    tensors = weights()
    for n in range(2):
        del tensors[f"model.layers.{n}.fc1.bias"], tensors[f"model.layers.{n}.fc2.bias"]
    tensors["model.layer_norm.bias"] = np.zeros((6, 1), "<f2")
    tensors["model.layer_norm.weight"] = np.zeros(6, "<i8")
    put(tmp_path, tensors)
    with pytest.raises(ValueError, match="do not fit the configuration") as caught:
        load(tmp_path, CONFIG)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'model.safetensors'}: ")
    assert "missing: 'model.layers.0.fc1.bias', 'model.layers.0.fc2.bias', " in message
    assert "and 1 more; " in message
    assert "wrong shape: 'model.layer_norm.bias' of shape '(6, 1)', expected (6,); " in message
    assert message.endswith("'model.layer_norm.weight' of type int64")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("dtype", "shown"), [("U8", "uint8"), ("BOOL", "BOOL"), ("F8_E4M3", "F8_E4M3"), ("I8", "int8")]
)
def test_types_that_weights_cannot_have(tmp_path, dtype, shown):
    header, data = safetensors_entries(weights() | {"model.layer_norm.bias": np.zeros(6, "u1")})
    header["model.layer_norm.bias"]["dtype"] = dtype
    (tmp_path / "model.safetensors").write_bytes(safetensors_file(header, data))
    with pytest.raises(ValueError, match=f"'model.layer_norm.bias' of type {shown}$"):
        load(tmp_path, CONFIG)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_types_that_weights_may_have(tmp_path, dtype):
    put(tmp_path, weights(dtype=dtype))
    assert {a.dtype for a in load(tmp_path, CONFIG).weights.values()} == {np.dtype(dtype)}


def test_an_absurd_number_of_layers_is_not_even_listed(tmp_path):
    put(tmp_path, weights())
    config = XGLMConfig.from_dict(CONFIG.to_dict())
    config.num_layers = 10**12
    with pytest.raises(
        ValueError, match="35 tensors, expected a model of num_layers=1000000000000"
    ):
        load(tmp_path, config)


# ------------------------------------------------------------------------------ shards


def halves(tensors, suffix):
    names = [*tensors]
    stem = {".safetensors": "model", ".bin": "pytorch_model"}[suffix]
    return {
        f"{stem}-0000{n + 1}-of-00002{suffix}": {name: tensors[name] for name in part}
        for n, part in enumerate((names[:9], names[9:]))
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards(tmp_path, suffix):
    tensors = weights()
    put_index(tmp_path, halves(tensors, suffix), suffix)
    found = load(tmp_path, CONFIG)
    assert all(np.array_equal(found.weights[name], tensors[name]) for name in tensors)
    assert [path.name for path in found.files] == [*halves(tensors, suffix)]


@pytest.mark.parametrize(
    "filename",
    [
        "../model-00001-of-00002.safetensors",
        "/etc/model.safetensors",
        "sub/model.safetensors",
        "..\\model.safetensors",
        "c:model.safetensors",
        "model\0.safetensors",
        "model\n.safetensors",
        ".safetensors",
        "..safetensors",
        "model.bin",
        "model.safetensors ",
        "",
        "é" * 200 + ".safetensors",
        1,
        None,
        ["model.safetensors"],
        {"a": 1},
    ],
)
def test_shards_have_plain_names(tmp_path, filename):
    index = put_index(tmp_path, halves(weights(), ".safetensors"))
    content = json.loads(index.read_text())
    content["weight_map"]["model.layer_norm.bias"] = filename
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="expected the name of a .safetensors file") as caught:
        load(tmp_path, CONFIG)
    assert "'model.layer_norm.bias' lies in" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight_map", [{}, [], None, "x", 1])
def test_an_index_needs_a_weight_map(tmp_path, weight_map):
    index = put_index(tmp_path, halves(weights(), ".safetensors"))
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ValueError, match="expected a weight_map"):
        load(tmp_path, CONFIG)


def test_index_and_shards_must_belong_together(tmp_path):
    shards = halves(weights(), ".safetensors")
    first, second = shards
    index = put_index(tmp_path, shards)
    right = index.read_text()

    content = json.loads(right)
    del content["weight_map"]["model.layer_norm.bias"]
    index.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=f"{second}: does not belong to .*: the index lacks 'model"
    ):
        load(tmp_path, CONFIG)

    content["weight_map"]["model.layer_norm.bias"] = first
    index.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=f"{first}: does not belong to .*: it lacks 'model.layer_n"
    ):
        load(tmp_path, CONFIG)

    # A tensor in both shards: the index can name only one.
    index.write_text(right)
    put(tmp_path, {**shards[second], "model.embed_tokens.weight": np.zeros((11, 6))}, second)
    with pytest.raises(ValueError, match="the index lacks 'model.embed_tokens.weight'"):
        load(tmp_path, CONFIG)

    (tmp_path / second).unlink()
    with pytest.raises(FileNotFoundError, match=f"{second}: absent, but model.safetensors.index"):
        load(tmp_path, CONFIG)


def test_strict_json_in_the_index(tmp_path):
    index = put_index(tmp_path, halves(weights(), ".safetensors"), extra=1)
    index.write_text(index.read_text().replace('"extra": 1', '"metadata": NaN'))
    with pytest.raises(ValueError, match="NaN is not a number"):
        load(tmp_path, CONFIG)


def test_links_to_files_elsewhere_are_followed(tmp_path):
    """As in the Hugging Face cache, whose files are links to blobs."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    put(tmp_path / "blobs", weights())
    shutil.move(tmp_path / "blobs" / "model.safetensors", tmp_path / "blobs" / "0123")
    (tmp_path / "snapshot" / "model.safetensors").symlink_to("../blobs/0123")
    assert load(tmp_path / "snapshot", CONFIG).weights
