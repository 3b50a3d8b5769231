"""What is measured of a whole model: one row a name, the same for every runtime."""

from __future__ import annotations

from typing import NamedTuple

from pyxglm.bench.grid import COLD_PROMPT, Job


class Row(NamedTuple):
    """A job and what it is called in tables."""

    title: str
    job: Job


#: Tokens that are generated in a decoding row, behind a short prompt.
GENERATED, BEHIND = 32, 32

ROWS = {
    "decode_b1": Row("decode, batch 1", Job("generate", 0, GENERATED, 1, BEHIND)),
    "decode_b8": Row("decode, batch 8", Job("generate", 0, GENERATED, 8, BEHIND)),
    "prompt_512_last": Row("prompt 512, last logits", Job("prompt", 512)),
    "prompt_512_all": Row("prompt 512, all logits", Job("prompt", 512, all_logits=True)),
    "prompt_2048_last": Row("prompt 2048, last logits", Job("prompt", 2048)),
    "score_4x512": Row("scoring 4 × 512 with labels", Job("score", 512, 0, 4)),
}

#: Rows that take so long that a few rounds of them must do.
SLOW, FEW = ("prompt_2048_last", "score_4x512"), 3

#: Calls of `generate` on the bundled model, one text at a time.
GENERATION = {
    "greedy": Row("greedy", Job("greedy", 0, 256, 1, 16)),
    "sample": Row("sampling", Job("sample", 0, 256, 1, 16)),
    "beams": Row("4 beams", Job("beams", 0, 256, 1, 16)),
}

#: A fresh process up to its first token; not a job of a model that is open.
COLD = Row(f"cold start, prompt {COLD_PROMPT}", Job("prompt", COLD_PROMPT))

#: Tokens in the cache when the time of one more is taken; and how many tokens of each.
CONTEXTS, TURNS = (0, 256, 512, 1024, 1536, 2048), 40

#: What is measured on each number of threads, and what in memory.
SCALED = ("decode_b1", "prompt_512_last")
MEMORY = {
    "generation": Row(f"generation, {BEHIND} + {GENERATED}", Job("both", BEHIND, GENERATED)),
    "scoring": ROWS["score_4x512"],
}
