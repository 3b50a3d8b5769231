"""What training adds to the decoder: numbers, and whole layers, left out at random.

XGLM was trained with dropout (Srivastava et al. 2014) at three rates and with
LayerDrop (Fan et al. 2019). None of it changes the decoder: `DropoutOps` has the
operations of a backend, and drops from the results of those after which
transformers 4.37 (`modeling_xglm.py`) does. Every draw is of one NumPy
generator, in the order of the calls, so the same seed leaves out the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array


def dropout(
    x: Array, p: float, random: np.random.Generator, shape: tuple[int, ...] | None = None
) -> Array:
    """Set each number to zero with probability p, and scale the others up.

        y = x * kept / (1 - p)        kept is 1 with probability 1 - p, else 0

    so that the mean of y is x. With p = 0 nothing is drawn.

    Parameters
    ----------
    x
        Any array.
    p
        0 to 1.
    random
        What to draw from.
    shape
        Shape of what is drawn, if numbers are to be left out together: it
        broadcasts to that of `x`.

    Examples
    --------
    >>> dropout(np.ones(6, np.float32), 0.5, np.random.default_rng(1))
    array([2., 2., 0., 2., 0., 0.], dtype=float32)
    """
    if p == 0:
        return x
    kept = random.random(x.shape if shape is None else shape) >= p
    scale = 1 / (1 - p) if p < 1 else 0.0
    y: Array = x * (kept * scale).astype(x.dtype)
    return y


def dropped_layers(config: XGLMConfig, random: np.random.Generator) -> frozenset[int]:
    """Draw the layers that one pass leaves out, each with probability `layerdrop`.

    With ``layerdrop=0`` nothing is drawn.

    >>> config = XGLMConfig(num_layers=6, layerdrop=0.5)
    >>> sorted(dropped_layers(config, np.random.default_rng(1)))
    [2, 4, 5]
    """
    if config.layerdrop == 0:
        return frozenset()
    drawn_L = random.random(config.num_layers)
    return frozenset(np.flatnonzero(drawn_L < config.layerdrop).tolist())


class DropoutOps:
    """The operations of a backend, as training runs them.

    ============================  ====================  =================================
    result                        probability           in the decoder
    ============================  ====================  =================================
    `embed`, `add_positions`      `dropout`             the first hidden state
    weights of `attention`        `attention_dropout`   after the softmax and head mask
    `linear` with an activation   `activation_dropout`  after fc1
    `linear` with a residual      `dropout`             after out_proj and fc2, before the
                                                        residual is added
    ============================  ====================  =================================

    All others are the backend's own. Products are not fused with what follows
    the dropout: the residual is added, and the values are gathered, by NumPy.

    Parameters
    ----------
    ops
        The operations of a backend.
    config
        For the probabilities.
    random
        What to draw from.
    as_flax
        Drop attention weights as Flax does: those that one draw leaves out are
        left out in all heads of all rows, and the weights returned are those
        after dropout; else each is drawn for, and those before are returned.
    """

    def __init__(
        self, ops: Any, config: XGLMConfig, random: np.random.Generator, *, as_flax: bool = False
    ) -> None:
        self._ops, self._config, self._random, self._as_flax = ops, config, random, as_flax

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def embed(self, *args: Any) -> Array:
        """Turn token ids into vectors, and drop from them; see `reference.embed`."""
        return dropout(self._ops.embed(*args), self._config.dropout, self._random)

    def add_positions(self, *args: Any) -> Array:
        """Add position vectors, and drop from the sum; see `reference.add_positions`."""
        return dropout(self._ops.add_positions(*args), self._config.dropout, self._random)

    def linear(
        self,
        x_BTI: Array,
        weight_OI: Array,
        bias_O: Array | None = None,
        *,
        activation: str | None = None,
        residual_BTO: Array | None = None,
    ) -> Array:
        """Map vectors, drop from the result, add the residual; see `reference.linear`."""
        y_BTO: Array = self._ops.linear(x_BTI, weight_OI, bias_O, activation=activation)
        if activation is not None:
            y_BTO = dropout(y_BTO, self._config.activation_dropout, self._random)
        if residual_BTO is None:
            return y_BTO
        return residual_BTO + dropout(y_BTO, self._config.dropout, self._random)

    def attention(
        self,
        q_BHTK: Array,
        k_BHSK: Array,
        v_BHSK: Array,
        *,
        return_weights: bool = False,
        **masks: Any,
    ) -> tuple[Array, Array | None]:
        """Gather values by weights that have been dropped from; see `reference.attention`."""
        p, inputs = self._config.attention_dropout, (q_BHTK, k_BHSK, v_BHSK)
        given: tuple[Array, Any] = self._ops.attention(
            *inputs, return_weights=return_weights or p > 0, **masks
        )
        if p == 0:
            return given
        weights_BHTS = given[1]
        drawn = (1, 1, *weights_BHTS.shape[2:]) if self._as_flax else None
        left_BHTS = dropout(weights_BHTS, p, self._random, drawn)
        shown_BHTS = left_BHTS if self._as_flax else weights_BHTS
        return left_BHTS @ v_BHSK, shown_BHTS if return_weights else None
