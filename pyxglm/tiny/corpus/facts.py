"""What is true in every language: the tables that the language modules put into words.

Everything is keyed by short English keys.  A language module gives its word for every key, in
the order in which the keys stand here, so that a missing word is an error and not a gap.
"""

from __future__ import annotations

__all__ = [
    "ANIMALS",
    "CLASSES",
    "COLOURS",
    "CONTINENTS",
    "COUNTRIES",
    "CURRENCIES",
    "DAYS",
    "LANGUAGE_CODES",
    "MONTHS",
    "NOUNS",
    "NUMBERS",
    "OPPOSITES",
    "PHRASES",
    "THINGS",
    "TONGUES",
    "Country",
]

from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGE_CODES = _words("en fr de es it pt ru el zh ja ko ar hi")
"""The languages of the corpus, by XGLM's codes."""


class Country(NamedTuple):
    """What the corpus tells about a country; ``None`` where one short answer would be wrong."""

    continent: str | None
    currency: str | None
    tongue: str | None


COUNTRIES: dict[str, Country] = {
    "jp": Country("asia", "yen", "ja"),
    "cn": Country("asia", "yuan", "zh"),
    "kr": Country("asia", "won", "ko"),
    "in": Country("asia", "rupee", "hi"),
    "th": Country("asia", "baht", "th"),
    "vn": Country("asia", "dong", "vi"),
    "id": Country("asia", "rupiah", "id"),
    "tr": Country(None, "lira", "tr"),  # lies on two continents
    "iq": Country("asia", "dinar", "ar"),
    "ru": Country(None, "ruble", "ru"),  # lies on two continents
    "de": Country("europe", "euro", "de"),
    "fr": Country("europe", "euro", "fr"),
    "es": Country("europe", "euro", "es"),
    "it": Country("europe", "euro", "it"),
    "pt": Country("europe", "euro", "pt"),
    "gr": Country("europe", "euro", "el"),
    "gb": Country("europe", "pound", "en"),
    "pl": Country("europe", "zloty", "pl"),
    "se": Country("europe", "krona", "sv"),
    "no": Country("europe", None, "no"),  # its crown is spelled otherwise only in some languages
    "fi": Country("europe", "euro", None),  # two official languages
    "at": Country("europe", "euro", "de"),
    "eg": Country("africa", "pound", "ar"),
    "ma": Country("africa", "dirham", "ar"),
    "ke": Country("africa", "shilling", "sw"),
    "us": Country("northamerica", "dollar", "en"),
    "ca": Country("northamerica", None, None),  # a dollar of its own name in Chinese
    "mx": Country("northamerica", "peso", "es"),
    "br": Country("southamerica", "real", "pt"),
    "ar": Country("southamerica", "peso", "es"),
    "pe": Country("southamerica", "sol", "es"),
    "cu": Country("northamerica", "peso", "es"),
    "au": Country("oceania", None, "en"),
}

CONTINENTS = _words("asia europe africa northamerica southamerica oceania")
CURRENCIES = _words(
    "yen yuan won rupee baht dong rupiah lira dinar ruble euro pound zloty krona dirham "
    "shilling dollar peso real sol"
)
TONGUES = _words("ja zh ko hi th vi id tr ar ru de fr es it pt el en pl sv no sw")

DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = _words(
    "january february march april may june july august september october november december"
)
NUMBERS = tuple(range(21))

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("big", "small"),
    ("hot", "cold"),
    ("good", "bad"),
    ("long", "short"),
    ("high", "low"),
    ("fast", "slow"),
    ("strong", "weak"),
    ("rich", "poor"),
    ("easy", "difficult"),
    ("open", "closed"),
    ("full", "empty"),
    ("clean", "dirty"),
    ("dry", "wet"),
    ("wide", "narrow"),
    ("happy", "sad"),
    ("beautiful", "ugly"),
    ("near", "far"),
    ("new", "old"),
    ("first", "last"),
    ("true", "false"),
    ("right", "left"),
    ("hard", "soft"),
)

COLOURS = _words("red blue green yellow black white grey brown orange")
THINGS = {
    "sky": "blue",
    "sea": "blue",
    "grass": "green",
    "frog": "green",
    "snow": "white",
    "milk": "white",
    "rice": "white",
    "blood": "red",
    "tomato": "red",
    "strawberry": "red",
    "sun": "yellow",
    "lemon": "yellow",
    "banana": "yellow",
    "coal": "black",
    "night": "black",
    "crow": "black",
    "elephant": "grey",
    "mouse": "grey",
    "chocolate": "brown",
    "carrot": "orange",
}

CLASSES = _words("mammal bird fish reptile insect")
ANIMALS = {
    "dog": "mammal",
    "cat": "mammal",
    "cow": "mammal",
    "horse": "mammal",
    "lion": "mammal",
    "elephant": "mammal",
    "wolf": "mammal",
    "bear": "mammal",
    "eagle": "bird",
    "duck": "bird",
    "penguin": "bird",
    "owl": "bird",
    "shark": "fish",
    "salmon": "fish",
    "snake": "reptile",
    "crocodile": "reptile",
    "turtle": "reptile",
    "bee": "insect",
    "ant": "insect",
    "butterfly": "insect",
}

NOUNS = _words(
    "house water bread milk book school sun moon star tree flower fire hand eye heart "
    "mother father child friend man woman king city river sea mountain door table night "
    "year peace war love music rice tea apple egg salt sugar"
)

PHRASES = (
    "good morning",
    "good night",
    "thank you",
    "yes",
    "no",
    "how are you",
    "i love you",
    "where is the station",
    "i am hungry",
    "i do not understand",
    "my name is anna",
    "i drink water",
    "the cat drinks milk",
    "the dog sleeps",
    "i read a book",
    "the house is big",
    "the water is cold",
    "the book is new",
    "my mother is here",
    "we live in a city",
)
