"""``pyxglm generate``: continue a text, or many."""

from __future__ import annotations

import argparse
from typing import Any

from pyxglm.cli.arguments import (
    Parser,
    add_computing_options,
    add_model_options,
    argument_text,
    how,
    where,
)
from pyxglm.cli.call import Call
from pyxglm.cli.generate_prompts import add_prompt_options, given_prompts
from pyxglm.cli.generation_options import (
    add_generation_options,
    settings_of_words,
    wanted_settings,
)
from pyxglm.cli.terminal import Output, Progress, both_terminals
from pyxglm.cli.together import check_asked, check_together, told_at_the_end

BATCH_SIZE = 8  # prompts of --jsonl at a time, unless asked

EXAMPLES = """\
  pyxglm generate "La capitale du Japon est"
  pyxglm generate --temp 0.8 --top-p 0.95 --seed 7 "Once upon a time"
  pyxglm generate -m facebook/xglm-564M -n 40 -f prompt.txt
  pyxglm generate --beams 4 --num-return 2 "2 + 2 ="
  pyxglm generate --jsonl prompts.jsonl --few-shot examples.txt --newline eos
  echo "2 + 2 =" | pyxglm generate --json -
"""


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "generate [options] PROMPT",
        "Continue a text; each token is shown as it is chosen.",
        EXAMPLES,
    )
    add_prompt_options(parser)
    parser.add_argument(
        "-i",
        "--interactive",
        action="store_true",
        help="go on in turns with a continuing text: write, continue, edit, undo (/help says how)",
    )
    parser.add_argument(
        "--no-echo", action="store_true", help="show only what is added, not the prompt"
    )
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show each token as it is chosen, or all at the end"
        " (default: --stream, if the search can)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object when it is done")
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help=f"prompts of --jsonl at a time (default: {BATCH_SIZE})",
    )
    parser.add_argument(
        "--shortlist",
        action="store_true",
        help="the same text, greedy or of the --top-k best, sooner: a copy of the output head in"
        " 8 bits, made first, tells which tokens need not be computed (takes memory; for up to 4"
        " texts at a time, see --batch-size)",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tell of speed on standard error"
    )
    add_generation_options(parser)
    add_model_options(parser)
    add_computing_options(parser)
    return parser


def run(words: list[str], output: Output) -> None:
    """Continue what the arguments give."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return
    check_together(arguments)
    none = not (arguments.text or arguments.file is not None or arguments.few_shot is not None)
    prompts = [{"prompt": ""}] if arguments.interactive and none else given_prompts(arguments)
    call = opened(arguments)
    streams = arguments.stream is not False and told_at_the_end(arguments, call.settings) is None
    if arguments.interactive:
        from pyxglm.cli.interactive import converse

        converse(call, prompts[0]["prompt"], output, echo=not arguments.no_echo)
    elif arguments.jsonl is not None:
        write_lines(call, prompts, arguments.batch_size or BATCH_SIZE, output)
    elif streams:
        write_as_it_comes(call, prompts[0]["prompt"], output, echo=not arguments.no_echo)
    else:
        write_at_the_end(call, prompts[0]["prompt"], arguments, output)


def opened(arguments: argparse.Namespace) -> Call:
    """Open the model; return it with all that the arguments ask of it."""
    # Bad settings are told before a model is looked for, opened or downloaded.
    from pyxglm.generation import GenerationConfig
    from pyxglm.generation.setting_checks import check_integer, check_values

    defaults = GenerationConfig()
    asked = wanted_settings(arguments, defaults)
    defaults.updated(**{name: getattr(defaults, name, None) for name in asked})  # names, above all
    given = {name: value for name, value in asked.items() if value is not None}
    check_values({**defaults.to_dict(), **given})
    if arguments.batch_size is not None:
        check_integer("batch_size", arguments.batch_size, 1)
    name, place = where(arguments)
    computing = how(arguments)

    from pyxglm import XGLMConfig, XGLMForCausalLM, XGLMTokenizer
    from pyxglm.checkpoint import locate

    # What they mean together may depend on the checkpoint's own, which lie in a small file.
    directory = locate(name, filenames=("config.json",), **place)
    own = GenerationConfig.of_checkpoint(directory, XGLMConfig.from_pretrained(directory))
    settings = wanted_settings(arguments, own)
    words = {"force_words_ids": [[0]]} if arguments.force_words else {}
    check_asked(arguments, own.updated(**settings, **words))

    model = XGLMForCausalLM.from_pretrained(name, **place, **computing)
    if arguments.shortlist:
        model.make_shortlist()
    tokenizer = XGLMTokenizer.from_pretrained(name, **place)
    settings |= settings_of_words(arguments, tokenizer)
    extras: dict[str, Any] = {}
    if arguments.assistant_model is not None:
        smaller = argument_text(arguments.assistant_model, "--assistant-model")
        # The revision is the model's; where to look, and not to, holds for both.
        there = {"cache_dir": arguments.cache_dir, "local_files_only": arguments.offline}
        extras["assistant_model"] = XGLMForCausalLM.from_pretrained(smaller, **there, **computing)
    if arguments.negative_prompt is not None:
        negative = argument_text(arguments.negative_prompt, "--negative-prompt")
        extras["negative_prompt_ids"] = tokenizer.encode(negative)
    return Call(model, tokenizer, {**settings, **extras}, arguments.verbose)


def write_as_it_comes(call: Call, prompt: str, output: Output, echo: bool) -> None:
    """Write a prompt, and each token's text as it is chosen."""
    pieces = call.pieces(call.encoded(prompt))  # what is wrong is told before the prompt is shown
    if echo:
        # The tokenizer drops space at the end; what follows brings its own.
        output.write(prompt.rstrip())
    begun = echo
    for piece in pieces:
        shown = piece if begun else piece.lstrip()
        begun = begun or bool(shown)
        output.write(shown)
    output.write("\n")
    call.tell()


def write_at_the_end(
    call: Call, prompt: str, arguments: argparse.Namespace, output: Output
) -> None:
    """Write a prompt's texts when they are complete."""
    (texts,) = call.texts([prompt], 1)
    if arguments.json:
        facts = {
            "model": str(where(arguments)[0]),
            "prompt": prompt,
            "prompt_ids": call.encoded(prompt),
        }
        output.write_json({**facts, **results(texts)})
    else:
        for one in texts:
            text = one["text"]
            shown = text.lstrip() if arguments.no_echo else prompt.rstrip() + text
            output.write(shown + "\n")
    call.tell()


def write_lines(call: Call, prompts: list[dict[str, Any]], batch_size: int, output: Output) -> None:
    """Write a line of JSON for each prompt, in order, as soon as it is known."""
    found = call.texts([prompt["prompt"] for prompt in prompts], batch_size)
    # Where the lines are seen, they show the progress themselves.
    progress = Progress() if call.verbose and not both_terminals() else None
    try:
        for done, (prompt, texts) in enumerate(zip(prompts, found, strict=True), 1):
            output.write_json({**prompt, **results(texts)})
            if progress is not None:
                progress.show(done / len(prompts), f"{done} of {len(prompts)} prompts")
    finally:
        if progress is not None:
            progress.end()
    call.tell()


def results(texts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is told of a prompt's texts in JSON: of one, or a list of several."""
    return texts[0] if len(texts) == 1 else {"results": texts}
