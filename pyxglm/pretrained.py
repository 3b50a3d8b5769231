"""XGLMPreTrainedModel: where a model's parameters come from, live, and go to.

Loading and saving, random initialisation, pruning: everything about a model but
its vocabulary (`vocabulary.py`), the storage of its weights (`storage_mixin.py`),
training mode (`training_mixin.py`) and what it computes (`modeling.py`).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pyxglm.arguments import check_type
from pyxglm.config import CONFIG_NAME, XGLMConfig, opened_config
from pyxglm.dtypes import Array, dtype_name
from pyxglm.initialization import random_weights
from pyxglm.ops import backend_module, backend_name
from pyxglm.parameters import ARRAYS, EMBEDDING, HEAD, Parameters, fitting
from pyxglm.place import PATH_OR_ID, as_path, take_place
from pyxglm.positions import PositionTable
from pyxglm.pruning import prune
from pyxglm.storage_mixin import StorageMixin
from pyxglm.training_mixin import TrainingMixin
from pyxglm.vocabulary import VocabularyMixin

Model = TypeVar("Model", bound="XGLMPreTrainedModel")


class XGLMPreTrainedModel(StorageMixin, TrainingMixin, VocabularyMixin):
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
        and outputs. Or ``"bfloat16"``, faster and coarser: float32, but
        whatever is multiplied by a matrix is rounded to bfloat16 first, and so
        is the matrix (`pyxglm.ops.coarse`).
    backend
        ``"c"`` or ``"numpy"``; None for the best that there is, see
        `pyxglm.ops.backend_name`.

    Raises
    ------
    ValueError
        If the configuration or one of the names is impossible.
    """

    config_class = XGLMConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _bare: ClassVar[bool] = True  # whether the parameters are named without "model."
    _own_head: ClassVar[bool] = False  # whether a head is kept where it is to be tied
    _forms: ClassVar[tuple[str, ...] | None] = None  # formats in the order to look for them

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
        self._parameters = Parameters(self._fresh(seed, dtype))

    def _fresh(self, seed: int, dtype: object) -> dict[str, Array]:
        return random_weights(self.config, seed, dtype, not self._bare)

    def _set_up(self, config: XGLMConfig, compute: str, backend: str | None) -> None:
        check_type("config", config, XGLMConfig, "an XGLMConfig")
        config.validate()
        self.backend = backend_name(backend, compute)
        self.config = copy.deepcopy(config)
        self.compute = compute
        self._headed = not self._bare
        self.name_or_path = ""
        self._ops = backend_module(self.backend, compute)
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
        TypeError
            If there is no configuration, or there are no weights.
        """
        model = cls.__new__(cls)
        model._set_up(config, compute, backend)
        check_type("weights", weights, Mapping, ARRAYS)
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
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: XGLMConfig | str | os.PathLike[str] | None = None,
        dtype: object = None,
        torch_dtype: object = None,
        compute: str = "float32",
        backend: str | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        variant: str | None = None,
        output_loading_info: bool = False,
        low_cpu_mem_usage: bool | None = None,
        device_map: object = None,
        attn_implementation: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a checkpoint: its weights are mapped from the file, not read.

        Parameters
        ----------
        pretrained_model_name_or_path
            A directory, or a hub id that is looked up in the local cache and,
            with the extra ``pyxglm[hub]``, downloaded.
        config
            Configuration to use instead of the checkpoint's ``config.json``; or
            where to read it.
        dtype, torch_dtype
            Stored dtype to convert the weights to (a copy in memory), as in
            ``torch_dtype="float16"``. Default: as in the file. ``"auto"``: what
            the configuration calls its ``torch_dtype``, as in the file if it
            calls nothing so.
        compute, backend
            As on construction.
        revision, cache_dir, local_files_only
            Where to look for a hub id; see `pyxglm.checkpoint.locate`, which has
            ``subfolder``, ``token`` and ``force_download`` too.
        variant
            What stands before the ending of the weights' file, as in
            ``model.fp16.safetensors``.
        output_loading_info
            Return (model, info) with what was missing or not expected.
        low_cpu_mem_usage, device_map, attn_implementation
            Accepted, as programs for transformers have them; no weight is ever
            in memory twice, the one device is ``"cpu"`` (or ``"auto"``), the one
            attention ``"eager"``.
        **kwargs
            Settings of the model (``loss_type``), fields of the configuration to
            override, or ``from_tf``, ``from_flax``, ``from_pt`` for these files
            alone, ``use_safetensors`` for these or all others. What else
            transformers has, ``trust_remote_code`` among it (no code of a
            repository is ever run), is accepted or says why it cannot be done:
            `pyxglm.place`.

        Raises
        ------
        ValueError, FileNotFoundError
            If a file is absent, damaged, or does not fit; the message names it.
        """
        from pyxglm import checkpoint

        if str(device_map) not in ("None", "cpu", "auto", "{'': 'cpu'}"):
            raise ValueError(f"device_map is {device_map!r}, expected 'cpu' or 'auto'")
        if attn_implementation not in (None, "eager"):
            raise ValueError(f"attn_implementation is {attn_implementation!r}, expected 'eager'")
        form = checkpoint.wanted_form(kwargs, cls._forms)
        place = take_place(
            kwargs, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        name = as_path("pretrained_model_name_or_path", pretrained_model_name_or_path, PATH_OR_ID)
        directory = checkpoint.locate(name, **place, form=form, variant=variant)
        settings = {key: kwargs.pop(key) for key in ("loss_type", "compat") if key in kwargs}
        config = opened_config(config, directory, place, kwargs)
        found = checkpoint.load(directory, config, form=form, variant=variant,
                                keep_head=cls._own_head,
                                with_head=not (cls._bare or cls._own_head))  # fmt: skip
        weights: Mapping[str, Array] = found.weights
        if cls._bare:
            weights = {n.removeprefix("model."): a for n, a in weights.items() if n != HEAD}
        wanted = dtype if dtype is not None else torch_dtype
        if isinstance(wanted, str) and wanted == "auto":
            wanted = config.torch_dtype
        model = cls.from_weights(
            config, weights, dtype=wanted, compute=compute, backend=backend, **settings
        )
        model.name_or_path = name
        model._read_companions(directory)
        info = {"missing_keys": [], "unexpected_keys": list(found.unexpected),
                "mismatched_keys": [], "error_msgs": []}  # fmt: skip
        return (model, info) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, Array] | None = None,
        *,
        max_shard_size: int | str = "5GB",
        safe_serialization: bool = True,
        push_to_hub: bool = False,
    ) -> None:
        """Write ``config.json`` and safetensors that transformers can open.

        Files appear under temporary names and take their own at the end, so a
        crash or a full disk leaves an older checkpoint in the directory whole
        (`pyxglm.checkpoint.saving` says which moments are left out); the
        directory may be the one that this model is mapped from.

        Parameters
        ----------
        save_directory
            Where to write; made if need be.
        is_main_process
            If False, nothing is written: another process does it.
        state_dict
            Weights to write in place of the model's own, by the same names.
        max_shard_size
            Largest size of one file, in bytes or as ``"5GB"``, ``"200MB"``.
        safe_serialization, push_to_hub
            Must be True and False: nothing is pickled, nothing uploaded.

        Raises
        ------
        ValueError
            If the weights in `state_dict` are not this model's, or for what
            cannot be done.
        """
        if not safe_serialization:
            raise ValueError("safe_serialization is False, expected True: weights are not pickled")
        if is_main_process:
            self._save(save_directory, "safetensors", max_shard_size, push_to_hub, state_dict)

    def _save(self, save_directory: Any, form: str, max_shard_size: int | str, push_to_hub: bool,
              state_dict: Mapping[str, Array] | None) -> None:  # fmt: skip
        from pyxglm import checkpoint

        if push_to_hub:
            raise ValueError("push_to_hub is True, expected False: pyxglm uploads nothing")
        directory, weights = as_path("save_directory", save_directory), dict(self._parameters)
        if state_dict is not None:
            check_type("state_dict", state_dict, Mapping, ARRAYS)
            weights = fitting(self.config, state_dict, None, bare=self._bare)
        if weights.get(HEAD) is weights[EMBEDDING]:
            del weights[HEAD]
        config = copy.deepcopy(self.config)
        config.torch_dtype = dtype_name(weights[EMBEDDING].dtype)
        config.architectures = [type(self).__name__.removeprefix("TF")]
        beside = {**self._companions(), CONFIG_NAME: config.to_json_string().encode()}
        checkpoint.save(weights, directory, max_shard_size=max_shard_size, bare=self._bare,
                        form=form, beside=beside)  # fmt: skip

    def _read_companions(self, directory: Path) -> None:
        """Read what else a subclass keeps in a checkpoint's directory."""

    def _companions(self) -> dict[str, bytes]:
        """Return what else a subclass keeps in a checkpoint's directory: files by name."""
        return {}

    # ----------------------------------------------------------------- what belongs together

    @property
    def base_model(self) -> XGLMPreTrainedModel:
        """The model without a head: `model`, or this one if it has none."""
        model: XGLMPreTrainedModel = getattr(self, self.base_model_prefix, self)
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the operations, which cannot be pickled, and what can be made again."""
        left_out = ("_ops", "_shortlist")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _ops=backend_module(state["backend"], state["compute"]))

    # --------------------------------------------------------------------------- changes

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
