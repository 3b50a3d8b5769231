"""What is to be measured: jobs, and the lists of numbers they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class Job:
    """One thing to time.

    Parameters
    ----------
    kind
        ``"prompt"``, ``"generate"``, ``"both"`` (a prompt, then a generation),
        ``"score"`` (labels given, the loss computed) or ``"cold"`` (a fresh
        process, up to the first token).
    prompt, generate
        Tokens of the prompt (or of the text that is scored); tokens to generate.
    batch
        Sequences side by side, each of these lengths.
    depth
        Tokens that are in the cache before the clock starts.
    all_logits
        For a prompt: compute the logits of all its positions, not of the last.
    """

    kind: str
    prompt: int = 0
    generate: int = 0
    batch: int = 1
    depth: int = 0
    all_logits: bool = False

    @property
    def name(self) -> str:
        """The name in the column ``test``, in the manner of llama-bench.

        >>> Job("prompt", 512, all_logits=True).name
        'pp512 all'
        >>> Job("both", 512, 128, batch=8).name, Job("generate", 0, 32, depth=1024).name
        ('pp512+tg128 b8', 'tg32 @ d1024')
        """
        if self.kind == "both":
            name = f"pp{self.prompt}+tg{self.generate}"
        elif self.kind == "generate":
            name = f"tg{self.generate}"
        else:
            name = {"prompt": "pp", "score": "score", "cold": "cold"}[self.kind] + str(self.prompt)
        name += " all" if self.all_logits else ""
        name += f" b{self.batch}" if self.batch > 1 else ""
        return name + (f" @ d{self.depth}" if self.depth else "")

    @property
    def tokens(self) -> int:
        """Tokens that go through the model while the clock runs."""
        return self.batch * (self.prompt + self.generate)


#: What is measured if nothing is asked for, as in llama-bench.
DEFAULT_PROMPTS, DEFAULT_GENERATE = (512,), (128,)

#: Tokens of the prompt of a cold start.
COLD_PROMPT = 32


def jobs(
    *,
    prompts: Iterable[int] = (),
    generate: Iterable[int] = (),
    both: Iterable[tuple[int, int]] = (),
    score: Iterable[int] = (),
    cold: bool = False,
    batches: Sequence[int] = (1,),
    depths: Sequence[int] = (0,),
    all_logits: Sequence[bool] = (False,),
) -> Iterator[Job]:
    """Yield the jobs of a grid; a length of 0 means none, as in llama-bench.

    >>> [job.name for job in jobs(prompts=[512, 0], generate=[32], batches=[1, 8])]
    ['pp512', 'pp512 b8', 'tg32', 'tg32 b8']
    """
    for n, every, b, d in product(prompts, all_logits, batches, depths):
        if n:
            yield Job("prompt", n, 0, b, d, every)
    for n, b, d in product(generate, batches, depths):
        if n:
            yield Job("generate", 0, n, b, d)
    for (n, m), b in product(both, batches):
        yield Job("both", n, m, b)
    for n, b in product(score, batches):
        if n:
            yield Job("score", n, 0, b)
    if cold:
        yield Job("cold", COLD_PROMPT)


def numbers(text: str, least: int) -> list[int]:
    """Return the whole numbers that a text lists, with commas between them.

    >>> numbers("512,1024", 0)
    [512, 1024]

    Raises
    ------
    ValueError
        If one is no whole number or less than `least`.
    """
    words = text.split(",")
    for word in words:
        whole = word.isascii() and word.isdigit() and len(word) <= 9
        if not whole or int(word) < least:
            raise ValueError(
                f"{text[:40]!a}, expected whole numbers from {least} with commas between"
            )
    return [int(word) for word in words]


def names(text: str, known: Sequence[str]) -> list[str]:
    """Return the names that a text lists, each one of those known.

    Raises
    ------
    ValueError
        If one is not known; the message lists the choices.
    """
    words = text.split(",")
    for word in words:
        if word not in known:
            raise ValueError(f"{word[:40]!a}, expected one of: {', '.join(known)}")
    return words
