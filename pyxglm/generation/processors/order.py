"""The processors that settings ask for, in the order of transformers 4.37.2.

Its `_get_logits_processor` and `_get_logits_warper` (`generation/utils.py`) say
which come first; `min_p` stands where later versions have it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.callbacks import Processor, processed_by
from pyxglm.generation.processors import lengths, narrowing, repeats, values, words
from pyxglm.generation.processors.guidance import Guidance
from pyxglm.generation.setting_checks import pairs_of_bias
from pyxglm.generation.settings import GenerationConfig

#: One of this module's: it is also told which of the first rows each row is.
RowProcessor = Callable[[Array, Array, Array], Array]


class Processors:
    """All that changes the scores of the next token, before one is drawn or is the best.

    Parameters
    ----------
    settings
        What is asked for.
    ids_BT
        The prompts.
    padding_B
        Columns of padding before each prompt that do not count as its tokens;
        zeros: as in transformers, all do.
    copies
        Rows for each prompt.
    most
        Columns that a row can have, padding included.
    allowed
        `prefix_allowed_tokens_fn`.
    guidance
        Comes first, if there is any.
    own
        Users' functions, after all others but the renormalisation. They see
        padding.

    Notes
    -----
    Empty ones (``not processors``) leave all scores as they are, so that nobody
    needs to compute all of them.
    """

    def __init__(
        self,
        settings: GenerationConfig,
        ids_BT: Array,
        padding_B: Array,
        most: int,
        *,
        copies: int = 1,
        allowed: Callable[[int, Array], Any] | None = None,
        guidance: Guidance | None = None,
        own: Sequence[Processor] = (),
    ) -> None:
        self._settings, self._ids_BT, self._allowed = settings, ids_BT, allowed
        self._padding_B, self._most, self._copies = padding_B, most, copies
        self._guidance, self._own = guidance, tuple(own)
        self._rows_B = np.arange(len(ids_BT) * copies)
        # Rows with as much padding have the same processors: those of a prompt of that length.
        self._built = {int(padding): self._build(int(padding)) for padding in np.unique(padding_B)}

    def __bool__(self) -> bool:
        return bool(
            self._guidance
            or self._own
            or any(any(parts) for parts in self._built.values())
            or self._settings.renormalize_logits
        )

    def __call__(
        self,
        ids_BS: Array,
        scores_BV: Array,
        rows_B: Array | None = None,
        diversity: Callable[[Array], Array] | None = None,
    ) -> Array:
        """Return the processed scores.

        Parameters
        ----------
        ids_BS, scores_BV
            Ids so far, and scores.
        rows_B
            Which of the present rows these are; None: all of them.
        diversity
            What groups of beams do to scores, at its place in the order. Groups
            are parts of what was `guided` before.
        """
        first_B = self._rows_B if rows_B is None else self._rows_B[rows_B]
        if diversity is None:
            scores_BV = self.guided(ids_BS, scores_BV)
        scores_BV = self._applied(0, ids_BS, scores_BV, first_B)
        scores_BV = scores_BV if diversity is None else diversity(scores_BV)
        scores_BV = self._applied(1, ids_BS, scores_BV, first_B)
        scores_BV = processed_by(self._own, ids_BS, scores_BV)
        if self._settings.renormalize_logits:
            scores_BV = values.log_softmax(scores_BV)
        return scores_BV

    def guided(self, ids_BS: Array, scores_BV: Array) -> Array:
        """Apply the guidance, if there is any: it needs all rows."""
        return scores_BV if self._guidance is None else self._guidance(ids_BS, scores_BV)

    def _applied(self, part: int, ids_BS: Array, scores_BV: Array, first_B: Array) -> Array:
        """Apply a part of the processors, to rows with as much padding at a time."""
        padding_B = self._padding_B[first_B // self._copies]
        for padding, parts in self._built.items():
            some = padding_B == padding
            if parts[part] and some.any():
                which: Any = slice(None) if some.all() else some
                ids_bS: Array = ids_BS[which, padding:]
                found_bV: Array = scores_BV[which]
                for processor in parts[part]:
                    found_bV = processor(ids_bS, found_bV, first_B[which])
                if some.all():
                    return found_bV
                scores_BV = scores_BV.copy()
                scores_BV[some] = found_bV
        return scores_BV

    def reorder(self, rows_B: Any) -> None:
        """Know that row b is now what row ``rows_B[b]`` was."""
        self._rows_B = self._rows_B[np.asarray(rows_B, np.intp)]
        if self._guidance is not None:
            self._guidance.reorder(rows_B)

    @property
    def need_all_rows(self) -> bool:
        """Whether finished rows must come along: users' functions may count on them."""
        return bool(self._own)

    def _build(self, padding: int) -> tuple[list[RowProcessor], list[RowProcessor]]:
        """Return sequence biases, and what follows the diversity of groups."""
        s = self._settings
        biases: list[RowProcessor] = []
        if s.sequence_bias is not None:
            pairs = pairs_of_bias(s.sequence_bias)
            biases.append(_of(words.sequence_bias, bias=pairs))
        T = self._ids_BT.shape[1] - padding
        most = s.max_length if s.max_new_tokens is None else self._most - padding
        prompts_BT = self._ids_BT[:, padding:]
        return biases, [
            *self._against_repetition(prompts_BT),
            *self._of_words(s),
            *self._of_ends(s, T),
            *self._of_prefixes(),
            *self._of_places(s, T, most),
        ]

    def _against_repetition(self, prompts_BT: Array) -> list[RowProcessor]:
        s, copies = self._settings, self._copies
        found: list[RowProcessor] = []
        if s.encoder_repetition_penalty not in (None, 1):
            inverse = 1 / s.encoder_repetition_penalty
            found.append(
                lambda ids, scores, rows: repeats.repetition_penalty(
                    prompts_BT[rows // copies], scores, inverse
                )
            )
        if s.repetition_penalty not in (None, 1):
            found.append(_of(repeats.repetition_penalty, penalty=s.repetition_penalty))
        if s.no_repeat_ngram_size:
            found.append(_of(repeats.no_repeat_ngram, n=s.no_repeat_ngram_size))
        if s.encoder_no_repeat_ngram_size:
            n = s.encoder_no_repeat_ngram_size
            found.append(
                lambda ids, scores, rows: repeats.no_ngram_of(
                    prompts_BT[rows // copies], ids, scores, n
                )
            )
        return found

    @staticmethod
    def _of_words(s: GenerationConfig) -> list[RowProcessor]:
        # As in transformers, a bad word that only ends a text may end it.
        bad = [word for word in s.bad_words_ids or () if list(word) not in [[e] for e in s.eos_ids]]
        bias = [(tuple(word), -np.inf) for word in bad]
        return [_of(words.sequence_bias, bias=bias)] if bias else []

    @staticmethod
    def _of_ends(s: GenerationConfig, T: int) -> list[RowProcessor]:
        if not s.eos_ids:
            return []
        least = [s.min_length or 0, T + s.min_new_tokens if s.min_new_tokens else 0]
        return [
            _of(lengths.no_end_before, length=length, eos_ids=s.eos_ids)
            for length in least
            if length
        ]

    def _of_prefixes(self) -> list[RowProcessor]:
        allowed, copies = self._allowed, self._copies
        if allowed is None:
            return []
        return [lambda ids, scores, rows: words.only_allowed(ids, scores, allowed, rows // copies)]

    @staticmethod
    def _of_places(s: GenerationConfig, T: int, most: int) -> list[RowProcessor]:
        found: list[RowProcessor] = []
        if s.forced_bos_token_id is not None:
            found.append(_of(lengths.forced, length=1, ids=[s.forced_bos_token_id]))
        if s.forced_eos_token_id is not None:
            ids = s.forced_eos_token_id
            ids = list(ids) if isinstance(ids, (list, tuple)) else [ids]
            found.append(_of(lengths.forced, length=most - 1, ids=ids))
        if s.remove_invalid_values:
            found.append(lambda ids, scores, rows: values.without_invalid(scores))
        if s.exponential_decay_length_penalty is not None and s.eos_ids:
            start, factor = s.exponential_decay_length_penalty
            found.append(
                _of(lengths.exponential_decay, start=T + start, factor=factor, eos_ids=s.eos_ids)
            )
        if s.suppress_tokens is not None:
            unwanted = s.suppress_tokens
            found.append(lambda ids, scores, rows: words.suppressed(scores, unwanted))
        places = {int(at): id_ for at, id_ in s.forced_decoder_ids or ()}
        if s.begin_suppress_tokens is not None:
            begin = T if T > 1 or s.forced_bos_token_id is None else T + 1
            begin += s.forced_decoder_ids[-1][0] if s.forced_decoder_ids else 0
            first = s.begin_suppress_tokens
            found.append(
                lambda ids, scores, rows: (
                    words.suppressed(scores, first) if ids.shape[1] == begin else scores
                )
            )
        for at, id_ in places.items():
            if id_ is not None:
                found.append(_of(lengths.forced, length=at, ids=[id_]))
        return found


class Narrowing:
    """What narrows a draw, in order; it is used by sampling only.

    Parameters
    ----------
    settings
        What is asked for.
    keep
        Tokens that always stay.
    """

    def __init__(self, settings: GenerationConfig, keep: int = 1) -> None:
        s = settings
        self.first: list[Callable[[Array], Array]] = []
        self.others: list[Callable[[Array], Array]] = []
        if s.temperature is not None and s.temperature != 1:
            self.first.append(partial(narrowing.temperature, temperature=s.temperature))
        if s.top_k:
            self.first.append(partial(narrowing.top_k, k=s.top_k, keep=keep))
        if s.top_p is not None and s.top_p < 1:
            self.others.append(partial(narrowing.top_p, p=s.top_p, keep=keep))
        if s.min_p:
            self.others.append(partial(narrowing.min_p, p=s.min_p, keep=keep))
        if s.typical_p is not None and s.typical_p < 1:
            self.others.append(partial(narrowing.typical_p, p=s.typical_p, keep=keep))
        if s.epsilon_cutoff:
            self.others.append(
                partial(narrowing.epsilon_cutoff, epsilon=s.epsilon_cutoff, keep=keep)
            )
        if s.eta_cutoff:
            self.others.append(partial(narrowing.eta_cutoff, epsilon=s.eta_cutoff, keep=keep))
        self._renormalize = s.renormalize_logits

    def __call__(self, ids_BS: Array, scores_BV: Array) -> Array:
        """Return the narrowed scores of all tokens."""
        scores_BV = self.of_candidates(self.candidates(scores_BV))
        return values.log_softmax(scores_BV) if self._renormalize else scores_BV

    def candidates(self, scores_BV: Array) -> Array:
        """Apply temperature and top-k: which tokens these leave depends on single scores."""
        for narrow in self.first:
            scores_BV = narrow(scores_BV)
        return scores_BV

    def of_candidates(self, scores_BV: Array) -> Array:
        """Apply the others, which depend on the distribution among those that are left."""
        for narrow in self.others:
            scores_BV = narrow(scores_BV)
        return scores_BV


def _of(function: Callable[..., Array], **parameters: Any) -> RowProcessor:
    """Make a processor that does not mind which row it has."""
    return lambda ids_BS, scores_BV, rows_B: function(ids_BS, scores_BV, **parameters)
