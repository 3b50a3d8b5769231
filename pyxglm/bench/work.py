"""The least that a job costs: bytes to read, numbers to multiply, and so seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pyxglm.bench.grid import Job
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.ops.shortlist import ROWS
from pyxglm.parameters import EMBEDDING, HEAD

#: Bytes of a number in the cache (float32).
_NUMBER = 4


class Pass(NamedTuple):
    """What one pass through the model reads and computes, at the least."""

    weight_bytes: int
    cache_bytes: int
    operations: int

    def seconds(self, read: float, multiply: float) -> float:
        """Return the time at so many bytes and operations a second: the longer of the two."""
        return max((self.weight_bytes + self.cache_bytes) / read, self.operations / multiply)


def weight_bytes(weights: Mapping[str, Array]) -> int:
    """Return the bytes of weights that every pass reads.

    All but the embedding, of which a pass reads a few rows, unless it is the head, too.
    """
    unread = EMBEDDING if HEAD in weights else None
    return sum(array.nbytes for name, array in weights.items() if name != unread)


def read_bytes(model: Any, job: Job) -> int:
    """Return the bytes of weights that a pass of a job reads: with a shortlist fewer, of few rows.

    (The rows of the head that are read besides it are few.)
    """
    stored = weight_bytes(dict(model.named_parameters()))
    if model.shortlist is None or job.kind not in ("generate", "both") or job.batch > ROWS:
        return stored
    head_VD: Array = model.lm_head.weight
    return int(stored - head_VD.nbytes + model.shortlist.nbytes)


def one_pass(config: XGLMConfig, stored: int, B: int, T: int, P: int, rows: int) -> Pass:
    r"""Return the work of a pass over T tokens behind P others, of B sequences.

    .. math:: 2 B T L (4 D^2 + 2 D F) + 4 B L D (T P + T (T + 1) / 2) + 2 r V D

    operations, for r rows of logits; a multiplication and its addition are two.

    Parameters
    ----------
    config
        The model.
    stored
        Bytes of weights that a pass reads.
    B, T, P
        Sequences; new tokens and remembered ones of each.
    rows
        Positions whose logits are computed, of all sequences together.
    """
    L, D, F, V = config.num_layers, config.d_model, config.ffn_dim, config.vocab_size
    blocks = 2 * B * T * L * (4 * D * D + 2 * D * F)
    attention = 4 * B * L * D * (T * P + T * (T + 1) // 2)
    cache = 2 * B * L * D * (P + T) * _NUMBER
    return Pass(stored, cache, blocks + attention + 2 * rows * V * D)


def passes(config: XGLMConfig, stored: int, job: Job) -> Iterator[Pass]:
    """Yield the passes of a job that are timed."""
    B, T, P = job.batch, job.prompt, job.depth
    if T:
        every = job.all_logits or job.kind == "score"
        yield one_pass(config, stored, B, T, P, B * (T if every else 1))
    for step in range(job.generate):
        yield one_pass(config, stored, B, 1, P + T + step, B)


def least_seconds(config: XGLMConfig, stored: int, job: Job, read: float, multiply: float) -> float:
    """Return the time of a job on a machine that does nothing else than read and multiply."""
    return sum(one.seconds(read, multiply) for one in passes(config, stored, job))
