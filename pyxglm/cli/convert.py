"""``pyxglm convert``: turn a checkpoint of any format into safetensors."""

from __future__ import annotations

from pyxglm.cli.arguments import Parser, UsageError, argument_text, check_path, check_revision
from pyxglm.cli.terminal import Output, Progress

EXAMPLES = """\
  pyxglm convert fairseq/xglm.564M xglm-564M --dtype float16
  pyxglm convert facebook/xglm-1.7B ./xglm-1.7B
"""

DTYPES = ("float32", "float16", "bfloat16")


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "convert [options] SRC DST",
        "Write a checkpoint of torch, TensorFlow, Flax or fairseq as safetensors: a new or\n"
        "empty directory DST with the weights, config.json, generation_config.json and the\n"
        "tokenizer's files. If that fails, DST is as it was.",
        EXAMPLES,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="SRC DST",
        help="a checkpoint's directory, fairseq's model.pt or a hub id; a new or empty directory",
    )
    parser.add_argument("--dtype", choices=DTYPES, help="stored dtype (default: as it is)")
    parser.add_argument(
        "--max-shard-size", metavar="SIZE", default="5GB", help="largest file (default: 5GB)"
    )
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit of a hub id")
    parser.add_argument("--cache-dir", metavar="DIR", help="the Hugging Face cache to look in")
    parser.add_argument("--offline", action="store_true", help="never use the network")
    return parser


def run(words: list[str], output: Output) -> None:
    """Convert the checkpoint that the arguments name."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return
    if len(arguments.paths) != 2:
        raise UsageError(f"{len(arguments.paths)} arguments are given, expected SRC and DST")
    source, destination = (argument_text(path, "a path") for path in arguments.paths)
    check_path(destination, "DST", "directory")
    check_path(arguments.cache_dir, "--cache-dir", "directory")
    check_revision(arguments.revision, source)

    from pyxglm.checkpoint import convert_checkpoint

    progress = Progress()
    try:
        files = convert_checkpoint(
            source,
            destination,
            dtype=arguments.dtype,
            max_shard_size=arguments.max_shard_size,
            watch=lambda what, name, part: progress.show(part, f"{what} {name}"),
            revision=arguments.revision,
            cache_dir=arguments.cache_dir,
            local_files_only=arguments.offline,
        )
    finally:
        progress.end()
    output.write("".join(f"{path}\n" for path in files))
