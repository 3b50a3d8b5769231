"""What a language model offers to those who score text with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyxglm.arguments import as_numbers, one_row, whole_number
from pyxglm.cache import KVCache
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.inputs import positions, token_ids
from pyxglm.losses import checked_labels, token_log_probs
from pyxglm.ops.reference import IGNORE_INDEX
from pyxglm.packing import decode_packed
from pyxglm.parameters import EMBEDDING
from pyxglm.vocabulary import VocabularyMixin


class ScoringMixin(VocabularyMixin):
    """The methods of `XGLMForCausalLM` that tell how probable a text is."""

    model: Any

    def log_probs(
        self,
        input_ids: Any,
        labels: Any = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        *,
        chunk_size: int = 512,
    ) -> Array:
        """Return how probable each token is after the tokens before it.

        No logits are stored, and a long text goes through the cache in chunks:
        the memory needed is that of a chunk, and of the keys and values of the
        text. On the C backend the result has the same bits in chunks of any
        size, at once, in any batch and behind any padding.

        Parameters
        ----------
        input_ids
            Token ids (B, T).
        labels
            Token ids (B, T), -100 where nothing is asked; nor is it behind
            padding. Default: `input_ids` where `attention_mask` is 1.
        attention_mask
            (B, T), 1 for real tokens and 0 for padding, which is not computed.
        position_ids
            (B, T) or (1, T). Default: counted over the ones of
            `attention_mask`, as in generation.
        chunk_size
            Tokens of a row that go through the model at a time.

        Returns
        -------
        log_probs
            (B, T - 1), in nats. ``log_probs[b, t]`` is the log-probability of
            ``labels[b, t + 1]`` after the tokens ``input_ids[b, : t + 1]``; it
            is 0 where nothing is asked. Sums of rows are the log-probabilities
            of texts (without their first tokens, which nothing predicts).

        Raises
        ------
        ValueError, TypeError, IndexError
            If an argument has another shape or kind than expected, an id is
            beyond the vocabulary, or the model is in training mode.

        Examples
        --------
        >>> from pyxglm import XGLMConfig, XGLMForCausalLM
        >>> config = XGLMConfig(
        ...     vocab_size=64, d_model=16, num_layers=1, ffn_dim=32, attention_heads=2
        ... )
        >>> model = XGLMForCausalLM(config, seed=1)
        >>> model.log_probs([[2, 5, 7]]).shape
        (1, 2)
        """
        from pyxglm.generation.prompts import positions as counted_positions

        if self.model.training:
            raise ValueError("log_probs: the model is in training mode, expected eval() before")
        head_VD = self._head()
        step = whole_number("chunk_size", chunk_size, 1)
        ids_BT = token_ids("input_ids", input_ids, len(self._parameters[EMBEDDING]))
        B, T = ids_BT.shape
        real_BT = np.ones((B, T), bool)
        if attention_mask is not None:
            mask_BT = one_row(as_numbers("attention_mask", attention_mask, np.float64), B)
            if mask_BT.shape != (B, T):
                raise ValueError(
                    f"attention_mask has shape {mask_BT.shape}, expected {(B, T)} as input_ids"
                )
            real_BT = mask_BT == 1
            others = mask_BT[~real_BT & (mask_BT != 0)]
            if others.size:
                raise ValueError(f"attention_mask holds {others[0]:g}, expected 0 or 1")
        labels_BT = np.where(real_BT, ids_BT, IGNORE_INDEX)
        if labels is not None:
            labels_BT = checked_labels(labels, (B, T), len(head_VD))
        if position_ids is None:
            position_ids = counted_positions(real_BT.astype(np.int64))
        positions_BT = positions(position_ids, B, T, 0, self.model._positions.rows(T))
        positions_BT = np.broadcast_to(positions_BT, (B, T))

        last = max(0, T - 1)  # the last token predicts nothing that is known
        found_BT = np.zeros((B, last), COMPUTE[self.model.compute])
        caches = None
        if last > step:
            longest = real_BT[:, :last].sum(axis=-1).tolist()
            caches = [KVCache(self.config.num_layers, length) for length in longest]
        for start in range(0, last, step):
            columns = np.arange(T)
            part = real_BT & (columns >= start) & (columns < min(start + step, last))
            lengths = part.sum(axis=-1).tolist()
            hidden_ND = decode_packed(self.model, ids_BT[part], positions_BT[part], lengths, caches)
            targets_N = labels_BT[:, 1:][part[:, :-1]]
            with np.errstate(all="ignore"):
                log_probs_1N = token_log_probs(hidden_ND[None], head_VD, targets_N[None], self._ops)
            found_BT[part[:, :-1]] = log_probs_1N[0]
        return found_BT
