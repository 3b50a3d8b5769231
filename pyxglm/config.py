"""XGLMConfig: what one XGLM is made of, as its ``config.json`` says it.

The fields, their defaults and their aliases are those of transformers 4.37.2
(`configuration_xglm.py`, and the part of `configuration_utils.py` that bears
on XGLM). Unknown keys are kept, so that a configuration written by another
program survives a round trip.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, ClassVar

from pyxglm.config_checks import check_config
from pyxglm.config_files import CONFIG_NAME as CONFIG_NAME
from pyxglm.config_files import ConfigFiles
from pyxglm.dtypes import as_dtype, dtype_name

#: The names that every transformers model shares, and XGLM's own for them.
ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "attention_heads",
    "num_hidden_layers": "num_layers",
}

#: The first published configurations spell three fields this way; 4.37 ignores
#: them silently and takes its defaults, which gives another model.
EARLY_NAMES = {
    "decoder_layers": "num_layers",
    "decoder_attention_heads": "attention_heads",
    "decoder_ffn_dim": "ffn_dim",
}

#: XGLM's own fields, always written to config.json.
FIELDS: dict[str, Any] = {
    "vocab_size": 256008,
    "max_position_embeddings": 2048,
    "d_model": 1024,
    "ffn_dim": 4096,
    "num_layers": 24,
    "attention_heads": 16,
    "activation_function": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation_dropout": 0.0,
    "layerdrop": 0.0,
    "init_std": 0.02,
    "scale_embedding": True,
    "use_cache": True,
    "decoder_start_token_id": 2,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}

#: Fields of every transformers configuration that mean something here.
INHERITED: dict[str, Any] = {
    "tie_word_embeddings": True,
    "add_cross_attention": False,
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
    "tf_legacy_loss": False,
    "pruned_heads": {},
    "torch_dtype": None,
    "architectures": None,
    "is_encoder_decoder": False,
}


class XGLMConfig(ConfigFiles):
    """The configuration of an XGLM model.

    Parameters
    ----------
    vocab_size
        Number of rows of the embedding (pieces + 8).
    max_position_embeddings
        Positions of the sinusoidal table; longer inputs make it grow.
    d_model, ffn_dim, num_layers, attention_heads
        Width, feed-forward width, depth, heads. ``hidden_size``,
        ``num_hidden_layers`` and ``num_attention_heads`` are aliases.
    activation_function
        Name of the feed-forward's activation (``"gelu"`` is the erf form).
    dropout, attention_dropout, activation_dropout, layerdrop
        Training-time probabilities; kept, not used in inference.
    init_std
        Standard deviation of random initial weights.
    scale_embedding
        Multiply token embeddings by ``sqrt(d_model)``.
    use_cache
        Return the key/value cache by default.
    decoder_start_token_id, pad_token_id, bos_token_id, eos_token_id
        Special ids: 2, 1, 0, 2 in every published XGLM.
    **kwargs
        ``tie_word_embeddings``, ``add_cross_attention``, ``return_dict``,
        ``output_attentions``, ``output_hidden_states``, ``tf_legacy_loss``,
        ``pruned_heads``, ``torch_dtype``, an alias or early spelling of a
        field; any other key is kept as it is.

    Raises
    ------
    ValueError
        If a value is impossible: the message names the field, what it is and
        what was expected.

    Examples
    --------
    >>> config = XGLMConfig(d_model=64, attention_heads=4, num_layers=2)
    >>> config.hidden_size, config.ffn_dim, config.add_cross_attention
    (64, 4096, False)
    """

    model_type = "xglm"
    attribute_map = ALIASES
    keys_to_ignore_at_inference = ("past_key_values",)
    __signature__: ClassVar[Signature]  # what `help` shows: the fields and their defaults

    vocab_size: int
    max_position_embeddings: int
    d_model: int
    ffn_dim: int
    num_layers: int
    attention_heads: int
    activation_function: str
    dropout: float
    attention_dropout: float
    activation_dropout: float
    layerdrop: float
    init_std: float
    scale_embedding: bool
    use_cache: bool
    decoder_start_token_id: int | None
    pad_token_id: int | None
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    tie_word_embeddings: bool
    add_cross_attention: bool
    return_dict: bool
    output_attentions: bool
    output_hidden_states: bool
    tf_legacy_loss: bool
    pruned_heads: dict[int, list[int]]
    torch_dtype: str | None
    architectures: list[str] | None
    is_encoder_decoder: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        positional = dict(zip(FIELDS, args, strict=False))
        if len(args) > len(FIELDS) or positional.keys() & kwargs.keys():
            raise TypeError(f"config: {len(args)} positional values clash with the named ones")
        kwargs = {**positional, **kwargs}
        kwargs.pop("transformers_version", None)
        model_type = kwargs.pop("model_type", self.model_type)
        if model_type != self.model_type:
            raise ValueError(f"config: model_type is {model_type!r}, expected {self.model_type!r}")
        values = copy.deepcopy({**FIELDS, **INHERITED})
        given: dict[str, str] = {}
        for key, value in kwargs.items():
            _check_key(key)
            name = ALIASES.get(key) or EARLY_NAMES.get(key) or key
            if name in given and values[name] != value:
                raise ValueError(
                    f"config: {given[name]} is {values[name]!r} but {key} is {value!r},"
                    f" expected one value: both mean {name}"
                )
            given[name], values[name] = key, value
        self.__dict__.update(values)
        self.validate()

    def __getattr__(self, name: str) -> Any:
        if name in ALIASES:
            return getattr(self, ALIASES[name])
        raise AttributeError(f"XGLMConfig has no field {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__[ALIASES.get(name, name)] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, XGLMConfig) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # mutable, as in transformers

    def __repr__(self) -> str:
        return f"XGLMConfig {self.to_json_string()}"

    @property
    def use_return_dict(self) -> bool:
        """Whether calls return named outputs unless they say otherwise."""
        return self.return_dict

    def validate(self) -> None:
        """Check every field; models call this again before they are built.

        Raises
        ------
        ValueError
            Naming the first impossible field.
        """
        check_config(self)

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Set fields from a dict; nothing is changed if one is impossible.

        Raises
        ------
        ValueError
            Naming the first impossible field.
        """
        named = {ALIASES.get(key, key): value for key, value in config_dict.items()}
        changed = type(self)(**{**self.to_dict(), **named})
        self.__dict__.update(changed.__dict__)

    def update_from_string(self, update_str: str) -> None:
        """Set fields as in ``"d_model=64,dropout=0.2,use_cache=false"``, each read as what it was.

        Raises
        ------
        ValueError
            If one is no field, or its text is no such value; nothing is changed then.
        """
        changes: dict[str, Any] = {}
        for part in update_str.split(","):
            name, found, text = part.partition("=")
            old = getattr(self, name, None) if name and not hasattr(XGLMConfig, name) else None
            if not found or not isinstance(old, (bool, int, float, str)):
                raise ValueError(
                    f"update_from_string: {part!r} is given, expected the name of a number, string"
                    " or true/false of the configuration, = and a value"
                )
            changes[name] = _read(name, text, type(old))
        self.update(changes)

    @classmethod
    def from_dict(
        cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: bool = False, **kwargs: Any
    ) -> Any:
        """Build a configuration from a dict, and override it with `kwargs`.

        A key that is no field is kept if it stands in `config_dict`; in
        `kwargs` it must be one that the configuration has. Or else, with
        ``return_unused_kwargs=True``, (configuration, those that are none) is
        returned.

        Raises
        ------
        ValueError
            For an impossible value.
        TypeError
            For an override that is no field of the configuration.
        """
        config = cls(**config_dict)
        unused: dict[str, Any] = {}
        for key, value in kwargs.items():
            _check_key(key)
            if hasattr(config, key):
                setattr(config, key, value)
            elif return_unused_kwargs:
                unused[key] = value
            else:
                raise TypeError(f"config: {key!r} is given, expected a field of XGLMConfig")
        config.validate()
        return (config, unused) if return_unused_kwargs else config

    def to_dict(self) -> dict[str, Any]:
        """Return every field, known and unknown, and the model type; dtypes by their names."""
        fields = {**copy.deepcopy(self.__dict__), "model_type": self.model_type}
        if not isinstance(self.torch_dtype, (str, type(None))):
            fields["torch_dtype"] = dtype_name(as_dtype(self.torch_dtype))
        return fields

    def to_diff_dict(self) -> dict[str, Any]:
        """Return XGLM's own fields, and the others where they differ from the defaults."""
        return {
            key: value
            for key, value in self.to_dict().items()
            if key not in INHERITED or value != INHERITED[key]
        }


XGLMConfig.__signature__ = Signature(
    [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=FIELDS[name]) for name in FIELDS]
    + [Parameter("kwargs", Parameter.VAR_KEYWORD)]
)


def opened_config(
    given: Any, directory: Path, place: Mapping[str, Any], overrides: Mapping[str, Any]
) -> XGLMConfig:
    """Return the configuration that a model is opened with: the caller's, or that of a file.

    Parameters
    ----------
    given
        A configuration, where to read it, or None.
    directory, place
        Where to read it if None is given; where else to look, for `locate`.
    overrides
        Fields to override; a configuration that is given has its own.

    Raises
    ------
    TypeError
        If it is none, or there are overrides beside it.
    """
    if "return_unused_kwargs" in overrides:
        raise TypeError("return_unused_kwargs is given, expected it of a configuration alone")
    if given is None:
        given, place = directory, {}
    if isinstance(given, (str, os.PathLike)):
        given = XGLMConfig.from_pretrained(given, return_unused_kwargs=False, **place, **overrides)
    elif not isinstance(given, XGLMConfig):
        raise TypeError(f"config is a {type(given).__name__}, expected an XGLMConfig")
    elif overrides:
        raise TypeError(f"{next(iter(overrides))!r} is given, expected nothing beside a config")
    config: XGLMConfig = given
    return config


def _check_key(key: str) -> None:
    """Refuse a key that would hide a method: ``{"validate": 0}`` is no configuration."""
    if hasattr(XGLMConfig, key):
        raise ValueError(f"config: {key!r} is given, expected a field; XGLMConfig has a method so")


def _read(name: str, text: str, kind: type) -> Any:
    """Return the value that a text stands for, of the kind that a field has."""
    words = {"true": True, "1": True, "y": True, "yes": True,
             "false": False, "0": False, "n": False, "no": False}  # fmt: skip
    try:
        return words[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise ValueError(f"update_from_string: {name} is {text!r}, expected {wanted}") from None
