"""Torch-shaped views of the models of other shapes: the same arrays, other conventions."""

from __future__ import annotations

from typing import Any

from pyxglm.modeling import XGLMForCausalLM
from pyxglm.parameters import Parameters


def torch_shaped(owner: Any, parameters: Parameters) -> XGLMForCausalLM:
    """Return the model that `generate` and its like call in place of `owner`.

    Parameters
    ----------
    owner
        A model with ``config``, ``compute``, ``backend`` and ``_positions``.
    parameters
        The model's arrays, which are shared.
    """
    view = XGLMForCausalLM.__new__(XGLMForCausalLM)
    view._set_up(owner.config, owner.compute, owner.backend)
    view.config, view._parameters, view._positions = owner.config, parameters, owner._positions
    view._finish()
    return view
