"""What Flax's two classes share: a model without parameters, and the parameters beside it.

The methods are those of `FlaxPreTrainedModel` in transformers 4.37.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pyxglm.arguments import check_type, whole_number
from pyxglm.checkpoint.names import paths, tree_of
from pyxglm.compat import check_compat
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import COMPUTE, as_dtype, dtype_name
from pyxglm.flax_style.cache import empty_cache
from pyxglm.flax_style.calls import Call
from pyxglm.flax_style.files import FilesMixin
from pyxglm.flax_style.positions import Float64PositionTable
from pyxglm.flax_style.randomness import seed_of
from pyxglm.flax_style.trees import (
    can_change,
    cast,
    grown,
    leaves_of,
    shape_tree,
    weights_of,
)
from pyxglm.initialization import random_weights
from pyxglm.modeling import XGLMForCausalLM
from pyxglm.ops import backend_name
from pyxglm.outputs import ModelOutput
from pyxglm.parameters import Parameters
from pyxglm.views import torch_shaped


class FlaxXGLMPreTrainedModel(FilesMixin):
    """What `FlaxXGLMModel` and `FlaxXGLMForCausalLM` share; not a model itself.

    Parameters
    ----------
    config
        The configuration; the model keeps a copy.
    input_shape
        (B, T) of the input that Flax traces to find the parameters' shapes.
        Here they follow from the configuration.
    seed
        Seed of the random initial parameters.
    dtype
        Dtype of the computation, not of the parameters. ``"float32"``, or
        ``"float64"``. ``"float16"``: arithmetic in float32, of which results
        and the cache are rounded. ``"bfloat16"``: the coarse arithmetic of
        `pyxglm.ops.coarse`, results in float32, as NumPy has no bfloat16.
    _do_init
        False: there are no `params`; make some by `init_weights`, and hand
        them to every call.
    compat
        ``"4.37"`` to repeat what was broken in that version of transformers.
    backend
        See `pyxglm.XGLMPreTrainedModel`.

    Raises
    ------
    ValueError
        If the configuration or one of the names is impossible.
    """

    config_class = XGLMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    framework = "flax"
    _bare: ClassVar[bool] = True

    def __init__(
        self,
        config: XGLMConfig,
        input_shape: Sequence[int] = (1, 1),
        seed: Any = 0,
        dtype: Any = "float32",
        _do_init: bool = True,
        *,
        compat: str | None = None,
        backend: str | None = None,
    ) -> None:
        check_type("config", config, XGLMConfig, "an XGLMConfig")
        config.validate()
        self.compat = check_compat(compat)
        if self.compat is not None:
            _refuse_what_never_worked(config)
        self._config = copy.deepcopy(config)
        self.dtype = dtype_name(as_dtype(dtype))
        self.compute = {"float16": "float32"}.get(self.dtype, self.dtype)
        self.backend = backend_name(backend, self.compute)
        self.input_shape, self.key = tuple(input_shape), seed_of("seed", seed)
        self.name_or_path = ""
        self._positions = Float64PositionTable(self._config)
        self._is_initialized = bool(_do_init)
        self._bound: tuple[dict[str, Any], XGLMForCausalLM] | None = None
        if self._is_initialized:
            self._params: Any = self.init_weights(self.key, self.input_shape)

    @property
    def config(self) -> XGLMConfig:
        """The configuration."""
        return self._config

    @property
    def _result_dtype(self) -> np.dtype[Any]:
        """Dtype of the results and of the cache."""
        return np.dtype("f2") if self.dtype == "float16" else COMPUTE[self.compute]

    # ------------------------------------------------------------------------ parameters

    @property
    def params(self) -> Any:
        """The parameters, nested dicts of read-only arrays; calls use them unless given others."""
        if not self._is_initialized:
            raise ValueError(
                "`params` cannot be accessed from model when the model is created with"
                " `_do_init=False`. You must call `init_weights` manually and store the params"
                " outside of the model and pass it explicitly where needed."
            )
        return self._params

    @params.setter
    def params(self, params: Any) -> None:
        if not self._is_initialized:
            raise ValueError(
                "`params` cannot be set from model when the model is created with"
                " `_do_init=False`. You store the params outside of the model."
            )
        given = {tuple(path.split("/")) for path in leaves_of("params", params)}
        missing = sorted(self.required_params - given)
        if missing:
            raise ValueError(
                "Some parameters are missing. Make sure that `params` include the following"
                f" parameters {missing}"
            )
        self._params = params

    @property
    def params_shape_tree(self) -> dict[str, Any]:
        """Shape and dtype of every parameter, as a tree."""
        return shape_tree(self.config, bare=self._bare)

    @property
    def required_params(self) -> set[tuple[str, ...]]:
        """The paths of all parameters."""
        return {tuple(path.split("/")) for path in paths(self.params_shape_tree)}

    def init_weights(self, rng: Any, input_shape: Sequence[int], params: Any = None) -> Any:
        """Return fresh parameters: matrices N(0, init_std), biases 0, layer norms 1 and 0.

        Parameters
        ----------
        rng
            A key, a seed or a `numpy.random.Generator`.
        input_shape
            As on construction.
        params
            Parameters to keep; only those that are missing are made.
        """
        config = copy.copy(self.config)
        config.pad_token_id = None  # no row of Flax's embedding begins as zero
        weights = random_weights(config, seed_of("rng", rng), "float32", not self._bare)
        tree = grown(weights, bare=self._bare)
        if params is None:
            return tree
        return tree_of({**paths(tree), **leaves_of("params", params)})

    def to_bf16(self, params: Any, mask: Any = None) -> dict[str, Any]:
        """Return parameters in bfloat16, those only for which `mask`, a tree, is true."""
        return cast(params, "bfloat16", mask)

    def to_fp32(self, params: Any, mask: Any = None) -> dict[str, Any]:
        """Return parameters in float32, those only for which `mask`, a tree, is true."""
        return cast(params, "float32", mask)

    def to_fp16(self, params: Any, mask: Any = None) -> dict[str, Any]:
        """Return parameters in float16, those only for which `mask`, a tree, is true."""
        return cast(params, "float16", mask)

    def _torch_shaped(self, params: Any) -> XGLMForCausalLM:
        """Return the model that computes with parameters, the last one if they are the same."""
        tree = self.params if params is None else params
        leaves = leaves_of("params", tree)
        if self._bound is not None:
            known, model = self._bound
            if len(known) == len(leaves) and all(
                leaves.get(p) is leaf for p, leaf in known.items()
            ):
                return model
        weights = weights_of(tree, self.config, bare=self._bare)
        model = torch_shaped(self, Parameters(weights))
        model.name_or_path = self.name_or_path
        fixed = not any(can_change(leaf) for leaf in leaves.values())
        self._bound = (leaves, model) if fixed else None
        return model

    # ----------------------------------------------------------------------------- cache

    def init_cache(self, batch_size: int, max_length: int) -> dict[str, Any]:
        """Return an empty cache with room for `max_length` tokens of each row.

        Raises
        ------
        ValueError
            If a size is below 1; with ``compat="4.37"`` also if `max_length` is
            beyond ``max_position_embeddings``.
        """
        B = whole_number("batch_size", batch_size, 1)
        M = whole_number("max_length", max_length, 1)
        most = self.config.max_position_embeddings
        if self.compat is not None and most < M:
            raise ValueError(f"max_length is {M}, expected at most {most} with compat='4.37'")
        return empty_cache(self.config, B, M, self._result_dtype, self._prefix)

    @property
    def _prefix(self) -> str:
        return "" if self._bare else "model/"

    # ------------------------------------------------------------------------- the call

    def __call__(
        self,
        input_ids: Any,
        attention_mask: Any = None,
        position_ids: Any = None,
        encoder_hidden_states: Any = None,
        encoder_attention_mask: Any = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        train: bool = False,
        params: Any = None,
        past_key_values: Any = None,
        dropout_rng: Any = None,
    ) -> Any:
        """Compute what T tokens give that follow the P tokens of a cache, if there is one.

        Parameters
        ----------
        input_ids
            Token ids (B, T).
        attention_mask
            (B, T), 0 for padding and anything else for real tokens; with a
            cache (B, M), over all the room in it. Default: ones.
        position_ids
            (B, T) or (1, T). Default: P … P + T - 1.
        encoder_hidden_states, encoder_attention_mask
            (B, E, D) and (B, E), for models with ``add_cross_attention``.
        output_attentions, output_hidden_states, return_dict
            What to return; None as in the configuration.
        train
            Drop hidden states, attention weights, activations and layers, as
            configured.
        params
            The parameters to use; None: the model's.
        past_key_values
            What `init_cache` or an earlier call returned; it is left as it is.
        dropout_rng
            What `train` draws from: a key, which draws the same each time, a
            seed, or a `numpy.random.Generator`.

        Returns
        -------
        BaseModelOutputWithPastAndCrossAttentions, \
CausalLMOutputWithCrossAttentions or tuple
            A cache only if one was given. Attentions are over all the room in
            it, (B, H, T, M); in training they are the weights after dropout.

        Raises
        ------
        ValueError, TypeError, IndexError
            If an argument has another shape or kind than expected, or holds
            what is beyond a table; if the cache is full; if `train` finds
            nothing to draw from.
        """
        config = self.config
        model = self._torch_shaped(params)
        call = Call(self, input_ids, attention_mask, position_ids, past_key_values)
        result = call.run(
            model, train, dropout_rng, encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask, output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
        )  # fmt: skip
        output = self._output(model, result)
        wants_dict = config.return_dict if return_dict is None else return_dict
        return output if wants_dict else output.to_tuple()

    def _output(self, model: XGLMForCausalLM, result: Any) -> ModelOutput:
        """Make the results of the class of those of the decoder."""
        output: ModelOutput = result
        return output

    def can_generate(self) -> bool:
        """Return whether the model has a head to generate with."""
        return not self._bare


def _refuse_what_never_worked(config: XGLMConfig) -> None:
    """Refuse the configurations that no Flax model of 4.37 could be made of."""
    if config.add_cross_attention:
        raise ValueError(
            "config: add_cross_attention is true, expected false with compat='4.37': Flax's"
            " cross-attention never worked there"
        )
    if config.d_model % 2:
        raise ValueError(
            f"config: d_model is {config.d_model}, expected an even number with compat='4.37'"
        )
