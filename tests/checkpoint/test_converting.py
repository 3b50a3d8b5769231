"""Converting: every format into safetensors, whole or not at all."""

import errno
import itertools
import json
import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoint.small import CONFIG, listing, same, weights

from pyxglm import XGLMForCausalLM, XGLMTokenizer, tiny
from pyxglm.checkpoint import convert_checkpoint, converting, load, save
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import convert, dtype_name

GOLDEN = Path(__file__).parents[1] / "golden"
#: A model's directory and the files of one variant of it.
CASES = [
    "checkpoints/bin-float16", "checkpoints/bin-sharded-bfloat16", "checkpoints/legacy-float32",
    "checkpoints/safetensors-float32", "checkpoints/bin-bare", "checkpoints/untied",
    "checkpoints/cross-attention", "frameworks/tf/one", "frameworks/tf/shards",
    "frameworks/tf-bare/one", "frameworks/tf/safetensors", "frameworks/flax/one",
    "frameworks/flax/pieces", "frameworks/flax-untied/one", "frameworks/flax-bare/one",
    "frameworks/flax-bfloat16/safetensors",
]  # fmt: skip


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def source(case, tmp_path):
    """Put a golden checkpoint's files and its configuration into one directory."""
    place = tmp_path / "source"
    shutil.copytree(GOLDEN / case, place)
    if not (place / "config.json").exists():
        shutil.copy((GOLDEN / case).parent / "config.json", place)
    return place


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("case", "dtype"),
    [*itertools.product(CASES, [None, "float16"]), *itertools.product(CASES[:3], ["bfloat16"]),
     (CASES[0], "float32"), (CASES[1], "float32")],
)  # fmt: skip
def test_every_format(case, dtype, tmp_path):
    place = source(case, tmp_path)
    config, bare = XGLMConfig.from_pretrained(place), "bare" in case
    expected = load(place, config, with_head=not bare).weights
    files = convert_checkpoint(place, tmp_path / "new", dtype=dtype)
    assert files == [tmp_path / "new" / "model.safetensors"]
    found = load(tmp_path / "new", config, with_head=not bare)
    wanted = {n: convert(a, dtype) if dtype else a for n, a in expected.items()}
    assert same(found.weights, wanted)
    assert found.unexpected == ()
    named = dtype_name(wanted["model.embed_tokens.weight"].dtype)
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written["torch_dtype"] == named
    assert XGLMConfig(**{**written, "torch_dtype": None}) == XGLMConfig(
        **{**config.to_dict(), "torch_dtype": None}
    )
    assert (tmp_path / "new" / "generation_config.json").exists() is not bare


def test_the_tokenizer_comes_along(tmp_path):
    place = tmp_path / "source"
    shutil.copytree(tiny.PATH, place, ignore=shutil.ignore_patterns("*.py", "*.md", "__pycache__"))
    (place / "added_tokens.json").write_text("{}")
    convert_checkpoint(place, tmp_path / "new", dtype="float32")
    for name in listing(place):
        if name.startswith(("tokenizer", "special", "added", "sentencepiece", "generation")):
            assert (tmp_path / "new" / name).read_bytes() == (place / name).read_bytes()
    text = "La capitale du Japon est"
    assert XGLMTokenizer.from_pretrained(tmp_path / "new").encode(text)
    ids = XGLMTokenizer.from_pretrained(place)(text)["input_ids"]
    old, new = (XGLMForCausalLM.from_pretrained(p) for p in (place, tmp_path / "new"))
    np.testing.assert_array_equal(old([ids]).logits, new([ids]).logits)


def test_fairseq_with_its_sentencepiece_model(tmp_path):
    """The dictionary is compared with the pieces; the tokenizer's files are made."""
    from pyxglm.tokenization.model_proto import read_model

    place = tmp_path / "source"
    shutil.copytree(GOLDEN / "fairseq" / "dicts", place)
    shutil.copy(tiny.PATH / "sentencepiece.bpe.model", place)
    with pytest.raises(ValueError, match=r"dict.txt: token 0 is '\\u2581word0', but the sentenc"):
        convert_checkpoint(place, tmp_path / "new")
    pieces = read_model(place / "sentencepiece.bpe.model").pieces
    (place / "dict.txt").write_text("".join(f"{piece} 1\n" for piece in pieces[3:]))
    with pytest.raises(ValueError, match=r"tokens make \d+ rows, but the model's embedding has 24"):
        convert_checkpoint(place, tmp_path / "new")
    assert listing(tmp_path) == ["source"]


def test_a_hub_id_with_its_vocabulary(tmp_path, monkeypatch):
    """The weights are located first, then the tokenizer's model, which other loads leave out."""
    place = source("checkpoints/bin-float16", tmp_path)
    asked = []

    def locate(name, *, filenames=None, **options):
        asked.append((name, filenames, options))
        if filenames:
            (place / filenames[0]).write_bytes(b"vocabulary")
        return place

    monkeypatch.setattr(converting, "locate", locate)
    convert_checkpoint("some/model", tmp_path / "new", revision="v1")
    assert asked == [
        ("some/model", None, {"revision": "v1"}),
        ("some/model", ("sentencepiece.bpe.model",), {"revision": "v1"}),
    ]
    assert (tmp_path / "new" / "sentencepiece.bpe.model").read_bytes() == b"vocabulary"


def test_shards(tmp_path):
    convert_checkpoint(
        source("checkpoints/bin-float32", tmp_path), tmp_path / "n", max_shard_size=999
    )
    assert len([name for name in listing(tmp_path / "n") if name.startswith("model-")]) > 2
    assert "model.safetensors.index.json" in listing(tmp_path / "n")


def put(tmp_path, arrays=None, **changes):
    place = tmp_path / "source"
    save(arrays or weights(dtype="float32"), place)
    config = XGLMConfig(**{**CONFIG.to_dict(), **changes})
    config.save_pretrained(place)
    return place


def test_numbers_that_do_not_fit_are_refused(tmp_path):
    arrays = weights(dtype="float32")
    arrays["model.layers.0.fc1.weight"][1, 2] = 65520.0
    place = put(tmp_path, arrays)
    with pytest.raises(ValueError, match=r"fc1.weight holds numbers beyond the range of float16"):
        convert_checkpoint(place, tmp_path / "new", dtype="float16")
    assert listing(tmp_path) == ["source"]
    convert_checkpoint(place, tmp_path / "new", dtype="bfloat16")


def test_infinities_warn(tmp_path):
    arrays = weights(dtype="bfloat16")
    arrays["model.layer_norm.bias"]["bfloat16"][1] = 0x7F80
    place = put(tmp_path, arrays)
    with pytest.warns(UserWarning, match="model.layer_norm.bias holds infinities or NaN"):
        convert_checkpoint(place, tmp_path / "new", dtype="float16")


def test_another_tied_head_warns(tmp_path):
    arrays = weights(dtype="float32")
    place = put(tmp_path, {**arrays, "lm_head.weight": arrays["model.embed_tokens.weight"] + 1})
    with pytest.warns(UserWarning, match="lm_head.weight differs from the embedding"):
        convert_checkpoint(place, tmp_path / "new")
    assert same(load(tmp_path / "new", CONFIG).weights, arrays)


def test_the_destination_must_be_free(tmp_path):
    place = put(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ValueError, match="full is not empty, expected a directory that is new"):
        convert_checkpoint(place, tmp_path / "full")
    with pytest.raises(ValueError, match="x is a file, expected a directory that is new"):
        convert_checkpoint(place, tmp_path / "full" / "x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    convert_checkpoint(place, tmp_path / "link")
    assert "model.safetensors" in listing(tmp_path / "empty")
    convert_checkpoint(place, tmp_path / "deep" / "er")
    assert (tmp_path / "deep" / "er").stat().st_mode & 0o777 == 0o777 & ~converting.current_umask()


@pytest.mark.parametrize("name", ["one", "shards", "."])
def test_a_directory_that_exists_stays_the_same_one(tmp_path, monkeypatch, name):
    """With its rights and its place: a mount point, or a shell's directory, cannot be replaced."""
    place, folder = put(tmp_path), tmp_path / name
    if name == ".":
        folder = tmp_path / "here"
    folder.mkdir(0o700)
    (folder / "lost+found").mkdir()  # what mkfs.ext4 leaves in a new file system
    monkeypatch.chdir(folder if name == "." else tmp_path)
    before, given, rename = folder.stat(), [], Path.rename
    monkeypatch.setattr(Path, "rename", lambda a, b: (given.append(b.name), rename(a, b))[1])
    limit = {"max_shard_size": 100} if name == "shards" else {}
    files = convert_checkpoint(place, name, **limit)
    assert {path.parent for path in files} == {folder}
    after = folder.stat()
    assert (after.st_ino, after.st_mode & 0o777) == (before.st_ino, 0o700)
    assert listing(folder) == sorted([*given, "lost+found"])
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~converting.current_umask()}
    last = ["model.safetensors.index.json"] if name == "shards" else ["model.safetensors"]
    assert given[-2:] == [*last, "config.json"]
    assert same(load(folder, CONFIG).weights, weights(dtype="float32"))


class Stopped(BaseException):
    """Such as Ctrl-C."""


@pytest.mark.parametrize("error", [OSError, MemoryError, Stopped])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("owner", "step"),
    [(converting, "write_safetensors"), (converting, "_check"), (XGLMConfig, "save_pretrained"),
     (converting, "_write_companions"), (Path, "replace"), (converting, "sync_path"),
     (Path, "rename")],
)  # fmt: skip
def test_nothing_is_left_of_a_failure(tmp_path, monkeypatch, owner, step, there, error):
    place, target = put(tmp_path), tmp_path / "deep" / "er"
    if there:
        target.mkdir(0o700, parents=True)

    right, calls = getattr(owner, step), itertools.count()

    def fail(*args, **kwargs):
        if step == "rename" and next(calls) == 0:  # the first file has its name
            return right(*args, **kwargs)
        raise error("injected")

    monkeypatch.setattr(owner, step, fail)
    if step == "rename" and not there:
        convert_checkpoint(place, target)  # renames the whole directory
        return
    with pytest.raises(error, match="injected"):
        convert_checkpoint(place, target)
    assert listing(tmp_path) == (["deep", "source"] if there else ["source"])
    if there:
        assert listing(target) == []
        assert target.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_names_the_file_that_is_not_written(tmp_path, monkeypatch, there):
    place, target = put(tmp_path), tmp_path / "new"
    (place / "tokenizer.json").write_text("x")
    if there:
        target.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            convert_checkpoint(place, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(target / "model.safetensors")

    def copyfile(source, destination):  # what shutil says of a full disk
        raise OSError(errno.ENOSPC, "No space left", source, None, destination)

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    with pytest.raises(OSError, match="No space left") as caught:
        convert_checkpoint(place, target)
    assert caught.value.filename == str(target / "tokenizer.json")
    assert target.exists() is there
    assert listing(tmp_path) == (["new", "source"] if there else ["source"])


def test_where_nothing_can_be_written_nothing_is_read(tmp_path, monkeypatch):
    place, target = put(tmp_path), tmp_path / "new"
    monkeypatch.setattr(converting, "_open", None)

    def mkdir(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    target.mkdir()
    monkeypatch.setattr(Path, "mkdir", lambda path, *a, **k: k or mkdir(path))
    with pytest.raises(PermissionError) as caught:
        convert_checkpoint(place, target)
    assert caught.value.filename == str(target)
    room = SimpleNamespace(f_bavail=1, f_frsize=1, f_blocks=9)
    monkeypatch.undo()
    monkeypatch.setattr(os, "statvfs", lambda path: room)
    monkeypatch.setattr(converting, "write_safetensors", None)
    with pytest.raises(OSError, match="MB are to be written, expected at most") as caught:
        convert_checkpoint(place, target)
    assert caught.value.filename == str(target)
    assert listing(target) == []


def test_what_was_written_wrong_is_noticed(tmp_path, monkeypatch):
    place = put(tmp_path)
    right = converting.write_safetensors

    def wrong(tensors, *args):
        changed = {**tensors, "model.layer_norm.bias": tensors["model.layer_norm.bias"][::-1]}
        right(changed, *args)

    monkeypatch.setattr(converting, "write_safetensors", wrong)
    with pytest.raises(OSError, match="model.layer_norm.bias was not written as it should be"):
        convert_checkpoint(place, tmp_path / "new")
    assert listing(tmp_path) == ["source"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
         "model_type is 'gpt2', architectures are .'GPT2LMHeadModel'.: a checkpoint of another m"),
        ({"model_type": "opt"}, "model_type is 'opt': a checkpoint of another model, expected mod"),
        ({"architectures": ["LlamaForCausalLM"]}, "architectures are .'LlamaForCausalLM'.: a che"),
        ({"model_type": 3}, "model_type is 3: a checkpoint of another model"),
    ],
)  # fmt: skip
def test_another_model_is_refused(tmp_path, fields, message):
    place = put(tmp_path)
    config = json.loads((place / "config.json").read_text())
    del config["model_type"]
    (place / "config.json").write_text(json.dumps({**config, **fields}))
    for read in (
        lambda: convert_checkpoint(place, tmp_path / "new"),
        lambda: XGLMForCausalLM.from_pretrained(place),
        lambda: XGLMConfig.from_pretrained(place),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            read()
        assert str(caught.value).startswith(f"{place / 'config.json'}: ")


def test_a_checkpoint_of_fairseq_is_named_where_it_cannot_be_opened(tmp_path):
    shutil.copytree(GOLDEN / "fairseq" / "dicts", tmp_path / "source")
    CONFIG.save_pretrained(tmp_path / "source")
    with pytest.raises(FileNotFoundError, match="model.pt is a checkpoint of fairseq: use pyxglm"):
        XGLMForCausalLM.from_pretrained(tmp_path / "source")


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such directory"):
        convert_checkpoint(tmp_path / "absent", tmp_path / "new")
    shutil.copy(GOLDEN / "fairseq" / "dicts" / "model.pt", tmp_path)
    with pytest.raises(FileNotFoundError, match="dict.txt"):
        convert_checkpoint(tmp_path / "model.pt", tmp_path / "new")
    with pytest.raises(ValueError, match="dtype is 'int8', expected one of"):
        convert_checkpoint(tmp_path, tmp_path / "new", dtype="int8")


def test_what_a_killed_convert_left_is_named(tmp_path):
    (tmp_path / ".pyxglm-0123abcd").mkdir()
    with pytest.raises(ValueError, match=r"/\.pyxglm-0123abcd is there, expected an empty directo"):
        convert_checkpoint(tiny.PATH, tmp_path)
