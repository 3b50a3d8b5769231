"""``pyxglm generate``: continue a text."""

from __future__ import annotations

import argparse
from typing import Any

from pyxglm.cli.arguments import (
    Parser,
    UsageError,
    add_model_options,
    add_text_options,
    given_text,
    where,
)
from pyxglm.cli.terminal import Output

EXAMPLES = """\
  pyxglm generate "La capitale du Japon est"
  pyxglm generate --temp 0.8 --top-p 0.95 --seed 7 "Once upon a time"
  pyxglm generate -m facebook/xglm-564M -n 40 -f prompt.txt
  echo "2 + 2 =" | pyxglm generate --json -
"""


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "generate [options] PROMPT",
        "Continue a text; each token is shown as it is chosen.",
        EXAMPLES,
    )
    add_text_options(parser, "PROMPT", "the text to continue")
    parser.add_argument(
        "-n",
        "--max-new-tokens",
        type=int,
        default=64,
        metavar="N",
        help="most tokens to add (default: 64); the model may end the text earlier",
    )
    parser.add_argument(
        "--no-echo", action="store_true", help="show only what is added, not the prompt"
    )
    parser.add_argument(
        "--line-breaks",
        choices=("space", "eos"),
        default="space",
        help="what a line break in the prompt means: a space, as for transformers' tokenizer,"
        " or the token </s>, as in XGLM's training data (default: space)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object when it is done")
    group = parser.add_argument_group(
        "sampling", "Each of these draws tokens instead of taking the best one every time."
    )
    group.add_argument("--sample", action="store_true", help="draw, with the defaults below")
    group.add_argument("--temp", type=float, metavar="T", help="temperature (default: 1)")
    group.add_argument(
        "--top-k", type=int, metavar="K", help="draw from the K best tokens (default: 50; 0: all)"
    )
    group.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="draw from the best tokens that hold a probability of P (default: 1)",
    )
    group.add_argument("--seed", type=int, metavar="S", help="same seed, same text (default: 0)")
    add_model_options(parser)
    return parser


def run(words: list[str], output: Output) -> None:
    """Continue the text that the arguments give."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return
    prompt = given_text(arguments, "PROMPT")
    settings = wanted_settings(arguments)
    seed = 0 if arguments.seed is None else arguments.seed
    name, place = where(arguments)

    # Bad settings are told before a model is looked for, opened or downloaded.
    from pyxglm.generation import GenerationConfig, stream, text_pieces
    from pyxglm.generation.choice import generators
    from pyxglm.generation.texts import encode

    GenerationConfig().updated(**settings)
    generators(seed, range(1))

    from pyxglm import XGLMForCausalLM, XGLMTokenizer

    model = XGLMForCausalLM.from_pretrained(name, **place)
    tokenizer = XGLMTokenizer.from_pretrained(name, **place)
    prompt_ids = encode(tokenizer, prompt, arguments.line_breaks)
    ids: list[int] = []
    steps = (remembered(step, ids) for step in stream(model, prompt_ids, seed=seed, **settings))
    pieces = text_pieces(
        tokenizer,
        steps,
        prompt_ids=prompt_ids,
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,  # the text as the model wrote it
    )
    if arguments.json:
        text = "".join(pieces)
        output.write_json(
            {
                "model": str(name),
                "prompt": prompt,
                "text": text,
                "prompt_ids": prompt_ids,
                "ids": ids,
                "finish_reason": "stop" if ended(model, ids) else "length",
            }
        )
        return
    if not arguments.no_echo:
        # The tokenizer drops space at the end; what follows brings its own.
        output.write(prompt.rstrip())
    begun = not arguments.no_echo
    for piece in pieces:
        shown = piece if begun else piece.lstrip()
        begun = begun or bool(shown)
        output.write(shown)
    output.write("\n")


def wanted_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of `GenerationConfig` that the options ask for."""
    given = {
        "temperature": arguments.temp,
        "top_k": arguments.top_k,
        "top_p": arguments.top_p,
    }
    if arguments.temp == 0:
        raise UsageError(
            "--temp is 0, expected a number above 0; without it the best token is taken"
        )
    settings = {name: value for name, value in given.items() if value is not None}
    if settings or arguments.sample or arguments.seed is not None:
        settings["do_sample"] = True
    return {"max_new_tokens": arguments.max_new_tokens, **settings}


def remembered(step: Any, ids: list[int]) -> int:
    """Return the id of a step, and add it to `ids`."""
    ids.append(int(step[0]))
    return ids[-1]


def ended(model: Any, ids: list[int]) -> bool:
    """Tell whether the model ended the text itself."""
    from pyxglm.generation.planning import default_settings

    return ids[-1] in default_settings(model).eos_ids
