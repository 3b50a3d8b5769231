"""Average the weights of several training states: ``python -m pyxglm.tiny.average``.

States of one run, each at the end of a decay of the learning rate, lie in one valley; their mean
lies lower than each of them (Wortsman and others, 2022, "Model soups").
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from pyxglm.tiny.export import write_checkpoint
from pyxglm.tiny.train import FFN, HEADS, LAYERS, STATE, WIDTH, half_precision

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write a state and a checkpoint with mean weights; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pyxglm.tiny.average", description=__doc__)
    parser.add_argument("states", type=Path, nargs="+", help="directories that train has written")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint's directory")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    states = [torch.load(path / STATE, weights_only=True) for path in options.states]
    mean = dict(states[-1])  # the last one's step and momenta
    mean["network"] = {
        name: torch.stack([state["network"][name] for state in states]).mean(0)
        for name in mean["network"]
    }
    torch.save(mean, options.out / STATE)
    write_checkpoint(
        options.out,
        half_precision(mean["network"]),
        (options.states[-1] / "sentencepiece.bpe.model").read_bytes(),
        width=WIDTH,
        ffn=FFN,
        layers=LAYERS,
        heads=HEADS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
