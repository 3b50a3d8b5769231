"""A language of the corpus: its words for the facts, and the sentences that they stand in.

A language module writes its tables as plain text, one short string a table, and calls
:func:`language`.  Words stand in the order of the keys in :mod:`pyxglm.tiny.corpus.facts`,
separated by blanks (``_`` stands for a blank inside a word); countries stand one a line.

Sentence templates have these slots: ``{a}`` the answer; ``{x}`` what is asked about; and where a
country is asked about ``{name}`` (with its article), ``{of}``, ``{in}`` and ``{subj}`` (name and
"is").  A slot with a capital letter begins with one: ``{Name}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyxglm.tiny.corpus import facts

__all__ = ["Language", "Place", "capitalised", "language"]


@dataclass(frozen=True)
class Place:
    """A country in one language: the forms that templates need, and its capital."""

    name: str
    of: str
    within: str
    subject: str
    capital: str


@dataclass(frozen=True)
class Language:
    """The words and the sentences of one language.

    Attributes
    ----------
    code : str
        XGLM's code of the language.
    countries : dict of str to Place
        By country key.
    continents : dict of str to (str, str)
        The continent as a name, and in the phrase "(a country) in/of …".
    into : dict of str to str
        "in French" by language code.
    days, after_days, months, after_months : dict
        As an answer, and in the form that stands after "after" or "before".
    things : dict of str to (str, str)
        A thing with its article and its colour in the agreeing form.
    animals : dict of str to str
        With the article, if the language has one.
    words : dict of str to str
        Dictionary words for translations, by concept key.
    templates : dict of str to tuple of str
        By relation.
    """

    code: str
    countries: dict[str, Place]
    continents: dict[str, tuple[str, str]]
    currencies: dict[str, str]
    tongues: dict[str, str]
    into: dict[str, str]
    days: dict[str, str]
    after_days: dict[str, str]
    months: dict[str, str]
    after_months: dict[str, str]
    numbers: tuple[str, ...]
    adjectives: dict[str, str]
    things: dict[str, tuple[str, str]]
    animals: dict[str, str]
    classes: dict[str, str]
    words: dict[str, str]
    phrases: dict[str, str]
    templates: dict[str, tuple[str, ...]]


def capitalised(text: str) -> str:
    """Return ``text`` with its first letter as a capital.

    >>> capitalised("le Japon")
    'Le Japon'
    """
    return text[:1].upper() + text[1:]


def _listed(code: str, what: str, keys: Sequence[str], text: str) -> dict[str, str]:
    """Pair ``keys`` with the blank-separated words of ``text``."""
    values = [value.replace("_", " ") for value in text.split()]
    if len(values) != len(keys):
        raise ValueError(f"{code}: {what} has {len(values)} words, expected {len(keys)}")
    return dict(zip(keys, values, strict=True))


def _rows(code: str, what: str, keys: Sequence[str], text: str) -> dict[str, list[str]]:
    """Pair ``keys`` with the lines of ``text``, each split at ``|``."""
    lines = [line.strip() for line in text.strip().splitlines()]
    if len(lines) != len(keys):
        raise ValueError(f"{code}: {what} has {len(lines)} lines, expected {len(keys)}")
    return {
        key: [cell.strip() for cell in line.split("|")]
        for key, line in zip(keys, lines, strict=True)
    }


def _countries(
    code: str,
    text: str,
    of: Callable[[str], str],
    within: Callable[[str], str],
    subject: Callable[[str], str],
) -> dict[str, Place]:
    """Parse ``key name = capital | of | in | subject``; the rules fill absent or empty cells."""
    places: dict[str, Place] = {}
    for line in text.strip().splitlines():
        head, *cells = (cell.strip() for cell in line.split("|"))
        key_name, capital = head.split(" = ")
        key, name = key_name.split(" ", 1)
        forms = cells + [""] * (3 - len(cells))
        places[key] = Place(
            name,
            forms[0] or of(name),
            forms[1] or within(name),
            forms[2] or subject(name),
            capital,
        )
    if list(places) != list(facts.COUNTRIES):
        raise ValueError(f"{code}: countries are {list(places)}, expected {list(facts.COUNTRIES)}")
    return places


def _same(text: str) -> str:
    return text


def language(
    code: str,
    *,
    countries: str,
    continents: str,
    currencies: str,
    tongues: str,
    into: Callable[[str], str],
    days: str,
    months: str,
    numbers: str,
    opposites: str,
    colours: str,
    things: str,
    animals: str,
    classes: str,
    nouns: str,
    phrases: str,
    templates: Mapping[str, Sequence[str]],
    of: Callable[[str], str] = _same,
    within: Callable[[str], str] = _same,
    subject: Callable[[str], str] = _same,
    bare: Callable[[str], str] = _same,
    after_days: str = "",
    after_months: str = "",
) -> Language:
    """Build a :class:`Language` from text tables.

    Parameters
    ----------
    of, within, subject : callable
        A country's "of …", "in …" and "… is" from its name, where the table gives no form.
    bare : callable
        A noun without its article, for dictionary words.
    into : callable
        "in French" from the language's name.

    Raises
    ------
    ValueError
        If a table has too few or too many words.
    """
    adjective_keys = [key for pair in facts.OPPOSITES for key in pair]
    places = _countries(code, countries, of, within, subject)
    adjectives = _listed(code, "opposites", adjective_keys, opposites)
    beasts = _listed(code, "animals", tuple(facts.ANIMALS), animals)
    thing_rows = _rows(code, "things", tuple(facts.THINGS), things)
    spoken = _listed(code, "tongues", facts.TONGUES, tongues)
    day_words = _listed(code, "days", facts.DAYS, days)
    month_words = _listed(code, "months", facts.MONTHS, months)
    digits = _listed(code, "numbers", [str(n) for n in facts.NUMBERS], numbers)
    words = {
        **_listed(code, "nouns", facts.NOUNS, nouns),
        **{key: bare(word) for key, word in beasts.items()},
        **adjectives,
        **_listed(code, "colours", facts.COLOURS, colours),
        **{f"number {key}": word for key, word in digits.items()},
        **{key: bare(word) for key, word in day_words.items()},
        **{key: bare(word) for key, word in month_words.items()},
        **{f"country {key}": place.name for key, place in places.items()},
        **{f"city {key}": place.capital for key, place in places.items()},
    }
    return Language(
        code=code,
        countries=places,
        continents={
            key: (row[0], row[-1])
            for key, row in _rows(code, "continents", facts.CONTINENTS, continents).items()
        },
        currencies=_listed(code, "currencies", facts.CURRENCIES, currencies),
        tongues=spoken,
        into={key: into(spoken[key]) for key in facts.LANGUAGE_CODES if key != code},
        days=day_words,
        after_days=_listed(code, "after_days", facts.DAYS, after_days or days),
        months=month_words,
        after_months=_listed(code, "after_months", facts.MONTHS, after_months or months),
        numbers=tuple(digits.values()),
        adjectives=adjectives,
        things={key: (row[0], row[1]) for key, row in thing_rows.items()},
        animals=beasts,
        classes=_listed(code, "classes", facts.CLASSES, classes),
        words=words,
        phrases={
            key: row[0] for key, row in _rows(code, "phrases", facts.PHRASES, phrases).items()
        },
        templates={key: tuple(value) for key, value in templates.items()},
    )
