"""XGLMPreTrainedModel: where a model's parameters come from, live, and go to.

Loading and saving, random initialisation, the embedding and the head, resizing
and pruning: everything about a model but what it computes.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array, dtype_name
from pyxglm.embeddings import Embedding, Head, embedding_matrix
from pyxglm.initialization import random_weights, resized_rows
from pyxglm.ops import backend_module
from pyxglm.parameters import EMBEDDING, HEAD, Parameters, fitting
from pyxglm.positions import PositionTable
from pyxglm.pruning import prune

Model = TypeVar("Model", bound="XGLMPreTrainedModel")


class XGLMPreTrainedModel:
    """What `XGLMModel` and `XGLMForCausalLM` share; not a model itself.

    Parameters
    ----------
    config
        The configuration; the model keeps a copy.
    seed
        Seed of the random initial weights: matrices N(0, init_std), biases 0,
        layer norms 1 and 0, the embedding's padding row 0.
    dtype
        Stored dtype of the weights.
    compute
        ``"float32"`` or ``"float64"``: dtype of arithmetic, activations, cache
        and outputs.
    backend
        Name of the operations' backend; None for the default.

    Raises
    ------
    ValueError
        If the configuration or one of the names is impossible.
    """

    config_class = XGLMConfig
    base_model_prefix = "model"
    _bare: ClassVar[bool] = True  # whether the parameters are named without "model."

    def __init__(
        self,
        config: XGLMConfig,
        *,
        seed: int = 0,
        dtype: object = "float32",
        compute: str = "float32",
        backend: str | None = None,
    ) -> None:
        self._set_up(config, compute, backend)
        self._parameters = Parameters(random_weights(self.config, seed, dtype, not self._bare))

    def _set_up(self, config: XGLMConfig, compute: str, backend: str | None) -> None:
        if not isinstance(config, XGLMConfig):
            raise TypeError(f"config is a {type(config).__name__}, expected an XGLMConfig")
        config.validate()
        if compute not in ("float32", "float64"):
            raise ValueError(f"compute is {compute!r}, expected 'float32' or 'float64'")
        self.config = copy.deepcopy(config)
        self.compute = compute
        self.backend = backend
        self.training = False
        self.name_or_path = ""
        self._ops = backend_module(backend)
        self._positions = PositionTable(self.config)

    # ------------------------------------------------------------------ from and to disk

    @classmethod
    def from_weights(
        cls: type[Model],
        config: XGLMConfig,
        weights: Mapping[str, Array],
        *,
        dtype: object = None,
        compute: str = "float32",
        backend: str | None = None,
        **settings: Any,
    ) -> Model:
        """Build a model around arrays, which are not copied.

        Parameters
        ----------
        config
            The configuration.
        weights
            Arrays by name, as `state_dict` returns them.
        dtype
            Stored dtype to convert to; None leaves the arrays as they are.
        compute, backend, **settings
            As on construction.

        Raises
        ------
        ValueError
            If a parameter is missing, unknown, or of another shape.
        """
        model = cls.__new__(cls)
        model._set_up(config, compute, backend)
        model._parameters = Parameters(fitting(model.config, weights, dtype, bare=cls._bare))
        model._finish(**settings)
        return model

    def _finish(self, **settings: Any) -> None:
        """Take the settings that only a subclass has."""
        if settings:
            raise TypeError(f"{next(iter(settings))!r} is no setting of {type(self).__name__}")

    @classmethod
    def from_pretrained(
        cls: type[Model],
        name_or_path: str | os.PathLike[str],
        *,
        config: XGLMConfig | None = None,
        dtype: object = None,
        torch_dtype: object = None,
        compute: str = "float32",
        backend: str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Open a checkpoint: its weights are mapped from the file, not read.

        Parameters
        ----------
        name_or_path
            A directory, or a hub id that is looked up in the local cache and,
            with the extra ``pyxglm[hub]``, downloaded.
        config
            Configuration to use instead of the checkpoint's ``config.json``.
        dtype, torch_dtype
            Stored dtype to convert the weights to (a copy in memory). Default,
            and ``"auto"``: as in the file.
        compute, backend
            As on construction.
        revision, cache_dir, local_files_only
            Where to look for a hub id; see `pyxglm.checkpoint.locate`.
        output_loading_info
            Return (model, info) with what was missing or not expected.
        **kwargs
            Settings of the model (``loss_type``) or fields of the configuration
            to override.

        Raises
        ------
        ValueError, FileNotFoundError
            If a file is absent, damaged, or does not fit; the message names it.
        """
        from pyxglm import checkpoint

        directory = checkpoint.locate(
            name_or_path,
            revision=revision,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        settings = {key: kwargs.pop(key) for key in ("loss_type",) if key in kwargs}
        config = config or XGLMConfig.from_pretrained(directory, **kwargs)
        found = checkpoint.load(directory, config, with_head=not cls._bare)
        weights: Mapping[str, Array] = found.weights
        if cls._bare:
            weights = {name.removeprefix("model."): array for name, array in weights.items()}
        wanted = dtype if dtype is not None else torch_dtype
        wanted = None if wanted in (None, "auto") else wanted
        model = cls.from_weights(
            config, weights, dtype=wanted, compute=compute, backend=backend, **settings
        )
        model.name_or_path = str(name_or_path)
        info = {"missing_keys": [], "unexpected_keys": list(found.unexpected),
                "mismatched_keys": [], "error_msgs": []}  # fmt: skip
        return (model, info) if output_loading_info else model

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, max_shard_size: int | str = "5GB"
    ) -> None:
        """Write ``config.json`` and safetensors that transformers can open.

        Files appear under temporary names and take their own at the end, so a
        crash leaves an older checkpoint in the directory whole; the directory
        may be the one that this model is mapped from.

        Parameters
        ----------
        save_directory
            Where to write; made if need be.
        max_shard_size
            Largest size of one file, in bytes or as ``"5GB"``, ``"200MB"``.
        """
        from pyxglm import checkpoint

        directory = Path(save_directory)
        config = copy.deepcopy(self.config)
        config.torch_dtype = dtype_name(self.dtype)
        config.architectures = [type(self).__name__]
        checkpoint.save(
            dict(self._parameters), directory, max_shard_size=max_shard_size, bare=self._bare
        )
        config.save_pretrained(directory)

    # ------------------------------------------------------------------------ parameters

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield every parameter once, by name; a tied head is not listed."""
        for name, array in self._parameters.items():
            if not self._bare:
                yield name, array
            elif name != HEAD:
                yield name.removeprefix("model."), array

    def parameters(self) -> Iterator[Array]:
        """Yield every parameter once."""
        return (array for _, array in self.named_parameters())

    def state_dict(self) -> dict[str, Array]:
        """Return all arrays by name, as stored; a tied head is listed too."""
        named = dict(self.named_parameters())
        if not self._bare:
            named.setdefault(HEAD, self._parameters[EMBEDDING])
        return named

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Return how many numbers the model consists of (a tied head counts once).

        All are trainable, as far as an inference library can say.
        """
        return sum(
            array.size
            for name, array in self.named_parameters()
            if not (exclude_embeddings and name.endswith("embed_tokens.weight"))
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype of the weights (`pyxglm.dtypes.bfloat16` for bfloat16)."""
        return self._parameters[EMBEDDING].dtype

    @property
    def device(self) -> str:
        """Where the model computes: always ``"cpu"``."""
        return "cpu"

    def eval(self: Model) -> Model:
        """Return the model, which is always in evaluation mode: there is no dropout."""
        return self

    # ---------------------------------------------------------------- embedding and head

    def get_input_embeddings(self) -> Embedding:
        """Return the token embedding; its rows are not scaled."""
        return Embedding(self._parameters[EMBEDDING], np.dtype(self.compute))

    def set_input_embeddings(self, value: Any) -> None:
        """Replace the token embedding by an array (V, D) or an `Embedding`.

        The head keeps the old one until `tie_weights`, as in transformers.
        """
        weight = embedding_matrix("embed_tokens", value, self.config.d_model)
        if HEAD not in self._parameters and not self._bare:
            self._parameters[HEAD] = self._parameters[EMBEDDING]
        self._parameters[EMBEDDING] = weight

    def get_output_embeddings(self) -> Head | None:
        """Return the output head, or None for a model without one."""
        if self._bare:
            return None
        return Head(self._parameters.get(HEAD, self._parameters[EMBEDDING]))

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        """Replace the head by an array (V, D) or a `Head`.

        Raises
        ------
        ValueError
            If the model has no head, or the shape is another.
        """
        if self._bare:
            raise ValueError(f"set_output_embeddings: {type(self).__name__} has no output head")
        self._parameters[HEAD] = embedding_matrix("lm_head", new_embeddings, self.config.d_model)

    def tie_weights(self) -> None:
        """Make the head the embedding again, if the configuration ties them."""
        if self.config.tie_word_embeddings and not self._bare:
            self._parameters.pop(HEAD, None)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        *,
        seed: int = 0,
    ) -> Embedding:
        """Change the vocabulary's size; new rows are random, N(0, init_std).

        Parameters
        ----------
        new_num_tokens
            New number of rows; None keeps the number (up to rounding).
        pad_to_multiple_of
            Round the number up to a multiple of this.
        seed
            Seed of the new rows.

        Returns
        -------
        Embedding
            The new embedding. A tied head stays tied.

        Raises
        ------
        ValueError
            If a size is below 1.
        """
        if new_num_tokens is None and pad_to_multiple_of is None:
            return self.get_input_embeddings()
        rows = self.config.vocab_size if new_num_tokens is None else new_num_tokens
        for name, size in (("new_num_tokens", rows), ("pad_to_multiple_of", pad_to_multiple_of)):
            if size is not None and (not isinstance(size, int) or size < 1):
                raise ValueError(f"{name} is {size!r}, expected a whole number from 1")
        if pad_to_multiple_of is not None:
            rows = -(-rows // pad_to_multiple_of) * pad_to_multiple_of
        generator = np.random.default_rng(seed)
        for name in (EMBEDDING, HEAD):
            if name in self._parameters:
                old_VD = self._parameters[name]
                self._parameters[name] = resized_rows(old_VD, rows, self.config.init_std, generator)
        self.config.vocab_size = rows
        self.tie_weights()
        return self.get_input_embeddings()

    def prune_heads(self, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
        """Cut self-attention heads out of layers for good.

        Parameters
        ----------
        heads_to_prune
            Heads to remove, by layer; heads are counted as in the whole model,
            and those already gone may be named again.

        Raises
        ------
        ValueError
            If there is no such layer or head.
        """
        prune(self._parameters, self.config, heads_to_prune)

    def set_position_table(self, table_PD: Any) -> None:
        """Use these position vectors (rows, D) instead of computing them; None undoes it."""
        self._positions.set(table_PD)
