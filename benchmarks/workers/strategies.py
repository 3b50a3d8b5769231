"""Jobs that are a call of the runtime's own `generate`: the same prompt and options for all.

A job of such a kind generates ``generate`` tokens behind a prompt of ``depth``, which is
computed while the clock runs, as it is for users. Nothing but the standard library may be
imported here.
"""

from __future__ import annotations

from typing import Any

from pyxglm.bench.grid import Job

#: Options of each kind, besides those of `options`.
STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "sample": {"do_sample": True, "temperature": 0.8, "top_k": 50, "top_p": 0.95},
    "beams": {"num_beams": 4},
}


def prompts(job: Job, vocab_size: int) -> list[list[int]]:
    """Return the ids of a job's prompts, none of them a special token's.

    >>> prompts(Job("greedy", depth=3, batch=2), 10)
    [[4, 5, 6], [7, 8, 9]]
    """
    return [
        [4 + (row * job.depth + column) % (vocab_size - 4) for column in range(job.depth)]
        for row in range(job.batch)
    ]


def options(job: Job) -> dict[str, Any]:
    """Return the keywords of a job's call: no token ends it early."""
    return {
        **STRATEGIES[job.kind],
        "max_new_tokens": job.generate,
        "eos_token_id": None,
        "pad_token_id": 1,
    }


def check_length(job: Job, length: int) -> None:
    """Refuse to report a text that ended early.

    Raises
    ------
    ValueError
        If it is not as long as the job wants it.
    """
    if length != job.depth + job.generate:
        raise ValueError(
            f"generate returned {length} tokens, expected {job.depth} and {job.generate} more"
        )
