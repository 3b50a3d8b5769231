"""One table of names: every parameter in every format, against real files."""

from pathlib import Path

import h5py
import pytest

from pyxglm.checkpoint.names import (
    PREFIX,
    canonical_names,
    flattened,
    flax_path,
    flax_tree,
    is_transposed,
    tf_name,
    torch_name,
)
from pyxglm.config import XGLMConfig
from pyxglm.parameters import parameter_shapes

GOLDEN = Path(__file__).parents[1] / "golden" / "frameworks"
CONFIG = XGLMConfig(num_layers=12, add_cross_attention=True, tie_word_embeddings=False)
NAMES = [*parameter_shapes(CONFIG)]


def in_tf(name):
    return f"tfxglm_for_causal_lm/{tf_name(name)}"


def in_flax(name):
    return "/".join(flax_path(name))


def in_fairseq(name):
    if name == "lm_head.weight":
        return "decoder.output_projection.weight"
    return "decoder." + name.removeprefix(PREFIX)


@pytest.mark.parametrize("into", [in_tf, tf_name, in_flax, in_fairseq, str])
def test_there_and_back(into):
    names = {into(name): name for name in NAMES}
    assert len(names) == len(NAMES)
    assert canonical_names(names) == names
    bare = {into(name): name for name in NAMES if name.startswith(PREFIX)}
    if into in (in_flax, str):
        bare = {name[len(PREFIX) :]: full for name, full in bare.items()}
    assert canonical_names(bare) == bare


def test_dots_instead_of_slashes():
    """As Flax names tensors in safetensors."""
    names = {in_flax(name).replace("/", "."): name for name in NAMES}
    assert canonical_names(names) == names


def test_which_are_transposed():
    """Matrices that are multiplied by, and no table of vectors."""
    for name in NAMES:
        shape = parameter_shapes(CONFIG)[name]
        expected = len(shape) == 2 and "embed_tokens" not in name
        assert is_transposed(tf_name(name)) is expected
        assert is_transposed(in_flax(name)) is expected
        assert not is_transposed(name)
        assert not is_transposed(in_fairseq(name))


def test_against_a_file_of_tensorflow():
    config = XGLMConfig.from_json_file(GOLDEN / "tf-cross-attention" / "config.json")
    config.tie_word_embeddings = False  # TensorFlow's head is there all the same
    found = []
    with h5py.File(GOLDEN / "tf-cross-attention" / "one" / "tf_model.h5") as file:
        for layer in file.attrs["layer_names"]:
            found += list(file[layer].attrs["weight_names"])
    # Before them stands the model's own name, numbered if it was not the process's first.
    assert {name.partition("/")[0] for name in found} == {"tfxglm_for_causal_lm_1"}
    assert sorted(name.partition("/")[2] for name in found) == sorted(
        tf_name(name) for name in parameter_shapes(config)
    )


def test_a_tree_of_flax():
    tree = flax_tree({"model.layers.0.fc1.bias": 1, "model.layer_norm.weight": 2})
    assert tree == {"model": {"layers": {"0": {"fc1": {"bias": 1}}}, "layer_norm": {"scale": 2}}}
    assert flattened(tree) == {"model.layers.0.fc1.bias": 1, "model.layer_norm.weight": 2}
    assert flax_tree({"layer_norm.weight": 2}) == {"layer_norm": {"scale": 2}}


@pytest.mark.parametrize("name", ["model.fc3.weight", "model.fc1.scale", "fc1", "", "weight"])
def test_no_parameters(name):
    for function in (tf_name, flax_path):
        with pytest.raises(ValueError, match="is no parameter of XGLM"):
            function(name)


def test_two_names_for_one_parameter():
    with pytest.raises(ValueError, match="both 'a/model/fc1/bias:0' and 'model.fc1.bias' are the"):
        canonical_names(["a/model/fc1/bias:0", "model.fc1.bias"])


@pytest.mark.parametrize("name", ["x/y/z:0", "decoder", "a.b.c", "model", ":0", "/", "kernel"])
def test_unknown_names_pass_through(name):
    assert isinstance(torch_name(name), str)
