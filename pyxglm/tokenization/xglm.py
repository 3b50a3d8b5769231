"""XGLMTokenizer: text to the ids of XGLM, and back."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pyxglm.archive import PRETRAINED_VOCAB_FILES_MAP, VOCAB_FILES_NAMES
from pyxglm.files import write_atomically
from pyxglm.strict_json import quoted
from pyxglm.tokenization import saving
from pyxglm.tokenization.pretrained import PreTrainedTokenizer, additional_tokens
from pyxglm.tokenization.special_tokens import ROLES, Token
from pyxglm.tokenization.text_calls import TextCalls
from pyxglm.tokenization.vocabulary import MADEUP_WORDS, Vocabulary, check_processor_options


class XGLMTokenizer(PreTrainedTokenizer, TextCalls):
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
        additional = additional_tokens(kwargs, MADEUP_WORDS)
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
                "additional_special_tokens": additional,
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
    def _argument_for(cls, path: Path) -> dict[str, Any]:
        return {"vocab_file": path}

    @classmethod
    def _located(cls, name: str, **options: Any) -> Path:
        from pyxglm.checkpoint import locate

        return locate(name, **options, filenames=(saving.VOCABULARY_FILE,))

    @classmethod
    def _read_arguments(cls, directory: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
        arguments = saving.read_arguments(directory, overrides)
        arguments.setdefault("vocab_file", directory / saving.VOCABULARY_FILE)
        return arguments

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
        return saving.save(self, save_directory, filename_prefix)

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
        directory = saving.existing_directory(save_directory)
        target = saving.file_in(directory, filename_prefix, saving.VOCABULARY_FILE)
        source = Path(self.vocab_file)
        if not source.is_file():
            write_atomically(target, self._vocabulary.proto())
        elif not (target.exists() and target.samefile(source)):
            write_atomically(target, source.read_bytes())
        return (str(target),)
