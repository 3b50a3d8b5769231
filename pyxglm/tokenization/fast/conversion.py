"""A sentencepiece model as a tokenizer of the `tokenizers` library.

This is transformers 4.37.2's converter for XGLM: the pieces and their scores
under XGLM's numbering, a chain of replacements that stands for sentencepiece's
normaliser, and the layout ``</s> X``. It is not sentencepiece: see
`XGLMTokenizerFast` for where the two part.
"""

from __future__ import annotations

from pathlib import Path

from pyxglm.tokenization.fast.backend import Backend, library, refusals
from pyxglm.tokenization.model_proto import UNIGRAM, ModelProto, read_model
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
        If it is no sentencepiece model for XGLM, or not of the unigram kind.
    """
    return convert(read_model(path), str(path))


def convert(model: ModelProto, where: str) -> Backend:
    """Convert a checked model; `where` is for messages."""
    if model.model_type != UNIGRAM:
        raise ValueError(
            f"{where}: model_type {model.model_type}, expected {UNIGRAM} (unigram): "
            "models of other types cannot be converted, use XGLMTokenizer"
        )
    tokenizers = library()
    normalizers, space = tokenizers.normalizers, tokenizers.pre_tokenizers.Metaspace()
    scores = [*[0.0] * len(FAIRSEQ_TOKENS), *model.scores.tolist()[3:], *[0.0] * len(MADEUP_WORDS)]
    vocabulary = list(zip(tokens_of(model), scores, strict=True))
    with refusals(where):
        tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, _UNK))
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
