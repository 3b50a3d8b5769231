"""Settings of `generate` as JSON: their text, and the files that hold them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm.config_files import CONFIG_NAME, JsonFile
from pyxglm.files import write_atomically
from pyxglm.generation.setting_checks import pairs_of_bias
from pyxglm.place import PATH_OR_ID, as_path, take_place
from pyxglm.strict_json import read_json

FILE_NAME = "generation_config.json"

#: What says where settings came from, and asks for nothing.
METADATA = ("_from_model_config", "_commit_hash", "_original_object_hash", "transformers_version")

#: Always written: their defaults are XGLM's, and transformers has none.
_ALWAYS = ("bos_token_id", "eos_token_id", "pad_token_id")

#: Settings that no ``config.json`` means by a key of that name: transformers 4.37 has none so.
_NEVER_OF_A_MODEL = (
    "seed", "newline", "ignore_padding", "min_p", "stop_strings", "output_logits",
    "output_log_probs", "generation_kwargs",
)  # fmt: skip


class SettingFiles(JsonFile):
    """The methods of `GenerationConfig` that read and write files.

    They build on its `from_dict`, `to_dict` and `validate`.
    """

    @classmethod
    def from_pretrained(
        cls: Any,
        pretrained_model_name: str | os.PathLike[str],
        config_file_name: str = FILE_NAME,
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Read ``generation_config.json`` from a checkpoint's directory, or a hub id.

        Parameters
        ----------
        pretrained_model_name
            The directory, or an id such as ``"facebook/xglm-564M"``.
        config_file_name
            The file's name, if it has another one.
        revision, cache_dir, local_files_only
            Where and how to look for a hub id; see `pyxglm.checkpoint.locate`.
        **kwargs
            Settings to override, and ``return_unused_kwargs``, as in `from_dict`;
            ``subfolder``, ``token`` and the others of `pyxglm.place`.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is no strict JSON object or asks for the impossible; the
            message names the file.
        TypeError
            If an override is no setting.
        """
        from pyxglm.checkpoint import locate

        place = take_place(
            kwargs, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        name = as_path("pretrained_model_name", pretrained_model_name, PATH_OR_ID)
        directory = locate(name, **place, filenames=(config_file_name,))
        path = directory / config_file_name
        values = read_json(path)
        try:
            read = cls.from_dict(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
        return cls.from_dict(read.to_dict(), **kwargs) if kwargs else read

    @classmethod
    def from_model_config(cls: Any, model_config: Any) -> Any:
        """Make settings of what a model's configuration holds of them: its special ids, above all.

        Configurations from before there were files of settings may hold others
        too, such as ``num_beams``.

        Raises
        ------
        ValueError
            If they ask for the impossible.
        """
        names = [name for name in cls().to_dict() if name not in _NEVER_OF_A_MODEL]
        values = {n: getattr(model_config, n) for n in names if hasattr(model_config, n)}
        for name in ("use_cache", "output_attentions", "output_hidden_states"):
            if values.get(name) in (0, 1):  # which will do in a configuration
                values[name] = bool(values[name])
        try:
            return cls.from_dict(values)
        except (TypeError, ValueError) as error:
            raise ValueError(f"config: {error}") from None

    @classmethod
    def of_checkpoint(cls: Any, directory: str | Path, config: Any) -> Any:
        """Read a checkpoint's ``generation_config.json``; without one, ask its configuration.

        Raises
        ------
        ValueError
            As `from_pretrained` and `from_model_config`; the message names the file.
        """
        if (Path(directory) / FILE_NAME).exists():
            return cls.from_pretrained(directory)
        try:
            return cls.from_model_config(config)
        except ValueError as error:
            path = Path(directory) / CONFIG_NAME
            raise ValueError(f"{path}: {str(error).removeprefix('config: ')}") from None

    def as_file(self: Any) -> dict[str, bytes]:
        """Return the file that a model's directory has of them: its name and what it holds.

        Raises
        ------
        TypeError, ValueError
            As `to_json_string`.
        """
        return {FILE_NAME: self.to_json_string().encode()}

    def save_pretrained(
        self: Any,
        save_directory: str | os.PathLike[str],
        config_file_name: str = FILE_NAME,
        push_to_hub: bool = False,
    ) -> None:
        """Write ``generation_config.json``, or another file, into a directory, made if need be.

        Raises
        ------
        TypeError, ValueError
            As `to_json_string`; and with ``push_to_hub=True``: nothing is uploaded.
        """
        if push_to_hub:
            raise ValueError("push_to_hub is True, expected False: pyxglm uploads nothing")
        text = self.to_json_string()
        directory = Path(as_path("save_directory", save_directory))
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / config_file_name, text.encode())

    def to_diff_dict(self: Any) -> dict[str, Any]:
        """Return `extra`, the special ids, and the settings that differ from the defaults."""
        defaults = type(self)().to_dict()
        return {
            name: value
            for name, value in self.to_dict().items()
            if name in _ALWAYS or name not in defaults or value != defaults[name]
        }

    def to_json_string(self: Any, use_diff: bool = True, ignore_metadata: bool = False) -> str:
        """Return the JSON text that `save_pretrained` writes.

        Parameters
        ----------
        use_diff
            What `to_diff_dict` holds; else all settings.
        ignore_metadata
            Leave out what says where they came from, such as ``transformers_version``.

        Raises
        ------
        TypeError, ValueError
            If a setting is impossible, or there are `constraints`: objects,
            which JSON cannot hold.
        """
        self.validate()
        if self.constraints is not None:
            raise ValueError(
                "constraints are objects, expected None in settings that are to be saved:"
                " give them to generate"
            )
        values = self.to_diff_dict() if use_diff else self.to_dict()
        if ignore_metadata:
            values = {name: value for name, value in values.items() if name not in METADATA}
        if self.sequence_bias is not None:  # JSON has no tuples for keys
            values["sequence_bias"] = [[[*ids], b] for ids, b in pairs_of_bias(self.sequence_bias)]
        text = json.dumps(values, indent=2, sort_keys=True, allow_nan=False, default=_plain)
        return text + "\n"


def _plain(value: Any) -> Any:
    """Return what JSON has words for, of NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a setting holds a {type(value).__name__}, expected what JSON has a word for")
