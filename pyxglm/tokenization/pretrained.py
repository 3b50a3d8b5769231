"""What both tokenizers are beside their calls: arguments that they keep, files, a name."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pyxglm.archive import PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES
from pyxglm.place import PATH_OR_ID, as_path, take_place
from pyxglm.strict_json import quoted
from pyxglm.tokenization.calls import Calls
from pyxglm.tokenization.special_tokens import Token
from pyxglm.tokenization.strategies import check_side

#: A model_max_length that means "no limit", as transformers writes it.
VERY_LARGE_INTEGER = int(1e30)

_Self = TypeVar("_Self", bound="PreTrainedTokenizer")


class PreTrainedTokenizer(Calls):
    """A tokenizer with arguments and files.

    Attributes
    ----------
    init_kwargs
        The arguments it was made with, those unknown included; saved.
    name_or_path
        Where `from_pretrained` found it.
    """

    max_model_input_sizes: ClassVar[dict[str, int]] = PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    padding_side = "right"
    truncation_side = "right"
    init_kwargs: dict[str, Any]
    clean_up_tokenization_spaces: bool

    def _set_up(self, arguments: Mapping[str, Any]) -> None:
        """Check and keep the arguments that concern lengths and names."""
        limit = arguments.get("model_max_length", arguments.get("max_len"))
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float))):
            raise TypeError(f"model_max_length is {quoted(limit)}, expected an int")
        if limit is not None and not limit > 0:
            raise ValueError(f"model_max_length is {limit}, expected at least 1")
        self.model_max_length = VERY_LARGE_INTEGER if limit is None else int(limit)
        for side in ("padding_side", "truncation_side"):
            setattr(self, side, check_side(side, arguments.get(side, "right")))
        names = arguments.get("model_input_names", self.model_input_names)
        if (
            not isinstance(names, (list, tuple))
            or not names
            or not all(isinstance(name, str) for name in names)
        ):
            raise TypeError(f"model_input_names is {quoted(names)}, expected a list of str")
        self.model_input_names = list(names)
        for name in ("split_special_tokens", "clean_up_tokenization_spaces", "verbose"):
            if not isinstance(arguments.get(name), (bool, type(None))):
                raise TypeError(f"{name} is {quoted(arguments[name])}, expected a bool")
        self.name_or_path = str(arguments.get("name_or_path", ""))
        self.chat_template = arguments.get("chat_template")
        self._warned: set[str] = set()

    @property
    def max_len_single_sentence(self) -> int:
        """The longest text, in ids, that `model_max_length` allows."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=False)

    @property
    def max_len_sentences_pair(self) -> int:
        """The longest pair of texts, in ids together, that `model_max_length` allows."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(name_or_path={self.name_or_path!r}, "
            f"vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            f"clean_up_tokenization_spaces={self.clean_up_tokenization_spaces})"
        )

    def added_vocabulary_beyond(self) -> dict[str, int]:
        """Return the added tokens whose ids are beyond the vocabulary."""
        tokens = self.added_tokens_encoder.items()
        return {token: index for token, index in tokens if index >= self.vocab_size}

    # --- Files ----------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls: type[_Self],
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> _Self:
        """Open a saved tokenizer.

        Parameters
        ----------
        pretrained_model_name_or_path
            A directory with ``sentencepiece.bpe.model``, or for
            `XGLMTokenizerFast` better ``tokenizer.json`` (and, if there,
            ``tokenizer_config.json`` and its kin); such a file itself; or the
            id of a repository, which is looked up in the local Hugging Face
            cache, or downloaded with the extra ``pyxglm[hub]``.
        revision, cache_dir, local_files_only
            Which revision of the repository, in which cache, without network.
        **kwargs
            Arguments of the constructor; they override what was saved.
            ``subfolder``, ``token``, ``force_download`` and the other keywords
            that concern files are none, and not saved: see
            `pyxglm.place`.

        Raises
        ------
        FileNotFoundError
            If there is no such directory, file or repository.
        ValueError
            If a file does not make sense; the message names it.
        """
        name = as_path("pretrained_model_name_or_path", pretrained_model_name_or_path, PATH_OR_ID)
        place = take_place(
            kwargs, revision=revision, cache_dir=cache_dir, local_files_only=local_files_only
        )
        path = Path(name)
        if path.is_file():
            return cls(**{**cls._argument_for(path), "name_or_path": name, **kwargs})
        folder = place.get("subfolder", "")
        path = path / folder if path.is_dir() else cls._located(name, **place)
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: there is no such directory")
        arguments = cls._read_arguments(path, kwargs)
        if name in cls.max_model_input_sizes:
            limit = cls.max_model_input_sizes[name]
            arguments["model_max_length"] = min(arguments.get("model_max_length", limit), limit)
        arguments["name_or_path"] = name
        return cls(**arguments)

    @abstractmethod
    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write the sentencepiece model into a directory that exists."""

    @classmethod
    @abstractmethod
    def _argument_for(cls, path: Path) -> dict[str, Any]:
        """Return the constructor's argument that a file is."""

    @classmethod
    @abstractmethod
    def _located(cls, name: str, **options: Any) -> Path:
        """Return the directory of a repository; `options` as for `checkpoint.locate`."""

    @classmethod
    @abstractmethod
    def _read_arguments(cls, directory: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the constructor's arguments that a directory amounts to."""


def additional_tokens(arguments: Mapping[str, Any], words: Sequence[str]) -> list[Token]:
    """Return the argument ``additional_special_tokens``, with those of `words` that it lacks.

    Raises
    ------
    TypeError
        If the argument is no list.
    """
    additional = arguments.get("additional_special_tokens") or []
    if not isinstance(additional, (list, tuple)):
        raise TypeError(f"additional_special_tokens is {quoted(additional)}, expected a list")
    return [*additional, *(word for word in words if word not in additional)]
