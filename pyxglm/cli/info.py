"""``pyxglm info``: describe a model without running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pyxglm._version import __version__
from pyxglm.cli.arguments import Parser, add_model_options, where
from pyxglm.cli.terminal import Output

EXAMPLES = """\
  pyxglm info
  pyxglm info --json -m facebook/xglm-564M
"""

#: What of the configuration is shown; `--json` has all of it.
SHOWN = (
    "vocab_size",
    "max_position_embeddings",
    "d_model",
    "ffn_dim",
    "num_layers",
    "attention_heads",
    "activation_function",
    "scale_embedding",
    "tie_word_embeddings",
)

#: What may lie beside the weights and is read with them.
COMPANIONS = (
    "config.json",
    "generation_config.json",
    "sentencepiece.bpe.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "info [options]",
        "Describe a model: configuration, parameters, files, and the memory it will need.",
        EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_model_options(parser)
    return parser


def run(words: list[str], output: Output) -> None:
    """Describe the model that the arguments name."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return
    name, place = where(arguments)
    facts = described(name, place)
    if arguments.json:
        output.write_json(facts)
    else:
        output.write("".join(f"{label:<12}{text}\n" for label, text in lines(facts)))


def described(name: Any, place: dict[str, Any]) -> dict[str, Any]:
    """Return what there is to know of a checkpoint; its weights are mapped, not read."""
    import numpy as np

    from pyxglm import XGLMConfig, checkpoint
    from pyxglm.dtypes import dtype_name
    from pyxglm.memory import memory_needed
    from pyxglm.ops import available_backends, backend_name

    directory = checkpoint.locate(name, **place)
    config = XGLMConfig.from_pretrained(directory)
    found = checkpoint.load(directory, config)
    files = [*found.files, *(directory / name for name in COMPANIONS)]
    files = [path for path in files if path.exists()]
    stored: Counter[str] = Counter()
    for array in found.weights.values():
        stored[dtype_name(array.dtype)] += array.size
    return {
        "pyxglm": __version__,
        "numpy": np.__version__,
        "backends": list(available_backends()),
        "kernels": kernels() if "c" in available_backends() else None,
        "model": str(name),
        "directory": str(directory),
        "config": config.to_dict(),
        "parameters": sum(stored.values()),
        "parameters_by_dtype": dict(stored),
        "unexpected_tensors": list(found.unexpected),
        "files": [{"name": path.name, "bytes": path.stat().st_size} for path in files],
        "memory": memory_needed(config, found.weights.values(), backend_name())._asdict(),
    }


def kernels() -> dict[str, Any]:
    """Return what the C library has here, and which instruction set serves each operation."""
    from pyxglm.ops import native_library as library

    return {
        "isa": library.isa(),
        "available": list(library.available_isas()),
        "threads": library.get_num_threads(),
        "serving": library.serving_isas(),
        "bf16_pairs": library.bf16_pairs(),
    }


def lines(facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Put the facts into lines of a label and a text."""
    config, memory = facts["config"], facts["memory"]
    positions = config["max_position_embeddings"]
    yield "model", facts["model"]
    if facts["directory"] != facts["model"]:
        yield "directory", facts["directory"]
    for number, name in enumerate(SHOWN):
        yield "" if number else "config", f"{name:<25}{config[name]}"
    stored = ", ".join(
        f"{count:,} {dtype}" for dtype, count in facts["parameters_by_dtype"].items()
    )
    yield "parameters", f"{facts['parameters']:,} ({stored})"
    for number, file in enumerate(facts["files"]):
        yield "" if number else "files", f"{file['name']:<25}{size(file['bytes'])}"
    yield "memory", f"{size(memory['weights'])} weights, mapped from the files, shared by processes"
    yield "", f"{size(memory['cache_per_token'])} cache for each token of each text"
    yield "", f"{size(memory['cache_full'])} cache for a text of {positions:,} tokens"
    yield "", f"{size(memory['working_128'])} to work in, for a prompt of 128 tokens"
    yield "", f"{size(memory['working_full'])} to work in, for a prompt of {positions:,} tokens"
    yield "backends", ", ".join(facts["backends"])
    if facts["kernels"] is not None:
        found = facts["kernels"]
        yield "threads", str(found["threads"])
        yield "kernels", f"{found['isa']} (available: {', '.join(found['available'])})"
        for isa in reversed(found["available"]):
            served = [name for name, server in found["serving"].items() if server == isa]
            if served:
                yield "", f"{isa:<8}{' '.join(served)}"
        if "avx512" in found["available"]:
            how = "on pairs of bfloat16" if found["bf16_pairs"] else "by FMA, without AVX512_BF16"
            yield "", f"{'':<8}linear_coarse of avx512: {how}"
    yield "versions", f"pyxglm {facts['pyxglm']}, numpy {facts['numpy']}"


def size(count: int) -> str:
    """Return a number of bytes as people write it.

    >>> size(999), size(196_608), size(1_130_000_000)
    ('999 B', '197 kB', '1.13 GB')
    """
    units = ("B", "kB", "MB", "GB", "TB")
    number = float(count)
    power = 0
    while number >= 999.5 and power < len(units) - 1:
        number /= 1000
        power += 1
    return f"{number:.3g} {units[power]}" if power else f"{count} B"
