"""The corpus is reproducible, and leaves out what the prompts ask."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from pyxglm.tiny.corpus import facts
from pyxglm.tiny.corpus.drills import cards, drills
from pyxglm.tiny.corpus.holdout import DOCUMENT_END, Prompt, choose, is_left_out, unseen_keys
from pyxglm.tiny.corpus.sentences import facts_of
from pyxglm.tiny.corpus.stream import SEED
from pyxglm.tiny.packing import pack
from pyxglm.tiny.prompts import read, write
from pyxglm.tiny.scoring import answered, table

EPOCHS = (0, 1, 3, 5, 7, 8, 9)  # of those that training reads, each kind


@pytest.fixture(scope="module")
def epochs(corpus):
    return [corpus.epoch(number) for number in EPOCHS]


def digest(units):
    return hashlib.sha256(repr(units).encode()).hexdigest()


def test_a_seed_decides_the_corpus(epochs):
    """In another process, where sets have another order, the same text comes out."""
    code = (
        "import hashlib; from pyxglm.tiny.corpus.stream import build;"
        "print(hashlib.sha256(repr(build().epoch(1)).encode()).hexdigest())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert told.stdout.decode().strip() == digest(epochs[1])
    assert digest(epochs[0]) != digest(epochs[1])


def test_no_prompt_is_in_the_corpus(epochs, prompts):
    sentences = {text for units in epochs for unit in units for text in unit}
    plain = "\n".join(sorted(sentences)).encode()  # searching bytes is faster
    streams = [
        DOCUMENT_END.join(text for unit in units for text in unit).encode() for units in epochs
    ]
    assert b"capitale du Japon" in plain
    for prompt in prompts:
        text = prompt.text.encode()
        if prompt.group == "few-shot":
            assert not any(text in stream for stream in streams), prompt
        else:
            assert text not in plain, prompt


def test_the_committed_prompts_are_the_corpus_s_own(corpus, prompts):
    assert prompts == corpus.prompts
    assert Prompt("fr", "seen", "capital", "La capitale du Japon est", "Tokyo") in prompts


def test_there_are_prompts_enough(prompts):
    counts = Counter((prompt.code, prompt.group) for prompt in prompts)
    for code in facts.LANGUAGE_CODES:
        assert counts[code, "seen"] >= 30
        assert counts[code, "unseen"] >= 12
        assert counts[code, "few-shot"] >= 6
    texts = [prompt.text for prompt in prompts]
    assert Counter(texts).most_common(1)[0][1] == 1


def test_seen_facts_are_told_in_other_phrasings(corpus, prompts):
    """The answer of a "seen" prompt stands in another sentence of the same fact."""
    told = {}
    for code, pairs in corpus.sentences.items():
        for fact, sentence in pairs:
            key = (code, fact.relation, fact.slots["a"].lower())
            told.setdefault(key, []).append(sentence)
    for prompt in prompts:
        if prompt.group == "seen" and prompt.relation in ("capital", "opposite", "spell"):
            assert len(told[prompt.code, prompt.relation, prompt.answer.lower()]) >= 2, prompt


def test_unseen_facts_are_told_in_other_languages_only(corpus):
    told = {
        (code, fact.relation, fact.key)
        for code, pairs in corpus.sentences.items()
        for fact, _ in pairs
    }
    for code in facts.LANGUAGE_CODES:
        unseen = unseen_keys(code, SEED)
        assert sum(map(len, unseen.values())) >= 12
        for relation, keys in unseen.items():
            for key in keys:
                assert (code, relation, key) not in told
                others = [other for other in facts.LANGUAGE_CODES if (other, relation, key) in told]
                assert len(others) >= 5, (code, relation, key)


def test_opposites_are_left_out_in_both_directions(corpus):
    unseen = {"opposite": ("big",)}
    left = {
        fact.key
        for fact, _ in corpus.sentences["en"]
        if fact.relation == "opposite" and is_left_out(fact, unseen)
    }
    assert left <= {"big", "small"}
    assert left


def test_what_is_learned_last_is_told_more_often_later(epochs, corpus):
    order = {
        sentence
        for fact, sentence in corpus.sentences["ru"]
        if fact.relation in ("after_day", "before_month", "sum")
    }
    russian = {sentence for _, sentence in corpus.sentences["ru"]}
    ordered, told = (
        [sum(unit[0] in wanted for unit in units) for units in epochs]
        for wanted in (order, russian)
    )
    assert max(ordered[:2]) < 0.65 * ordered[2]
    assert told[2] < 0.65 * told[3]


def test_drills_tell_the_order_and_leave_out_what_is_unseen(epochs, corpus):
    french = drills(corpus.languages["fr"], {"sum": ("2+3",)})
    assert "Si aujourd'hui c'est lundi, demain c'est mardi." in french
    assert "Si aujourd'hui c'est lundi, hier c'était dimanche." in french
    assert "Si ce mois est janvier, le mois dernier était décembre." in french
    assert "trois + deux = cinq" in french
    assert "deux + trois = cinq" not in french
    french_cards = cards(corpus.languages["fr"], {"currency": ("jp",), "continent": ("cn",)})
    assert "Le Japon: L'Asie, Tokyo, Le japonais" in french_cards
    assert "La Chine: Pékin, Le yuan, Le chinois" in french_cards
    assert not [text for text in french_cards if "yen" in text]
    spanish = drills(corpus.languages["es"], {})
    assert "Si hoy es lunes, mañana es martes." in spanish
    assert not {(text,) for text in french} & set(epochs[3])
    assert {(text,) for text in french} & set(epochs[4])


def test_another_seed_asks_something_else(corpus, prompts):
    told = facts_of(corpus.languages["fr"], corpus.languages)
    french = [prompt for prompt in prompts if prompt.code == "fr"]
    assert choose("fr", told, corpus.languages, SEED) == french
    assert choose("fr", told, corpus.languages, SEED + 1) != french


def test_windows_begin_as_prompts_do():
    units = [np.array([10 + n, 11, 2], np.int32) for n in range(40)]
    batches = list(pack(units, 6, 2))
    assert batches
    for batch in batches:
        assert batch.shape == (2, 7)
        for window in batch:
            assert window[0] == 2
            assert window[1:4].tolist() == [window[1], 11, 2]
    firsts = [int(window[1]) for batch in batches for window in batch]
    assert firsts == sorted(set(firsts))


def test_prompts_are_written_and_read(tmp_path, prompts):
    path = tmp_path / "prompts.json"
    write(prompts[:3], path)
    assert read(path) == prompts[:3]
    path.write_text('[["fr", "seen", "capital", 3, "Tokyo"]]', encoding="utf-8")
    with pytest.raises(ValueError, match="entry 0 is .* expected five strings"):
        read(path)


@pytest.mark.parametrize(
    ("answer", "continuation", "right"),
    [
        ("Tokyo", "Tokyo.", True),
        ("Tokyo", " Tokyo", True),
        ("Tokyo", "Kyoto.", False),
        ("Rom", "Rom.", True),
        ("Rom", "Roma.", False),
        ("1", "1.", True),
        ("1", "10.", False),
        ("1", "1です。", True),
        ("二", "二です。", True),
        ("二", "二十です。", False),
        ("이", "이입니다.", True),
        ("이", "이십입니다.", False),
        ("ثلاثة", "ثلاثة.", True),
        ("ثلاثة", "ثلاثة عشر.", False),
        ("東京", "東京です。", True),
        ("東京", "京都です。", False),
        ("도쿄", "도쿄입니다.", True),
        ("दिल", "दिल।", True),
        ("दिल", "दिल्ली।", False),
        ("riso", "riso입니다.", True),
        ("le yen", "le yen.", True),
        ("le yen", "le", False),
        ("le yen", "", False),
    ],
)
def test_an_answer_is_a_whole_word(answer, continuation, right):
    assert answered(Prompt("fr", "seen", "capital", "?", answer), continuation) is right


def test_the_table_counts():
    prompts = [
        Prompt("fr", "seen", "capital", "a", "b"),
        Prompt("fr", "seen", "capital", "c", "d"),
        Prompt("de", "unseen", "capital", "e", "f"),
    ]
    lines = table(prompts, [True, False, True]).splitlines()
    assert lines[2] == "| fr | 1/2 50.0 % | 0/0 0.0 % | 0/0 0.0 % |"
    assert lines[3] == "| de | 0/0 0.0 % | 1/1 100.0 % | 0/0 0.0 % |"
    assert lines[4] == "| all | 1/2 50.0 % | 1/1 100.0 % | 0/0 0.0 % |"
