"""A configuration as JSON: its text, and the files that hold it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pyxglm.config_checks import check_kind
from pyxglm.files import write_atomically
from pyxglm.place import PATH_OR_ID, as_path, take_place

CONFIG_NAME = "config.json"


class JsonFile:
    """A file of what `to_json_string` gives, for those who have such a method."""

    def to_json_file(
        self: Any, json_file_path: str | os.PathLike[str], use_diff: bool = True
    ) -> None:
        """Write the text of `to_json_string` into a file.

        Raises
        ------
        TypeError, ValueError
            If a value is nothing that JSON has a word for.
        """
        write_atomically(Path(json_file_path), self.to_json_string(use_diff).encode())


class ConfigFiles(JsonFile):
    """The methods of `XGLMConfig` that read and write files.

    They build on its `from_dict`, `to_dict` and `to_diff_dict`.
    """

    @classmethod
    def from_json_file(cls: Any, json_file: str | os.PathLike[str]) -> Any:
        """Read a configuration from a JSON file.

        Raises
        ------
        ValueError
            If the file is not strict JSON, or a value is impossible; the
            message names the file.
        """
        return cls._from_json(Path(json_file))

    @classmethod
    def _from_json(cls: Any, path: Path, **kwargs: Any) -> Any:
        from pyxglm.strict_json import read_json

        fields = read_json(path)
        try:
            check_kind(fields)
            return cls.from_dict(fields, **kwargs)
        except ValueError as error:
            raise ValueError(f"{path}: {str(error).removeprefix('config: ')}") from None

    @classmethod
    def from_pretrained(
        cls: Any,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Read ``config.json`` from a directory, a JSON file or a hub id.

        Parameters
        ----------
        pretrained_model_name_or_path
            A directory with a ``config.json``, the path of a JSON file, or a
            hub id such as ``"facebook/xglm-564M"``, which is looked up in the
            local cache before anything is downloaded.
        revision, cache_dir, local_files_only
            Where and how to look for a hub id; see `pyxglm.checkpoint.locate`.
        **kwargs
            Fields to override, and ``return_unused_kwargs``, as in `from_dict`;
            ``subfolder``, ``token`` and the others of
            `pyxglm.place`.

        Raises
        ------
        ValueError, FileNotFoundError
            If there is no such file, or it is not an XGLM configuration.
        """
        place = take_place(
            kwargs, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        name = as_path("pretrained_model_name_or_path", pretrained_model_name_or_path, PATH_OR_ID)
        path = Path(name)
        if path.is_file():
            return cls._from_json(path, **kwargs)
        from pyxglm.checkpoint import locate

        directory = locate(name, **place, filenames=(CONFIG_NAME,))
        return cls._from_json(directory / CONFIG_NAME, **kwargs)

    def save_pretrained(
        self: Any, save_directory: str | os.PathLike[str], push_to_hub: bool = False
    ) -> None:
        """Write ``config.json`` into a directory, which is made if need be.

        Raises
        ------
        ValueError
            With ``push_to_hub=True``: nothing is uploaded.
        """
        if push_to_hub:
            raise ValueError("push_to_hub is True, expected False: pyxglm uploads nothing")
        directory = Path(as_path("save_directory", save_directory))
        directory.mkdir(parents=True, exist_ok=True)
        self.to_json_file(directory / CONFIG_NAME)

    def to_json_string(self: Any, use_diff: bool = True) -> str:
        """Return the JSON text that `save_pretrained` writes.

        Raises
        ------
        TypeError, ValueError
            If a kept value is nothing that JSON has a word for.
        """
        fields = self.to_diff_dict() if use_diff else self.to_dict()
        text = json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return text + "\n"
