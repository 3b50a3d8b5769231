"""A sentencepiece model as a tokenizer of the `tokenizers` library.

This is transformers 4.37.2's converter for XGLM: the pieces and their scores
(XGLM's model is of the unigram kind; of a BPE model, merges) under XGLM's
numbering, a chain of replacements that stands for sentencepiece's
normaliser, and the layout ``</s> X``. It is not sentencepiece: see
`XGLMTokenizerFast` for where the two part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyxglm.tokenization.fast.backend import Backend, library, refusals
from pyxglm.tokenization.model_proto import BPE, UNIGRAM, ModelProto, read_model
from pyxglm.tokenization.vocabulary import FAIRSEQ_TOKENS, MADEUP_WORDS, tokens_of

#: The id of "<s>", "</s>" and "<unk>" under XGLM's numbering.
_BOS, _EOS, _UNK = (FAIRSEQ_TOKENS.index(token) for token in ("<s>", "</s>", "<unk>"))


def convert_file(path: Path) -> Backend:
    """Read, check and convert a sentencepiece model file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no sentencepiece model for XGLM, or of the kind of words or characters.
    """
    return convert(read_model(path), str(path))


def convert(model: ModelProto, where: str) -> Backend:
    """Convert a checked model; `where` is for messages."""
    tokenizers = library()
    normalizers, space = tokenizers.normalizers, tokenizers.pre_tokenizers.Metaspace()
    with refusals(where):
        tokenizer = tokenizers.Tokenizer(_segmenter(model, tokenizers.models, where))
        steps = [normalizers.Precompiled(model.charsmap)] if model.charsmap else []
        steps.append(normalizers.Strip(left=False, right=True))
        # Runs of spaces become one mark. A single space becomes it afterwards, in Metaspace.
        steps.append(normalizers.Replace(tokenizers.Regex(" {2,}"), "▁"))
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = space
        tokenizer.decoder = tokenizers.decoders.Metaspace()
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="</s> $A",
            pair="</s> $A </s> </s> $B",
            special_tokens=[("<s>", _BOS), ("</s>", _EOS)],
        )
    return Backend(tokenizer, where)


def _segmenter(model: ModelProto, models: Any, where: str) -> Any:
    """Return what cuts a word into pieces, as an object of the library."""
    tokens = tokens_of(model)
    if model.model_type == UNIGRAM:
        scores = [0.0] * len(tokens)
        scores[len(FAIRSEQ_TOKENS) : -len(MADEUP_WORDS)] = model.scores.tolist()[3:]
        return models.Unigram(list(zip(tokens, scores, strict=True)), _UNK)
    if model.model_type == BPE:
        vocabulary = {token: index for index, token in enumerate(tokens)}
        return models.BPE(vocabulary, _merges(model), unk_token=model.pieces[0], fuse_unk=True)
    raise ValueError(
        f"{where}: model_type {model.model_type}, expected {UNIGRAM} (unigram) or {BPE} (BPE): "
        "models of words or characters cannot be converted, use XGLMTokenizer"
    )


def _merges(model: ModelProto) -> list[tuple[str, str]]:
    """Return the merges that a BPE model has learnt, which it does not store: first ones first.

    Pieces are numbered in the order in which they were learnt. Every way to
    cut a piece into two pieces counts as a merge.
    """
    numbers = {piece: number for number, piece in enumerate(model.pieces)}
    merges: list[tuple[str, str]] = []
    for piece in model.pieces:
        halves = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        known = [(a, b) for a, b in halves if a in numbers and b in numbers]
        merges += sorted(known, key=lambda pair: (numbers[pair[0]], numbers[pair[1]]))
    return merges
