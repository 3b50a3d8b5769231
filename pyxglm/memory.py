"""How much memory a model will need, said before it is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pyxglm import pages
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array

#: Bytes of a number in arithmetic and cache (float32).
_NUMBER = 4

#: Arrays of a size that the NumPy backend holds at once, at its fullest moments.
#: Counted by tracemalloc, as are all the numbers here; a test counts again.
_SCORES_AT_ONCE = 3.1  # (H, T, T): scores, masked, softmax
_WIDTHS_AT_ONCE = 8  # (T, D): residual, normed, queries, keys, values …
_INNER_AT_ONCE = {"gelu": 21.5, "gelu_python": 21.5, "relu": 2}  # (T, F): erf is float64
_INNER_OTHERWISE = 4.5

#: The same for the C backend, which stores no scores, and applies the activations
#: that have a kernel in place. Memory for one size waits there for the next layer.
_C_WIDTHS_AT_ONCE = 6.1
_C_FUSED = (None, "linear", "relu", "silu", "swish")  # and every GELU but "gelu_10"

#: A narrow matrix is widened by blocks: room for one, and its result.
_BLOCKS = 5 * 2**20


class Memory(NamedTuple):
    """Bytes, for one text at a time.

    `weights` are mapped: they come into memory as they are read, are shared
    by all processes that use the file, and can be dropped and read again.
    `cache` holds the keys and values of the text so far. `working` is what a
    forward pass over a prompt takes for a moment; in NumPy it grows with the
    square of the prompt's length. Texts in a batch multiply cache and working memory.
    """

    weights: int
    cache_per_token: int
    cache_full: int
    working_128: int
    working_full: int


def memory_needed(config: XGLMConfig, weights: Iterable[Array], backend: str) -> Memory:
    """Return what a model with these weights will need on a backend."""
    positions = config.max_position_embeddings
    per_token = 2 * config.num_layers * config.d_model * _NUMBER
    return Memory(
        weights=sum(array.nbytes for array in weights),
        cache_per_token=per_token,
        cache_full=per_token * positions,
        working_128=working(config, min(128, positions), backend),
        working_full=working(config, positions, backend),
    )


def working(config: XGLMConfig, T: int, backend: str) -> int:
    r"""Return about how many bytes a pass over a prompt of T tokens takes besides weights.

    In NumPy,

    .. math:: 4 \max(3.1 H T^2 + 8 T D,\; a T F + 8 T D) + 8 V + 5 \cdot 2^{20}

    where a is 21.5 for the exact GELU, 2 for ReLU, 4.5 for other activations. In C,

    .. math:: 4 (a T F + 6.1 T D) + 8 V

    where a is 1 for activations that have a kernel, and 4.5 for others. Not counted is what
    kernels prepare for themselves of at most 512 tokens, as float32 weights and tiles want it.
    """
    D, F, H = config.d_model, config.ffn_dim, config.attention_heads
    name, outputs = config.activation_function, 2 * config.vocab_size
    if backend == "c":
        fused = name in _C_FUSED or (name.startswith("gelu") and name != "gelu_10")
        inner = (1 if fused else _INNER_OTHERWISE) * T * F
        return int(_NUMBER * (inner + _C_WIDTHS_AT_ONCE * T * D + outputs))
    attention = _SCORES_AT_ONCE * H * T * T
    inner = _INNER_AT_ONCE.get(name, _INNER_OTHERWISE) * T * F
    passing = max(attention, inner) + _WIDTHS_AT_ONCE * T * D
    return int(_NUMBER * (passing + outputs)) + _BLOCKS


def check_generation(
    config: XGLMConfig, backend: str, number: int, rows: int, prompt: int, tokens: int
) -> None:
    """Refuse to continue texts whose keys and values will not fit into memory.

    Counted are as many tokens as may come, but not more than the model has
    positions for: a text that goes on and on ends before that.

    Parameters
    ----------
    config, backend
        The model's.
    number
        Bytes of a number in the cache.
    rows, prompt, tokens
        How many texts, how long their prompts are, and how long they may get.

    Raises
    ------
    MemoryError
        Saying how much is needed and for what, and how much there is.
    """
    most = min(tokens, max(config.max_position_embeddings, prompt + 1))
    cache = rows * most * 2 * config.num_layers * config.d_model * number
    passing = working(config, prompt, backend)
    if cache + passing < _NEVER_MIND:
        return
    there = available()
    if there is not None and cache + passing > there:
        pages.release()  # what is kept of dropped arrays counts as used until then
        there = available()
    if there is not None and cache + passing > there:
        raise MemoryError(
            f"the keys and values of {rows} texts of {most} tokens take {cache / 1e9:.1f} GB and a"
            f" pass over a prompt of {prompt} takes {passing / 1e9:.1f} GB, expected no more than"
            f" the {there / 1e9:.1f} GB that are free: continue fewer texts at a time (batch_size),"
            " or add fewer tokens"
        )


#: Less than this is not looked into, in bytes.
_NEVER_MIND = 2**28


def available(system: Path = Path("/")) -> int | None:
    """Return the bytes that can still be had before something is swapped out or killed.

    What the kernel says, or the control group of a container if it allows less.
    Pages of files count as free: they can be dropped. None if nobody says.

    `system` is the root of the file system, for tests.
    """
    found = []
    meminfo = _lines(system / "proc/meminfo")
    found += [int(line.split()[1]) * 1024 for line in meminfo if line.startswith("MemAvailable:")]
    for limit, used, statistics in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        group = system / "sys/fs/cgroup"
        most, now = (_lines(group / name) for name in (limit, used))
        if most and now and most[0].isdigit() and now[0].isdigit():
            files = sum(
                int(line.split()[1])
                for line in _lines(group / statistics)
                if line.split()[0] in ("inactive_file", "active_file")
            )
            found.append(max(0, int(most[0]) - int(now[0]) + files))
    return min(found, default=None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
