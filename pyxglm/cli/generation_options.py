"""The options of ``pyxglm generate``, and the settings that they ask for."""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple

from pyxglm.cli.arguments import Parser, UsageError, argument_text
from pyxglm.strict_json import quoted


class Option(NamedTuple):
    """A setting with one value: its names, the last one transformers', and what it does."""

    names: tuple[str, ...]
    type: Any
    help: str

    @property
    def setting(self) -> str:
        """The setting's name."""
        return self.names[-1].removeprefix("--").replace("-", "_")


#: Titles, and the settings below them. A type of bool makes a switch.
GROUPS: list[tuple[str, list[Option]]] = [
    ("length", [
        Option(("-n", "--max-new-tokens"), int,
               "most tokens to add (default: 64); the model may end the text earlier"),
        Option(("--max-length",), int, "most tokens, the prompt's among them"),
        Option(("--min-new-tokens",), int, "tokens before which the text does not end"),
        Option(("--min-length",), int, "the same, with the prompt's"),
        Option(("--max-time",), float,
               "seconds after which no token is begun; with --jsonl, of each batch"),
        Option(("--forced-bos-token-id",), int, "the first id after a prompt of one"),
        Option(("--forced-eos-token-id",), int, "the last id when the text is long enough"),
    ]),
    ("sampling: each of these draws tokens instead of taking the best one every time", [
        Option(("--sample", "--do-sample"), bool, "draw, with the defaults below"),
        Option(("--temp", "--temperature"), float, "temperature (default: 1)"),
        Option(("--top-k",), int, "draw from the N best tokens (default: 50; 0: all)"),
        Option(("--top-p",), float,
               "draw from the best tokens that hold a probability of X (default: 1)"),
        Option(("--min-p",), float, "draw from tokens at least X times as probable as the best"),
        Option(("--typical-p",), float, "draw from the most typical tokens"),
        Option(("--epsilon-cutoff",), float, "draw from tokens of a probability of at least X"),
        Option(("--eta-cutoff",), float, "the same, less strictly where much is possible"),
        Option(("--seed",), int, "same seed, same text (default: 0)"),
    ]),
    ("search", [
        Option(("--num-return", "--num-return-sequences"), int, "N texts for each prompt"),
        Option(("--beams", "--num-beams"), int, "beam search: texts to follow at a time"),
        Option(("--num-beam-groups",), int, "groups of beams that are kept apart"),
        Option(("--diversity-penalty",), float, "against tokens that earlier groups chose"),
        Option(("--length-penalty",), float, "above 0 favours longer texts (default: 1)"),
        Option(("--penalty-alpha",), float, "contrastive search, from the --top-k best tokens"),
        Option(("--prompt-lookup-num-tokens",), int, "propose tokens found in the prompt"),
        Option(("--num-assistant-tokens",), int, "tokens that --assistant-model proposes"),
    ]),
    ("what comes again, and what is wanted", [
        Option(("--repetition-penalty",), float, "above 1: tokens of the text get less likely"),
        Option(("--encoder-repetition-penalty",), float,
               "above 1: tokens of the prompt get more likely"),
        Option(("--no-repeat-ngram-size",), int, "no sequence of N tokens comes twice"),
        Option(("--encoder-no-repeat-ngram-size",), int, "nor one of the prompt again"),
        Option(("--guidance-scale",), float, "away from --negative-prompt, above 1"),
        Option(("--renormalize-logits",), bool, "make probabilities of processed scores"),
        Option(("--remove-invalid-values",), bool, "go on if the model computes nonsense"),
    ]),
]  # fmt: skip

_EARLY = {"true": True, "false": False, "never": "never"}


def add_generation_options(parser: Parser) -> None:
    """Add an option for each setting that has one, and one for all others."""
    for title, options in GROUPS:
        group = parser.add_argument_group(title)
        for option in options:
            if option.type is bool:
                group.add_argument(
                    *option.names, action="store_true", dest=option.setting, help=option.help
                )
            else:
                group.add_argument(
                    *option.names, type=option.type, dest=option.setting, help=option.help,
                    metavar="N" if option.type is int else "X",
                )  # fmt: skip
    group = parser.add_argument_group("words, and everything else")
    several: dict[str, Any] = {"action": "append", "metavar": "TEXT"}
    group.add_argument("--stop", **several, help="end before this text; also several times")
    group.add_argument("--bad-words", **several, help="never write this; also several times")
    group.add_argument("--force-words", **several, help="bring this in, with --beams; the same")
    group.add_argument("--negative-prompt", metavar="TEXT", help="see --guidance-scale")
    group.add_argument("--early-stopping", choices=_EARLY, help="when beams have found enough")
    group.add_argument(
        "--assistant-model",
        metavar="MODEL",
        help="a smaller model that proposes tokens: faster, and the same text",
    )
    group.add_argument(
        "--set",
        action="append",
        metavar="NAME=JSON",
        default=[],
        help="any other setting of transformers, such as suppress_tokens=[5,7]",
    )


def wanted_settings(arguments: argparse.Namespace, own: Any) -> dict[str, Any]:
    """Return the settings of `GenerationConfig` that the options ask for.

    Words are not among them: they need a tokenizer (`settings_of_words`). `own`
    are those of the checkpoint: what an option asks for may depend on them.
    """
    if arguments.temperature == 0:
        raise UsageError(
            "--temp is 0, expected a number above 0; without it the best token is taken"
        )
    settings: dict[str, Any] = {}
    draws = False
    for title, options in GROUPS:
        for option in options:
            value = getattr(arguments, option.setting)
            if value is not None and value is not False:
                settings[option.setting] = value
                draws |= title.startswith("sampling") and option.setting != "top_k"
    if arguments.early_stopping is not None:
        settings["early_stopping"] = _EARLY[arguments.early_stopping]
    if arguments.stop:
        settings["stop_strings"] = [argument_text(text, "--stop") for text in arguments.stop]
    if arguments.newline is not None:
        settings["newline"] = arguments.newline
    others = _others(arguments.set)
    for name in settings:
        if name in others:
            raise UsageError(f"--set {name} is given with the option for it, expected one of them")
    settings |= others
    if "max_new_tokens" not in settings:
        # Who gives the length of the whole means that one, whatever the checkpoint adds.
        settings["max_new_tokens"] = None if "max_length" in settings else 64
    contrastive = settings.get("penalty_alpha", own.penalty_alpha)
    draws |= arguments.top_k is not None and not contrastive
    beams = settings.get("num_beams", own.num_beams)
    draws |= (arguments.num_return_sequences or 1) > 1 and beams == 1
    if draws:
        settings.setdefault("do_sample", True)
    return settings


def _others(given: list[str]) -> dict[str, Any]:
    """Return the settings of NAME=JSON."""
    settings = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"--set got {one!r}, expected NAME=JSON")
        try:
            settings[name.replace("-", "_")] = json.loads(value)
        except (ValueError, RecursionError):
            raise UsageError(
                f"--set {name} got {quoted(value)}, expected a value of JSON"
            ) from None
    return settings


def settings_of_words(arguments: argparse.Namespace, tokenizer: Any) -> dict[str, Any]:
    """Return the settings that are words: their ids, as they stand in a text."""
    settings: dict[str, Any] = {}
    for option, name in (("bad_words", "bad_words_ids"), ("force_words", "force_words_ids")):
        texts = getattr(arguments, option)
        if texts:
            flag = f"--{option.replace('_', '-')}"
            settings[name] = [
                tokenizer.encode(argument_text(text, flag), add_special_tokens=False)
                for text in texts
            ]
    return settings
