"""XGLMTokenizerFast: text to ids and back by the `tokenizers` library."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pyxglm.archive import FAST_PRETRAINED_VOCAB_FILES_MAP, FAST_VOCAB_FILES_NAMES
from pyxglm.files import write_atomically
from pyxglm.strict_json import quoted
from pyxglm.tokenization import saving
from pyxglm.tokenization.added_token import settled
from pyxglm.tokenization.fast import training
from pyxglm.tokenization.fast.calls import FastCalls, refuse_split_special_tokens
from pyxglm.tokenization.fast.document import added_tokens, read_document
from pyxglm.tokenization.fast.opening import load, open_backend, take_settings
from pyxglm.tokenization.pretrained import PreTrainedTokenizer, additional_tokens
from pyxglm.tokenization.special_tokens import ROLES, Token
from pyxglm.tokenization.vocabulary import MADEUP_WORDS
from pyxglm.tokenization.xglm import XGLMTokenizer


class _Customary(str):
    """XGLM's own token for a role: nobody has asked for it, so it must be in the vocabulary."""

    __slots__ = ()


_BOS, _EOS, _UNK, _PAD = map(_Customary, ("<s>", "</s>", "<unk>", "<pad>"))


class XGLMTokenizerFast(PreTrainedTokenizer, FastCalls):
    """A tokenizer on the `tokenizers` library, as the fast one of transformers 4.37.2.

    It tells where each token came from, also to `BatchEncoding`
    (``char_to_token`` and its kin), and opens any ``tokenizer.json``: XGLM's,
    or the byte-level one of a model that shares XGLM's architecture. For XGLM
    itself `XGLMTokenizer` is what the models were trained with.

    Parameters
    ----------
    vocab_file
        A sentencepiece model, to convert if there is no `tokenizer_file`.
    tokenizer_file
        A ``tokenizer.json``.
    bos_token, eos_token, sep_token, cls_token, unk_token, pad_token
        Special tokens: strings or `AddedToken`. What is given is added to the
        vocabulary if it lacks it; XGLM's own, the defaults, count only where
        the vocabulary has them.
    tokenizer_object
        A ``tokenizers.Tokenizer``, in place of a file. It is copied.
    from_slow
        Convert `vocab_file` even if there is a `tokenizer_file`.
    mask_token, additional_special_tokens, added_tokens_decoder, model_max_length, padding_side,
    truncation_side, clean_up_tokenization_spaces, model_input_names, verbose, **kwargs
        See `XGLMTokenizer`. XGLM's seven ``<madeupword0>`` … are special if
        the vocabulary has them.

    Raises
    ------
    ModuleNotFoundError
        If the library is not installed (``pip install "pyxglm[fast]"``).
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file does not make sense, or an argument has no meaning.
    TypeError
        If an argument has another type.

    Notes
    -----
    The published ``tokenizer.json`` is an approximation of the sentencepiece
    model. For the same text the two differ in this:

    ===============================  ======================  =========================
    text                             `XGLMTokenizer`         `XGLMTokenizerFast`
    ===============================  ======================  =========================
    a space at the end               is dropped              is a token "▁" (published
                                                             file; dropped by a
                                                             converted one)
    "▁" at the beginning             gets another "▁"        stands for it (XGLM's
                                                             normaliser makes it a
                                                             space: no difference)
    characters of several code       longest match           each group of code points
    points (Hangul jamo, ｶﾞ)                                 by its first match
    segmentations nearly as likely   float32 sums            float64 sums
    "＜s＞", which normalises to     is text                 is the token ``<s>``: a
    "<s>"                                                    text can hold control
                                                             tokens, and nothing
                                                             prevents it
    decoding                         no space at either end  one space less on the left
    ===============================  ======================  =========================
    """

    vocab_files_names: ClassVar[dict[str, str]] = FAST_VOCAB_FILES_NAMES
    pretrained_vocab_files_map: ClassVar[dict[str, dict[str, str]]] = (
        FAST_PRETRAINED_VOCAB_FILES_MAP
    )
    slow_tokenizer_class = XGLMTokenizer
    is_fast = True

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | None = None,
        tokenizer_file: str | os.PathLike[str] | None = None,
        bos_token: Token | None = _BOS,
        eos_token: Token | None = _EOS,
        sep_token: Token | None = _EOS,
        cls_token: Token | None = _BOS,
        unk_token: Token | None = _UNK,
        pad_token: Token | None = _PAD,
        *,
        tokenizer_object: Any = None,
        from_slow: bool = False,
        **kwargs: Any,
    ) -> None:
        for name, path in (("vocab_file", vocab_file), ("tokenizer_file", tokenizer_file)):
            if not isinstance(path, (str, os.PathLike, type(None))):
                raise TypeError(f"{name} is {quoted(path)}, expected a path")
        if kwargs.get("split_special_tokens"):
            refuse_split_special_tokens()
        self.vocab_file = None if vocab_file is None else os.fspath(vocab_file)
        backend = open_backend(self.vocab_file, tokenizer_file, tokenizer_object, from_slow)
        take_settings(backend, kwargs)
        roles = {
            "bos_token": bos_token,
            "eos_token": eos_token,
            "unk_token": unk_token,
            "sep_token": sep_token,
            "cls_token": cls_token,
            "pad_token": pad_token,
        }
        for role, token in roles.items():
            if isinstance(token, _Customary):
                roles[role] = None if backend.token_to_id(token) is None else str(token)
        fillers = [word for word in MADEUP_WORDS if backend.token_to_id(word) is not None]
        self._is_xglms = len(fillers) == len(MADEUP_WORDS)
        additional = additional_tokens(kwargs, fillers)
        if tokenizer_object is None and (from_slow or tokenizer_file is None):
            # As if an XGLMTokenizer had been made first: its argument, and its settled tokens.
            kwargs.setdefault("sp_model_kwargs", {})
            roles = {role: settled(token) for role, token in roles.items()}
            additional = [settled(token) for token in additional]
        saved = kwargs.pop("added_tokens_decoder", None) or {}
        self.init_kwargs = copy.deepcopy(
            {**roles, **kwargs, "additional_special_tokens": additional}
        )
        self._set_up(self.init_kwargs)
        cleaning = kwargs.get("clean_up_tokenization_spaces")
        self.clean_up_tokenization_spaces = True if cleaning is None else cleaning
        super().__init__(
            backend,
            {role: self.init_kwargs.get(role) for role in ROLES},
            saved,
            verbose=bool(kwargs.get("verbose", False)),
        )

    # --- Files ----------------------------------------------------------------------

    @classmethod
    def _argument_for(cls, path: Path) -> dict[str, Any]:
        return {"tokenizer_file" if path.suffix == ".json" else "vocab_file": path}

    @classmethod
    def _located(cls, name: str, **options: Any) -> Path:
        from pyxglm.checkpoint import locate

        # What is in the cache comes first, and tokenizer.json before the model it was made of.
        both = (saving.FAST_FILE, saving.VOCABULARY_FILE)
        wishes = [both, both[:1], both[1:]]
        for wish in () if options.get("force_download") else wishes:
            try:
                return locate(name, **{**options, "local_files_only": True}, filenames=wish)
            except FileNotFoundError:
                continue
        for wish in wishes[:-1]:
            try:
                return locate(name, **options, filenames=wish)
            except FileNotFoundError:
                continue
        return locate(name, **options, filenames=wishes[-1])

    @classmethod
    def _read_arguments(cls, directory: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
        path = directory / saving.FAST_FILE
        # Read once: what the arguments take from this file is what is loaded.
        document = read_document(path) if path.is_file() else None
        entries = [] if document is None else added_tokens(document)
        arguments = saving.read_arguments(directory, overrides, fast_entries=entries)
        given = {"vocab_file", "tokenizer_file", "tokenizer_object"} & arguments.keys()
        if (directory / saving.VOCABULARY_FILE).is_file():
            arguments.setdefault("vocab_file", directory / saving.VOCABULARY_FILE)
        elif document is None and not given:
            raise FileNotFoundError(
                f"{directory}: there is no {saving.FAST_FILE} and no {saving.VOCABULARY_FILE} "
                "in this directory"
            )
        if document is not None and not given and not arguments.get("from_slow"):
            arguments["tokenizer_object"] = load(document, str(path))
        return arguments

    @property
    def can_save_slow_tokenizer(self) -> bool:
        """Whether the sentencepiece model is still there, for `XGLMTokenizer`'s files."""
        return self.vocab_file is not None and Path(self.vocab_file).is_file()

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
            False: ``tokenizer.json``. True: the sentencepiece model, of which
            this must have been made. None: both, if possible.
        filename_prefix
            Put before each name, with a hyphen.
        push_to_hub
            Not available.

        Returns
        -------
        tuple[str, ...]
            The files' paths; ``added_tokens.json`` is written only if there
            are tokens beyond the vocabulary.

        Raises
        ------
        NotADirectoryError
            If `save_directory` is a file.
        ValueError
            If an argument asks for what is not available.
        """
        if push_to_hub:
            raise ValueError("save_pretrained: push_to_hub=True is not available")
        if legacy_format and not self.can_save_slow_tokenizer:
            self._refuse_vocabulary("save_pretrained with legacy_format=True")
        return saving.save(
            self,
            save_directory,
            filename_prefix,
            vocabulary=legacy_format is not False and self.can_save_slow_tokenizer,
            document=None if legacy_format else self._backend.document(),
            class_name="XGLMTokenizer" if self._is_xglms else "PreTrainedTokenizerFast",
        )

    def save_vocabulary(
        self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None
    ) -> tuple[str]:
        """Copy the sentencepiece model that this was made of into a directory that exists.

        Returns
        -------
        tuple[str]
            The file's path.

        Raises
        ------
        NotADirectoryError
            If `save_directory` is no directory.
        ValueError
            If there is no such model, see `can_save_slow_tokenizer`.
        """
        if self.vocab_file is None or not self.can_save_slow_tokenizer:
            self._refuse_vocabulary("save_vocabulary")
        directory = saving.existing_directory(save_directory)
        target = saving.file_in(directory, filename_prefix, saving.VOCABULARY_FILE)
        source = Path(str(self.vocab_file))
        if not (target.exists() and target.samefile(source)):
            write_atomically(target, source.read_bytes())
        return (str(target),)

    def _refuse_vocabulary(self, what: str) -> None:
        raise ValueError(
            f"{what} needs the sentencepiece model, but vocab_file is "
            + ("not given" if self.vocab_file is None else f"{self.vocab_file}, which is gone")
        )

    def train_new_from_iterator(
        self,
        text_iterator: Any,
        vocab_size: int,
        length: int | None = None,
        new_special_tokens: list[Token] | None = None,
        special_tokens_map: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> XGLMTokenizerFast:
        """Learn a new vocabulary for this kind of tokenizer from texts.

        Parameters
        ----------
        text_iterator
            Yields texts, or lists of them.
        vocab_size
            How many tokens to learn at most.
        length
            How many items `text_iterator` has, for a progress bar.
        new_special_tokens
            Special tokens that this tokenizer does not have.
        special_tokens_map
            New strings for special tokens of this one.
        **kwargs
            Arguments of the library's trainer.

        Returns
        -------
        XGLMTokenizerFast
            With this one's normaliser, layout and arguments. Ids are new.

        Raises
        ------
        ValueError
            If the library refuses.
        """
        renamed = dict(special_tokens_map or {})
        fresh = list(new_special_tokens or [])
        backend = training.train(
            self._backend, text_iterator, vocab_size, length, fresh, renamed, kwargs
        )
        arguments = dict(self.init_kwargs)
        for role, token in self._roles.items():
            if token is not None:
                arguments[role] = training.rename(token, renamed)
        arguments["additional_special_tokens"] = [
            *(training.rename(token, renamed) for token in self._additional),
            *fresh,
        ]
        return type(self)(tokenizer_object=backend, **arguments)
