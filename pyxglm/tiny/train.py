"""Train the bundled model: ``python -m pyxglm.tiny.train --out DIRECTORY``.

Needs torch, as a tool: nothing else of the package imports it.  Writes a checkpoint of the
ordinary layout; ``--resume DIRECTORY`` goes on from the state that an earlier run has kept.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sentencepiece
import torch

from pyxglm.tiny.corpus.holdout import Prompt
from pyxglm.tiny.corpus.stream import SEED, Corpus, build
from pyxglm.tiny.export import write_checkpoint
from pyxglm.tiny.network import Network
from pyxglm.tiny.optimizer import Muon
from pyxglm.tiny.packing import pack
from pyxglm.tiny.scoring import answered, table
from pyxglm.tiny.vocabulary import END, PIECES, encode, train_vocabulary

__all__ = ["HEADS", "LAYERS", "VOCABULARY", "WIDTH", "main"]

VOCABULARY = PIECES + 8  # one more for <pad>, seven for the madeup words
WIDTH, FFN, LAYERS, HEADS = 256, 768, 4, 8
WINDOW, BATCH, SLICES = 128, 32, 4
STEPS, DECAY = 3000, 1000
STATE, SAMPLE = "state.pt", 7


def batches(
    corpus: Corpus, processor: sentencepiece.SentencePieceProcessor, epoch: int
) -> Iterator[np.ndarray]:
    """Yield training batches from an epoch on, without end."""
    while True:
        yield from pack(encode(processor, corpus.epoch(epoch)), WINDOW, BATCH)
        epoch += 1


class Workers:
    """Gradients of a batch from several threads, one slice of it at a time each.

    Every slice has a replica of the network that shares its weights and has gradients of its own,
    summed in a fixed order: the result does not depend on which thread did what.  On a machine
    that others use too, threads that meet once a step lose far less than torch's own, which meet
    in every operation.
    """

    def __init__(self, network: Network, slices: int, threads: int) -> None:
        self.network = network
        self.replicas = [copy.deepcopy(network) for _ in range(slices)]
        for replica in self.replicas:
            for own, shared in zip(replica.parameters(), network.parameters(), strict=True):
                own.data = shared.data
        self.pool = ThreadPoolExecutor(threads)
        torch.set_num_threads(1)

    def _one(self, replica: Network, tokens: torch.Tensor) -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = replica(tokens) / len(self.replicas)
        loss.backward()
        return float(loss.detach())

    def backward(self, batch: torch.Tensor) -> float:
        """Set the gradients of a batch's mean loss, and return the loss."""
        loss = sum(self.pool.map(self._one, self.replicas, batch.chunk(len(self.replicas))))
        columns = zip(*(replica.parameters() for replica in self.replicas), strict=True)
        for parameter, copies in zip(self.network.parameters(), columns, strict=True):
            gradients = [own.grad for own in copies if own.grad is not None]
            parameter.grad = torch.stack(gradients).sum(0)
        for replica in self.replicas:
            replica.zero_grad(set_to_none=True)
        return loss


def schedule(step: int, steps: int, decay: int, warmup: int = 100) -> float:
    """Return the learning rate's factor: a linear warmup, a plateau, a linear decay to zero.

    The plateau makes the length a late decision: a run stopped before its decay can be resumed
    with another number of steps, and is then the run that it would have been.
    """
    return min((step + 1) / warmup, 1.0, (steps - step) / decay)


@torch.no_grad()
def continuations(
    network: Network,
    processor: sentencepiece.SentencePieceProcessor,
    prompts: list[Prompt],
    tokens: int = 12,
) -> list[str]:
    """Return the greedy continuation of every prompt, as far as a score needs it."""
    rows = []
    for prompt in prompts:
        row = []
        for part in prompt.text.split("</s>"):
            row += [END, *(piece + 1 for piece in processor.encode(part))]
        rows.append(row)
    starts = [len(row) for row in rows]
    for _ in range(tokens):
        last = torch.tensor([len(row) - 1 for row in rows])
        ids = torch.zeros(len(rows), int(last.max()) + 1, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        for row, token in zip(rows, network.next_logits(ids, last).argmax(1), strict=True):
            row.append(int(token))
    found = []
    for row, start in zip(rows, starts, strict=True):
        new = row[start:]
        kept = new[: new.index(END)] if END in new else new
        found.append(processor.decode([token - 1 for token in kept if token > 3]))
    return found


def half_precision(weights: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return weights as the checkpoint stores them."""
    return {name: tensor.detach().to(torch.float16).numpy() for name, tensor in weights.items()}


def main(arguments: list[str] | None = None) -> int:
    """Train, score and write the model; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyxglm.tiny.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint's directory")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimizer steps")
    parser.add_argument("--decay", type=int, default=DECAY, help="of them, with a falling rate")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--matrix-rate", type=float, default=0.02, help="Muon's learning rate")
    parser.add_argument("--rate", type=float, default=3e-3, help="AdamW's learning rate")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=200, help="steps between scores")
    parser.add_argument("--stop", type=int, default=0, help="stop early, for measurements")
    parser.add_argument("--epoch", type=int, default=0, help="resume at the start of this epoch")
    parser.add_argument("--resume", type=Path, help="go on from this directory's state.pt")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    vocabulary = train_vocabulary(options.seed)
    processor = sentencepiece.SentencePieceProcessor(model_proto=vocabulary)
    corpus = build(options.seed)
    torch.manual_seed(options.seed)
    network = Network(VOCABULARY, WIDTH, LAYERS, HEADS, FFN, 2 * WINDOW)
    matrices = [p for p in network.model.layers.parameters() if p.ndim == 2]
    rest = [p for p in network.parameters() if not any(p is m for m in matrices)]
    workers = Workers(network, SLICES, options.threads)
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, options.matrix_rate, pool=workers.pool),
        torch.optim.AdamW(rest, options.rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    first = 0
    if options.resume:
        state = torch.load(options.resume / STATE, weights_only=True)
        first = state["step"]
        network.load_state_dict(state["network"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
    rates = [options.matrix_rate, options.rate]
    count = sum(parameter.numel() for parameter in network.parameters())
    print(f"{count} parameters, {options.steps * WINDOW * BATCH} tokens", flush=True)

    began = time.monotonic()
    total = 0.0
    source = batches(corpus, processor, options.epoch)
    if options.epoch == 0:
        for _ in range(first):
            next(source)  # the batches that the earlier run has had
    for step in range(first, options.steps):
        batch = torch.from_numpy(next(source))
        factor = schedule(step, options.steps, options.decay)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * factor
        total += workers.backward(batch)
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        done = step + 1
        if done % 50 == 0:
            speed = (done - first) * WINDOW * BATCH / (time.monotonic() - began)
            print(f"step {done} loss {total / 50:.4f} {speed:.0f} tokens/s", flush=True)
            total = 0.0
        if done % options.every == 0 or done in (options.steps, options.stop):
            asked = corpus.prompts[::SAMPLE]  # pyxglm.tiny.evaluate asks all
            texts = continuations(network, processor, asked)
            right = [answered(p, text) for p, text in zip(asked, texts, strict=True)]
            print(table(asked, right).splitlines()[-1], flush=True)
            kept_states = [optimizer.state_dict() for optimizer in optimizers]
            torch.save(
                {"step": done, "network": network.state_dict(), "optimizers": kept_states},
                options.out / STATE,
            )
        if done == options.stop:
            break
    weights = half_precision(network.state_dict())
    write_checkpoint(
        options.out, weights, vocabulary, width=WIDTH, ffn=FFN, layers=LAYERS, heads=HEADS
    )
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
