"""Exercises for the last epochs: order and arithmetic once more, in other words.

Calendars and sums in words have few sentences each, and what a small model learns of them clings
to their phrasing.  A further phrasing of the same facts is what helps.  Nothing here is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pyxglm.tiny.corpus import facts
from pyxglm.tiny.corpus.language import Language, capitalised

__all__ = ["cards", "drills"]

_TODAY: dict[str, tuple[str, str, str, str]] = {
    # the next day, the day before, the next month, the month before: {n} now, {a} the answer;
    # Chinese and Japanese, whose months are numbers, do without
    "en": (
        "If today is {n}, tomorrow is {a}.",
        "If today is {n}, yesterday was {a}.",
        "If this month is {n}, the next month is {a}.",
        "If this month is {n}, the last month was {a}.",
    ),
    "fr": (
        "Si aujourd'hui c'est {n}, demain c'est {a}.",
        "Si aujourd'hui c'est {n}, hier c'était {a}.",
        "Si ce mois est {n}, le mois prochain est {a}.",
        "Si ce mois est {n}, le mois dernier était {a}.",
    ),
    "de": (
        "Wenn heute {n} ist, ist morgen {a}.",
        "Wenn heute {n} ist, war gestern {a}.",
        "Wenn dieser Monat {n} ist, ist der nächste Monat {a}.",
        "Wenn dieser Monat {n} ist, war der letzte Monat {a}.",
    ),
    "es": (
        "Si hoy es {d}, mañana es {e}.",
        "Si hoy es {d}, ayer fue {e}.",
        "Si este mes es {n}, el próximo mes es {a}.",
        "Si este mes es {n}, el mes pasado fue {a}.",
    ),
    "it": (
        "Se oggi è {n}, domani è {a}.",
        "Se oggi è {n}, ieri era {a}.",
        "Se questo mese è {n}, il prossimo mese è {a}.",
        "Se questo mese è {n}, il mese scorso era {a}.",
    ),
    "pt": (
        "Se hoje é {n}, amanhã é {a}.",
        "Se hoje é {n}, ontem foi {a}.",
        "Se este mês é {n}, o próximo mês é {a}.",
        "Se este mês é {n}, o mês passado foi {a}.",
    ),
    "ru": (
        "Если сегодня {n}, то завтра {a}.",
        "Сегодня {n}, а вчера — {a}.",
        "Если сейчас {n}, то следующий месяц — {a}.",
        "Если сейчас {n}, то прошлый месяц — {a}.",
    ),
    "el": (
        "Αν σήμερα είναι {d}, αύριο είναι {e}.",
        "Αν σήμερα είναι {d}, χθες ήταν {e}.",
        "Αν τώρα είναι {d}, ο επόμενος μήνας είναι {a}.",
        "Αν τώρα είναι {d}, ο προηγούμενος μήνας είναι {a}.",
    ),
    "ko": (
        "오늘: {n}, 내일: {a}.",
        "오늘: {n}, 어제: {a}.",
        "이번 달: {n}, 다음 달: {a}.",
        "이번 달: {n}, 이전 달: {a}.",
    ),
    "ar": (
        "اليوم هو {n} واليوم بعده هو {a}.",
        "اليوم هو {n} واليوم قبله هو {a}.",
        "الشهر هو {n} والشهر بعده هو {a}.",
        "الشهر هو {n} والشهر قبله هو {a}.",
    ),
    "hi": (
        "आज {n} है, अगला दिन {a} है।",
        "आज {n} है, पिछला दिन {a} है।",
        "यह महीना {n} है, अगला महीना {a} है।",
        "यह महीना {n} है, पिछला महीना {a} है।",
    ),
}


def _calendar(tongue: Language) -> Iterator[str]:
    if tongue.code not in _TODAY:
        return
    for index, table in enumerate((tongue.days, tongue.months)):
        names = list(table.values())
        following, previous = _TODAY[tongue.code][2 * index : 2 * index + 2]
        for place, now in enumerate(names):
            for template, answer in (
                (following, names[(place + 1) % len(names)]),
                (previous, names[place - 1]),
            ):
                # {d} and {e} stand for the names without their articles
                bare = {"d": now.split()[-1], "e": answer.split()[-1]}
                yield template.format(n=now, a=answer, **bare)


def _sums(tongue: Language, unseen: Sequence[str]) -> Iterator[str]:
    words = tongue.numbers
    for x in range(11):
        for y in range(11):
            if f"{x}+{y}" not in unseen:
                yield f"{words[x]} + {words[y]} = {words[x + y]}"


def drills(tongue: Language, unseen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a language's exercises; sums that it is never told stay untold."""
    return [
        *map(capitalised, _calendar(tongue)),
        *_sums(tongue, unseen.get("sum", ())),
    ]


def cards(tongue: Language, unseen: Mapping[str, Sequence[str]]) -> list[str]:
    """Return lines such as "Le Japon: Tokyo, Le yen, Le japonais, L'Asie", in every rotation.

    What a language is never told about a country is left out of its card.
    """
    lines = []
    for key, place in tongue.countries.items():
        country = facts.COUNTRIES[key]
        known = {"capital": place.capital}
        if country.currency:
            known["currency"] = tongue.currencies[country.currency]
        if country.tongue:
            known["tongue"] = tongue.tongues[country.tongue]
        if country.continent:
            known["continent"] = tongue.continents[country.continent][0]
        told = [
            capitalised(word)
            for relation, word in known.items()
            if key not in unseen.get(relation, ())
        ]
        lines += [
            f"{capitalised(place.name)}: {', '.join(told[turn:] + told[:turn])}"
            for turn in range(len(told))
        ]
    return lines
