"""What TensorFlow's and Flax's classes wrote opens here, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoint.small import CONFIG, THREE, same, weights

from pyxglm import XGLMForCausalLM, XGLMModel
from pyxglm.checkpoint import load, save
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import bfloat16
from pyxglm.parameters import parameter_shapes

GOLDEN = Path(__file__).parents[1] / "golden" / "frameworks"
CASES = sorted(
    f"{variant.parent.name}/{variant.name}"
    for variant in GOLDEN.glob("*/*")
    if variant.is_dir()
)  # fmt: skip


def raw(array):
    array = array["bfloat16"] if array.dtype == bfloat16 else array
    return array.view(f"<u{array.itemsize}")


def opened(case, **options):
    place = GOLDEN / case
    config = XGLMConfig.from_json_file(place.parent / "config.json")
    bare = place.parent.name.endswith("bare")
    return config, load(place, config, with_head=not bare, **options)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error")
def test_what_the_frameworks_wrote(case):
    config, found = opened(case)
    expected = np.load(GOLDEN / case.split("/")[0] / "expected.npz")
    shapes = parameter_shapes(config)
    if "bare" in case:
        shapes.pop("lm_head.weight", None)
    assert [*found.weights] == [*shapes]
    for name, array in found.weights.items():
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(raw(array), expected[name], strict=True)
    assert found.unexpected == ()
    assert len(found.files) == len([*(GOLDEN / case).glob("*[!n]")])


def test_the_golden_cases_are_all_there():
    assert len(CASES) == 15
    assert "flax/pieces" in CASES


def test_only_transposed_matrices_are_copied():
    _, found = opened("flax/one")
    copied = {name for name, array in found.weights.items() if array.flags.writeable}
    assert copied == {
        name for name, array in found.weights.items()
        if array.ndim == 2 and "embed_tokens" not in name
    }  # fmt: skip


def test_the_head_of_tensorflow_is_kept_if_asked():
    place = GOLDEN / "tf"
    tied = XGLMConfig.from_json_file(place / "config.json")
    tied.tie_word_embeddings = True
    expected = np.load(place / "expected.npz")["lm_head.weight"]
    assert "lm_head.weight" not in load(place / "one", tied).weights
    found = load(place / "one", tied, keep_head=True).weights["lm_head.weight"]
    np.testing.assert_array_equal(raw(found), expected)


@pytest.mark.parametrize("case", ["tf/one", "flax/one"])
def test_from_pretrained_opens_them(case, tmp_path):
    for path in (GOLDEN / case).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source = (GOLDEN / case).parent
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    expected = np.load(source / "expected.npz")["model.layers.0.fc1.weight"]
    for cls, name in ((XGLMForCausalLM, "model."), (XGLMModel, "")):
        model = cls.from_pretrained(tmp_path)
        found = model.state_dict()[f"{name}layers.0.fc1.weight"]
        np.testing.assert_array_equal(raw(found), expected)
    assert np.isfinite(model([[2, 5, 7]])[0]).all()


def test_from_tf_and_from_flax_choose_among_formats(tmp_path):
    CONFIG.save_pretrained(tmp_path)
    for seed, form in enumerate(("safetensors", "tf", "flax")):
        save(weights(seed), tmp_path, form=form)
    for seed, options in enumerate(({}, {"from_tf": True}, {"from_flax": True})):
        model = XGLMForCausalLM.from_pretrained(tmp_path, **options)
        for name, array in weights(seed).items():
            np.testing.assert_array_equal(raw(model.state_dict()[name]), raw(array))
    with pytest.raises(ValueError, match="from_tf and from_flax are both given"):
        XGLMForCausalLM.from_pretrained(tmp_path, from_tf=True, from_flax=True)
    (tmp_path / "tf_model.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"looked for tf_model.h5, tf_model.h5.index.json$"):
        XGLMForCausalLM.from_pretrained(tmp_path, from_tf=True)


@pytest.mark.parametrize("form", ["tf", "flax"])
@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("size", ["5GB", THREE])
def test_what_is_saved_is_read_back(tmp_path, form, bare, size):
    """transformers' own classes open these files: `record_frameworks.py --ours` checks it."""
    files = save(weights(), tmp_path, form=form, bare=bare, max_shard_size=size)
    assert (len(files) == 1) is (size == "5GB")
    found = load(tmp_path, CONFIG, keep_head=True).weights
    if form == "tf" and not bare:
        head = found.pop("lm_head.weight")
        np.testing.assert_array_equal(raw(head), raw(found["model.embed_tokens.weight"]))
    assert same(found, weights())
    if len(files) > 1:
        stem = {"tf": "tf_model.h5", "flax": "flax_model.msgpack"}[form]
        index = json.loads((tmp_path / f"{stem}.index.json").read_text())
        assert set(index["weight_map"].values()) == {path.name for path in files}


def test_bfloat16_in_each_format(tmp_path):
    arrays = weights(dtype="bfloat16")
    save(arrays, tmp_path, form="flax")
    assert same(load(tmp_path, CONFIG).weights, arrays)
    save(arrays, tmp_path, form="tf")
    for name, array in load(tmp_path, CONFIG, form="tf").weights.items():
        assert array.dtype == np.dtype("<f4")
        np.testing.assert_array_equal(raw(array), raw(arrays[name]).astype("<u4") << 16)


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match="form is 'torch', expected one of safetensors, tf, flax"):
        save(weights(), tmp_path, form="torch")
