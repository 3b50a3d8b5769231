"""What the workers of other runtimes share: jobs, labels, conversions, the check-point's arrays."""

from __future__ import annotations

import ast
import functools
import shutil
from pathlib import Path

import numpy as np
import pytest

from pyxglm import XGLMForCausalLM, tiny
from pyxglm.bench.grid import Job
from pyxglm.ops.reference import sinusoidal_positions

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "workers"

#: What is of the standard library alone, and so can be had in any virtual environment.
ALLOWED = {"pyxglm.bench.grid", "pyxglm.bench.memory"}

#: What needs NumPy as well, for modules that have it.
ALLOWED_WITH_NUMPY = {*ALLOWED, "pyxglm.ops.reference"}

V = 11


@pytest.fixture
def stepping(shared):
    """A runtime whose next token is the sum of all tokens so far, modulo its vocabulary."""

    class Sums(shared("stepping").Stepping):
        vocab_size = V

        def __init__(self):
            self.log = []

        def ids(self, rows):
            return np.array(rows)

        def step(self, ids, past, all_logits=False):
            self.log.append((ids.shape, None if past is None else past[1], all_logits))
            sums = np.cumsum(ids, axis=1) + (0 if past is None else past[0])
            logits = np.eye(V)[sums % V]
            seen = ids.shape[1] + (0 if past is None else past[1])
            return logits if all_logits else logits[:, -1:], (sums[:, -1:], seen)

        def loss(self, ids):
            self.log.append(("loss", ids.shape))
            return 1.5

    return Sums()


def test_what_it_says_goes_through_its_cache(stepping):
    said = stepping.say([[4, 5], [6, 7]])
    assert said.ids == [[9, 7, 3, 6], [2, 4, 8, 5]]  # each the sum of all before it
    assert said.logits == [list(np.eye(V)[9]), list(np.eye(V)[2])]
    assert said.loss == 1.5


def test_jobs_are_the_passes_they_should_be(stepping):
    def passes(job):
        stepping.log.clear()
        measured = stepping.run(job)
        assert 0 <= (measured.first_token_ns or 0) <= measured.ns
        assert (measured.first_token_ns is None) == (job.kind == "score")
        return stepping.log

    assert passes(Job("prompt", 5)) == [((1, 5), None, False)]
    assert passes(Job("prompt", 5, batch=2, all_logits=True)) == [((2, 5), None, True)]
    assert passes(Job("prompt", 5, depth=3)) == [((1, 3), None, False), ((1, 5), 3, False)]
    steps = [((3, 1), 4, False), ((3, 1), 5, False)]
    assert passes(Job("generate", 0, 2, 3, 4)) == [((3, 4), None, False), *steps]
    assert passes(Job("both", 4, 2, 3)) == [((3, 4), None, False), *steps]
    assert passes(Job("generate", 0, 2)) == [((1, 1), None, False), ((1, 1), 1, False)]
    assert passes(Job("score", 5, 0, 2)) == [("loss", (2, 5))]


def test_random_tokens_are_never_special(shared):
    rows = shared("stepping").random_ids(9, 3, 400)
    assert {one for row in rows for one in row} == {4, 5, 6, 7, 8}
    assert rows[0] != rows[1]


def test_the_loss_from_all_logits(shared, monkeypatch):
    monkeypatch.setattr(shared("labels"), "CHUNK", 3)
    drawn = np.random.default_rng(1)
    logits = drawn.normal(0, 9, (2, 8, V)).astype(np.float32)
    ids = drawn.integers(0, V, (2, 8))
    wide = logits.astype(np.float64)
    surprisals = np.log(np.exp(wide).sum(-1))[:, :-1] - np.array(
        [[wide[b, t, ids[b, t + 1]] for t in range(7)] for b in range(2)]
    )
    assert shared("labels").loss_of(logits, ids) == pytest.approx(surprisals.mean(), rel=1e-6)


def test_arrays_are_those_of_the_model(shared):
    model = XGLMForCausalLM.from_pretrained(tiny.PATH, backend="numpy")
    weights = shared("arrays").weights_of(tiny.PATH)
    assert sum(one.size for one in weights.values()) == shared("checkpoint").parameters(tiny.PATH)
    assert shared("checkpoint").parameters(tiny.PATH) == model.num_parameters()
    names = shared("arrays").queries_keys_values("model.layers.0")
    biases = shared("arrays").below_each_other(weights, names, "bias")
    D = model.config.d_model
    assert np.array_equal(biases[D : 2 * D], weights["model.layers.0.self_attn.k_proj.bias"])
    table = sinusoidal_positions(8, 5)
    assert np.array_equal(shared("arrays").positions(6, 5), table[2:])


def test_a_checkpoint_is_converted_once_and_as_a_whole(shared, monkeypatch, tmp_path):
    converted, model = shared("converted").converted, tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_text("1")
    monkeypatch.setenv("PYXGLM_CONVERTED", str(tmp_path / "cache"))
    copy = functools.partial(shutil.copytree, dirs_exist_ok=True)
    folder = converted(str(model), "copy-1", copy)
    assert (folder / "model.safetensors").read_text() == "1"
    assert folder.parent == tmp_path / "cache"
    assert converted(str(model), "copy-1", None) == folder  # there: nothing is called
    (model / "model.safetensors").write_text("22")
    assert (converted(str(model), "copy-1", copy) / "model.safetensors").read_text() == "22"
    with pytest.raises(RuntimeError, match="converting to broken ended with 1"):
        converted(str(model), "broken", shutil.copyfile)  # of a directory
    assert sorted(path.name[:4] for path in folder.parent.iterdir()) == ["copy", "copy"]


def test_every_peer_has_its_worker_and_its_own_side(script):
    peers = script("peers")
    for peer in peers.PEERS.values():
        assert (FOLDER / peer.script).exists()
        assert peer.beside in peers.OWN
    scripts = {path.name for path in FOLDER.glob("*_worker.py")}
    assert scripts == {"pyxglm_worker.py", *(peer.script for peer in peers.PEERS.values())}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_workers_take_of_pyxglm_only_what_needs_nothing(path):
    found = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "pyxglm"
    }
    allowed = ALLOWED_WITH_NUMPY if path.stem == "arrays" else ALLOWED
    assert found <= allowed or path.stem == "pyxglm_worker"
