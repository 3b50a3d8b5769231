"""A batch of texts that grow: ids, mask, positions and cache, kept in step with each other.

Every search works on this: ask for the scores of the next token, append what was
chosen, and ask again. Rows may be put in another order, doubled or dropped
(`reorder`), and columns taken back (`crop`); ids, mask and the model's cache
follow. Only what the cache does not hold goes through the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.cache import KVCache
from pyxglm.dtypes import Array
from pyxglm.generation.prompts import positions
from pyxglm.generation.repetition import Repetition
from pyxglm.generation.scores import AllScores, ask, new_cache

#: Columns that there is room for beyond those known: most texts end early, and it can grow.
_ROOM = 512


class Stepper:
    """Texts, and the model that continues them.

    Parameters
    ----------
    model
        The model: see the text of `pyxglm.generation.search`.
    ids_BT, mask_BT
        The prompts; their arrays are copied.
    use_cache
        Keep keys and values instead of computing every column again.
    steps
        About how many columns will be appended.
    copies
        Continue each prompt so many times: rows b * copies … b * copies +
        copies - 1 are prompt b's. It is computed once.
    cache
        What the model remembers of the first columns; appended to.
    prefix
        A single row: what the model remembers of the tokens with which every
        prompt begins. It is left as it is.
    encoder
        ``encoder_hidden_states`` (B, E, D) and ``encoder_attention_mask``
        (B, E): arguments for every call of the model.
    hidden_states, attentions
        Collect the model's, see the attributes. Padding is computed then.
    positions_BT
        The prompts' positions; later columns go on from the last. Default:
        real tokens are counted.

    Attributes
    ----------
    hidden_states, attentions
        For each call of the model, a tuple with an array for each layer, as
        transformers' generate returns them. Empty if not asked for.
    """

    def __init__(
        self,
        model: Any,
        ids_BT: Array,
        mask_BT: Array,
        *,
        use_cache: bool = True,
        steps: int = 0,
        copies: int = 1,
        cache: Any = None,
        prefix: KVCache | None = None,
        encoder: dict[str, Any] | None = None,
        hidden_states: bool = False,
        attentions: bool = False,
        positions_BT: Array | None = None,
    ) -> None:
        self.model, self.use_cache, self.copies = model, use_cache, copies
        self.hidden_states: list[Any] = []
        self.attentions: list[Any] = []
        self._wanted = {"hidden_states": hidden_states, "attentions": attentions}
        self._length = int(ids_BT.shape[1])
        room = self._length + min(steps, _ROOM)
        self._ids, self._mask = (
            np.concatenate([a, np.ones((len(a), room - self._length), np.int64)], axis=1)
            for a in (ids_BT, mask_BT)
        )
        self._positions = positions(mask_BT) if positions_BT is None else positions_BT
        self._next_B = mask_BT.sum(axis=-1) if positions_BT is None else positions_BT[:, -1] + 1
        self._given = cache is not None
        if cache is None and use_cache:
            cache = new_cache(model, room)
        self.cache = cache
        self._done = 0 if cache is None else _length_of(cache)
        self._repetition = Repetition()
        self._prefix, self._encoder = prefix, encoder or {}
        # One row for each prompt, until the model has seen it.
        self._whole = copies == 1
        if not self._whole and (self._done or not isinstance(cache, KVCache)):
            self._expand()

    @property
    def ids(self) -> Array:
        """All ids, prompts included (a view)."""
        ids_BS: Array = self._ids[:, : self._length]
        return ids_BS if self._whole else np.repeat(ids_BS, self.copies, axis=0)

    @property
    def mask(self) -> Array:
        """Ones where ids are real (a view)."""
        mask_BS: Array = self._mask[:, : self._length]
        return mask_BS if self._whole else np.repeat(mask_BS, self.copies, axis=0)

    @property
    def length(self) -> int:
        """The number of columns, S."""
        return self._length

    def scores(self) -> AllScores:
        """Compute the scores of the token that follows each row.

        They must be used before the next call.
        """
        return self._ask(None)

    def scores_after(self, columns: int) -> AllScores:
        """Compute the scores after each of the last columns of a single row, as rows.

        So many must not have gone through the model yet.
        """
        return self._ask(None if columns == 1 else columns)

    def collect(self, *, hidden_states: bool) -> None:
        """Collect hidden states from now on, or do so no more, and forget those there are."""
        self._wanted["hidden_states"] = hidden_states
        self.hidden_states.clear()

    def _ask(self, columns: int | None) -> AllScores:
        done, length = self._done, self._length
        answer = ask(
            self.model,
            self._repetition,
            columns=columns,
            input_ids=self._ids[:, done:length],
            attention_mask=self._mask[:, :length],
            position_ids=self._positions_from(done),
            past_key_values=self.cache,
            use_cache=self.use_cache,
            prefix=self._prefix,
            **self._wanted,
            **self._encoder,
        )
        if self.use_cache:
            self.cache, self._done = answer.past, length
            if isinstance(self.cache, KVCache):
                self.cache.hold(self._ids, self._mask)
        self._prefix = None
        scores = answer.scores
        kept = {"hidden_states": answer.hidden_states, "attentions": answer.attentions}
        if not self._whole:
            scores = scores.repeated(self.copies)
            kept = {
                name: value and tuple(np.repeat(array, self.copies, axis=0) for array in value)
                for name, value in kept.items()
            }
            self._expand()
        for name, value in kept.items():
            if value is not None:
                getattr(self, name).append(value)
        return scores

    def _positions_from(self, done: int) -> Array:
        """Return the positions of the columns from `done` on: real tokens are counted."""
        T = self._positions.shape[1]
        later_B = self._next_B[:, None] + np.arange(max(done, T) - T, self._length - T)
        if done >= T:
            return later_B
        return np.concatenate([self._positions[:, done:], later_B], axis=1)

    def _expand(self) -> None:
        self._whole = True
        rows_B = np.repeat(np.arange(len(self._ids)), self.copies)
        if self._given and isinstance(self.cache, KVCache):
            self.cache = self.cache.gathered(np.arange(len(self._ids)))  # the caller's stays
        self.reorder(rows_B)

    def append(self, ids_BT: Array) -> None:
        """Add columns of real tokens, (B, T) or, for a single one, (B,)."""
        if not self._whole:
            self._expand()
        ids_BT = ids_BT.reshape(len(self._ids), -1)
        end = self._length + ids_BT.shape[1]
        if end > self._ids.shape[1]:
            room = ((0, 0), (0, 2 * end - self._ids.shape[1]))
            self._ids, self._mask = (
                np.pad(a, room, constant_values=1) for a in (self._ids, self._mask)
            )
        self._ids[:, self._length : end] = ids_BT
        self._mask[:, self._length : end] = 1
        self._length = end

    def reorder(self, rows_B: Any) -> None:
        """Make row b a copy of row ``rows_B[b]``; there may be more or fewer rows than before.

        Raises
        ------
        TypeError
            If the model's cache is of a kind that cannot be reordered.
        """
        if not self._whole:
            self._expand()
        rows_B = np.asarray(rows_B, np.intp)
        if np.array_equal(rows_B, np.arange(len(self._ids))):
            return
        mask_BS = self._mask[rows_B]
        if not np.array_equal(mask_BS, self._mask):
            self._repetition.forget()
        self._ids, self._mask = self._ids[rows_B], mask_BS
        self._positions, self._next_B = self._positions[rows_B], self._next_B[rows_B]
        self._encoder = {name: value[rows_B] for name, value in self._encoder.items()}
        if self._done:
            self.cache = _reordered(self.model, self.cache, rows_B)

    @property
    def can_reorder(self) -> bool:
        """Whether rows can be put in another order: the cache is one that can."""
        return not self._done or isinstance(self.cache, KVCache)

    @property
    def done(self) -> int:
        """The number of columns that the model has seen and remembers."""
        return self._done

    def crop(self, length: int) -> None:
        """Keep the first `length` columns only, the prompts among them."""
        self._length = length
        self._forget_from(length)

    def forget_last(self) -> None:
        """Let the model see the last column again."""
        self._forget_from(self._length - 1)

    def _forget_from(self, length: int) -> None:
        if self._done > length:
            self.cache = _cropped(self.cache, length)
            self._done = length


def _length_of(cache: Any) -> int:
    """Return the number of tokens that a cache, or a tuple of transformers, holds."""
    return cache.length if isinstance(cache, KVCache) else int(cache[0][0].shape[2])


def _reordered(model: Any, cache: Any, rows_B: Array) -> Any:
    if isinstance(cache, KVCache):
        cache.reorder(rows_B)
        return cache
    reorder = getattr(model, "_reorder_cache", None)
    if reorder is None:
        raise TypeError(
            f"{type(model).__name__} has no _reorder_cache, expected a model whose cache can be"
            " reordered"
        )
    return reorder(cache, rows_B)


def _cropped(cache: Any, length: int) -> Any:
    if isinstance(cache, KVCache):
        cache.crop(length)
        return cache
    if not isinstance(cache, tuple):
        raise TypeError(
            f"the model's cache is a {type(cache).__name__}, expected a KVCache or a tuple of"
            " tuples: tokens are to be taken back"
        )
    return tuple(tuple(array[:, :, :length] for array in layer) for layer in cache)
