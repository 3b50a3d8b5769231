"""Flax's models from and to disk."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pyxglm.config import CONFIG_NAME, XGLMConfig, opened_config
from pyxglm.dtypes import dtype_name
from pyxglm.flax_style.trees import grown, weights_of
from pyxglm.parameters import EMBEDDING
from pyxglm.place import PATH_OR_ID, as_path, take_place


class FilesMixin:
    """The methods of `FlaxXGLMPreTrainedModel` that read and write checkpoints."""

    config: Any
    params: Any
    _bare: ClassVar[bool]
    _is_initialized: bool
    _params: Any
    name_or_path: str

    @classmethod
    def from_pretrained(
        cls: Any,
        pretrained_model_name_or_path: str | os.PathLike[str],
        dtype: Any = "float32",
        *,
        config: XGLMConfig | str | os.PathLike[str] | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        input_shape: Sequence[int] = (1, 1),
        seed: Any = 0,
        _do_init: bool = True,
        compat: str | None = None,
        backend: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Open a checkpoint: ``flax_model.msgpack``, or else what other classes open.

        Parameters
        ----------
        pretrained_model_name_or_path, config, revision, cache_dir, local_files_only
            As in `pyxglm.XGLMPreTrainedModel.from_pretrained`.
        dtype, input_shape, seed, compat, backend
            As on construction; parameters keep the file's dtype.
        _do_init
            False: return (model, params), the model having none.
        **kwargs
            Fields of the configuration to override, or ``from_pt``,
            ``from_tf``, ``from_flax`` for these files alone; ``subfolder`` and
            the others as there.

        Raises
        ------
        ValueError, FileNotFoundError
            If a file is absent, damaged, or does not fit; the message names it.
        """
        from pyxglm import checkpoint

        form = checkpoint.wanted_form(kwargs, ("flax", "safetensors", "torch", "tf"))
        place = take_place(
            kwargs, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        name = as_path("pretrained_model_name_or_path", pretrained_model_name_or_path, PATH_OR_ID)
        directory = checkpoint.locate(name, **place, form=form)
        config = opened_config(config, directory, place, kwargs)
        model = cls(
            config, input_shape, seed, dtype, _do_init=False, compat=compat, backend=backend
        )
        found = checkpoint.load(directory, config, with_head=not cls._bare, form=form)
        params = grown(found.weights, bare=cls._bare)
        model.name_or_path = name
        model._read_companions(directory)
        if not _do_init:
            return model, params
        model._is_initialized, model._params = True, params
        return model

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        params: Any = None,
        *,
        max_shard_size: int | str = "10GB",
        safe_serialization: bool = False,
    ) -> None:
        """Write ``config.json`` and ``flax_model.msgpack``, that transformers can open.

        Parameters
        ----------
        save_directory
            Where to write; made if need be.
        params
            Parameters to write; None: the model's.
        max_shard_size
            Largest size of one file, in bytes or as ``"5GB"``, ``"200MB"``.
        safe_serialization
            Write safetensors instead, as `pyxglm.XGLMForCausalLM` does.
        """
        from pyxglm import checkpoint

        weights = weights_of(
            self.params if params is None else params, self.config, bare=self._bare
        )
        config = copy.deepcopy(self.config)
        config.torch_dtype = dtype_name(weights[EMBEDDING].dtype)
        config.architectures = [type(self).__name__.removeprefix("Flax")]
        checkpoint.save(
            weights,
            as_path("save_directory", save_directory),
            max_shard_size=max_shard_size,
            bare=self._bare,
            form="safetensors" if safe_serialization else "flax",
            beside={**self._companions(), CONFIG_NAME: config.to_json_string().encode()},
        )

    def _read_companions(self, directory: Path) -> None:
        """Read what else a subclass keeps in a checkpoint's directory."""

    def _companions(self) -> dict[str, bytes]:
        """Return what else a subclass keeps in a checkpoint's directory: files by name."""
        return {}
