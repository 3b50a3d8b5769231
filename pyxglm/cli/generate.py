"""``pyxglm generate``: continue a text, or many."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyxglm.cli.arguments import (
    Parser,
    UsageError,
    add_computing_options,
    add_model_options,
    argument_text,
    how,
    where,
)
from pyxglm.cli.generate_prompts import add_prompt_options, given_prompts
from pyxglm.cli.generation_options import (
    add_generation_options,
    settings_of_words,
    wanted_settings,
)
from pyxglm.cli.terminal import Output, say

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
        "--batch-size", type=int, default=8, metavar="N", help="prompts at a time (default: 8)"
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
    settings = wanted_settings(arguments)
    if arguments.interactive:
        if arguments.json or arguments.jsonl is not None:
            raise UsageError("--interactive is given with --json or --jsonl, expected one of them")
        some = arguments.text or arguments.file or arguments.few_shot
        prompts = given_prompts(arguments) if some else [{"prompt": ""}]
    else:
        prompts = given_prompts(arguments)

    # Bad settings are told before a model is looked for, opened or downloaded.
    from pyxglm.generation import GenerationConfig
    from pyxglm.generation.setting_checks import check_integer

    checked = dict(settings)
    if arguments.force_words:
        checked["force_words_ids"] = [[0]]
    asked = GenerationConfig().updated(**checked)
    check_integer("batch_size", arguments.batch_size, 1)
    whole = asked.num_beams > 1
    if arguments.stream and (whole or arguments.jsonl is not None or arguments.json):
        why = "--jsonl" if arguments.jsonl else "--json" if arguments.json else "--beams"
        raise UsageError(f"--stream is given with {why}, which tells the text only at the end")
    name, place = where(arguments)
    computing = how(arguments)

    from pyxglm import XGLMForCausalLM, XGLMTokenizer

    model = XGLMForCausalLM.from_pretrained(name, **place, **computing)
    if arguments.shortlist:
        model.make_shortlist()
    tokenizer = XGLMTokenizer.from_pretrained(name, **place)
    settings |= settings_of_words(arguments, tokenizer) | {"newline": arguments.newline}
    extras: dict[str, Any] = {"tokenizer": tokenizer}
    if arguments.assistant_model is not None:
        smaller = argument_text(arguments.assistant_model, "--assistant-model")
        extras["assistant_model"] = XGLMForCausalLM.from_pretrained(smaller, **place, **computing)
    if arguments.negative_prompt is not None:
        negative = argument_text(arguments.negative_prompt, "--negative-prompt")
        extras["negative_prompt_ids"] = tokenizer.encode(negative)
    call = Call(model, tokenizer, {**settings, **extras}, arguments.verbose)
    if arguments.interactive:
        from pyxglm.cli.interactive import converse

        converse(call, prompts[0]["prompt"], output)
        return
    if arguments.jsonl is not None:
        found = call.all_at_once(prompts, arguments.batch_size)
        for prompt_line, texts in zip(prompts, found, strict=True):
            output.write_json({**prompt_line, **results(texts)})
        return
    prompt = prompts[0]["prompt"]
    several = asked.num_return_sequences > 1
    if not (whole or several or arguments.json or arguments.stream is False):
        if not arguments.no_echo:
            # The tokenizer drops space at the end; what follows brings its own.
            output.write(prompt.rstrip())
        begun = not arguments.no_echo
        for piece in call.pieces(call.encoded(prompt)):
            shown = piece if begun else piece.lstrip()
            begun = begun or bool(shown)
            output.write(shown)
        output.write("\n")
        return
    (texts,) = call.all_at_once(prompts, 1)
    if arguments.json:
        facts = {"model": str(name), "prompt": prompt, "prompt_ids": call.encoded(prompt)}
        output.write_json({**facts, **results(texts)})
        return
    for one in texts:
        text = one["text"]
        output.write((text.lstrip() if arguments.no_echo else prompt.rstrip() + text) + "\n")


def results(texts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is told of a prompt's texts in JSON: of one, or a list of several."""
    return texts[0] if len(texts) == 1 else {"results": texts}


class Call:
    """A model with everything that is asked of it but the prompt."""

    def __init__(self, model: Any, tokenizer: Any, options: dict[str, Any], verbose: bool) -> None:
        from pyxglm.generation.planning import default_settings

        # Whatever a checkpoint or --set says: what is told of a text here is told otherwise.
        options = {**options, "return_dict_in_generate": False}
        self.model, self.tokenizer, self.options = model, tokenizer, options
        self._verbose = verbose
        settings = {name: value for name, value in options.items() if name not in _NO_SETTINGS}
        self.settings = default_settings(model).updated(**settings)
        self.stops = self.settings.stop_strings or ()
        lookup = self.settings.prompt_lookup_num_tokens is not None
        self._proposes = lookup or "assistant_model" in options

    def encoded(self, prompt: str) -> list[int]:
        """Return the ids of a prompt, `</s>` first, as XGLM expects."""
        from pyxglm.generation.texts import encode

        return encode(self.tokenizer, prompt, self.settings.newline)

    def steps(self, prompt_ids: list[int], **more: Any) -> Iterator[int]:
        """Yield the ids that are added to a prompt, and tell of speed at the end."""
        from pyxglm.generation import stream

        begun = time.perf_counter()
        first, count = begun, 0
        for step in stream(self.model, prompt_ids, **{**self.options, **more}):
            count += 1
            first = time.perf_counter() if count == 1 else first
            yield int(step[0])
        self._tell(count, begun, first)

    def pieces(self, prompt_ids: list[int], **more: Any) -> Iterator[str]:
        """Yield the text that is added to a prompt."""
        return self.text_of(self.steps(prompt_ids, **more), prompt_ids)

    def text_of(self, ids: Iterable[int], prompt_ids: list[int]) -> Iterator[str]:
        """Yield the text of ids behind a prompt, up to a stop string."""
        from pyxglm.generation import text_pieces

        return text_pieces(
            self.tokenizer, ids, prompt_ids=prompt_ids, stop_strings=self.stops,
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,  # the text as the model wrote it
        )  # fmt: skip

    def all_at_once(
        self, prompts: list[dict[str, Any]], batch_size: int
    ) -> list[list[dict[str, Any]]]:
        """Return the texts of all prompts: what is told of each in JSON."""
        from pyxglm.generation import generate

        prompt_ids = [self.encoded(prompt["prompt"]) for prompt in prompts]
        begun = time.perf_counter()
        options = {**self.options, "ignore_padding": True}
        one_at_a_time = self._proposes or "negative_prompt_ids" in options or len(prompts) == 1
        if one_at_a_time:
            found = [
                self._of_rows(generate(self.model, [ids], numbers=[b], **options), [ids])[0]
                for b, ids in enumerate(prompt_ids)
            ]
        else:
            batches: dict[str, Any] = {"batch_size": batch_size, "progress": self._verbose}
            found = self._of_rows(
                generate(self.model, prompt_ids, **options, **batches), prompt_ids
            )
        count = sum(len(one["ids"]) for texts in found for one in texts)
        self._tell(count, begun, None)
        return found

    def _of_rows(self, rows: Any, prompt_ids: list[list[int]]) -> list[list[dict[str, Any]]]:
        width, several = max(map(len, prompt_ids)), len(rows) // len(prompt_ids)
        return [
            [self._told(row[width:].tolist(), ids) for row in rows[b * several : (b + 1) * several]]
            for b, ids in enumerate(prompt_ids)
        ]

    def _told(self, ids: list[int], prompt_ids: list[int]) -> dict[str, Any]:
        """Return a text, its ids without those behind its end, and why it ended."""
        eos = [index for index, id_ in enumerate(ids) if id_ in self.settings.eos_ids]
        ids = ids[: eos[0] + 1] if eos else ids
        while len(ids) > 1 and ids[-1] == self.settings.pad_token_id:
            ids = ids[:-1]  # behind a stop string
        text = "".join(self.text_of(ids, prompt_ids))
        most = self.settings.max_new_tokens
        full = most is None or len(ids) >= most
        stopped = bool(eos) or (bool(self.stops) and not full)
        return {"text": text, "ids": ids, "finish_reason": "stop" if stopped else "length"}

    def _tell(self, count: int, begun: float, first: float | None) -> None:
        if self._verbose:
            took = max(time.perf_counter() - begun, 1e-9)
            told = f"{count} tokens in {took:.2f} s: {count / took:.1f} tokens/s"
            if first is not None:
                told += f", the first after {first - begun:.3f} s"
            say(told)


#: What is given to generate besides settings.
_NO_SETTINGS = ("tokenizer", "assistant_model", "negative_prompt_ids")
