"""What a beam search has finished: the best complete texts of a prompt, and when to stop.

A text's score is the sum of its tokens' log-probabilities over a power of their
number (Wu et al., "Google's Neural Machine Translation System" (2016), equation
14, in the simpler form that transformers uses).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pyxglm.dtypes import Array


class Hypothesis(NamedTuple):
    """A text that goes no further.

    Attributes
    ----------
    score
        `normalized` sum of log-probabilities.
    ids_S
        The prompt and what was generated, without the token that ended it.
    origins_T
        For each generated token, an ending one included, the row of the batch
        whose scores it was chosen by.
    log_probs_T
        The model's own log-probability of each, before any processor.
    ended
        Whether an end token follows: it was generated, or a rule of the caller's
        ended the text. False if the text was as long as can be.
    """

    score: float
    ids_S: Array
    origins_T: Array
    log_probs_T: Array
    ended: bool


class Rules(NamedTuple):
    """When the search for a prompt is over, and what its scores are divided by.

    Attributes
    ----------
    length_penalty
        The power of the length.
    early_stopping
        True: when there are as many texts as beams; False: when the best beam
        would not be among them if it ended now; ``"never"``: when it could not
        be among them at any length.
    longest
        Most tokens that may be generated.
    """

    length_penalty: float
    early_stopping: bool | str
    longest: int


def normalized(total: float, length: int, length_penalty: float) -> float:
    r"""Return a score that texts of different lengths can be compared by.

    .. math:: \frac{1}{n^\alpha} \sum_{t=1}^{n} \log p(y_t \mid y_{<t})

    Parameters
    ----------
    total
        The sum of the log-probabilities of the generated tokens.
    length
        Their number n, an end token included, the prompt not.
    length_penalty
        :math:`\alpha`: 0 compares sums, 1 means; more favours long texts.

    Examples
    --------
    >>> normalized(-6.0, 4, 1.0), normalized(-6.0, 4, 0.5), normalized(-6.0, 4, 0.0)
    (-1.5, -3.0, -6.0)
    """
    with np.errstate(over="ignore", under="ignore", divide="ignore"):  # the limits are right
        return float(np.float64(total) / np.float64(length) ** np.float64(length_penalty))


class Hypotheses:
    """The best complete texts of one prompt, or of one group of its beams.

    Examples
    --------
    >>> rules = Rules(length_penalty=1.0, early_stopping=False, longest=9)
    >>> kept = Hypotheses(2, rules)
    >>> nothing = np.zeros(0, np.int64)
    >>> for total, length in ((-4.0, 2), (-9.0, 3), (-1.0, 1)):
    ...     kept.add(total, length, np.arange(length), nothing, nothing, ended=True)
    >>> [one.score for one in kept.texts]
    [-2.0, -1.0]
    >>> kept.complete(-7.0, 4), kept.complete(-8.0, 4)
    (False, True)
    """

    def __init__(self, most: int, rules: Rules) -> None:
        self.texts: list[Hypothesis] = []
        self._most, self._rules = most, rules

    def add(
        self,
        total: float,
        length: int,
        ids_S: Array,
        origins_T: Array,
        log_probs_T: Array,
        *,
        ended: bool,
    ) -> None:
        """Keep a text if it is better than the worst of enough others.

        Parameters
        ----------
        total, length
            The sum of its log-probabilities, and their number.
        ids_S, origins_T, log_probs_T, ended
            See `Hypothesis`.
        """
        score = normalized(total, length, self._rules.length_penalty)
        if len(self.texts) == self._most:
            worst = self._worst()
            if not score > self.texts[worst].score:
                return
            del self.texts[worst]
        self.texts.append(Hypothesis(score, ids_S, origins_T, log_probs_T, ended))

    def complete(self, best_total: float, length: int) -> bool:
        """Return whether the search for this prompt is over.

        Parameters
        ----------
        best_total
            The best sum of log-probabilities among all candidates of this step.
        length
            The number of tokens it is a sum of.
        """
        if len(self.texts) < self._most:
            return False
        penalty, early, longest = self._rules
        if early is True:
            return True
        if early == "never" and penalty > 0:
            length = longest
        return self.texts[self._worst()].score >= normalized(best_total, length, penalty)

    def _worst(self) -> int:
        """Return which text has the lowest score, the first among equals."""
        return min(range(len(self.texts)), key=lambda index: self.texts[index].score)


def best(texts: Iterable[Hypothesis], count: int) -> list[Hypothesis]:
    """Return the `count` texts with the highest scores, best first, the last among equals.

    Examples
    --------
    >>> nothing = np.zeros(0, np.int64)
    >>> texts = [Hypothesis(score, *[nothing] * 3, True) for score in (-3.0, -1.0, -2.0)]
    >>> [text.score for text in best(texts, 2)]
    [-1.0, -2.0]
    """
    # Ascending, then backwards: so equals come in the opposite order.
    return sorted(texts, key=lambda text: text.score)[::-1][:count]
