"""What must hold for any text."""

from __future__ import annotations

import copy
import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pyxglm.tokenization import XGLMTokenizer

SOME = st.one_of(
    st.text(max_size=40),
    st.text("ab </s>\u0e01東\u0301\u200d👩\n\x00", max_size=40),
)
IDS = st.lists(st.integers(0, 887), max_size=30)
QUICK = settings(max_examples=80, deadline=None)


@given(text=SOME)
@QUICK
def test_encode_and_decode(shared: XGLMTokenizer, text: str) -> None:
    ids = shared.encode(text)
    assert ids[0] == 2
    assert all(0 <= index < len(shared) for index in ids)
    assert shared.convert_tokens_to_ids(shared.tokenize(text)) == ids[1:]
    decoded = shared.decode(ids, skip_special_tokens=True)
    assert shared.decode(np.array(ids), skip_special_tokens=True) == decoded
    assert shared.batch_decode([ids, ids], skip_special_tokens=True) == [decoded] * 2


@given(text=SOME)
@QUICK
def test_pieces_spell_the_normalised_text(shared: XGLMTokenizer, text: str) -> None:
    """Nothing is lost or invented between the normaliser and the pieces."""
    pieces = shared.tokenize(text, split_special_tokens=True)
    assert "".join(pieces) == shared.sp_model.normalize(text)


@given(text=SOME)
@QUICK
def test_a_text_with_special_strings_split_is_ordinary(shared: XGLMTokenizer, text: str) -> None:
    """With split_special_tokens no text can bring a control token in."""
    ids = shared.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert not {0, 1, 2} & set(ids)
    assert all(index < 881 for index in ids)


@given(texts=st.lists(SOME, min_size=1, max_size=4), side=st.sampled_from(["left", "right"]))
@QUICK
def test_padding(shared: XGLMTokenizer, texts: list[str], side: str) -> None:
    singles = [shared.encode(text) for text in texts]
    batch = shared(texts, padding=True, padding_side=side, return_tensors="np")
    longest = max(map(len, singles))
    assert batch.input_ids.shape == batch.attention_mask.shape == (len(texts), longest)
    assert batch.input_ids.dtype == np.int64
    for ids, row, mask in zip(singles, batch.input_ids, batch.attention_mask, strict=True):
        assert row[mask == 1].tolist() == ids
        assert (row[mask == 0] == 1).all()
        expected = [1] * len(ids) + [0] * (longest - len(ids))
        assert mask.tolist() == (expected if side == "right" else expected[::-1])
    assert shared(texts).input_ids == singles


@given(
    first=IDS,
    second=st.none() | IDS,
    max_length=st.integers(4, 40),
    strategy=st.sampled_from(["longest_first", "only_first", "only_second"]),
    stride=st.integers(0, 5),
)
@QUICK
def test_truncation(
    shared: XGLMTokenizer,
    first: list[int],
    second: list[int] | None,
    max_length: int,
    strategy: str,
    stride: int,
) -> None:
    extra = shared.num_special_tokens_to_add(second is not None)
    remove = len(first) + len(second or []) + extra - max_length
    kept, kept_second, overflow = shared.truncate_sequences(first, second, remove, strategy, stride)
    assert kept == first[: len(kept)]
    assert kept_second is None if second is None else kept_second == second[: len(kept_second)]
    gone = len(first) - len(kept) + len(second or []) - len(kept_second or [])
    whole = strategy == "longest_first" and second is not None
    target = second if strategy == "only_second" else first
    if remove <= 0 or not (whole or (target is not None and len(target) > remove)):
        assert gone == 0
    else:
        assert gone == remove
        if whole:
            assert overflow == []
            assert abs(len(kept) - len(kept_second or [])) <= max(
                1, abs(len(first) - len(second or [])) - remove
            )
        else:
            assert overflow == target[-min(len(target), remove + stride) :]


@given(first=IDS, second=IDS)
@QUICK
def test_layout(shared: XGLMTokenizer, first: list[int], second: list[int]) -> None:
    for pair, expected in ((None, [2, *first]), (second, [2, *first, 2, 2, *second])):
        encoding = shared.prepare_for_model(
            first, pair, return_special_tokens_mask=True, return_token_type_ids=True
        )
        assert encoding.input_ids == expected
        mask = encoding.special_tokens_mask
        ordinary = [index for index, special in zip(expected, mask, strict=True) if not special]
        assert ordinary == first + (pair or [])
        assert encoding.token_type_ids == [0] * len(expected)
        assert shared.pad(encoding, padding="max_length", max_length=100)[
            "special_tokens_mask"
        ] == (mask + [1] * (100 - len(expected)))


@given(text=SOME)
@settings(max_examples=10, deadline=None)
def test_copies_behave_alike(shared: XGLMTokenizer, text: str) -> None:
    expected = shared(text).data
    assert pickle.loads(pickle.dumps(shared))(text).data == expected  # noqa: S301
    assert copy.deepcopy(shared)(text).data == expected
