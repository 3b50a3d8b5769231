"""What a possible configuration is: every field, refused by name if it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyxglm.dtypes import DTYPES, as_dtype
from pyxglm.ops.reference import ACTIVATIONS

if TYPE_CHECKING:
    from pyxglm.config import XGLMConfig

#: No published model comes near; a damaged file might, and would only fail later.
LARGEST_SIZE = 2**31 - 1
MOST_LAYERS = 10_000
LARGEST_DEVIATION = 1e30  # times any normal draw, still a float32


def check_config(config: XGLMConfig) -> None:
    """Check every field of a configuration that has a meaning here.

    Raises
    ------
    ValueError
        Naming the first impossible field, what it is and what was expected.
    """
    for name in ("vocab_size", "max_position_embeddings", "d_model", "ffn_dim", "attention_heads"):
        _check_size(config, name, LARGEST_SIZE)
    _check_size(config, "num_layers", MOST_LAYERS)
    if config.d_model % config.attention_heads:
        raise ValueError(
            f"config: d_model is {config.d_model} and attention_heads is"
            f" {config.attention_heads}, expected a width that the number of heads divides"
        )
    if config.d_model in (2, 3):
        raise ValueError(
            f"config: d_model is {config.d_model}, for which the sinusoidal table divides by"
            " zero; expected 1 or at least 4"
        )
    known = isinstance(config.activation_function, str)
    if not known or config.activation_function not in ACTIVATIONS:
        raise ValueError(
            f"config: activation_function is {_shown(config.activation_function)},"
            f" expected one of {', '.join(sorted(ACTIVATIONS))}"
        )
    for name in ("dropout", "attention_dropout", "activation_dropout", "layerdrop"):
        _check_number(config, name, 1.0)
    _check_number(config, "init_std", LARGEST_DEVIATION)
    for name in ("scale_embedding", "use_cache", "tie_word_embeddings", "add_cross_attention",
                 "return_dict", "output_attentions", "output_hidden_states"):  # fmt: skip
        _check_switch(config, name)
    for name in ("decoder_start_token_id", "pad_token_id", "bos_token_id", "eos_token_id"):
        _check_token(config, name)
    _check_pruned_heads(config)
    _check_dtype(config)


def check_kind(fields: Mapping[str, object]) -> None:
    """Check that a checkpoint's ``config.json`` is one of XGLM.

    Raises
    ------
    ValueError
        Naming the model that it is one of.
    """
    kind, classes = fields.get("model_type"), fields.get("architectures")
    named = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
    others = bool(named) and not any("XGLM" in name for name in named)  # one may have one's own
    if kind not in (None, "xglm") or (kind is None and others):
        parts = [f"model_type is {_shown(kind)}"] if kind is not None else []
        parts += [f"architectures are {_shown(named)}"] if named else []
        raise ValueError(
            f"config: {', '.join(parts)}: a checkpoint of another model, expected model_type 'xglm'"
            " and XGLMForCausalLM or XGLMModel"
        )


def _shown(value: object) -> str:
    """Return how a value prints, cut short; a number may have more digits than Python prints."""
    try:
        text = repr(value)
    except ValueError:
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= 80 else f"{text[:80]}…"


def _check_dtype(config: XGLMConfig) -> None:
    """Check that ``torch_dtype`` is None, a dtype, or a name, which may be another of torch's."""
    value = config.torch_dtype
    if value is None or isinstance(value, str):
        return
    try:
        as_dtype(value)
    except ValueError:
        raise ValueError(
            f"config: torch_dtype is {_shown(value)}, expected one of {', '.join(DTYPES)}"
        ) from None


def _check_size(config: XGLMConfig, name: str, largest: int) -> None:
    value = getattr(config, name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise ValueError(f"config: {name} is {_shown(value)}, expected a whole number 1..{largest}")


def _check_number(config: XGLMConfig, name: str, largest: float) -> None:
    value: Any = getattr(config, name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= largest:
        raise ValueError(f"config: {name} is {_shown(value)}, expected a number 0..{largest:g}")


def _check_switch(config: XGLMConfig, name: str) -> None:
    value = getattr(config, name)
    if not isinstance(value, bool) and not (isinstance(value, int) and value in (0, 1)):
        raise ValueError(f"config: {name} is {_shown(value)}, expected true or false")


def _check_token(config: XGLMConfig, name: str) -> None:
    value = getattr(config, name)
    ids = value if name == "eos_token_id" and isinstance(value, list) else [value]
    if any(isinstance(id_, bool) or not isinstance(id_, (int, type(None))) for id_ in ids):
        raise ValueError(f"config: {name} is {_shown(value)}, expected a token id or null")
    if name == "pad_token_id" and value is not None and not 0 <= value < config.vocab_size:
        raise ValueError(
            f"config: pad_token_id is {_shown(value)}, expected null or an id"
            f" 0..{config.vocab_size - 1}"
        )


def _check_pruned_heads(config: XGLMConfig) -> None:
    pruned: Any = config.pruned_heads
    layers = {str(layer): layer for layer in range(config.num_layers)}
    try:  # JSON has only strings for keys
        heads = {layers[str(layer)]: sorted(set(gone)) for layer, gone in pruned.items()}
    except (AttributeError, KeyError, TypeError):
        heads = None
    possible = range(config.attention_heads)
    if heads is None or any(
        type(head) is not int or head not in possible for gone in heads.values() for head in gone
    ):
        raise ValueError(
            f"config: pruned_heads is {_shown(pruned)}, expected lists of heads by layer, of"
            f" {config.num_layers} layers with {config.attention_heads} heads"
        )
    config.pruned_heads = heads
