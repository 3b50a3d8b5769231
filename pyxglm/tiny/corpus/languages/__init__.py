"""The languages of the corpus, one module each."""

from __future__ import annotations

from importlib import import_module

from pyxglm.tiny.corpus import facts
from pyxglm.tiny.corpus.language import Language

__all__ = ["load"]


def load() -> dict[str, Language]:
    """Return every language of the corpus by its code, in the order of ``facts``."""
    languages: dict[str, Language] = {}
    for code in facts.LANGUAGE_CODES:
        loaded = import_module(f"{__name__}.{code}").LANGUAGE
        assert isinstance(loaded, Language)  # noqa: S101
        languages[code] = loaded
    return languages
