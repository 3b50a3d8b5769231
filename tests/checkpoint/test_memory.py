"""Opening a checkpoint costs no memory of the process's own, saving and converting one little.

The files are of the size of the 564M model in float16, 1.1 GB, and consist of
holes. A child process opens them and looks at its own anonymous memory.
"""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkpoint.build import Member, plain_strides, state_dict, storage, tensor, zip_file

from pyxglm.checkpoint import msgpack_file, names
from pyxglm.config import XGLMConfig
from pyxglm.parameters import parameter_shapes

CONFIG = XGLMConfig()  # the defaults are those of the 564M model
SMALL = XGLMConfig(d_model=256, ffn_dim=256, num_layers=2, attention_heads=4)
LARGE = XGLMConfig(d_model=64, ffn_dim=20_000, num_layers=1, attention_heads=4)
HALF = np.dtype("<f2")
ROOT = Path(__file__).parents[2]


def nbytes(shape):
    return 2 * int(np.prod(shape))


def write_safetensors(path, config=CONFIG):
    header, position = {}, 0
    for name, shape in parameter_shapes(config).items():
        offsets = [position, position + nbytes(shape)]
        header[name] = {"dtype": "F16", "shape": [*shape], "data_offsets": offsets}
        position = offsets[1]
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + position)


def write_torch(path):
    """Write the archive member by member, skipping over the storages' bytes."""
    shapes = parameter_shapes(CONFIG)
    program = state_dict({
        name: tensor(storage(HALF, str(n), nbytes(shape) // 2), shape, plain_strides(shape))
        for n, (name, shape) in enumerate(shapes.items())
    })  # fmt: skip
    parts = [("archive/data.pkl", program, len(program))]
    parts += [(f"archive/data/{n}", b"", nbytes(shape)) for n, shape in enumerate(shapes.values())]
    directory = b""
    with path.open("wb") as file:
        for name, data, size in parts:
            sizes = {"csize": size, "usize": size, "crc": 0}
            start = file.tell()
            alone = zip_file([
                Member(name.encode(), data, central={**sizes, "offset": start}, local=sizes)
            ])  # fmt: skip
            local = 30 + len(name) + len(data)
            file.write(alone[:local])
            file.seek(start + 30 + len(name) + size)
            directory += alone[local:-22]
        start, count = file.tell(), len(parts)
        file.write(directory)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), start, 0))


CHILD = """
import sys, time
import numpy, pyxglm
from pyxglm.config import XGLMConfig

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) * 1024

config = XGLMConfig.from_json_file(f"{sys.argv[1]}/config.json")
before = anonymous()
start = time.perf_counter()
from pyxglm.checkpoint import load, save
found = load(sys.argv[1], config)
seconds = time.perf_counter() - start
opened = anonymous() - before
if sys.argv[2:]:
    import resource
    with open("/proc/self/status") as file:
        data = next(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (data + 60 * 2**20,) * 2)
    save(found.weights, sys.argv[2])
print(opened, sum(array.nbytes for array in found.weights.values()), seconds)
"""


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    opened, total, seconds = map(float, done.stdout.split())
    print(f"opening {total / 1e9:.2f} GB added {opened / 1e6:.1f} MB in {1e3 * seconds:.0f} ms")
    return opened, total


@pytest.mark.parametrize(
    ("filename", "write"),
    [("model.safetensors", write_safetensors), ("pytorch_model.bin", write_torch)],
)
def test_opening_adds_no_anonymous_memory(tmp_path, filename, write):
    path = tmp_path / filename
    write(path)
    CONFIG.save_pretrained(tmp_path)
    assert path.stat().st_blocks * 512 < 10e6
    opened, total = run(tmp_path)
    assert total > 1.1e9
    assert opened < 50e6


def test_saving_copies_nothing(tmp_path):
    """From the page cache to the new file, by a process that may allocate 60 MB more."""
    write_safetensors(tmp_path / "model.safetensors", SMALL)
    SMALL.save_pretrained(tmp_path)
    _, total = run(tmp_path, tmp_path / "new")
    assert total > 130e6
    assert (tmp_path / "new" / "model.safetensors").stat().st_size > total


CONVERTING = """
import re, resource, sys
from pathlib import Path
from pyxglm.checkpoint import convert_checkpoint

def figure(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

before, peak = figure("RssAnon"), 0
def watch(what, name, part):
    global peak
    peak = max(peak, figure("RssAnon") - before)
resource.setrlimit(resource.RLIMIT_DATA, (figure("VmData") + 60 * 2**20,) * 2)
convert_checkpoint(sys.argv[1], sys.argv[2], dtype="float16", watch=watch)
print(peak)
"""


def flax_tree_of_holes():
    """Return a tree of zeros that take no memory, of 77 MB in float32."""
    arrays = {name: np.broadcast_to(np.float32(0), shape)
              for name, shape in parameter_shapes(LARGE).items()}  # fmt: skip
    return names.flax_tree(arrays)


def test_converting_takes_little_more_than_its_largest_tensor(tmp_path, monkeypatch):
    """In fact much less: matrices are transposed and rounded a few megabytes at a time."""
    (tmp_path / "old").mkdir()
    monkeypatch.setattr(msgpack_file, "PIECE", 50 * 2**20)  # the embedding, and only it, is cut
    msgpack_file.write_msgpack(flax_tree_of_holes(), tmp_path / "old" / "flax_model.msgpack")
    LARGE.save_pretrained(tmp_path / "old")
    done = subprocess.run(
        [sys.executable, "-c", CONVERTING, str(tmp_path / "old"), str(tmp_path / "new")],
        check=True, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    largest = 4 * LARGE.vocab_size * LARGE.d_model
    peak = int(done.stdout)
    total = (tmp_path / "new" / "model.safetensors").stat().st_size
    print(f"converting {total / 1e6:.0f} MB took {peak / 1e6:.1f} MB, largest {largest / 1e6:.0f}")
    assert peak < largest / 2
