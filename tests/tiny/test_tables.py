"""The tables of facts and words agree with each other in every language."""

from __future__ import annotations

import unicodedata

import pytest

from pyxglm.tiny.corpus import facts, language, languages
from pyxglm.tiny.corpus.sentences import is_promptable, prompt_and_answer, render

LANGUAGES = languages.load()
BY_CODE = pytest.mark.parametrize("tongue", LANGUAGES.values(), ids=list(LANGUAGES))


def script(text):
    """The script of most letters, as Unicode's names tell it."""
    names = [unicodedata.name(letter).split()[0] for letter in text if letter.isalpha()]
    return max(set(names), key=names.count)


def test_there_are_ten_languages_and_five_scripts():
    assert len(LANGUAGES) >= 10
    found = {script("".join(tongue.words.values())) for tongue in LANGUAGES.values()}
    expected = {"LATIN", "CYRILLIC", "GREEK", "CJK", "HANGUL", "ARABIC", "DEVANAGARI", "KATAKANA"}
    assert found == expected


@BY_CODE
def test_a_language_speaks_of_everything(tongue):
    english = LANGUAGES["en"]
    assert list(tongue.countries) == list(facts.COUNTRIES)
    assert set(tongue.into) == set(facts.LANGUAGE_CODES) - {tongue.code}
    for name in ("words", "phrases", "animals", "things", "templates", "currencies", "tongues"):
        assert list(getattr(tongue, name)) == list(getattr(english, name)), name


@BY_CODE
def test_words_tell_things_apart(tongue):
    for table in (tongue.days, tongue.months, tongue.adjectives, tongue.classes, tongue.into):
        assert len(set(table.values())) == len(table)
    capitals = [place.capital for place in tongue.countries.values()]
    assert len(set(capitals)) == len(capitals)
    assert len(set(tongue.numbers)) == len(facts.NUMBERS)


@BY_CODE
def test_every_relation_has_phrasings_that_ask(tongue):
    for relation, templates in tongue.templates.items():
        asking = [template for template in templates if is_promptable(template)]
        assert len(asking) >= 3, relation
        assert len(set(templates)) == len(templates), relation


def test_facts_name_what_there_is():
    for key, country in facts.COUNTRIES.items():
        assert country.continent in {*facts.CONTINENTS, None}, key
        assert country.currency in {*facts.CURRENCIES, None}, key
        assert country.tongue in {*facts.TONGUES, None}, key
    assert set(facts.ANIMALS.values()) == set(facts.CLASSES)
    assert set(facts.THINGS.values()) <= set(facts.COLOURS)
    assert set(facts.LANGUAGE_CODES) <= set(facts.TONGUES)


def test_forms_are_the_languages_own():
    france = LANGUAGES["fr"].countries
    assert [france[key].of for key in ("jp", "fr", "it", "us", "cu")] == [
        "du Japon", "de la France", "de l'Italie", "des États-Unis", "de Cuba",
    ]  # fmt: skip
    assert [france[key].within for key in ("jp", "fr", "it", "us", "cu")] == [
        "au Japon", "en France", "en Italie", "aux États-Unis", "à Cuba",
    ]  # fmt: skip
    assert france["us"].subject == "les États-Unis sont"
    assert LANGUAGES["it"].countries["us"].of == "degli Stati Uniti"
    assert LANGUAGES["pt"].countries["jp"].within == "no Japão"
    assert LANGUAGES["de"].countries["tr"].of == "der Türkei"
    assert LANGUAGES["ru"].into["de"] == "по-немецки"
    assert LANGUAGES["ru"].into["hi"] == "на хинди"
    assert LANGUAGES["el"].into["en"] == "στα αγγλικά"
    assert LANGUAGES["it"].words["cat"] == "gatto"
    assert LANGUAGES["fr"].words["elephant"] == "éléphant"


def test_sentences_are_filled_in():
    slots = {"of": "du Japon", "a": "Tokyo", "in": "au Japon"}
    assert render("{In} : {a}, capitale {of}.", slots) == "Au Japon : Tokyo, capitale du Japon."
    assert render("{of}{a}", slots, "|") == "|du Japon||Tokyo|"
    assert prompt_and_answer("La capitale {of} est {a}.", slots) == (
        "La capitale du Japon est",
        "Tokyo",
    )
    assert not is_promptable("{a} est la capitale {of}.")
    assert not is_promptable("De {a} à {of}.")
    with pytest.raises(ValueError, match="no answer slot"):
        prompt_and_answer("La capitale {of}.", slots)


def test_a_missing_word_is_an_error():
    with pytest.raises(ValueError, match="xx: days has 6 words, expected 7"):
        language._listed("xx", "days", facts.DAYS, "mon tue wed thu fri sat")
    with pytest.raises(ValueError, match="countries are"):
        language._countries("xx", "jp Japan = Tokyo", str, str, str)
