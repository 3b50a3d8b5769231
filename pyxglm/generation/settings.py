"""GenerationConfig: what may be asked of `generate`, checked by name.

The names and defaults are those of transformers 4.37.2
(`generation/configuration_utils.py`), the special ids those of every published
XGLM. What is impossible or contradicts itself is refused with the reason
(`setting_checks`).
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyxglm.files import write_atomically
from pyxglm.generation.setting_checks import check_relations, check_values, pairs_of_bias
from pyxglm.strict_json import read_json

FILE_NAME = "generation_config.json"


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
    min_length, min_new_tokens
        Tokens before which no `eos_token_id` is chosen: with the prompt, without.
    early_stopping
        When a beam search ends: True, as soon as there are `num_beams`
        complete texts; False, when a better one is unlikely; ``"never"``,
        when there cannot be a better one.
    max_time
        Seconds after which no further token is begun.
    stop_strings
        A text, or several, that end a row once generated (needs
        ``tokenizer=``).
    do_sample
        Draw tokens (True) or take the best one each time (False).
    seed
        Of the draws: the same seed gives the same ids.
    num_beams, num_beam_groups
        Texts that a beam search follows at a time, and the groups they are in.
    penalty_alpha, low_memory
        Contrastive search, with `top_k` candidates; one after the other.
    use_cache
        Keep keys and values of earlier tokens instead of computing them again.
    temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff
        How a draw is narrowed: see `pyxglm.generation.processors.narrowing`.
        ``None``, or 0 for `top_k`, turns one off.
    diversity_penalty
        Taken from a token's score for every beam of an earlier group that chose it.
    repetition_penalty, encoder_repetition_penalty, no_repeat_ngram_size, \
encoder_no_repeat_ngram_size
        See `pyxglm.generation.processors.repeats`. The "encoder" of a decoder
        is its prompt.
    length_penalty
        A beam's score is its log-probability over its length to this power.
    bad_words_ids, sequence_bias, suppress_tokens, begin_suppress_tokens
        See `pyxglm.generation.processors.words`. `sequence_bias` is a dict
        from tuples of ids to numbers, or a list of ``[ids, number]``.
    force_words_ids, constraints
        What a beam search must bring into the text.
    renormalize_logits, remove_invalid_values
        See `pyxglm.generation.processors.values`.
    forced_bos_token_id, forced_eos_token_id, forced_decoder_ids, \
exponential_decay_length_penalty
        See `pyxglm.generation.processors.lengths`.
    guidance_scale
        Classifier-free guidance: see `pyxglm.generation.processors.guidance`.
    num_return_sequences
        Texts for each prompt: draws of their own, or the best beams.
    output_attentions, output_hidden_states, output_scores, output_logits, output_log_probs
        What a structured result holds besides the ids.
    return_dict_in_generate
        Return a structured result (`pyxglm.generation.outputs`) instead of ids.
    pad_token_id
        Fills up short prompts on the left, finished rows on the right;
        ``None``: the (first) `eos_token_id` does.
    bos_token_id
        Stands for an empty prompt.
    eos_token_id
        The id, or list of ids, that ends a row; ``None``: no row ends early.
    decoder_start_token_id
        Kept for encoder-decoder models; a decoder does not read it.
    num_assistant_tokens, num_assistant_tokens_schedule
        Tokens that an ``assistant_model`` proposes at a time; ``"heuristic"``:
        two more when all were right, else one fewer; ``"constant"``.
    prompt_lookup_num_tokens
        Propose so many tokens that once followed the last ones in the text.
    newline
        What a line break in a prompt given as text means: ``"space"``, as for
        transformers' tokenizer, or ``"eos"``, the token between paragraphs of
        XGLM's training text.
    ignore_padding
        Do not let padding count as tokens of a row in processors that look at
        the past (in transformers it does): every row is independent of its batch.
    generation_kwargs
        Kept as it is.
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
    min_length: int | None = 0
    min_new_tokens: int | None = None
    early_stopping: bool | str = False
    max_time: float | None = None
    stop_strings: str | list[str] | None = None
    do_sample: bool = False
    seed: int = 0
    num_beams: int = 1
    num_beam_groups: int = 1
    penalty_alpha: float | None = None
    low_memory: bool | None = None
    use_cache: bool = True
    temperature: float | None = 1.0
    top_k: int | None = 50
    top_p: float | None = 1.0
    min_p: float | None = None
    typical_p: float | None = 1.0
    epsilon_cutoff: float | None = 0.0
    eta_cutoff: float | None = 0.0
    diversity_penalty: float = 0.0
    repetition_penalty: float | None = 1.0
    encoder_repetition_penalty: float | None = 1.0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int | None = 0
    encoder_no_repeat_ngram_size: int | None = 0
    bad_words_ids: list[list[int]] | None = None
    sequence_bias: Any = None
    force_words_ids: Any = None
    constraints: Any = None
    renormalize_logits: bool = False
    remove_invalid_values: bool = False
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    forced_decoder_ids: list[list[int]] | None = None
    exponential_decay_length_penalty: Any = None
    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None
    guidance_scale: float | None = None
    num_return_sequences: int = 1
    output_attentions: bool = False
    output_hidden_states: bool = False
    output_scores: bool = False
    output_logits: bool = False
    output_log_probs: bool = False
    return_dict_in_generate: bool = False
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int | None = None
    num_assistant_tokens: int = 5
    num_assistant_tokens_schedule: str = "heuristic"
    prompt_lookup_num_tokens: int | None = None
    newline: str = "space"
    ignore_padding: bool = False
    generation_kwargs: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Check every setting (again: attributes may have been assigned)."""
        for name in _NONE_IS_DEFAULT:  # as in transformers, where it asks for nothing
            if getattr(self, name) is None:
                setattr(self, name, _DEFAULTS[name])
        check_values({name: getattr(self, name) for name in SETTINGS})
        check_relations(self)

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
        for name in settings:
            if name not in SETTINGS:
                near = difflib.get_close_matches(name, sorted(SETTINGS), n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(SETTINGS)}"
                raise TypeError(f"generate has no setting {name!r}, {hint}")
        return self.from_dict({**self.to_dict(), **settings})

    def update(self, **settings: Any) -> dict[str, Any]:
        """Replace settings in place, as in transformers; return those that are none.

        Raises
        ------
        TypeError, ValueError
            As the constructor; then nothing is changed.
        """
        own = {name: value for name, value in settings.items() if name in SETTINGS}
        changed = self.updated(**own)
        for name in own:
            setattr(self, name, getattr(changed, name))
        return {name: value for name, value in settings.items() if name not in own}

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
        """Write ``generation_config.json`` into a directory, made if need be.

        Raises
        ------
        ValueError
            As `to_json_string`.
        """
        text = self.to_json_string()
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / FILE_NAME, text.encode())

    def to_json_string(self) -> str:
        """Return the JSON text that `save_pretrained` writes.

        It holds `extra`, the special ids, and what differs from the defaults,
        as in transformers.

        Raises
        ------
        ValueError
            If there are `constraints`: objects, which JSON cannot hold.
        """
        if self.constraints is not None:
            raise ValueError(
                "constraints are objects, expected None in settings that are to be saved:"
                " give them to generate"
            )
        values = {
            name: value
            for name, value in self.to_dict().items()
            if name in _ALWAYS_SAVED or value != _DEFAULTS.get(name, self)
        }
        if self.sequence_bias is not None:  # JSON has no tuples for keys
            values["sequence_bias"] = [[[*ids], b] for ids, b in pairs_of_bias(self.sequence_bias)]
        text = json.dumps(
            values,
            indent=2,
            sort_keys=True,
            allow_nan=False,
            default=lambda value: value.item(),  # NumPy's integers and floats
        )
        return text + "\n"


#: The names of the settings, in order.
SETTINGS = tuple(part.name for part in dataclasses.fields(GenerationConfig) if part.name != "extra")

_DEFAULTS = {part.name: part.default for part in dataclasses.fields(GenerationConfig)}
_DEFAULTS["generation_kwargs"] = {}
_NONE_IS_DEFAULT = (
    "num_beams", "num_beam_groups", "num_return_sequences", "diversity_penalty", "length_penalty",
    "renormalize_logits", "remove_invalid_values", "output_attentions", "output_hidden_states",
    "output_scores", "return_dict_in_generate", "early_stopping",
)  # fmt: skip
_ALWAYS_SAVED = ("bos_token_id", "eos_token_id", "pad_token_id")
