"""GenerationConfig: what may be asked of `generate`, checked by name.

The names and defaults are those of transformers 4.37.2
(`generation/configuration_utils.py`), the special ids those of every published
XGLM. What is impossible or contradicts itself is refused with the reason
(`setting_checks`).
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyxglm.generation.setting_checks import check_relations, check_values
from pyxglm.generation.setting_files import METADATA, SettingFiles


@dataclass
class GenerationConfig(SettingFiles):
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

    None stands for the default wherever it turns nothing off, but for
    `do_sample`: transformers draws then, though by default it does not.

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
                setattr(self, name, copy.copy(_DEFAULTS[name]))
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
                raise _no_setting(name)
        changed: GenerationConfig = self.from_dict({**self.to_dict(), **settings})
        return changed

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
    def from_dict(
        cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """Make settings of a mapping, and override them with `kwargs`.

        Keys of other programs go to `extra` if they stand in `config_dict`;
        `kwargs` must be settings. Or else, with ``return_unused_kwargs=True``,
        (settings, those that are none) is returned.

        Raises
        ------
        TypeError, ValueError
            For an impossible setting, or an override that is none.
        """
        values = {**config_dict, **{n: v for n, v in kwargs.items() if n in SETTINGS}}
        unused = {name: value for name, value in kwargs.items() if name not in SETTINGS}
        if unused and not return_unused_kwargs:
            raise _no_setting(next(iter(unused)))
        own = {name: values[name] for name in SETTINGS if name in values}
        extra = {name: value for name, value in values.items() if name not in SETTINGS}
        settings = cls(**own, extra=extra)
        return (settings, unused) if return_unused_kwargs else settings

    def to_dict(self) -> dict[str, Any]:
        """Return all settings, `extra`'s among them, as one flat dict of copies."""
        values = {name: getattr(self, name) for name in SETTINGS if name != "constraints"}
        return {**copy.deepcopy({**self.extra, **values}), "constraints": self.constraints}

    def __eq__(self, other: object) -> bool:
        """Whether two ask for the same, wherever they came from."""
        if not isinstance(other, GenerationConfig):
            return NotImplemented
        one, two = (
            {name: value for name, value in each.to_dict().items() if name not in METADATA}
            for each in (self, other)
        )
        return one == two

    def __repr__(self) -> str:
        """Return what was asked for: what differs from the defaults."""
        changed = {
            name: getattr(self, name)
            for name in (*SETTINGS, "extra")
            if getattr(self, name) != _DEFAULTS[name]
        }
        return f"GenerationConfig({', '.join(f'{n}={v!r}' for n, v in changed.items())})"


def _no_setting(name: str) -> TypeError:
    near = difflib.get_close_matches(name, sorted(SETTINGS), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(SETTINGS)}"
    return TypeError(f"generate has no setting {name!r}, {hint}")


#: The names of the settings, in order.
SETTINGS = tuple(part.name for part in dataclasses.fields(GenerationConfig) if part.name != "extra")

_DEFAULTS = {part.name: part.default for part in dataclasses.fields(GenerationConfig)}
_DEFAULTS.update(generation_kwargs={}, extra={})
_NONE_IS_DEFAULT = (
    "max_length", "early_stopping", "seed", "num_beams", "num_beam_groups", "use_cache",
    "diversity_penalty", "length_penalty", "renormalize_logits",
    "remove_invalid_values", "num_return_sequences", "output_attentions", "output_hidden_states",
    "output_scores", "output_logits", "output_log_probs", "return_dict_in_generate",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "newline", "ignore_padding",
    "generation_kwargs",
)  # fmt: skip
