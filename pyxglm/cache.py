"""The key/value cache: what attention remembers of the tokens before.

A decoder step needs, in every layer, the keys and values of all earlier
tokens. They never change once computed, so each is computed once and kept.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from pyxglm import pages
from pyxglm.arguments import as_integers, check_range, whole_number
from pyxglm.dtypes import Array
from pyxglm.ops import reference

#: One layer's entry: (k_BHSK, v_BHSK), and with cross-attention also the
#: encoder's (k_BHEK, v_BHEK).
LayerPast = tuple[Array, ...]


class _OneThread:
    """Lets one thread at a time do what is inside ``with``; another gets an error.

    It takes a fraction of a microsecond. The thread that is inside may enter again.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "past_key_values is a KVCache that another thread is using, expected one of its"
                " own for each thread"
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[_OneThread], tuple[()]]:
        return _OneThread, ()  # nobody uses a copy yet


def in_use(past: Any) -> AbstractContextManager[None]:
    """Return what a thread does its work on a cache in; a tuple may be read by many at a time."""
    return past.in_use if isinstance(past, KVCache) else nullcontext()


class KVCache(Sequence[LayerPast]):
    """Keys and values of every layer, in memory that grows in place.

    It reads like the tuple of tuples that transformers calls
    ``past_key_values``: ``cache[layer]`` is ``(k_BHSK, v_BHSK)``, views of what
    has been stored so far. A model that is given a `KVCache` appends to it and
    returns it (with ``use_cache=False`` it only reads); a model that is given a
    tuple leaves that as it is.

    Parameters
    ----------
    num_layers
        Number of layers, L.
    capacity
        Tokens to make room for at first; room is doubled when it runs out.

    Raises
    ------
    ValueError
        If one of them is no such number.

    Notes
    -----
    What a forward pass writes counts only after `commit`, which ends the pass:
    one that fails half-way leaves the cache as it was, and `begin` clears away
    what it wrote.

    A cache belongs to one thread at a time. Calls in two threads that meet in it
    (or would change it while the other computes) are told so by a RuntimeError,
    the later one; texts that grow in turns in one cache are not noticed.
    """

    def __init__(self, num_layers: int, capacity: int = 0) -> None:
        num_layers = whole_number("num_layers", num_layers, 1)
        self.length = 0
        self.in_use = _OneThread()
        self._capacity = whole_number("capacity", capacity, 0)
        self._layers: list[tuple[Array, Array] | None] = [None] * num_layers
        self._cross: list[tuple[Array, Array] | None] = [None] * num_layers
        self._new_cross: dict[int, tuple[Array, Array]] = {}  # until commit
        self._alike_BB: Array | None = None
        self._held: tuple[Array, Array, int] | None = None

    @classmethod
    def from_past(cls, past: Sequence[LayerPast], room: int) -> KVCache:
        """Copy a tuple of tuples, with room for `room` more tokens.

        The cross-attention entries, which nothing is appended to, are not
        copied.
        """
        cache = cls(len(past), past[0][0].shape[2] + room)
        for layer, (k_BHSK, v_BHSK, *cross) in enumerate(past):
            cache.append(layer, k_BHSK, v_BHSK)
            if cross:
                cache.set_cross(layer, cross[0], cross[1])
        cache.commit(past[0][0].shape[2])
        return cache

    def begin(self) -> None:
        """Start a forward pass: forget what an unfinished one has written."""
        self._new_cross.clear()
        if self.length == 0:  # the next pass may have another batch size
            self._layers = [None] * len(self)
            self._alike_BB = self._held = None

    def append(
        self, layer: int, k_BHTK: Array, v_BHTK: Array, ops: Any = reference
    ) -> tuple[Array, Array]:
        """Store a layer's T new keys and values; return all S = length + T of them.

        `ops` is the namespace of the backend that copies them.
        """
        end = self.length + k_BHTK.shape[2]
        stored = self._layers[layer]
        if stored is None or end > stored[0].shape[2]:
            stored = self._grow(stored, k_BHTK, end)
            self._layers[layer] = stored
        k_BHSK, v_BHSK = stored
        ops.cache_append(k_BHSK, v_BHSK, k_BHTK, v_BHTK, self.length)
        return k_BHSK[:, :, :end], v_BHSK[:, :, :end]

    def _grow(
        self, stored: tuple[Array, Array] | None, like: Array, needed: int
    ) -> tuple[Array, Array]:
        B, H, _, K = like.shape
        if needed > self._capacity:  # the first layer to run out decides for all
            self._capacity = max(needed, 2 * self._capacity if self.length else needed)
        # Side by side: together they fill a large page at half as many tokens.
        k_BHSK, v_BHSK = pages.empty_on_large((2, B, H, self._capacity, K), like.dtype)
        if stored is not None:
            k_BHSK[:, :, : self.length] = stored[0][:, :, : self.length]
            v_BHSK[:, :, : self.length] = stored[1][:, :, : self.length]
        return k_BHSK, v_BHSK

    def commit(self, tokens: int) -> None:
        """End a forward pass: count the `tokens` rows that it has appended."""
        self.length += tokens
        for layer, entry in self._new_cross.items():
            self._cross[layer] = entry
        self._new_cross.clear()

    def cross(self, layer: int) -> tuple[Array, Array] | None:
        """Return a layer's keys and values of the encoder's states, if stored."""
        return self._cross[layer]

    def set_cross(self, layer: int, k_BHEK: Array, v_BHEK: Array) -> None:
        """Store a layer's keys and values of the encoder's states."""
        self._new_cross[layer] = (k_BHEK, v_BHEK)

    def room(self, layer: int) -> tuple[Array, ...]:
        """Return the memory of a layer's keys and values, filled or not; nothing if it has none."""
        return self._layers[layer] or ()

    def forget(self, layer: int) -> None:
        """Give back the memory of a layer that will not be read again."""
        self._layers[layer] = None

    def reorder(self, beam_idx: Any) -> None:
        """Make row b of the batch a copy of row ``beam_idx[b]``, in every layer.

        With as many rows as before nothing moves but what differs: rows that
        stay, and the tokens that two rows have had in common since one was
        made a copy of the other, are left where they are.

        Raises
        ------
        TypeError, ValueError, IndexError
            If `beam_idx` is not a row of whole numbers (a mask is none), or one
            of them is no row.
        """
        with self.in_use:
            self._reorder(self._rows("beam_idx", beam_idx))

    @property
    def _batch(self) -> int | None:
        """The number of rows, B; None if nothing is stored."""
        return next((len(entry[0]) for entry in self._layers if entry is not None), None)

    def _rows(self, name: str, value: Any) -> Array:
        """Return an argument that names rows, one or more."""
        rows_B = as_integers(name, value)
        if rows_B.ndim != 1 or not rows_B.size:
            raise ValueError(
                f"{name} has shape {rows_B.shape}, expected (B,), a number for each row there will"
                " be, and at least one"
            )
        if self._batch is not None:
            check_range(name, rows_B, 0, self._batch - 1)
        return rows_B

    def _reorder(self, rows_B: Array) -> None:
        B = self._batch
        if B is None:
            return
        alike_BB = self._alike(B)
        if len(rows_B) != B:
            self._layers = [entry and self._gathered(entry, rows_B) for entry in self._layers]
        else:
            moved = np.flatnonzero(rows_B != np.arange(B))
            start = int(alike_BB[moved, rows_B[moved]].min(initial=self.length))
            for entry in self._layers:
                for room in entry or ():
                    # The right side is a copy: rows may be exchanged.
                    room[moved, :, start : self.length] = room[
                        rows_B[moved], :, start : self.length
                    ]
        self._cross = [entry and (entry[0][rows_B], entry[1][rows_B]) for entry in self._cross]
        if self._held is not None:
            self._held = (self._held[0][rows_B], self._held[1][rows_B], self._held[2])
        self._alike_BB = alike_BB[np.ix_(rows_B, rows_B)]
        self._alike_BB[rows_B[:, None] == rows_B] = self.length

    def _alike(self, B: int) -> Array:
        """Return how many tokens each two rows are known to have in common, from the first on."""
        if self._alike_BB is None or len(self._alike_BB) != B:
            self._alike_BB = np.zeros((B, B), np.int64)
        return self._alike_BB

    def _gathered(self, entry: tuple[Array, Array], rows_B: Array) -> tuple[Array, Array]:
        """Return room as large as before, with other rows."""
        rooms = pages.empty_on_large((2, len(rows_B), *entry[0].shape[1:]), entry[0].dtype)
        for new, room in zip(rooms, entry, strict=True):
            for row, source in enumerate(rows_B):
                new[row, :, : self.length] = room[source, :, : self.length]
        return rooms[0], rooms[1]

    def crop(self, length: int) -> None:
        """Forget all tokens but the first `length`; their memory is kept for others.

        Raises
        ------
        ValueError
            If `length` is no whole number from 0 to as many as are remembered.
        """
        whole = isinstance(length, (int, np.integer)) and not isinstance(length, bool)
        if not whole or not 0 <= length <= self.length:
            raise ValueError(f"length is {length}, expected 0 to {self.length}, as many as there")
        with self.in_use:
            self.length = int(length)
            if self._held is not None:
                self._held = (*self._held[:2], min(self._held[2], length))
            if self._alike_BB is not None:
                np.minimum(self._alike_BB, length, out=self._alike_BB)

    def hold(self, ids_BS: Array, mask_BS: Array) -> None:
        """Know which tokens the keys and values are of: the first `length` of these."""
        self._held = (ids_BS, mask_BS, self.length)

    @property
    def tokens(self) -> tuple[Array, Array] | None:
        """The tokens that are remembered, ids and mask (B, S); None if nobody said."""
        if self._held is None or self._held[2] < self.length:
            return None
        return self._held[0][:, : self.length], self._held[1][:, : self.length]

    def gathered(self, rows_B: Any) -> KVCache:
        """Return a cache of its own whose row b is row ``rows_B[b]`` of this one.

        Raises
        ------
        TypeError, ValueError, IndexError
            As `reorder`.
        """
        rows_B = self._rows("rows_B", rows_B)
        cache = KVCache(len(self))
        cache.length, cache._capacity = self.length, self._capacity
        cache._layers = [entry and self._gathered(entry, rows_B) for entry in self._layers]
        cache._cross = [entry and (entry[0][rows_B], entry[1][rows_B]) for entry in self._cross]
        if self._held is not None:
            cache._held = (self._held[0][rows_B], self._held[1][rows_B], self._held[2])
        return cache

    def __copy__(self) -> KVCache:
        """Return a copy of all: two caches that write to the same memory would mix their texts."""
        return copy.deepcopy(self)

    def save(self, path: Any) -> None:
        """Write what is remembered to a safetensors file; see `pyxglm.cache_file`."""
        from pyxglm.cache_file import save

        save(self, path)

    @classmethod
    def load(cls, path: Any, room: int = 0) -> KVCache:
        """Read what `save` has written, with room for more; see `pyxglm.cache_file`."""
        from pyxglm.cache_file import load

        return load(path, room)

    def get_seq_length(self) -> int:
        """Return the number of tokens stored, P."""
        return self.length

    def to_tuple(self, dropped: Collection[int] = ()) -> tuple[LayerPast, ...]:
        """Return the tuple of tuples of transformers (views, not copies).

        Layers that a pass in training mode has `dropped` have no entry in it.
        """
        return tuple(self[layer] for layer in range(len(self)) if layer not in dropped)

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, layer: Any) -> Any:
        if isinstance(layer, slice):
            return self.to_tuple()[layer]
        stored = self._layers[layer]
        if stored is None:
            raise IndexError(f"KVCache is empty, expected a forward pass before layer {layer}")
        past = tuple(array[:, :, : self.length] for array in stored)
        return past + (self._cross[layer] or ())

    def __iter__(self) -> Iterator[LayerPast]:
        return (self[layer] for layer in range(len(self)))
