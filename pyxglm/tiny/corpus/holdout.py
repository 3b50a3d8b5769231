"""What the corpus leaves out on purpose, and the prompts that ask for it.

Two things are held out, both chosen by a seed:

- *phrasings*: a prompt's fact is told in every other phrasing, and the prompt's phrasing is used
  for every other fact, but the two never meet.  These are the "seen" prompts;
- *facts*: some facts are left out of a language altogether (other languages tell them).  These
  are the "unseen" prompts.

Few-shot prompts are translation examples that never stand in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyxglm.tiny.corpus import facts
from pyxglm.tiny.corpus.chance import seeded
from pyxglm.tiny.corpus.language import Language
from pyxglm.tiny.corpus.sentences import Fact, is_promptable, prompt_and_answer, render

__all__ = ["DOCUMENT_END", "GROUPS", "Prompt", "choose", "is_left_out", "unseen_keys"]

DOCUMENT_END = " </s> "
GROUPS = ("seen", "unseen", "few-shot")

_SEEN = {
    "capital": 8,
    "continent": 4,
    "currency": 4,
    "tongue": 4,
    "after_day": 2,
    "before_day": 1,
    "after_month": 3,
    "before_month": 1,
    "month_number": 2,
    "spell": 2,
    "digits": 1,
    "sum": 3,
    "difference": 1,
    "opposite": 5,
    "colour": 3,
    "class": 3,
    "translate": 4,
}
_UNSEEN = {
    "capital": 4,
    "continent": 3,
    "currency": 3,
    "tongue": 3,
    "sum": 2,
    "opposite": 3,
    "colour": 2,
    "class": 2,
}
_SHOTS = 8  # few-shot prompts a language
_WELL_KNOWN = {
    "jp",
    "cn",
    "ru",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "gr",
    "gb",
    "us",
    "kr",
    "in",
    "br",
    "eg",
}
"""Countries whose capitals every language is told: the first that a user will try."""
_HOME = {
    "en": "gb us au",
    "fr": "fr",
    "de": "de at",
    "es": "es mx ar pe cu",
    "it": "it",
    "pt": "pt br",
    "ru": "ru",
    "el": "gr",
    "zh": "cn",
    "ja": "jp",
    "ko": "kr",
    "ar": "eg iq ma",
    "hi": "in",
}
"""Countries that a language is told everything about: its own."""
_ALWAYS = {("fr", "capital"): "jp"}  # "La capitale du Japon est", the README's example


class Prompt(NamedTuple):
    """A text to go on with, and what must come next."""

    code: str
    group: str
    relation: str
    text: str
    answer: str


def unseen_keys(code: str, seed: int) -> dict[str, tuple[str, ...]]:
    """Return the keys of the facts that a language is never told, by relation."""
    chosen: dict[str, tuple[str, ...]] = {}
    for relation, count in _UNSEEN.items():
        random = seeded("unseen", seed, code, relation)
        if relation in ("capital", "continent", "currency", "tongue"):
            keys = [
                key
                for key, country in facts.COUNTRIES.items()
                if key not in _HOME[code].split()
                and (
                    key not in _WELL_KNOWN if relation == "capital" else getattr(country, relation)
                )
            ]
        elif relation == "sum":
            keys = [f"{x}+{y}" for x in range(2, 10) for y in range(2, 10)]
        elif relation == "opposite":
            keys = [one for one, _ in facts.OPPOSITES]
        else:
            keys = list(facts.THINGS if relation == "colour" else facts.ANIMALS)
        chosen[relation] = tuple(random.sample(keys, count))
    return chosen


def is_left_out(fact: Fact, unseen: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether the fact's language is never told it; opposites count in both directions."""
    keys = unseen.get(fact.relation, ())
    if fact.relation == "opposite":
        return any(fact.key in pair for pair in facts.OPPOSITES if pair[0] in keys)
    return fact.key in keys


def _phrasings(fact: Fact, tongue: Language) -> list[tuple[str, str]]:
    """Return prompt and answer in every promptable phrasing that no other one contains."""
    templates = tongue.templates[fact.relation]
    found = []
    for template in templates:
        if not is_promptable(template):
            continue
        text, answer = prompt_and_answer(template, fact.slots)
        others = (render(other, fact.slots) for other in templates if other != template)
        if not any(text in other for other in others):
            found.append((text, answer))
    return found


def _few_shot(code: str, languages: Mapping[str, Language], seed: int) -> list[Prompt]:
    """Return translation prompts: two or three examples, and a word to translate."""
    random = seeded("few-shot", seed, code)
    words = [*facts.NOUNS, *facts.ANIMALS, *facts.COLOURS]
    others = [other for other in facts.LANGUAGE_CODES if other != code]
    targets = ["en"] * (_SHOTS // 2) if code != "en" else []
    targets += random.sample(others, _SHOTS - len(targets))
    prompts = []
    for index, other in enumerate(targets):
        source, target = languages[code], languages[other]
        picked = random.sample(words, 3 + index % 2)
        lines = [f"{source.words[key]} = {target.words[key]}" for key in picked[:-1]]
        lines.append(f"{source.words[picked[-1]]} =")
        answer = target.words[picked[-1]]
        prompts.append(Prompt(code, "few-shot", "translate", DOCUMENT_END.join(lines), answer))
    return prompts


def choose(
    code: str, told: Sequence[Fact], languages: Mapping[str, Language], seed: int
) -> list[Prompt]:
    """Choose a language's prompts.

    Parameters
    ----------
    told : sequence of Fact
        Every fact of the language, those that it is never told included.
    """
    tongue = languages[code]
    unseen = unseen_keys(code, seed)
    prompts: list[Prompt] = []
    for group, counts in (("seen", _SEEN), ("unseen", _UNSEEN)):
        for relation, count in counts.items():
            random = seeded(group, seed, code, relation)
            candidates = [
                fact
                for fact in told
                if fact.relation == relation
                and is_left_out(fact, unseen) == (group == "unseen")
                and not fact.key.startswith(("0", "10", "1+", "1-"))  # trivial, or inside others
                and not fact.key.endswith(("+0", "-0"))
            ]
            random.shuffle(candidates)
            if group == "seen" and (code, relation) in _ALWAYS:
                candidates.sort(key=lambda fact: fact.key != _ALWAYS[fact.code, fact.relation])
            for fact in candidates[:count]:
                options = _phrasings(fact, tongue)
                first = fact is candidates[0] and (code, relation) in _ALWAYS
                text, answer = options[0] if first else random.choice(options)
                prompts.append(Prompt(code, group, relation, text, answer))
    return prompts + _few_shot(code, languages, seed)
