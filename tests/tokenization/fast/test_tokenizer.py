"""XGLMTokenizerFast where a recording cannot look: arguments, messages, copies, threads, files."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from golden.tokenizer_texts import TEXTS
from tokenization.model_files import LAYOUT, field, model

import pyxglm
from pyxglm.generation.streaming import text_pieces
from pyxglm.tokenization import AddedToken, XGLMTokenizer, XGLMTokenizerFast


def test_near_ties(tmp_path: Path) -> None:
    """The one difference that a trained model shows too rarely: float32 sums, float64 sums.

    A mark scores -1 and each of ten letters -2.9e-8, too little for a float32 to
    tell from nothing beside the -1; together they cost more than the whole word's
    2⁻²² beyond it.
    """
    letters, score, whole = "abcdefghij", np.float32(-2.9e-8), np.float32(-1 - 2**-22)
    assert np.float32(-1) + score == np.float32(-1)
    assert -1 + 10 * float(score) < float(whole) < -1
    pieces = [("▁", -1.0, None), (f"▁{letters}", float(whole), None)]
    pieces += [(letter, float(score), None) for letter in letters]
    path = tmp_path / "near.model"
    path.write_bytes(model((*LAYOUT, *pieces)))
    assert XGLMTokenizer(path).tokenize(letters) == ["▁", *letters]
    assert XGLMTokenizerFast(path).tokenize(letters) == [f"▁{letters}"]


def test_a_file_and_its_model_agree(documents: Path) -> None:
    """What transformers has saved is what we convert the model to."""
    for name in ("small", "large", "bytes", "identity"):
        converted = XGLMTokenizerFast(documents / f"{name}.model")
        saved = XGLMTokenizerFast(tokenizer_file=documents / f"{name}-saved.json")
        assert converted.get_vocab() == saved.get_vocab()
        for text in TEXTS:
            assert converted(text).data == saved(text).data
        parts = []
        for tokenizer in (converted, saved):
            parts.append(tokenizer._backend.document())
            # The library reads a score with an error in the last bit of a float64.
            vocabulary = parts[-1]["model"].pop("vocab")
            parts.append([[token, np.float32(score)] for token, score in vocabulary])
        assert parts[:2] == parts[2:]


def test_the_slow_ids_where_nothing_differs(documents: Path) -> None:
    slow = XGLMTokenizer(documents / "large.model")
    fast = XGLMTokenizerFast(documents / "large.model")
    for text in ("Hello world!", "The dog runs over the field.", "東京 L'été"):
        assert fast(text).data == slow(text).data
        assert fast.decode(fast.encode(text)) == slow.decode(slow.encode(text))
    assert fast.get_vocab() == slow.get_vocab()
    assert fast.special_tokens_map == slow.special_tokens_map


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "needs a tokenizer_file, or a vocab_file to convert"),
        ({"vocab_file": 5}, TypeError, "vocab_file is '5', expected a path"),
        ({"tokenizer_object": 5}, TypeError, "expected a tokenizers.Tokenizer"),
        ({"tokenizer_file": "absent.json"}, FileNotFoundError, r"absent\.json: no such file"),
        ({"vocab_file": "absent.model"}, FileNotFoundError, r"absent\.model: no such file"),
        ({"vocab_file": "M", "padding_side": "top"}, ValueError, "padding_side is 'top'"),
        ({"vocab_file": "M", "split_special_tokens": True}, ValueError, "use XGLMTokenizer"),
        ({"vocab_file": "M", "bos_token": 5}, TypeError, "bos_token: '5' is int"),
        ({"vocab_file": "M", "additional_special_tokens": "x"}, TypeError, "expected a list"),
        ({"tokenizer_file": "J", "from_slow": True}, ValueError, "for from_slow=True"),
    ],
)
def test_arguments(
    documents: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    places = {"M": documents / "small.model", "J": documents / "small-hub.json"}
    given = {name: places.get(value, value) for name, value in arguments.items()}
    with pytest.raises(error, match=message) as caught:
        XGLMTokenizerFast(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((None,), {}, ValueError, "the text is None"),
        ((b"bytes",), {}, ValueError, "expected a str, a list of str"),
        ((["a", None],), {}, ValueError, "the text is 'None'"),
        ((["a", ["b", "c", "d"]],), {}, ValueError, "item 1 of the batch is a list of 3"),
        (([],), {}, ValueError, "the batch is empty"),
        (("a\ud800b",), {}, ValueError, r"half of a surrogate pair, U\+D800, at position 1"),
        (("a",), {"nonsense": 1}, TypeError, "unknown argument 'nonsense'"),
        (("a",), {"split_special_tokens": True}, ValueError, "use XGLMTokenizer"),
        (("a",), {"padding": "yes"}, ValueError, "padding is 'yes'"),
        (("a",), {"stride": -1, "truncation": True}, ValueError, "stride is -1"),
        (("a",), {"return_tensors": "pt"}, ValueError, "asks for torch tensors"),
        (("a b c",), {"max_length": 3, "stride": 9}, ValueError, "the library tokenizers refuses"),
        (("a",), {"is_split_into_words": True}, ValueError, "expected a list of words"),
    ],
)
def test_refused_calls(
    shared_fast: XGLMTokenizerFast,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        shared_fast(*arguments, **options)
    assert "\n" not in str(caught.value)
    assert shared_fast("The dog").input_ids == shared_fast.encode("The dog")


def test_other_refusals(shared_fast: XGLMTokenizerFast) -> None:
    with pytest.raises(ValueError, match="the id '2.5' is no whole number"):
        shared_fast.decode([2.5])
    with pytest.raises(ValueError, match="the library tokenizers refuses it"):
        shared_fast.decode([-1])
    with pytest.raises(ValueError, match="already_has_special_tokens is False"):
        shared_fast.get_special_tokens_mask([5])
    with pytest.raises(TypeError, match="the batch is 'a', expected a list"):
        shared_fast.batch_encode_plus("a")


def test_what_encodings_know(shared_fast: XGLMTokenizerFast) -> None:
    text = "The dog  runs"
    encoding = shared_fast(text, return_offsets_mapping=True)
    assert encoding.is_fast
    assert shared_fast.is_fast
    assert encoding.n_sequences == 1
    assert encoding.tokens() == ["</s>", "▁Th", "e", "▁do", "g", "▁run", "s"]
    assert encoding.word_ids() == [None, 0, 0, 1, 1, 2, 2]
    assert encoding.sequence_ids() == [None, 0, 0, 0, 0, 0, 0]
    assert encoding.char_to_token(0) == encoding.char_to_token(0, 0) == 1
    assert encoding.char_to_token(99) is None
    assert encoding.char_to_word(text.index("runs")) == 2
    assert encoding.token_to_word(-1) == encoding.token_to_word(0, 6) == 2
    assert encoding.token_to_sequence(0) is None
    span = encoding.token_to_chars(6)
    assert text[span.start : span.end] == "s"
    assert encoding.token_to_chars(0) is None
    assert encoding.word_to_tokens(1) == (3, 5)
    chars = encoding.word_to_chars(0)
    assert text[chars.start : chars.end] == "The"
    assert encoding.word_to_chars(9) is None
    assert encoding[0] is encoding.encodings[0]
    with pytest.warns(FutureWarning, match="use `word_ids`"):
        assert encoding.words() == encoding.word_ids()
    with pytest.raises(IndexError, match=r"token_to_chars\(\): token 7, but the row has 7"):
        encoding.token_to_chars(7)
    with pytest.raises(IndexError, match=r"tokens\(\): row 1, but this encoding has 1"):
        encoding.tokens(1)
    with pytest.raises(IndexError, match="expected a number from 0"):
        encoding.char_to_token(-1)
    with pytest.raises(TypeError, match="expected .row,. token"):
        encoding.token_to_word()
    for clone in (
        copy.copy(encoding),
        copy.deepcopy(encoding),
        pickle.loads(pickle.dumps(encoding)),  # noqa: S301
    ):
        assert clone == encoding
        assert clone.word_ids() == encoding.word_ids()
    pair = shared_fast("a b", "c", return_tensors="np")
    assert pair.n_sequences == 2
    assert pair.char_to_token(0, 0, 1) == pair.sequence_ids().index(1)


def test_settings_of_a_call_do_not_stay(fast: XGLMTokenizerFast, tmp_path: Path) -> None:
    long = fast.encode("The dog runs")
    fast("The dog runs", max_length=3, truncation=True, padding="max_length")
    assert fast.encode("The dog runs") == long
    fast.save_pretrained(tmp_path)
    document = json.loads((tmp_path / "tokenizer.json").read_bytes())
    assert document["truncation"] is None is document["padding"]


def test_sides_that_a_file_sets(documents: Path, tmp_path: Path) -> None:
    document = json.loads((documents / "small-hub.json").read_bytes())
    document["padding"] = {
        "strategy": "BatchLongest",
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 1,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    tokenizer = XGLMTokenizerFast(tokenizer_file=path)
    assert tokenizer.padding_side == "left"
    assert tokenizer("a").input_ids == tokenizer(["a", "b c d"]).input_ids[0]
    assert XGLMTokenizerFast(tokenizer_file=path, padding_side="right").padding_side == "right"


def test_copies(fast: XGLMTokenizerFast) -> None:
    fast.add_tokens(["<new>"])
    for clone in (
        pickle.loads(pickle.dumps(fast)),  # noqa: S301
        copy.deepcopy(fast),
    ):
        assert clone("a <new> b").data == fast("a <new> b").data
        assert clone.special_tokens_map == fast.special_tokens_map
        clone.add_tokens(["<other>"])
        assert len(clone) == len(fast) + 1


def test_threads(shared_fast: XGLMTokenizerFast) -> None:
    """The library's object refuses to be changed while it works: calls take turns."""
    expected = [shared_fast.encode("The dog runs " * 50, max_length=n) for n in range(4, 8)]
    failures = []

    def work(n: int) -> None:
        try:
            for _ in range(30):
                found = shared_fast.encode("The dog runs " * 50, max_length=n + 4)
                assert found == expected[n]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_callers_objects_stay_as_they_are(documents: Path) -> None:
    special, token = ["<x>"], AddedToken("<y>", lstrip=True)
    theirs = tokenizers.Tokenizer.from_file(str(documents / "small-hub.json"))
    before = theirs.to_str()
    tokenizer = XGLMTokenizerFast(
        tokenizer_object=theirs, additional_special_tokens=special, bos_token=token
    )
    tokenizer.add_special_tokens({"mask_token": token})
    tokenizer.add_tokens([token], special_tokens=True)
    assert special == ["<x>"]
    assert token == AddedToken("<y>", lstrip=True)
    assert theirs.to_str() == before
    assert tokenizer.bos_token_id == tokenizer.mask_token_id == 628
    assert tokenizer.decoder is not None


def test_without_the_library(documents: Path) -> None:
    """The class is there, importing costs nothing, and the message says what to install."""
    code = (
        "import sys\n"
        "import pyxglm\n"
        "pyxglm.XGLMTokenizerFast\n"
        "assert not {'tokenizers', 'sentencepiece'} & set(sys.modules)\n"
        "sys.modules['tokenizers'] = None\n"
        f"pyxglm.XGLMTokenizerFast({str(documents / 'small.model')!r})\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=documents,
        env={"PYTHONPATH": str(Path(pyxglm.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: XGLMTokenizerFast needs the library tokenizers: "
        'pip install "pyxglm[fast]"'
    )


def test_models_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words.model"
    path.write_bytes(model(trainer=field(3, 3)))
    with pytest.raises(ValueError, match=r"words\.model: model_type 3, expected 1 .unigram. or 2"):
        XGLMTokenizerFast(path)


@pytest.mark.parametrize("name", ["large-hub", "bpe"])
def test_streaming(name: str, documents: Path) -> None:
    """Ids as they come give the text that they give together."""
    tokenizer = XGLMTokenizerFast(tokenizer_file=documents / f"{name}.json")
    chance = np.random.default_rng(5)
    for _ in range(200):
        ids = chance.integers(0, len(tokenizer), 9).tolist()
        for sequence in (ids, tokenizer.encode("".join(chance.choice([*"a é東👩.!"], 9)))):
            pieces = text_pieces(tokenizer, sequence, skip_special_tokens=True)
            assert "".join(pieces) == tokenizer.decode(sequence, skip_special_tokens=True)
