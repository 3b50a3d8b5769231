"""GenerationConfig: what may be asked of `generate`, checked by name.

The names and defaults are those of transformers 4.37.2
(`generation/configuration_utils.py`) as far as this `generate` goes, the
special ids those of every published XGLM. A setting that would change the
text, but that `generate` does not do, is refused rather than ignored.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm.files import write_atomically
from pyxglm.strict_json import read_json

FILE_NAME = "generation_config.json"

#: transformers' settings that change what generate returns and that this one
#: does not do, with the values that ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "num_beams": (1, None),
    "num_beam_groups": (1,),
    "num_return_sequences": (1, None),
    "min_length": (0, None),
    "min_new_tokens": (None, 0),
    "max_time": (None,),
    "penalty_alpha": (None,),
    "typical_p": (1.0, None),
    "epsilon_cutoff": (0.0, None),
    "eta_cutoff": (0.0, None),
    "diversity_penalty": (0.0,),
    "repetition_penalty": (1.0, None),
    "encoder_repetition_penalty": (1.0, None),
    "no_repeat_ngram_size": (0, None),
    "encoder_no_repeat_ngram_size": (0, None),
    "bad_words_ids": (None,),
    "force_words_ids": (None,),
    "renormalize_logits": (False, None),
    "constraints": (None,),
    "forced_bos_token_id": (None,),
    "forced_eos_token_id": (None,),
    "remove_invalid_values": (False, None),
    "exponential_decay_length_penalty": (None,),
    "suppress_tokens": (None,),
    "begin_suppress_tokens": (None,),
    "forced_decoder_ids": (None,),
    "sequence_bias": (None,),
    "guidance_scale": (None, 1.0),
    "prompt_lookup_num_tokens": (None,),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "output_scores": (False,),
    "return_dict_in_generate": (False,),
}


@dataclass
class GenerationConfig:
    """The settings of a generation.

    Parameters
    ----------
    max_length
        Most tokens of a row, **prompt included** (transformers' default, 20,
        is short: give `max_new_tokens`).
    max_new_tokens
        Most tokens to add; takes precedence over `max_length`.
    do_sample
        Draw tokens (True) or take the best one each time (False, greedy).
    temperature, top_k, top_p
        How a draw is narrowed: see `pyxglm.generation.processors`. ``None``,
        or 0 for `top_k`, turns one off.
    use_cache
        Keep keys and values of earlier tokens instead of computing them again.
    bos_token_id
        Stands for an empty prompt.
    pad_token_id
        Fills up short prompts on the left, finished rows on the right;
        ``None``: the (first) `eos_token_id` does.
    eos_token_id
        The id, or list of ids, that ends a row; ``None``: no row ends early.
    extra
        Other keys of a generation_config.json, kept for a round trip.

    Raises
    ------
    TypeError, ValueError
        Naming the setting, what it is and what was expected.

    Examples
    --------
    >>> GenerationConfig(max_new_tokens=5, do_sample=True, temperature=0.0)
    Traceback (most recent call last):
    ...
    ValueError: temperature is 0.0, expected a finite number above 0
    """

    max_length: int = 20
    max_new_tokens: int | None = None
    do_sample: bool = False
    temperature: float | None = 1.0
    top_k: int | None = 50
    top_p: float | None = 1.0
    use_cache: bool = True
    bos_token_id: int | None = 0
    pad_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every setting (again: attributes may have been assigned)."""
        for name in ("do_sample", "use_cache"):
            value = getattr(self, name)
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} is {value!r}, expected True or False")
        _check_integer("max_length", self.max_length, least=1)
        if self.max_new_tokens is not None:
            _check_integer("max_new_tokens", self.max_new_tokens, least=1)
        if self.top_k is not None:
            _check_integer("top_k", self.top_k, least=0)
        if self.temperature is not None:
            _check_number("temperature", self.temperature, most=float("inf"))
        if self.top_p is not None:
            _check_number("top_p", self.top_p, most=1)
        for name in ("bos_token_id", "pad_token_id"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), least=0)
        if isinstance(self.eos_token_id, (list, tuple)):
            if not self.eos_token_id:
                raise ValueError("eos_token_id is an empty list, expected ids or None")
            for index, id_ in enumerate(self.eos_token_id):
                _check_integer(f"eos_token_id[{index}]", id_, least=0)
        elif self.eos_token_id is not None:
            _check_integer("eos_token_id", self.eos_token_id, least=0)
        for name, neutral in NEUTRAL.items():
            if name in self.extra and self.extra[name] not in neutral:
                raise ValueError(
                    f"{name} is {self.extra[name]!r}, expected {neutral[0]!r}:"
                    " generate does greedy search and sampling without it"
                )

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The ids that end a row, none, one or several."""
        if self.eos_token_id is None:
            return ()
        if isinstance(self.eos_token_id, (list, tuple)):
            return tuple(self.eos_token_id)
        return (self.eos_token_id,)

    def updated(self, **settings: Any) -> GenerationConfig:
        """Return a copy with some settings replaced.

        Raises
        ------
        TypeError
            If there is no setting of a name.
        """
        known = set(SETTINGS) | set(NEUTRAL)
        for name in settings:
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(SETTINGS)}"
                raise TypeError(f"generate has no setting {name!r}, {hint}")
        return self.from_dict({**self.to_dict(), **settings})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationConfig:
        """Make settings of a mapping; keys of other programs go to `extra`."""
        own = {name: values[name] for name in SETTINGS if name in values}
        extra = {name: value for name, value in values.items() if name not in SETTINGS}
        return cls(**own, extra=extra)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, `extra`'s among them, as one flat dict."""
        return {**self.extra, **{name: getattr(self, name) for name in SETTINGS}}

    @classmethod
    def from_model_config(cls, config: Any) -> GenerationConfig:
        """Make default settings with the special ids of a model's configuration."""
        names = ("bos_token_id", "pad_token_id", "eos_token_id")
        return cls.from_dict({name: getattr(config, name) for name in names})

    @classmethod
    def of_checkpoint(cls, directory: str | Path, config: Any) -> GenerationConfig:
        """Read a checkpoint's ``generation_config.json``; without one, ask its configuration."""
        if (Path(directory) / FILE_NAME).exists():
            return cls.from_pretrained(directory)
        return cls.from_model_config(config)

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> GenerationConfig:
        """Read ``generation_config.json`` of a checkpoint's directory.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is no strict JSON object or asks for the impossible; the
            message names the file.
        """
        path = Path(directory) / FILE_NAME
        try:
            return cls.from_dict(read_json(path))
        except TypeError as error:
            raise ValueError(f"{path}: {error}") from None
        except ValueError as error:
            message = str(error)
            raise ValueError(
                message if message.startswith(str(path)) else f"{path}: {message}"
            ) from None

    def save_pretrained(self, directory: str | Path) -> None:
        """Write ``generation_config.json`` into a directory, made if need be."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            self.to_dict(),
            indent=2,
            sort_keys=True,
            allow_nan=False,
            default=lambda value: value.item(),  # NumPy's integers and floats
        )
        write_atomically(directory / FILE_NAME, (text + "\n").encode())


#: The names of the settings, in order.
SETTINGS = tuple(part.name for part in dataclasses.fields(GenerationConfig) if part.name != "extra")


def _check_integer(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}, expected an integer")
    if value < least:
        raise ValueError(f"{name} is {value}, expected {least} or more")


def _check_number(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}, expected a number")
    if not (0 < value <= most and np.isfinite(value)):  # NaN compares false
        limit = "a finite number above 0" if np.isinf(most) else f"above 0 and at most {most}"
        raise ValueError(f"{name} is {value}, expected {limit}")
