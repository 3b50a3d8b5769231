"""Models of the published sizes with random weights, written to a file once.

Speed does not depend on what a model says, so its weights need not be downloaded
to be measured. They are normal with a standard deviation of 0.02, as before
training; layer norms are 1 and 0. Each is one of 65,536 quantiles of the normal
distribution, picked by 16 random bits: that is as fast as the disk, and the same
bytes everywhere.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pyxglm.cli.info import size as in_words
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array, as_dtype, convert
from pyxglm.parameters import parameter_shapes

#: Layers, width, feed-forward width, heads, activation of the published models.
SHAPES = {
    "564M": (24, 1024, 4096, 16, "gelu"),
    "1.7B": (24, 2048, 8192, 16, "gelu"),
    "2.9B": (48, 2048, 8192, 16, "gelu"),
    "4.5B": (48, 2048, 16384, 16, "relu"),
    "7.5B": (32, 4096, 16384, 32, "gelu"),
}

#: Stored dtypes, and what safetensors calls them.
DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}

#: Standard deviation, seed of the bits, and how many weights are drawn at once.
STD, SEED, CHUNK = 0.02, 20211220, 1 << 22

WEIGHTS, PARTIAL, LOCK = "model.safetensors", ".model.safetensors.partial", ".lock"


def config_of(shape: str, dtype: str) -> XGLMConfig:
    """Return the configuration of a published size.

    >>> config_of("7.5B", "bfloat16").d_model
    4096
    """
    layers, width, inner, heads, activation = SHAPES[shape]
    return XGLMConfig(
        num_layers=layers,
        d_model=width,
        ffn_dim=inner,
        attention_heads=heads,
        activation_function=activation,
        torch_dtype=dtype,
        architectures=["XGLMForCausalLM"],
    )


def folder(shape: str, dtype: str) -> Path:
    """Return where a shape's checkpoint is kept."""
    return cache() / "shapes" / f"{shape}-{dtype}"


def cache() -> Path:
    """Return where files are that can be written anew: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyxglm"


def checkpoint_of(shape: str, dtype: str, tell: Callable[[str], None]) -> Path:
    """Return the directory of a shape's checkpoint, which is written unless it is there.

    Parameters
    ----------
    shape, dtype
        Keys of `SHAPES` and `DTYPES`.
    tell
        Called with a sentence that says what is being written, and where.

    Raises
    ------
    OSError
        If the disk has not enough room, or writing fails. What was written is
        removed then: a checkpoint is there as a whole or not at all.
    """
    config, directory = config_of(shape, dtype), folder(shape, dtype)
    header = _header(config, dtype)
    size = len(header) + _count(config) * as_dtype(dtype).itemsize
    if _complete(directory, config, size):
        return directory
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be writing the same
        if not _complete(directory, config, size):
            _write(directory, config, dtype, header, size, tell)
    return directory


def _complete(directory: Path, config: XGLMConfig, size: int) -> bool:
    """Whether a directory holds these weights: they get their name when all are written."""
    try:
        right = XGLMConfig.from_json_file(directory / "config.json") == config
        return right and (directory / WEIGHTS).stat().st_size == size
    except (OSError, ValueError):
        return False


def _write(
    directory: Path,
    config: XGLMConfig,
    dtype: str,
    header: bytes,
    size: int,
    tell: Callable[[str], None],
) -> None:
    partial = directory / PARTIAL
    partial.unlink(missing_ok=True)  # of a process that was killed
    free = shutil.disk_usage(directory).free
    if free < size:
        raise OSError(
            f"{directory}: {in_words(free)} are free on this disk, expected {in_words(size)}"
            " for the weights"
        )
    tell(f"writing {in_words(size)} of random weights to {directory / WEIGHTS}")
    try:
        with partial.open("xb") as file:
            file.write(header)
            _write_tensors(file, config, dtype)
        config.save_pretrained(directory)
        partial.replace(directory / WEIGHTS)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _header(config: XGLMConfig, dtype: str) -> bytes:
    """Return the beginning of the safetensors file."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    position, itemsize = 0, as_dtype(dtype).itemsize
    for name, shape in parameter_shapes(config).items():
        end = position + int(np.prod(shape)) * itemsize
        offsets = [position, end]
        entries[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": offsets}
        position = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64 + 56)  # tensors begin at a cache line: 8 bytes come before
    return len(text).to_bytes(8, "little") + text


def _count(config: XGLMConfig) -> int:
    return sum(int(np.prod(shape)) for shape in parameter_shapes(config).values())


def _write_tensors(file: BinaryIO, config: XGLMConfig, dtype: str) -> None:
    """Write all parameters in order, a chunk of numbers at a time."""
    table = quantiles(dtype)
    bits = np.random.SFC64(SEED)
    for name, shape in parameter_shapes(config).items():
        count = int(np.prod(shape))
        if "norm" in name:
            value = np.full(count, float(name.endswith(".weight")), np.float32)
            file.write(convert(value, dtype).tobytes())
            continue
        for begin in range(0, count, CHUNK):
            file.write(drawn(bits, min(CHUNK, count - begin), table).tobytes())


def quantiles(dtype: str) -> Array:
    """Return 65,536 numbers that are as likely as each other under N(0, 0.02)."""
    normal = statistics.NormalDist(0.0, STD)
    upper = [normal.inv_cdf(0.5 + (i + 0.5) / 65536) for i in range(32768)]
    both = np.array([-value for value in reversed(upper)] + upper, np.float32)
    return convert(both, dtype)


def drawn(bits: np.random.SFC64, count: int, table: Array) -> Array:
    """Return `count` numbers of a table of 65,536, each picked by 16 random bits."""
    words: Array = np.asarray(bits.random_raw(-(-count // 4)), "<u8")
    found: Array = table[words.view("<u2")[:count]]
    return found
