"""The bundled model's SentencePiece vocabulary, trained on the corpus's own sentences."""

from __future__ import annotations

import io

import numpy as np
import sentencepiece

from pyxglm.tiny.corpus.stream import Unit, build

__all__ = ["BOUNDARY", "END", "encode", "train_vocabulary"]

PIECES = 4000
BOUNDARY = "\u2016"  # a sign that no sentence uses
"""Stands around filled words in the training text, so that no piece crosses their edges.

Chinese and Japanese write no blanks; without it a piece such as "是东" could span the end of a
prompt and the beginning of its answer, and the two would never be tokenized alike.
"""
END = 2  # "</s>", which opens every sequence and closes every document


def train_vocabulary(seed: int) -> bytes:
    """Train the tokenizer; the same bytes for the same seed.

    Returns
    -------
    bytes
        A serialised unigram model (``sentencepiece.bpe.model``).
    """
    corpus = build(seed, mark=BOUNDARY)
    texts = corpus.marked + sorted({text for unit in corpus.epoch(0) for text in unit})[::4]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="unigram",
        vocab_size=PIECES,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        pretokenization_delimiter=BOUNDARY,
        shuffle_input_sentence=False,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def encode(processor: sentencepiece.SentencePieceProcessor, units: list[Unit]) -> list[np.ndarray]:
    """Return the ids of every unit: its documents, each followed by ``</s>``.

    XGLM's ids are SentencePiece's plus one, except for the four special ones.

    Raises
    ------
    ValueError
        If a document has a character that the vocabulary does not know.
    """
    documents = sorted({document for unit in units for document in unit})
    known: dict[str, list[int]] = {}
    for document, pieces in zip(documents, processor.encode(documents), strict=True):
        if processor.unk_id() in pieces:
            raise ValueError(f"document {document!r} has a character that is not in the vocabulary")
        known[document] = [piece + 1 for piece in pieces] + [END]
    return [
        np.array([token for document in unit for token in known[document]], np.int32)
        for unit in units
    ]
