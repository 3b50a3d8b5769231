"""``pyxglm tokenize``: show a text's tokens, or the text of token ids."""

from __future__ import annotations

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
  pyxglm tokenize "Hello World!"
  pyxglm tokenize --ids -f text.txt
  pyxglm tokenize --offsets "Hello World!"
  pyxglm tokenize --decode "2 31227 4447 35" -m facebook/xglm-564M
"""


def parser() -> Parser:
    """Return the parser of this verb's arguments."""
    parser = Parser(
        "tokenize [options] TEXT",
        "Show each token of a text, its id and its piece (▁ stands for a space).",
        EXAMPLES,
    )
    add_text_options(parser, "TEXT", "the text, or ids for --decode")
    parser.add_argument("--ids", action="store_true", help="only the ids, on one line")
    parser.add_argument("--decode", action="store_true", help="from ids to text instead")
    parser.add_argument(
        "--no-special", action="store_true", help="without special tokens such as the first </s>"
    )
    parser.add_argument(
        "--offsets", action="store_true", help="where each token stands in the text: start, end"
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="by XGLMTokenizerFast, which needs pyxglm[fast]",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_model_options(parser)
    return parser


def run(words: list[str], output: Output) -> None:
    """Tokenize the text, or decode the ids, that the arguments give."""
    options = parser()
    arguments = options.parse_args(words)
    if arguments.help:
        output.write(options.format_help())
        return
    if arguments.ids and (arguments.decode or arguments.json):
        other = "--decode" if arguments.decode else "--json"
        raise UsageError(f"--ids and {other} are given, expected one of them")
    if arguments.offsets and (arguments.decode or arguments.ids):
        other = "--decode" if arguments.decode else "--ids"
        raise UsageError(f"--offsets and {other} are given, expected one of them")
    if arguments.decode and len(arguments.text) > 1:
        arguments.text = [" ".join(arguments.text)]  # ids need no quotes
    given = given_text(arguments, "TEXT")
    ids = parsed_ids(given) if arguments.decode else []
    name, place = where(arguments)

    from pyxglm import XGLMTokenizer, XGLMTokenizerFast

    kind = XGLMTokenizerFast if arguments.fast else XGLMTokenizer
    tokenizer = kind.from_pretrained(name, **place)
    offsets: list[tuple[int, int]] = []
    if arguments.decode:
        check_ids(ids, len(tokenizer))
        text = tokenizer.decode(
            ids,
            skip_special_tokens=arguments.no_special,
            clean_up_tokenization_spaces=False,
        )
    else:
        text = given
        encoding = tokenizer(
            text,
            add_special_tokens=not arguments.no_special,
            return_offsets_mapping=arguments.offsets,
        )
        ids, offsets = encoding["input_ids"], encoding.get("offset_mapping", [])
    pieces: list[Any] = tokenizer.convert_ids_to_tokens(ids)
    if arguments.json:
        found = {"text": text, "ids": ids, "pieces": pieces}
        output.write_json({**found, "offsets": offsets} if arguments.offsets else found)
    elif arguments.decode:
        output.write(text + "\n")
    elif arguments.ids:
        output.write(" ".join(map(str, ids)) + "\n")
    else:
        columns = [ids, pieces, *zip(*offsets, strict=True)]
        rows = ("\t".join(map(str, row)) for row in zip(*columns, strict=True))
        output.write("".join(f"{row}\n" for row in rows))


def parsed_ids(text: str) -> list[int]:
    """Return the ids that a text lists, with spaces, commas or brackets between them.

    >>> parsed_ids("[2, 31227,4447] 35")
    [2, 31227, 4447, 35]
    """
    words = text.translate(str.maketrans("[],", "   ")).split()
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) < 20):
            raise UsageError(f"--decode got {word[:40]!a}, expected ids: whole numbers from 0")
    return [int(word) for word in words]


def check_ids(ids: list[int], size: int) -> None:
    """Raise `UsageError` for an id that the vocabulary does not have."""
    for id_ in ids:
        if id_ >= size:
            raise UsageError(f"--decode got the id {id_}, expected 0 to {size - 1}")
