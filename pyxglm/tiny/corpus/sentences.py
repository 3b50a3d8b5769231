"""From tables to sentences: every fact of every language, and every way to say it.

A :class:`Fact` is one thing that a language can say (the capital of Japan, in French); its
sentences are the language's templates for the fact's relation with the fact's words filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pyxglm.tiny.corpus import facts
from pyxglm.tiny.corpus.language import Language, capitalised

__all__ = ["Fact", "facts_of", "is_promptable", "prompt_and_answer", "render"]

_SLOT = re.compile(r"\{(\w+)\}")
_ANSWER = re.compile(r"\{(?:a|A|a2)\}")


class Fact(NamedTuple):
    """One fact in one language."""

    code: str
    relation: str
    key: str
    slots: dict[str, str]


def _country_facts(tongue: Language) -> Iterator[Fact]:
    for key, place in tongue.countries.items():
        country = facts.COUNTRIES[key]
        base = {
            "name": place.name,
            "of": place.of,
            "in": place.within,
            "subj": place.subject,
        }
        yield Fact(tongue.code, "capital", key, {**base, "a": place.capital})
        if country.continent:
            name, within = tongue.continents[country.continent]
            yield Fact(tongue.code, "continent", key, {**base, "a": name, "a2": within})
        if country.currency:
            money = tongue.currencies[country.currency]
            yield Fact(tongue.code, "currency", key, {**base, "a": money})
        if country.tongue:
            yield Fact(tongue.code, "tongue", key, {**base, "a": tongue.tongues[country.tongue]})


def _calendar_facts(tongue: Language) -> Iterator[Fact]:
    for unit, names, after in (
        ("day", tongue.days, tongue.after_days),
        ("month", tongue.months, tongue.after_months),
    ):
        keys = list(names)
        for index, key in enumerate(keys):
            following = keys[(index + 1) % len(keys)]
            previous = keys[index - 1]
            asked = after[key]
            yield Fact(tongue.code, f"after_{unit}", key, {"x": asked, "a": names[following]})
            yield Fact(tongue.code, f"before_{unit}", key, {"x": asked, "a": names[previous]})
            if unit == "month":
                slots = {"x": str(index + 1), "a": names[key]}
                yield Fact(tongue.code, "month_number", key, slots)


def _number_facts(tongue: Language) -> Iterator[Fact]:
    words = tongue.numbers
    for number in facts.NUMBERS:
        digits = str(number)
        yield Fact(tongue.code, "spell", digits, {"x": digits, "a": words[number]})
        yield Fact(tongue.code, "digits", digits, {"x": words[number], "a": digits})
    for x in range(11):
        for y in range(11):
            slots = {"x": str(x), "y": str(y), "wx": words[x], "wy": words[y]}
            sum_slots = {**slots, "a": str(x + y), "a2": words[x + y]}
            yield Fact(tongue.code, "sum", f"{x}+{y}", sum_slots)
            if x >= y:
                yield Fact(tongue.code, "difference", f"{x}-{y}", {**slots, "a": str(x - y)})


def _word_facts(tongue: Language) -> Iterator[Fact]:
    for one, other in facts.OPPOSITES:
        for asked, answer in ((one, other), (other, one)):
            slots = {"x": tongue.adjectives[asked], "a": tongue.adjectives[answer]}
            yield Fact(tongue.code, "opposite", asked, slots)
    for key, (thing, colour) in tongue.things.items():
        yield Fact(tongue.code, "colour", key, {"x": thing, "a": colour})
    for key, animal in tongue.animals.items():
        slots = {"x": animal, "a": tongue.classes[facts.ANIMALS[key]]}
        yield Fact(tongue.code, "class", key, slots)


def _translation_facts(tongue: Language, languages: Mapping[str, Language]) -> Iterator[Fact]:
    for code, into in tongue.into.items():
        for key, word in tongue.words.items():
            slots = {"x": word, "into": into, "a": languages[code].words[key]}
            yield Fact(tongue.code, "translate", f"{code} {key}", slots)


def facts_of(tongue: Language, languages: Mapping[str, Language]) -> list[Fact]:
    """Return every fact of one language, translations into the other languages included."""
    return [
        *_country_facts(tongue),
        *_calendar_facts(tongue),
        *_number_facts(tongue),
        *_word_facts(tongue),
        *_translation_facts(tongue, languages),
    ]


def render(template: str, slots: Mapping[str, str], mark: str = "") -> str:
    """Fill a template; ``mark`` is put on both sides of every filled word.

    >>> render("{In}, on parle {a}.", {"in": "au Japon", "a": "le japonais"})
    'Au Japon, on parle le japonais.'
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        value = slots[name] if name in slots else capitalised(slots[name.lower()])
        return f"{mark}{value}{mark}"

    return _SLOT.sub(fill, template)


def is_promptable(template: str) -> bool:
    """Tell whether the answer stands at the end, so that the text before it asks for it.

    >>> is_promptable("The capital {of} is {a}."), is_promptable("{a} is the capital {of}.")
    (True, False)
    """
    answer = _ANSWER.search(template)
    return answer is not None and answer.start() > 0 and not _SLOT.search(template, answer.end())


def prompt_and_answer(template: str, slots: Mapping[str, str]) -> tuple[str, str]:
    """Return the text before the answer, without blanks at its end, and the answer.

    Raises
    ------
    ValueError
        If the template has no answer slot.
    """
    answer = _ANSWER.search(template)
    if answer is None:
        raise ValueError(
            f"template {template!r} has no answer slot, expected {{a}}, {{A}} or {{a2}}"
        )
    return render(template[: answer.start()], slots).rstrip(), render(answer[0], slots)
