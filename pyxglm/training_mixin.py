"""Training mode: leaving things out at random, as in training. There are no gradients."""

from __future__ import annotations

import operator
from typing import Any, ClassVar, TypeVar

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.ops.dropout import DropoutOps, dropped_layers

Model = TypeVar("Model", bound="TrainingMixin")


def as_generator(rng: Any) -> np.random.Generator:
    """Return the generator that an `rng` argument means.

    Raises
    ------
    TypeError, ValueError
        If it is neither a generator nor a seed.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    try:
        seed = operator.index(rng)
    except TypeError:
        raise TypeError(
            f"rng is a {type(rng).__name__}, expected a numpy.random.Generator or a seed"
        ) from None
    if seed < 0:
        raise ValueError(f"rng is {seed}, expected a seed from 0")
    return np.random.default_rng(seed)


class TrainingMixin:
    """The methods of `XGLMPreTrainedModel` that switch training mode on and off."""

    config: XGLMConfig
    _ops: Any

    training: bool = False
    _random: np.random.Generator | None = None  # what training mode draws from

    supports_gradient_checkpointing: ClassVar[bool] = False

    @property
    def base_model(self) -> Any:
        """The part that computes hidden states; see `XGLMPreTrainedModel.base_model`."""
        return self

    def train(self: Model, mode: bool = True, *, rng: Any = None) -> Model:
        """Switch training mode on (or off), and return the model.

        In training mode calls drop hidden states, attention weights,
        activations and layers with the probabilities of the configuration
        (`pyxglm.ops.dropout` says where), as transformers' do. There are no
        gradients: it serves those who compare, or sample by dropout.

        Parameters
        ----------
        mode
            False: as `eval`.
        rng
            A `numpy.random.Generator` to draw from, or a seed. None: the one
            that the model had, or seed 0 if it had none; so what is drawn never
            depends on any state but the model's own.

        Raises
        ------
        TypeError, ValueError
            If `rng` is neither.

        Examples
        --------
        >>> from pyxglm import XGLMModel
        >>> config = XGLMConfig(vocab_size=9, d_model=4, num_layers=1, ffn_dim=8, attention_heads=1)
        >>> model = XGLMModel(config)
        >>> once = model.train(rng=7)([[2, 5]])[0]
        >>> bool((model([[2, 5]])[0] == once).all())  # it draws on
        False
        >>> bool((model.train(rng=7)([[2, 5]])[0] == once).all())
        True
        """
        if rng is not None:
            random = as_generator(rng)
        else:
            random = self.base_model._random or np.random.default_rng(0)
        for part in (self, self.base_model):
            part.training = bool(mode)
            part._random = random
        return self

    def eval(self: Model) -> Model:
        """Switch training mode off, and return the model.

        It is off at first, also in a model with random weights, which torch
        would begin with training mode on.
        """
        return self.train(False)

    def _operations(self, rng: Any) -> tuple[Any, frozenset[int]]:
        """Return the operations of one call, and the layers that it leaves out.

        `rng` is the call's own argument: given, the call is in training mode.
        """
        random = self._random if self.training and rng is None else rng
        if random is None:
            return self._ops, frozenset()
        random = as_generator(random)
        return DropoutOps(self._ops, self.config, random), dropped_layers(self.config, random)

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether a backward pass would compute activations anew: there is none, so False."""
        return False

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None) -> None:
        """Refuse (ValueError): it saves memory of a backward pass, which there is not."""
        raise ValueError(
            f"{type(self).__name__} does not support gradient checkpointing: pyxglm computes no"
            " gradients"
        )

    def gradient_checkpointing_disable(self) -> None:
        """Do nothing: gradient checkpointing is never on."""
