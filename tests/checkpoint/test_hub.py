"""Finding a model: a path, the Hugging Face cache without any network, a download."""

import json
import logging
import shutil
import socket
import sys
import types

import pytest

from pyxglm.checkpoint import locate
from pyxglm.checkpoint.hub import default_cache, wanted_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "facebook/xglm-564M"


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No variables of the environment, no network, no huggingface_hub."""
    for variable in (
        "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    def no_network(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)


def cached(cache, files=("config.json", "pytorch_model.bin"), *, ref="main", name=NAME):
    """Make a cache as huggingface_hub does: blobs, links to them, a reference."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, filename in enumerate(files):
        (repository / "blobs" / str(number)).write_text("{}")
        (snapshot / filename).symlink_to(f"../../blobs/{number}")
    if ref is not None:
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(COMMIT)
    return snapshot


def test_a_directory(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    assert locate(tmp_path) == tmp_path
    assert locate(str(tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path.parent)
    assert locate(tmp_path.name).resolve() == tmp_path
    with pytest.raises(FileNotFoundError, match="there is no x.model in this directory"):
        locate(tmp_path, filenames=("x.model",))
    (tmp_path / "x.model").write_text("")
    assert locate(tmp_path, filenames=("x.model",)) == tmp_path


def test_a_directory_comes_before_the_cache(tmp_path, monkeypatch):
    cached(tmp_path / "cache")
    (tmp_path / NAME).mkdir(parents=True)
    (tmp_path / NAME / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert locate(NAME, cache_dir=tmp_path / "cache").resolve() == tmp_path / NAME


def test_no_directory_and_no_possible_id(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        ValueError, match="is a file, expected the directory that holds config.json"
    ):
        locate(tmp_path / "file")
    with pytest.raises(FileNotFoundError, match="there is no config.json in this directory"):
        locate(tmp_path / "folder")
    for path in (tmp_path / "absent", "./absent", "../absent", "~/absent", "a/b/c"):
        with pytest.raises(FileNotFoundError, match="there is no such directory"):
            locate(path)


@pytest.mark.parametrize(
    "name",
    ["", "a/..", "...", "a\\b", "a--b", "a b", "a/b.git", "a/b.", "a/", "a:b", "a\0b", "a\nb",
     "é/x", "-a/b", "a/" + "x" * 200, "models--a--b", "https:x", "a/.b", "a/b-"],
)  # fmt: skip
def test_impossible_ids(name, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        locate(name, cache_dir=tmp_path)
    assert "neither a directory nor a hub id" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_must_be_text(tmp_path):
    for wrong in (None, 3, b"facebook/xglm-564M"):
        with pytest.raises(TypeError):
            locate(wrong, cache_dir=tmp_path)


@pytest.mark.parametrize(
    "revision", ["", "..", "a/../b", "/etc", "a\\b", "refs/../../x", "a b", "a/", ".hidden", "a\0"]
)
def test_impossible_revisions(tmp_path, revision):
    with pytest.raises(ValueError, match="expected a branch, a tag or a commit"):
        locate(NAME, revision=revision, cache_dir=tmp_path)


def test_the_cache(tmp_path):
    snapshot = cached(tmp_path)
    assert locate(NAME, cache_dir=tmp_path) == snapshot
    assert locate(NAME, cache_dir=str(tmp_path), local_files_only=True) == snapshot
    assert locate(NAME, cache_dir=tmp_path, revision="main") == snapshot
    assert locate(NAME, cache_dir=tmp_path, revision=COMMIT) == snapshot
    with pytest.raises(FileNotFoundError, match="revision v2 is not in the cache"):
        locate(NAME, cache_dir=tmp_path, revision="v2", local_files_only=True)
    with pytest.raises(FileNotFoundError, match="is not in the cache"):
        locate(NAME, cache_dir=tmp_path, revision=COMMIT[::-1])


def test_other_references(tmp_path):
    snapshot = cached(tmp_path, ref="refs/pr/1")
    assert locate(NAME, cache_dir=tmp_path, revision="refs/pr/1") == snapshot
    with pytest.raises(FileNotFoundError):
        locate(NAME, cache_dir=tmp_path)


def test_names_without_an_organisation(tmp_path):
    snapshot = cached(tmp_path, name="gpt2")
    assert locate("gpt2", cache_dir=tmp_path) == snapshot


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert default_cache() == tmp_path / "home" / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(default_cache()) == "/x/huggingface/hub"
    monkeypatch.setenv("HF_HOME", "~/hf")
    assert default_cache() == tmp_path / "home" / "hf" / "hub"
    monkeypatch.setenv("HF_HOME", "$HOME/${XDG_CACHE_HOME}")
    assert default_cache() == tmp_path / "home" / "x" / "hub"
    monkeypatch.setenv("HUGGINGFACE_HUB_CACHE", "/old")
    assert str(default_cache()) == "/old"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = cached(tmp_path / "cache")
    assert locate(NAME) == snapshot


def test_a_damaged_reference(tmp_path):
    cached(tmp_path)
    reference = tmp_path / "models--facebook--xglm-564M" / "refs" / "main"
    for content in ("../../..", "", "main", COMMIT[:-1], COMMIT * 2, "\xff\xfe"):
        reference.write_text(content)
        with pytest.raises(ValueError, match="expected a commit's hash"):
            locate(NAME, cache_dir=tmp_path)
    reference.write_text(f"{COMMIT}\n")
    assert locate(NAME, cache_dir=tmp_path).name == COMMIT


@pytest.mark.parametrize(
    ("files", "lacking"),
    [
        (("pytorch_model.bin",), "no config.json"),
        (("config.json",), "no weights: looked for"),
        (("config.json", "rust_model.ot"), "no weights: looked for"),
    ],
)
def test_an_incomplete_snapshot(tmp_path, files, lacking):
    cached(tmp_path, files)
    with pytest.raises(FileNotFoundError, match=f"incomplete in the cache.*{lacking}"):
        locate(NAME, cache_dir=tmp_path, local_files_only=True)


def test_a_snapshot_without_a_shard(tmp_path):
    names = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    snapshot = cached(tmp_path, ("config.json", "model.safetensors.index.json", *names))
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert locate(NAME, cache_dir=tmp_path) == snapshot
    (snapshot / names[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"{names[1]} is absent"):
        locate(NAME, cache_dir=tmp_path, local_files_only=True)


def test_only_what_is_needed_must_be_there(tmp_path):
    """The tokenizer needs no weights, a configuration no tokenizer."""
    snapshot = cached(tmp_path, ("config.json", "sentencepiece.bpe.model"))
    for filename in ("config.json", "sentencepiece.bpe.model"):
        assert locate(NAME, cache_dir=tmp_path, filenames=(filename,)) == snapshot


def test_a_broken_link_is_no_file(tmp_path):
    snapshot = cached(tmp_path)
    (snapshot / "config.json").resolve().unlink()
    with pytest.raises(FileNotFoundError, match="no config.json"):
        locate(NAME, cache_dir=tmp_path, local_files_only=True)


def test_without_the_extra_the_message_says_what_to_install(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'pip install "pyxglm\[hub\]"') as caught:
        locate(NAME, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert "is no directory, and its revision main is not in the cache" in str(caught.value)


REPOSITORY = [
    ".gitattributes", "README.md", "config.json", "flax_model.msgpack", "generation_config.json",
    "pytorch_model.bin", "sentencepiece.bpe.model", "special_tokens_map.json", "tf_model.h5",
    "tokenizer.json", "tokenizer_config.json",
]  # fmt: skip
SMALL = [
    "config.json", "generation_config.json", "special_tokens_map.json", "tokenizer.json",
    "tokenizer_config.json",
]  # fmt: skip


def test_only_the_files_that_are_read_are_downloaded():
    assert wanted_files(REPOSITORY, ("sentencepiece.bpe.model",)) == sorted(
        [*SMALL, "sentencepiece.bpe.model"]
    )
    assert wanted_files(REPOSITORY, None) == sorted([*SMALL, "pytorch_model.bin"])
    both = [*REPOSITORY, "model.safetensors"]
    assert set(wanted_files(both, None)) == {*SMALL, "model.safetensors"}
    assert set(wanted_files(REPOSITORY, None, "tf")) == {*SMALL, "tf_model.h5"}
    assert set(wanted_files(REPOSITORY, None, "flax")) == {*SMALL, "flax_model.msgpack"}
    shards = [f"pytorch_model-0000{n}-of-00002.bin" for n in (1, 2)]
    sharded = ["config.json", *shards, "pytorch_model.bin.index.json", "model-x.msgpack"]
    assert wanted_files(sharded, None) == ["config.json", *shards, "pytorch_model.bin.index.json"]


def repository(files):
    """What the hub tells of a repository."""
    return types.SimpleNamespace(siblings=[types.SimpleNamespace(rfilename=file) for file in files])


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stand in for huggingface_hub: it 'downloads' into the cache that it is given."""
    module = types.ModuleType("huggingface_hub")
    module.calls = []

    class Api:
        def model_info(self, name, *, revision, timeout):
            assert timeout <= 10
            module.calls.append(("list", name, revision))
            return repository(REPOSITORY)

    def snapshot_download(name, *, revision, cache_dir, allow_patterns):
        module.calls.append(("download", name, revision, cache_dir, tuple(allow_patterns)))
        return str(cached(tmp_path / "cache", allow_patterns))

    module.HfApi, module.snapshot_download = Api, snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def test_a_download(tmp_path, hub):
    cache = tmp_path / "cache"
    path = locate(NAME, cache_dir=cache)
    assert path == cache / "models--facebook--xglm-564M" / "snapshots" / COMMIT
    wanted = tuple(wanted_files(REPOSITORY, None))
    assert hub.calls == [
        ("list", NAME, "main"),
        ("download", NAME, "main", str(cache), wanted),
    ]
    assert locate(NAME, cache_dir=cache) == path
    assert len(hub.calls) == 2


def test_the_format_that_is_wanted_is_downloaded(tmp_path, hub):
    """Though the cache holds another one."""
    cached(tmp_path / "cache")
    download = sys.modules["huggingface_hub"].snapshot_download

    def more(name, **options):
        shutil.rmtree(tmp_path / "cache")
        return download(name, **options)

    sys.modules["huggingface_hub"].snapshot_download = more
    found = locate(NAME, cache_dir=tmp_path / "cache", form="tf")
    assert (found / "tf_model.h5").exists()
    assert hub.calls[-1][-1] == tuple(wanted_files(REPOSITORY, None, "tf"))


def test_what_is_cached_is_not_asked_for(tmp_path, hub):
    snapshot = cached(tmp_path / "cache")
    assert locate(NAME, cache_dir=tmp_path / "cache") == snapshot
    assert hub.calls == []


@pytest.mark.parametrize("value", ["1", "ON", "yes", "True"])
def test_offline(tmp_path, hub, monkeypatch, value):
    with pytest.raises(FileNotFoundError, match="local_files_only is set, so it is not downloaded"):
        locate(NAME, cache_dir=tmp_path / "cache", local_files_only=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE is set, so it is not downloaded"):
        locate(NAME, cache_dir=tmp_path / "cache")
    assert hub.calls == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", value)
    with pytest.raises(FileNotFoundError, match="so it is not downloaded"):
        locate(NAME, cache_dir=tmp_path / "cache")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert locate(NAME, cache_dir=tmp_path / "cache").is_dir()


def test_a_failing_download_is_one_line(tmp_path, hub):
    def fail(*args, **kwargs):
        raise RuntimeError("401 Client Error.\n\nRepository Not Found\nfor url: " + "x" * 1000)

    hub.snapshot_download = fail
    with pytest.raises(FileNotFoundError, match="downloading it failed: RuntimeError") as caught:
        locate(NAME, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("level", [logging.WARNING, logging.INFO])
def test_what_the_library_logs_of_failures_is_told_once(tmp_path, hub, caplog, level):
    """It shows it on standard error, too, unless nothing but the error is asked for."""
    logger, shown = logging.getLogger("huggingface_hub"), []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(record.getMessage())

    def fail(self, name, **_options):
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise ConnectionError("Name or service not known")

    hub.HfApi.model_info = fail
    hub.HfApi.__init__ = lambda self: logger.addHandler(handler)  # the library's, when first used
    logger.setLevel(level)
    try:
        with pytest.raises(FileNotFoundError, match="Name or service not known"):
            locate("nope", cache_dir=tmp_path / "cache")
        assert shown == ([] if level == logging.WARNING else ["Retrying in 1s [Retry 1/5]."])
        assert caplog.messages == ["Retrying in 1s [Retry 1/5]."]  # the caller's own log
        logger.warning("as before")
        assert shown[-1] == "as before"
        assert (logger.level, handler.filters) == (level, [])
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_a_download_without_what_is_needed(tmp_path, hub):
    hub.HfApi.model_info = lambda self, name, **_options: repository(["config.json"])
    with pytest.raises(FileNotFoundError, match="no weights: looked for"):
        locate(NAME, cache_dir=tmp_path / "cache")
