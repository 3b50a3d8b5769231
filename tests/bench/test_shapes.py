"""Models with random weights: right, whole, the same every time, and written once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pyxglm import XGLMForCausalLM
from pyxglm.bench import shapes
from pyxglm.dtypes import convert
from pyxglm.parameters import parameter_shapes

#: Parameters of the published models, as their configurations give them.
PUBLISHED = {
    "564M": 564_463_616,
    "1.7B": 1_732_907_008,
    "2.9B": 2_941_505_536,
    "4.5B": 4_552_511_488,
    "7.5B": 7_492_771_840,
}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(shapes.SHAPES, "small", (1, 8, 16, 2, "relu"))


@pytest.fixture
def told():
    return []


def test_the_published_sizes():
    assert set(PUBLISHED) == set(shapes.SHAPES) - {"small"}
    for shape, count in PUBLISHED.items():
        found = parameter_shapes(shapes.config_of(shape, "float16")).values()
        assert sum(int(np.prod(one)) for one in found) == count
    activations = {shape: shapes.SHAPES[shape][4] for shape in PUBLISHED}
    assert activations == {**dict.fromkeys(PUBLISHED, "gelu"), "4.5B": "relu"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_checkpoint_that_opens(told, tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(shapes, "CHUNK", 100_000)  # the embedding takes several
    directory = shapes.checkpoint_of("small", dtype, told.append)
    assert directory == tmp_path / "pyxglm" / "shapes" / f"small-{dtype}"
    (sentence,) = told
    assert sentence.startswith("writing 8.2 MB" if dtype == "float32" else "writing 4.1 MB")
    assert sentence.endswith(f" MB of random weights to {directory / 'model.safetensors'}")
    model = XGLMForCausalLM.from_pretrained(directory)
    assert model.config.torch_dtype == dtype
    for name, array in model.named_parameters():
        values = convert(array, "float32")
        if "norm" in name:
            assert (values == (1 if name.endswith("weight") else 0)).all()
            continue
        assert np.isfinite(values).all()
        assert 0 < np.abs(values).max() < 0.1
        if values.size > 1e6:
            assert values.mean() == pytest.approx(0, abs=1e-4)
            assert values.std() == pytest.approx(0.02, rel=2e-3)
            # Of a normal distribution, this share lies within one standard deviation.
            assert (np.abs(values) < 0.02).mean() == pytest.approx(0.6827, abs=2e-3)
            rows = values[:2000]
            assert len(np.unique(rows, axis=0)) == len(rows)


def test_it_is_written_once_and_always_the_same(told, tmp_path, monkeypatch):
    path = shapes.checkpoint_of("small", "float16", told.append) / "model.safetensors"
    first, written = path.read_bytes(), path.stat().st_mtime_ns
    shapes.checkpoint_of("small", "float16", told.append)
    assert (len(told), path.stat().st_mtime_ns) == (1, written)
    path.write_bytes(first[:-1])  # as no crash leaves it, but something else may
    (path.parent / ".model.safetensors.partial").write_bytes(b"of a process that was killed")
    shapes.checkpoint_of("small", "float16", told.append)
    assert len(told) == 2
    assert path.read_bytes() == first
    assert {one.name for one in path.parent.iterdir()} == {"config.json", path.name, ".lock"}


def test_a_failure_leaves_nothing(told, monkeypatch):
    whole = shapes.drawn
    drawn = []

    def failing(*arguments):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(1)
        return whole(*arguments)

    monkeypatch.setattr(shapes, "drawn", failing)
    with pytest.raises(KeyboardInterrupt):
        shapes.checkpoint_of("small", "float16", told.append)
    assert [path.name for path in shapes.folder("small", "float16").iterdir()] == [".lock"]


def test_a_full_disk_is_told_before_anything_is_written(told, monkeypatch):
    monkeypatch.setattr(shapes.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    expected = r"small-float16: 1 MB are free on this disk, expected 4\.1 MB for the weights"
    with pytest.raises(OSError, match=expected):
        shapes.checkpoint_of("small", "float16", told.append)
    assert told == []
    assert [path.name for path in shapes.folder("small", "float16").iterdir()] == [".lock"]


def test_without_a_cache_of_its_own_the_home_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert shapes.folder("564M", "float16") == (
        tmp_path / "home" / ".cache" / "pyxglm" / "shapes" / "564M-float16"
    )
