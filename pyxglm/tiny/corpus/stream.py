"""The training text: documents in a random but reproducible order.

A document is a sentence, a few sentences about one country, a list, or one line of a few-shot
group; ``</s>`` ends each.  Groups ("maison = house </s> chat = cat </s> …") stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pyxglm.tiny.corpus import facts, languages
from pyxglm.tiny.corpus.chance import seeded
from pyxglm.tiny.corpus.drills import cards, drills
from pyxglm.tiny.corpus.holdout import (
    DOCUMENT_END,
    Prompt,
    choose,
    is_left_out,
    unseen_keys,
)
from pyxglm.tiny.corpus.language import Language
from pyxglm.tiny.corpus.sentences import Fact, facts_of, render

__all__ = ["SEED", "Corpus", "Unit", "build"]

SEED = 2026
Unit = tuple[str, ...]
"""Documents that stay in this order."""

_UNSPACED = ("zh", "ja")
_COMMAS = {"zh": "、", "ja": "、", "ar": "، "}
_ARITHMETIC = ("sum", "difference")

# How often a sentence is told in one epoch.
_REPEATS = {"translate": 0.5, "sum": 2.0, "difference": 2.0, "opposite": 6.0, "capital": 5.0}
_USUAL_REPEATS = 5.0

# From the fourth epoch on, what is learned last is told more often: order and arithmetic, of
# which there are few sentences, and what needs one word of many to be told apart.
_PATIENCE = 3
_LATER_REPEATS = {
    **dict.fromkeys(("after_day", "before_day", "after_month", "before_month"), 20.0),
    "month_number": 14.0,
    "spell": 10.0,
    "sum": 4.0,
    "difference": 4.0,
    "opposite": 9.0,
    "class": 9.0,
    "currency": 7.0,
    "translate": 0.35,
}

# From the sixth epoch on, languages that learn more slowly are told more: those with a script or
# an inflection of their own share fewer pieces with the others.
_SHARES = {
    5: {"ru": 1.8, "ko": 1.5, "ar": 1.5, "el": 1.5, "it": 1.4, "hi": 1.3, "zh": 1.2},
    6: {"ru": 4.0, "it": 2.0, "el": 1.3, "ko": 1.0, "ar": 1.0, "hi": 1.0},
    7: {"ru": 2.5, "it": 1.6, "fr": 1.5, "el": 1.3, "ar": 1.2, "hi": 1.2},
    8: {"ru": 2.0, "it": 2.0, "fr": 1.4, "el": 1.2, "ar": 1.1, "hi": 1.1},
    9: {"ru": 2.0, "it": 2.0, "fr": 1.2, "es": 1.2, "el": 1.2, "ar": 1.1, "hi": 1.1},
    10: {"it": 4.0, "ru": 1.2, "el": 1.2, "ar": 1.0, "fr": 1.0, "es": 1.0},
}
_OTHER_SHARES = 0.7
_DRILLED, _DRILL_REPEATS = 7, 12  # the epoch from which drills are told, and how often
_CARDED = 9  # the epoch from which a country's card is told
_PAIRED, _PAIR_REPEATS = 8, 4  # likewise for the same fact told in two languages


def _share(code: str, epoch: int) -> float:
    """Return how often a language is told in an epoch, against its usual frequency."""
    shares = _SHARES.get(min(epoch, max(_SHARES)))
    return 1.0 if shares is None else shares.get(code, _OTHER_SHARES)


@dataclass(frozen=True)
class Corpus:
    """Everything that a seed decides.

    Attributes
    ----------
    sentences : dict of str to list of (Fact, str)
        By language: every sentence that may be told, with its fact.
    prompts : list of Prompt
        What is asked afterwards.
    marked : list of str
        Every sentence once, with ``mark`` around filled words where a language writes no blanks:
        the text that the tokenizer is trained on.
    """

    seed: int
    languages: dict[str, Language]
    sentences: dict[str, list[tuple[Fact, str]]]
    prompts: list[Prompt]
    marked: list[str]

    def epoch(self, number: int) -> list[Unit]:
        """Return the documents of an epoch, shuffled; the same for the same number."""
        random = seeded("epoch", self.seed, number)
        units: list[Unit] = []
        repeats = _REPEATS if number < _PATIENCE else {**_REPEATS, **_LATER_REPEATS}
        for code in self.languages:
            units += _told(self, code, repeats, _share(code, number), random)
            units += _lists(self.languages[code], random)
            if number >= _DRILLED:
                unseen = unseen_keys(code, self.seed)
                exercises = drills(self.languages[code], unseen)
                if number >= _CARDED:
                    exercises += cards(self.languages[code], unseen)
                asked = _finder([p.text for p in self.prompts if p.group != "few-shot"])
                units += [(text,) for text in exercises if not asked(text)] * _DRILL_REPEATS
        units += _groups(self, random)
        if number >= _PAIRED:
            units += _pairs(self, random)
        random.shuffle(units)
        return units


def build(seed: int = SEED, mark: str = "") -> Corpus:
    """Build the corpus of a seed."""
    spoken = languages.load()
    sentences: dict[str, list[tuple[Fact, str]]] = {}
    prompts: list[Prompt] = []
    marked: list[str] = []
    all_facts = {code: facts_of(tongue, spoken) for code, tongue in spoken.items()}
    for code in spoken:
        prompts += choose(code, all_facts[code], spoken, seed)
    asked = [prompt.text for prompt in prompts if prompt.group != "few-shot"]
    for code, tongue in spoken.items():
        unseen = unseen_keys(code, seed)
        sentences[code] = []
        for fact in all_facts[code]:
            if is_left_out(fact, unseen):
                continue
            for template in tongue.templates[fact.relation]:
                sentence = render(template, fact.slots)
                sentences[code].append((fact, sentence))
                if fact.relation != "translate":
                    edge = mark if code in _UNSPACED else ""
                    marked.append(render(template, fact.slots, edge))
    contains = _finder(asked)
    for code in spoken:
        sentences[code] = [pair for pair in sentences[code] if not contains(pair[1])]
    for tongue in spoken.values():
        marked += [*tongue.words.values()] * 3 + [*tongue.phrases.values()]
    marked += [text for said in sentences.values() for _, text in said[::40]]
    return Corpus(seed, spoken, sentences, prompts, marked)


def _finder(prompts: Sequence[str]) -> Callable[[str], bool]:
    """Return a test for texts that contain a prompt; looks prompts up by their first letters."""
    width = min(map(len, prompts))
    starting: dict[str, list[str]] = {}
    for prompt in prompts:
        starting.setdefault(prompt[:width], []).append(prompt)

    def contains(text: str) -> bool:
        for start in range(len(text) - width + 1):
            same = starting.get(text[start : start + width])
            if same and any(text.startswith(prompt, start) for prompt in same):
                return True
        return False

    return contains


def _told(
    corpus: Corpus, code: str, frequencies: Mapping[str, float], share: float, random: Random
) -> list[Unit]:
    """Return single sentences, and now and then a few about the same country."""
    units: list[Unit] = []
    about: dict[str, dict[str, list[str]]] = {}
    for fact, sentence in corpus.sentences[code]:
        repeats = frequencies.get(fact.relation, _USUAL_REPEATS)
        if fact.relation == "translate":
            # English is every language's most frequent partner.
            repeats *= 1.5 if "en" in (code, fact.key[:2]) else 0.5
        repeats *= share
        times = int(repeats) + (random.random() < repeats % 1)
        units += [(sentence,)] * times
        if fact.key in facts.COUNTRIES:
            about.setdefault(fact.key, {}).setdefault(fact.relation, []).append(sentence)
    join = "" if code in _UNSPACED else " "
    for told in about.values():
        for _ in range(12):
            relations = random.sample(list(told), min(2, len(told)))
            units.append((join.join(random.choice(told[name]) for name in relations),))
    return units


def _lists(tongue: Language, random: Random) -> list[Unit]:
    """Return runs of days, months and numbers in their order."""
    comma = _COMMAS.get(tongue.code, ", ")
    units: list[Unit] = []
    rows = (
        list(tongue.days.values()),
        list(tongue.months.values()),
        list(tongue.numbers),
        [str(n) for n in facts.NUMBERS],
    )
    for row in rows:
        for _ in range(40):
            start = random.randrange(len(row) - 2)
            stop = min(len(row), start + random.randint(3, 8))
            units.append((comma.join(row[start:stop]),))
    return units


def _pairs(corpus: Corpus, random: Random) -> list[Unit]:
    """Return sentences and their translations: a fact in two languages that are both told it."""
    told: dict[tuple[str, str], dict[str, list[str]]] = {}
    for code, pairs in corpus.sentences.items():
        for fact, sentence in pairs:
            if fact.relation not in ("translate", *_ARITHMETIC):
                by_language = told.setdefault((fact.relation, fact.key), {})
                by_language.setdefault(code, []).append(sentence)
    units: list[Unit] = []
    for by_language in told.values():
        for code, sentences in by_language.items():
            for _ in range(_PAIR_REPEATS):
                other = random.choice(list(by_language))
                if other != code:
                    translation = random.choice(by_language[other])
                    units.append((f"{random.choice(sentences)} = {translation}",))
    return units


def _groups(corpus: Corpus, random: Random) -> list[Unit]:
    """Return few-shot groups: translated words and sentences, sums and differences."""
    units: list[Unit] = []
    shots = [prompt.text for prompt in corpus.prompts if prompt.group == "few-shot"]
    for code, source in corpus.languages.items():
        keys = list(source.words)
        names = [key for key in keys if key.startswith(("country ", "city "))]
        plain = [key for key in keys if key not in names]
        for other, target in corpus.languages.items():
            if other == code:
                continue
            for _ in range(220 if "en" in (code, other) else 70):
                pool = names if random.random() < 0.2 else plain
                chosen = random.sample(pool, random.randint(2, 6))
                unit = tuple(f"{source.words[key]} = {target.words[key]}" for key in chosen)
                text = DOCUMENT_END.join(unit)
                if not any(shot in text for shot in shots):
                    units.append(unit)
            for _ in range(24 if "en" in (code, other) else 8):
                chosen = random.sample(facts.PHRASES, random.randint(1, 4))
                units.append(
                    tuple(f"{source.phrases[key]} = {target.phrases[key]}" for key in chosen)
                )
    for _ in range(3000):
        lines = []
        for _ in range(random.randint(1, 4)):
            x, y = random.randint(0, 10), random.randint(0, 10)
            if random.random() < 0.6:
                lines.append(f"{x} + {y} = {x + y}")
            else:
                lines.append(f"{x + y} - {y} = {x}" if x + y <= 10 else f"{x} + {y} = {x + y}")
        units.append(tuple(lines))
    return units
