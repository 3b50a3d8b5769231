"""XGLMTokenizer: text to the ids of XGLM, and back."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pyxglm.archive import (
    PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES,
    PRETRAINED_VOCAB_FILES_MAP,
    VOCAB_FILES_NAMES,
)
from pyxglm.files import write_atomically
from pyxglm.strict_json import quoted
from pyxglm.tokenization import saving
from pyxglm.tokenization.calls import Calls
from pyxglm.tokenization.special_tokens import ROLES, Token
from pyxglm.tokenization.strategies import check_side
from pyxglm.tokenization.vocabulary import MADEUP_WORDS, Vocabulary, check_processor_options

#: A model_max_length that means "no limit", as transformers writes it.
VERY_LARGE_INTEGER = int(1e30)


class XGLMTokenizer(Calls):
    """XGLM's tokenizer on the sentencepiece library, as the slow one of transformers 4.37.2.

    Parameters
    ----------
    vocab_file
        A sentencepiece model, ``sentencepiece.bpe.model`` by custom.
    bos_token, eos_token, sep_token, cls_token, unk_token, pad_token
        Special tokens: strings or `AddedToken`. ``sep_token`` is the one that
        begins every sequence.
    sp_model_kwargs
        Arguments of ``sentencepiece.SentencePieceProcessor``. With
        ``{"enable_sampling": True, "nbest_size": -1, "alpha": 0.1}`` every call
        draws another segmentation.
    mask_token, additional_special_tokens
        More special tokens. XGLM's seven ``<madeupword0>`` … are appended to
        the latter; the caller's list stays as it is.
    added_tokens_decoder
        Id to token, for tokens that were added later.
    model_max_length
        The length to truncate or pad to when none is given; default: none.
    padding_side, truncation_side
        "right" (default) or "left". Pad on the left to generate.
    clean_up_tokenization_spaces
        Whether `decode` mends English typography (default True).
    split_special_tokens
        Whether ``</s>`` in a text is text (default False: it is the token).
    model_input_names
        The fields of an encoding, ``["input_ids", "attention_mask"]``.
    verbose
        Whether to log more.
    **kwargs
        Kept, and written by `save_pretrained`.

    Raises
    ------
    FileNotFoundError
        If `vocab_file` does not exist.
    ValueError
        If it is no sentencepiece model or not XGLM's layout, or an argument
        has no meaning.
    TypeError
        If an argument has another type.

    Examples
    --------
    ::

        tokenizer = XGLMTokenizer.from_pretrained("facebook/xglm-564M", padding_side="left")
        batch = tokenizer(["Hello", "How are you?"], padding=True, return_tensors="np")
        batch.input_ids.shape  # (2, T); every row ends with its text, and begins, after the
        # padding, with </s>
    """

    vocab_files_names: ClassVar[dict[str, str]] = VOCAB_FILES_NAMES
    pretrained_vocab_files_map: ClassVar[dict[str, dict[str, str]]] = PRETRAINED_VOCAB_FILES_MAP
    max_model_input_sizes: ClassVar[dict[str, int]] = PRETRAINED_POSITIONAL_EMBEDDINGS_SIZES
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    padding_side = "right"
    truncation_side = "right"
    is_fast = False

    def __init__(
        self,
        vocab_file: str | os.PathLike[str],
        bos_token: Token | None = "<s>",  # noqa: S107
        eos_token: Token | None = "</s>",  # noqa: S107
        sep_token: Token | None = "</s>",  # noqa: S107
        cls_token: Token | None = "<s>",  # noqa: S107
        unk_token: Token | None = "<unk>",  # noqa: S107
        pad_token: Token | None = "<pad>",  # noqa: S107
        sp_model_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(vocab_file, (str, os.PathLike)):
            raise TypeError(f"vocab_file is {quoted(vocab_file)}, expected a path")
        self.vocab_file = os.fspath(vocab_file)
        self.sp_model_kwargs = check_processor_options(sp_model_kwargs or {})
        additional = kwargs.get("additional_special_tokens") or []
        if not isinstance(additional, (list, tuple)):
            raise TypeError(f"additional_special_tokens is {quoted(additional)}, expected a list")
        missing = [word for word in MADEUP_WORDS if word not in additional]
        added_tokens = kwargs.pop("added_tokens_decoder", None) or {}
        self.init_kwargs: dict[str, Any] = copy.deepcopy(
            {
                "bos_token": bos_token,
                "eos_token": eos_token,
                "unk_token": unk_token,
                "sep_token": sep_token,
                "cls_token": cls_token,
                "pad_token": pad_token,
                "sp_model_kwargs": self.sp_model_kwargs,
                **kwargs,
                "additional_special_tokens": [*additional, *missing],
            }
        )
        self._set_up(self.init_kwargs)
        super().__init__(
            Vocabulary.from_file(self.vocab_file, self.sp_model_kwargs),
            {role: self.init_kwargs.get(role) for role in ROLES},
            added_tokens,
            split_special_tokens=bool(kwargs.get("split_special_tokens", False)),
            clean_up_tokenization_spaces=bool(kwargs.get("clean_up_tokenization_spaces", True)),
            verbose=bool(kwargs.get("verbose", False)),
        )

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
            f"XGLMTokenizer(name_or_path={self.name_or_path!r}, vocab_size={self.vocab_size}, "
            f"model_max_length={self.model_max_length}, padding_side={self.padding_side!r}, "
            f"truncation_side={self.truncation_side!r}, special_tokens={self.special_tokens_map}, "
            f"clean_up_tokenization_spaces={self.clean_up_tokenization_spaces})"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the model as bytes: the library's object stays here."""
        state = self.__dict__.copy()
        state["_vocabulary"] = self._vocabulary.proto()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._vocabulary = Vocabulary.from_proto(state["_vocabulary"], self.sp_model_kwargs)

    # --- Files ----------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> XGLMTokenizer:
        """Open a saved tokenizer.

        Parameters
        ----------
        pretrained_model_name_or_path
            A directory with ``sentencepiece.bpe.model`` (and, if there,
            ``tokenizer_config.json`` and its kin); a sentencepiece model file;
            or the id of a repository, which is looked up in the local Hugging
            Face cache, or downloaded with the extra ``pyxglm[hub]``.
        revision, cache_dir, local_files_only
            Which revision of the repository, in which cache, without network.
        **kwargs
            Arguments of the constructor; they override what was saved.

        Raises
        ------
        FileNotFoundError
            If there is no such directory, file or repository.
        ValueError
            If a file does not make sense; the message names it.
        """
        if not isinstance(pretrained_model_name_or_path, (str, os.PathLike)):
            raise TypeError(
                f"from_pretrained: {quoted(pretrained_model_name_or_path)}, expected a path or id"
            )
        name = str(pretrained_model_name_or_path)
        path = Path(pretrained_model_name_or_path)
        if path.is_file():
            return cls(path, name_or_path=name, **kwargs)
        if not path.is_dir():
            from pyxglm.checkpoint import locate

            path = locate(
                name,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                filenames=(saving.VOCABULARY_FILE,),
            )
        arguments = saving.read_arguments(path, kwargs)
        if name in cls.max_model_input_sizes:
            limit = cls.max_model_input_sizes[name]
            arguments["model_max_length"] = min(arguments.get("model_max_length", limit), limit)
        arguments["name_or_path"] = name
        vocab_file = arguments.pop("vocab_file", path / saving.VOCABULARY_FILE)
        return cls(vocab_file, **arguments)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
        push_to_hub: bool = False,
    ) -> tuple[str, ...]:
        """Write the tokenizer's files, as transformers 4.37.2 writes and reads them.

        Parameters
        ----------
        save_directory
            Made if it does not exist.
        legacy_format
            None or True: this is the format of Python tokenizers.
        filename_prefix
            Put before each name, with a hyphen.
        push_to_hub
            Not available.

        Returns
        -------
        tuple[str, ...]
            The files' paths; the last, ``added_tokens.json``, is written only
            if there are tokens beyond the vocabulary.

        Raises
        ------
        NotADirectoryError
            If `save_directory` is a file.
        ValueError
            If an argument asks for what is not available.
        """
        if legacy_format is False or push_to_hub:
            raise ValueError(
                "save_pretrained: legacy_format=False and push_to_hub=True are not available"
            )
        return saving.save(self, Path(save_directory), filename_prefix)

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Write the sentencepiece model into a directory that exists.

        It is a copy of `vocab_file`; if that is gone, what was read from it.
        Saving over `vocab_file` itself leaves it alone.

        Returns
        -------
        tuple[str]
            The file's path.

        Raises
        ------
        NotADirectoryError
            If `save_directory` is no directory.
        """
        directory = Path(save_directory)
        if not directory.is_dir():
            raise NotADirectoryError(f"save_vocabulary: {directory} is no directory")
        target = saving.file_in(directory, filename_prefix, saving.VOCABULARY_FILE)
        source = Path(self.vocab_file)
        if not source.is_file():
            write_atomically(target, self._vocabulary.proto())
        elif not (target.exists() and target.samefile(source)):
            write_atomically(target, source.read_bytes())
        return (str(target),)

    def added_vocabulary_beyond(self) -> dict[str, int]:
        """Return the added tokens whose ids are beyond the vocabulary."""
        tokens = self.added_tokens_encoder.items()
        return {token: index for token, index in tokens if index >= self.vocab_size}
