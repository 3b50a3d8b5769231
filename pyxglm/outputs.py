"""What a model returns: results by attribute, by key, by index, or as a tuple."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from pyxglm.config import XGLMConfig
from pyxglm.decoder import Trace
from pyxglm.dtypes import Array


@dataclass(eq=False)
class ModelOutput:
    """Named results in a fixed order; those that were not asked for are None.

    Absent results take no part: ``output[0]`` is the first one present, `keys`
    names those present, and ``"loss" in output`` says whether there is a loss.
    Iterating yields the names, as transformers' outputs do.
    """

    def _present(self) -> dict[str, Any]:
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the results that are present, in order."""
        return tuple(self._present().values())

    def keys(self) -> list[str]:
        """Return the names of the results that are present, in order."""
        return list(self._present())

    def values(self) -> list[Any]:
        """Return the results that are present, in order."""
        return list(self.to_tuple())

    def items(self) -> list[tuple[str, Any]]:
        """Return (name, result) of the results that are present, in order."""
        return list(self._present().items())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a result by name, or `default` if it is not present."""
        return self._present().get(name, default)

    def __getitem__(self, key: str | int | slice) -> Any:
        return self._present()[key] if isinstance(key, str) else self.to_tuple()[key]

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in {field.name for field in fields(self)}:
            raise KeyError(name)
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in self._present()

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())


@dataclass(eq=False)
class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    """The results of `XGLMModel`.

    Attributes
    ----------
    last_hidden_state
        (B, T, D), after the final layer norm.
    past_key_values
        The cache: L times (k, v), each (B, H, S, K); with cross-attention
        (k, v, cross k, cross v).
    hidden_states
        L + 1 arrays (B, T, D): the embedded input, the output of every layer
        but the last, and the last hidden state.
    attentions
        L arrays (B, H, T, S): weights after the softmax and the head mask.
    cross_attentions
        L arrays (B, H, T, E), if encoder states were given.
    """

    last_hidden_state: Array | None = None
    past_key_values: Any = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    cross_attentions: tuple[Array, ...] | None = None


@dataclass(eq=False)
class CausalLMOutputWithCrossAttentions(ModelOutput):
    """The results of `XGLMForCausalLM`.

    Attributes
    ----------
    loss
        Mean negative log-likelihood in nats, a scalar, if labels were given.
    logits
        (B, T, V): unnormalised log-probabilities of the next token; absent with
        ``output_logits=False``.
    past_key_values, hidden_states, attentions, cross_attentions
        As in `BaseModelOutputWithPastAndCrossAttentions`.
    """

    loss: Any = None
    logits: Array | None = None
    past_key_values: Any = None
    hidden_states: tuple[Array, ...] | None = None
    attentions: tuple[Array, ...] | None = None
    cross_attentions: tuple[Array, ...] | None = None


class Wants(NamedTuple):
    """What a call is to return."""

    cache: bool
    attentions: bool
    hidden_states: bool
    return_dict: bool

    @classmethod
    def of(cls, config: XGLMConfig, *given: bool | None) -> Wants:
        """Take the four arguments of a call, and the configuration's word where one is None."""
        defaults = (
            config.use_cache,
            config.output_attentions,
            config.output_hidden_states,
            config.use_return_dict,
        )
        pairs = zip(given, defaults, strict=True)
        return cls(*(bool(default if value is None else value) for value, default in pairs))

    def trace(self, cross: bool) -> Trace:
        """Return the lists that the decoder is to fill."""
        return Trace(
            [] if self.hidden_states else None,
            [] if self.attentions else None,
            [] if self.attentions and cross else None,
        )
