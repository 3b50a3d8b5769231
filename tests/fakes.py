"""A language model and a tokenizer small enough to see through."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


class FakeModel:
    """A model whose scores depend on exactly the real tokens and their positions.

    The state of a row is a hash of the set of (position, id) pairs that the
    mask lets through; scores are random numbers seeded by it. A wrong
    position, a lost or doubled token, or a look at padding changes them all.
    """

    def __init__(self, vocab_size: int = 12, eos_bonus: float = 0.0, dtype: str = "float32"):
        self.config = SimpleNamespace(
            vocab_size=vocab_size, bos_token_id=0, pad_token_id=1, eos_token_id=2
        )
        self.eos_bonus, self.dtype = eos_bonus, dtype
        self.calls: list[SimpleNamespace] = []

    def scores(self, pairs: list[tuple[int, int]]) -> np.ndarray:
        """Scores after a row of (position, id) pairs, whatever their order."""
        state = hash(tuple(sorted(pairs))) % 2**64  # hashes of integers do not vary
        scores = np.random.default_rng(state).standard_normal(self.config.vocab_size)
        scores[2] += self.eos_bonus
        return scores

    def __call__(
        self,
        input_ids,
        attention_mask,
        position_ids,
        past_key_values=None,
        use_cache=True,
        return_dict=True,
    ):
        self.calls.append(SimpleNamespace(ids=input_ids, mask=attention_mask, cache=use_cache))
        assert return_dict is True
        B, T = input_ids.shape
        past = past_key_values or [[] for _ in range(B)]
        S = len(past[0]) + T
        assert attention_mask.shape == (B, S)
        assert position_ids.shape == (B, T)
        logits = np.zeros((B, T, self.config.vocab_size), self.dtype)
        present = [
            [*row, *zip(position_ids[b].tolist(), input_ids[b].tolist(), strict=True)]
            for b, row in enumerate(past)
        ]
        for b in range(B):
            for t in range(T):
                seen = range(S - T + t + 1)
                pairs = [present[b][s] for s in seen if attention_mask[b, s]]
                logits[b, t] = self.scores(pairs)
        return SimpleNamespace(logits=logits, past_key_values=present if use_cache else None)


class FakeTokenizer:
    """Decodes as XGLM's tokenizer does, over a list of pieces.

    `specials` are left out when asked; `added` stand alone, joined by spaces.
    """

    clean_up_tokenization_spaces = True

    def __init__(self, pieces: list[str], specials: tuple[str, ...] = (), added=()):
        self.pieces, self.specials, self.added = pieces, specials, added

    def decode(self, ids, skip_special_tokens=False, clean_up_tokenization_spaces=None) -> str:
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        parts: list[str] = []
        run: list[str] = []
        for id_ in ids:
            piece = self.pieces[id_]
            if skip_special_tokens and piece in self.specials:
                continue
            if piece in self.added:
                parts += [self._join(run)] if run else []
                parts.append(piece)
                run = []
            else:
                run.append(piece)
        parts += [self._join(run)] if run else []
        text = " ".join(parts)
        if clean_up_tokenization_spaces:
            for old in (" .", " ?", " !", " ,"):
                text = text.replace(old, old[1:])
            text = text.replace(" ' ", "'")
            for old in (" n't", " 'm", " 's", " 've", " 're"):
                text = text.replace(old, old[1:])
        return text

    @staticmethod
    def _join(run: list[str]) -> str:
        return "".join(run).replace("▁", " ").strip()


class BytesTokenizer:
    """Decodes bytes: half a character is a replacement character."""

    clean_up_tokenization_spaces = False

    def decode(self, ids, skip_special_tokens=False, clean_up_tokenization_spaces=None) -> str:
        return bytes(ids).decode("utf-8", errors="replace")
