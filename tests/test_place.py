"""Transformers' keywords of `from_pretrained`: heeded, of no effect, or refused with a reason."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint.build import torch_members, zip_file
from model.small import config, lm

import pyxglm
from pyxglm import XGLMConfig, XGLMForCausalLM, XGLMTokenizer, tiny

MODELS = ("XGLMForCausalLM", "XGLMModel", "TFXGLMForCausalLM", "FlaxXGLMForCausalLM")
OTHERS = ("XGLMConfig", "GenerationConfig", "XGLMTokenizer", "XGLMTokenizerFast")
NAME = "facebook/xglm-564M"

#: What changes nothing for files that are at hand.
HARMLESS: list[dict[str, Any]] = [
    {"trust_remote_code": True}, {"trust_remote_code": False}, {"token": "hf_secret"},
    {"token": True}, {"use_auth_token": "hf_secret"}, {"token": None, "use_auth_token": None},
    {"subfolder": ""}, {"subfolder": None}, {"revision": "main"}, {"local_files_only": True},
    {"cache_dir": "/nowhere"}, {"force_download": False}, {"force_download": True},
    {"resume_download": True}, {"proxies": None}, {"proxies": {}}, {"offload_folder": "x"},
    {"load_in_8bit": False}, {"quantization_config": None}, {"ignore_mismatched_sizes": False},
    {"_fast_init": False},
]  # fmt: skip
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"proxies": {"https": "x"}}, "proxies is a dict, expected none: the environment variables"),
    ({"load_in_8bit": True}, "load_in_8bit is True, expected none: weights are stored in float32"),
    ({"load_in_4bit": True}, "load_in_4bit is True, expected none: weights are stored in float32"),
    ({"quantization_config": object()}, "quantization_config is a object, expected none: weights"),
    ({"max_memory": {"cpu": "1GB"}}, "max_memory is a dict, expected none: the one device is the"),
    ({"ignore_mismatched_sizes": True}, "ignore_mismatched_sizes is True, expected none: weights"),
    ({"state_dict": {"x": 1}}, "state_dict is a dict, expected none: from_weights makes a model"),
    ({"use_flash_attention_2": True}, "use_flash_attention_2 is True, expected none: the one impl"),
    ({"token": "a", "use_auth_token": "b"}, "token and use_auth_token are both given, expected"),
    ({"subfolder": "../x"}, "subfolder is '../x', expected a path inside the directory"),
    ({"subfolder": "/x"}, "subfolder is '/x', expected a path inside the directory"),
    ({"subfolder": "x/.."}, "subfolder is 'x/..', expected a path inside the directory"),
]  # fmt: skip


def opened(kind: str, folder: Path, **given: Any) -> Any:
    return getattr(pyxglm, kind).from_pretrained(folder, **given)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small model, its configuration, and the bundled tokenizer."""
    folder = tmp_path_factory.mktemp("saved")
    lm().save_pretrained(folder)
    XGLMTokenizer.from_pretrained(tiny.PATH).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", [*MODELS, *OTHERS])
def test_what_changes_nothing_is_accepted(kind: str, saved: Path, tmp_path: Path) -> None:
    for given in HARMLESS:
        found = opened(kind, saved, **given)
        if "Tokenizer" in kind:
            assert not given.keys() & found.init_kwargs.keys()
            found.save_pretrained(tmp_path)
            assert "hf_secret" not in (tmp_path / "tokenizer_config.json").read_text()
        elif kind in ("XGLMConfig", "GenerationConfig"):
            assert found == opened(kind, saved)


@pytest.mark.parametrize("kind", [*MODELS, *OTHERS])
def test_what_cannot_be_done_says_why(kind: str, saved: Path) -> None:
    for given, message in REFUSED:
        with pytest.raises(ValueError, match=f"^{message}") as caught:
            opened(kind, saved, **given)
        assert "\n" not in str(caught.value)
    if kind in MODELS:
        with pytest.raises(TypeError, match="^return_unused_kwargs is given, expected it of a co"):
            opened(kind, saved, return_unused_kwargs=True)
    for given in ({"token": 3}, {"use_auth_token": b"hf_secret"}, {"subfolder": 3}):
        with pytest.raises(TypeError, match="expected a str") as caught:
            opened(kind, saved, **given)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", [*MODELS, *OTHERS])
def test_the_first_argument_has_the_name_of_transformers(kind: str, saved: Path) -> None:
    name = "pretrained_model_name" + ("_or_path" if kind != "GenerationConfig" else "")
    assert getattr(pyxglm, kind).from_pretrained(**{name: saved})


@pytest.mark.parametrize("kind", [*MODELS, *OTHERS])
def test_a_folder_inside(kind: str, saved: Path) -> None:
    found = opened(kind, saved.parent, subfolder=saved.name)
    if kind in ("XGLMConfig", "GenerationConfig"):
        assert found == opened(kind, saved)
    with pytest.raises(FileNotFoundError, match=f"{saved}/absent: there is no such directory"):
        opened(kind, saved, subfolder="absent")


def number(model: Any) -> float:
    """Return what tells the models of a test apart."""
    return float(model.state_dict()["model.layer_norm.bias"][0])


def numbered(folder: Path, name: str, value: float) -> None:
    """Write a model's weights as one file."""
    model = lm()
    model.state_dict()["model.layer_norm.bias"][0] = value
    if name.endswith(".bin"):
        weights = {n: a for n, a in model.state_dict().items() if n != "lm_head.weight"}
        (folder / name).write_bytes(zip_file(torch_members(weights)))
        config().save_pretrained(folder)
    else:
        model.save_pretrained(folder / "aside")
        (folder / "aside" / "model.safetensors").rename(folder / name)
        (folder / "aside" / "config.json").rename(folder / "config.json")


def test_use_safetensors(tmp_path: Path) -> None:
    numbered(tmp_path, "pytorch_model.bin", 2.0)
    with pytest.raises(FileNotFoundError, match=r"looked for model\.safetensors, model\.safet\S*$"):
        XGLMForCausalLM.from_pretrained(tmp_path, use_safetensors=True)
    numbered(tmp_path, "model.safetensors", 1.0)
    for wanted, value in ((None, 1.0), (True, 1.0), (False, 2.0)):
        assert number(XGLMForCausalLM.from_pretrained(tmp_path, use_safetensors=wanted)) == value
    found = pyxglm.FlaxXGLMForCausalLM.from_pretrained(tmp_path, use_safetensors=False)
    assert found.params["model"]["layer_norm"]["bias"][0] == 2.0
    given = {"from_pt": True, "use_safetensors": False}
    assert number(XGLMForCausalLM.from_pretrained(tmp_path, **given)) == 2.0
    with pytest.raises(ValueError, match="^from_tf and use_safetensors are both given, expected"):
        XGLMForCausalLM.from_pretrained(tmp_path, from_tf=True, use_safetensors=True)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"looked for pytorch_model\.bin, "):
        XGLMForCausalLM.from_pretrained(tmp_path, use_safetensors=False)


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_variants(ending: str, tmp_path: Path) -> None:
    """The names are those that save_pretrained(variant="fp16") of transformers 4.37.2 gives."""
    stem = {"safetensors": "model", "bin": "pytorch_model"}[ending]
    numbered(tmp_path, f"{stem}.{ending}", 1.0)
    with pytest.raises(FileNotFoundError, match=rf"looked for model\.fp16\.safetensors, .*{stem}"):
        XGLMForCausalLM.from_pretrained(tmp_path, variant="fp16")
    numbered(tmp_path, f"{stem}.fp16.{ending}", 2.0)
    assert number(XGLMForCausalLM.from_pretrained(tmp_path)) == 1.0
    assert number(XGLMForCausalLM.from_pretrained(tmp_path, variant="fp16")) == 2.0
    shard = f"{stem}.v2-00001-of-00001.{ending}"
    numbered(tmp_path, shard, 3.0)
    names = [name for name in lm().state_dict() if name != "lm_head.weight"]
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
    (tmp_path / f"{stem}.{ending}.index.v2.json").write_text(json.dumps(index))
    assert number(XGLMForCausalLM.from_pretrained(tmp_path, variant="v2")) == 3.0
    for wrong in ("../x", "", "a/b", 3):
        with pytest.raises(ValueError, match="^variant is .*, expected a part of a file's name"):
            XGLMForCausalLM.from_pretrained(tmp_path, variant=wrong)
    with pytest.raises(ValueError, match="^variant is 'fp16', expected None for the files of Ten"):
        XGLMForCausalLM.from_pretrained(tmp_path, variant="fp16", from_tf=True)


def test_a_configuration_from_elsewhere(saved: Path, tmp_path: Path) -> None:
    config(activation_function="relu").save_pretrained(tmp_path)
    for kind in ("XGLMForCausalLM", "FlaxXGLMForCausalLM"):
        for where in (tmp_path, str(tmp_path), tmp_path / "config.json"):
            found = opened(kind, saved, config=where, use_cache=False).config
            assert (found.activation_function, found.use_cache) == ("relu", False)
        with pytest.raises(TypeError, match="^config is a dict, expected an XGLMConfig"):
            opened(kind, saved, config={})


def test_devices_by_any_name(saved: Path) -> None:
    class Device:
        def __str__(self) -> str:
            return "cpu"

    for device in (Device(), "cpu", "auto", None, {"": "cpu"}):
        XGLMForCausalLM.from_pretrained(saved, device_map=device, low_cpu_mem_usage=True)


class Hub(types.ModuleType):
    """Stands in for huggingface_hub: its repository has a folder, and files of two variants."""

    FILES = (
        "config.json", "pytorch_model.bin", "sub/config.json", "sub/sentencepiece.bpe.model",
        "sub/model.fp16.safetensors", "sub/model.safetensors", "sub/model.safetensors.index.json",
        "sub/tokenizer.json",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        super().__init__("huggingface_hub")
        self.folder, self.asked = folder, []

    def HfApi(self) -> Hub:  # noqa: N802
        return self

    def model_info(self, name: str, *, revision: str, timeout: int, token: Any = None) -> Any:
        self.asked.append(("list", name, token))
        files = [types.SimpleNamespace(rfilename=file) for file in self.FILES]
        return types.SimpleNamespace(siblings=files)

    def snapshot_download(self, name: str, **options: Any) -> str:
        del options["revision"], options["cache_dir"]
        self.asked.append(("download", name, options))
        return str(self.folder)


@pytest.fixture
def hub(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    (saved.parent / "sub").mkdir(exist_ok=True)
    for path in saved.iterdir():
        (saved.parent / "sub" / path.name).write_bytes(path.read_bytes())
    module = Hub(saved.parent)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    return module


def test_what_is_asked_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    for given in ({"token": "hf_a"}, {"use_auth_token": "hf_a"}):
        hub.asked.clear()
        XGLMForCausalLM.from_pretrained(NAME, subfolder="sub", cache_dir=tmp_path, **given)
        patterns = ["sub/config.json", "sub/model.safetensors", "sub/tokenizer.json"]
        assert hub.asked == [
            ("list", NAME, "hf_a"),
            ("download", NAME, {"token": "hf_a", "allow_patterns": patterns}),
        ]
    hub.asked.clear()
    tokenizer = XGLMTokenizer.from_pretrained(NAME, subfolder="/sub/"[1:], cache_dir=tmp_path)
    assert tokenizer.vocab_file == str(hub.folder / "sub" / "sentencepiece.bpe.model")
    patterns = ["sub/config.json", "sub/sentencepiece.bpe.model", "sub/tokenizer.json"]
    assert hub.asked == [("list", NAME, None), ("download", NAME, {"allow_patterns": patterns})]
    with pytest.raises(FileNotFoundError, match=r"looked for model\.fp16\.safetensors"):
        XGLMForCausalLM.from_pretrained(NAME, subfolder="sub", cache_dir=tmp_path, variant="fp16")
    assert "sub/model.fp16.safetensors" in hub.asked[-1][2]["allow_patterns"]
    assert "sub/model.safetensors" not in hub.asked[-1][2]["allow_patterns"]
    with pytest.raises(FileNotFoundError, match="/other: there is no such directory"):
        XGLMConfig.from_pretrained(NAME, subfolder="other", cache_dir=tmp_path)


@pytest.mark.parametrize("kind", ["XGLMForCausalLM", "XGLMConfig", *OTHERS[1:]])
def test_a_download_that_is_forced(
    kind: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the cache is downloaded again (the fast tokenizer tries some of its files)."""
    commit = "0" * 40
    place = tmp_path / f"models--{NAME.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    (place / "snapshots").mkdir()
    (place / "snapshots" / commit).symlink_to(hub.folder / "sub")
    hub.folder = hub.folder / "sub"
    opened(kind, NAME, cache_dir=tmp_path)
    assert hub.asked == []
    opened(kind, NAME, cache_dir=tmp_path, force_download=True)
    assert [step for step, *_ in hub.asked][:2] == ["list", "download"]
    assert hub.asked[-1][2]["force_download"] is True
    with pytest.raises(ValueError, match="^force_download and local_files_only are both true"):
        opened(kind, NAME, cache_dir=tmp_path, force_download=True, local_files_only=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="force_download is set, and HF_HUB_OFFLINE is set"):
        opened(kind, NAME, cache_dir=tmp_path, force_download=True)


def test_the_outputs_are_those_of_the_folder(saved: Path) -> None:
    model = XGLMForCausalLM.from_pretrained(saved.parent, subfolder=saved.name, variant=None)
    ids = [[2, 5, 7]]
    np.testing.assert_array_equal(model(ids).logits, lm()(ids).logits)
