"""The bundled model answers its prompts through the NumPy decoder.

Facts that were told in the prompt's language, and few-shot translations, are asked here;
``python -m pyxglm.tiny.evaluate`` asks the others, too.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyxglm.modeling import XGLMForCausalLM
from pyxglm.tiny import PATH
from pyxglm.tiny.corpus.facts import LANGUAGE_CODES
from pyxglm.tiny.corpus.holdout import Prompt
from pyxglm.tiny.evaluate import continue_all
from pyxglm.tiny.scoring import answered, table
from pyxglm.tokenization import XGLMTokenizer

LEAST_SEEN = 0.95
LEAST_FEW_SHOT = 0.9


@pytest.fixture(scope="module")
def model():
    return XGLMForCausalLM.from_pretrained(PATH)


@pytest.fixture(scope="module")
def tokenizer():
    return XGLMTokenizer.from_pretrained(PATH)


@pytest.fixture(scope="module")
def asked(prompts):
    return [prompt for prompt in prompts if prompt.group in ("seen", "few-shot")]


@pytest.fixture(scope="module")
def continuations(model, tokenizer, asked):
    return continue_all(model, tokenizer, asked)


@pytest.fixture(scope="module")
def right(asked, continuations):
    return [answered(p, c.text) for p, c in zip(asked, continuations, strict=True)]


def share(prompts, right, group, code=None):
    marks = [
        mark
        for prompt, mark in zip(prompts, right, strict=True)
        if prompt.group == group and code in (prompt.code, None)
    ]
    return sum(marks) / len(marks)


@pytest.mark.parametrize("code", LANGUAGE_CODES)
def test_a_language_knows_what_it_was_told(code, asked, right):
    assert share(asked, right, "seen", code) >= LEAST_SEEN


def test_few_shot_translation_works(asked, right):
    assert share(asked, right, "few-shot") >= LEAST_FEW_SHOT


def test_the_figures_are_printed(asked, right, capsys):
    with capsys.disabled():
        print("\n" + table(asked, right))


def test_answers_end_by_themselves(continuations):
    assert sum(c.ended for c in continuations) >= 0.98 * len(continuations)


def test_the_capital_of_japan(model, tokenizer):
    prompt = Prompt("fr", "seen", "capital", "La capitale du Japon est", "Tokyo")
    (alone,) = continue_all(model, tokenizer, [prompt])
    assert alone.text.startswith("Tokyo")
    assert alone.ended


def test_a_batch_answers_as_one_prompt_does(model, tokenizer, asked, continuations):
    for index in range(0, len(asked), 60):
        (alone,) = continue_all(model, tokenizer, [asked[index]])
        assert alone == continuations[index]


def test_the_table_is_a_command():
    told = subprocess.run(
        [sys.executable, "-m", "pyxglm.tiny.evaluate", "--help"],
        capture_output=True,
        check=True,
        cwd=PATH.parents[1],
    )
    assert b"python -m pyxglm.tiny.evaluate" in told.stdout
