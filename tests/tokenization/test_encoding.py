"""BatchEncoding: a dict with attributes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pyxglm.tokenization import BatchEncoding, XGLMTokenizer


def test_batch_encoding(shared: XGLMTokenizer) -> None:
    encoding = shared(["Hello", "world"], padding=True)
    assert isinstance(encoding, BatchEncoding)
    assert list(encoding) == list(encoding.keys()) == ["input_ids", "attention_mask"]
    assert dict(**encoding) == encoding.data == dict(encoding.items())
    assert encoding.input_ids is encoding["input_ids"] is next(iter(encoding.values()))
    assert encoding[:1] == {key: value[:1] for key, value in encoding.items()}
    assert "input_ids" in encoding
    assert not encoding.is_fast
    assert encoding.encodings is None is encoding.n_sequences
    with pytest.raises(KeyError, match="is no key"):
        encoding[0]
    with pytest.raises(KeyError):
        encoding["labels"]
    with pytest.raises(AttributeError, match="no field 'labels'"):
        encoding.labels  # noqa: B018
    for name in ("tokens", "words", "word_ids", "sequence_ids"):
        with pytest.raises(ValueError, match="non-fast"):
            getattr(encoding, name)()
    for name in ("token_to_chars", "token_to_sequence", "token_to_word", "word_to_tokens"):
        with pytest.raises(ValueError, match="non-fast"):
            getattr(encoding, name)(0)
    for name in ("word_to_chars", "char_to_token", "char_to_word"):
        with pytest.raises(ValueError, match="non-fast"):
            getattr(encoding, name)(0)
    for clone in (
        copy.copy(encoding),
        copy.deepcopy(encoding),
        pickle.loads(pickle.dumps(encoding)),  # noqa: S301
    ):
        assert clone == encoding
        assert clone.input_ids == encoding.input_ids
    arrays = encoding.convert_to_tensors("np")
    assert arrays is encoding
    assert isinstance(encoding.input_ids, np.ndarray)
    with pytest.raises(ValueError, match="input_ids makes no array"):
        BatchEncoding({"input_ids": []}, tensor_type="np")
