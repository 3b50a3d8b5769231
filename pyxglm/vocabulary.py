"""A model's vocabulary: its embedding and its head, given out, replaced, tied and resized."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pyxglm import pages
from pyxglm.arguments import whole_number
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import COMPUTE, Array
from pyxglm.embeddings import Embedding, Head, embedding_matrix
from pyxglm.initialization import resized_rows
from pyxglm.ops.shortlist import Shortlist
from pyxglm.parameters import EMBEDDING, HEAD, Parameters


class VocabularyMixin:
    """The methods of `XGLMPreTrainedModel` that touch the matrices (V, D)."""

    config: XGLMConfig
    compute: str
    backend: str
    _ops: Any
    _bare: ClassVar[bool]
    _parameters: Parameters
    _headed: bool  # whether the parameters are those of a model with a head
    _shortlist: tuple[Array, Shortlist] | None = None  # with the head that it is of

    def get_input_embeddings(self) -> Embedding:
        """Return the token embedding; its rows are not scaled."""
        return Embedding(self._parameters[EMBEDDING], COMPUTE[self.compute])

    def set_input_embeddings(self, value: Any) -> None:
        """Replace the token embedding by an array (V, D) or an `Embedding`.

        The head keeps the old one until `tie_weights`, as in transformers.
        """
        weight = embedding_matrix("embed_tokens", value, self.config.d_model)
        if HEAD not in self._parameters and self._headed:
            self._parameters[HEAD] = self._parameters[EMBEDDING]
        self._parameters[EMBEDDING] = weight

    def get_output_embeddings(self) -> Head | None:
        """Return the output head, or None for a model without one."""
        if self._bare:
            return None
        return Head(self._head(), COMPUTE[self.compute], self._ops)

    def _head(self) -> Array:
        """Return the head's matrix as it is stored: by default the embedding's."""
        head_VD: Array = self._parameters.get(HEAD, self._parameters[EMBEDDING])
        return head_VD

    def set_output_embeddings(self, new_embeddings: Any) -> None:
        """Replace the head by an array (V, D) or a `Head`.

        Raises
        ------
        ValueError
            If the model has no head, or the shape is another.
        """
        if self._bare:
            raise ValueError(f"set_output_embeddings: {type(self).__name__} has no output head")
        self._parameters[HEAD] = embedding_matrix("lm_head", new_embeddings, self.config.d_model)

    def make_shortlist(self) -> Shortlist:
        """Make generation faster for memory: find the best token without reading the whole head.

        A copy of the head in 8 bits, V times D bytes, tells which tokens cannot be
        among the best, with certainty; the logits of the others, a few, are computed
        as always (`pyxglm.ops.shortlist`). So greedy search, and drawing from the
        best 127 or fewer (``top_k``), give the same tokens with the same bits, of up to
        4 texts at a time, and read half of a float16 head. What needs all logits does
        not change.

        Returns
        -------
        Shortlist
            It is used from now on, as long as the head stays this one.

        Raises
        ------
        ValueError
            If the model has no head, computes otherwise than in float32 on the C
            backend, or if its head may be written to: a shortlist would not follow.
            Mapped files may not, others if ``array.flags.writeable`` is set to False.
        """
        where = f"make_shortlist: {type(self).__name__}"
        if self._bare:
            raise ValueError(f"{where} has no output head")
        if (self.backend, self.compute) != ("c", "float32"):
            raise ValueError(
                f"{where} computes {self.compute} on backend {self.backend!r}, expected float32"
                " on 'c'"
            )
        head_VD = self._head()
        if head_VD.flags.writeable:
            raise ValueError(
                f"{where} has a head that can be written to, expected one that cannot, as one"
                " mapped from a file: a shortlist would not follow changes"
            )
        shortlist: Shortlist = self._ops.make_shortlist(head_VD)
        self._shortlist = (head_VD, shortlist)
        return shortlist

    def drop_shortlist(self) -> None:
        """Do without a shortlist again, and give its memory back."""
        self._shortlist = None
        pages.release()

    @property
    def shortlist(self) -> Shortlist | None:
        """The shortlist of the head as it is now; None if none was made of it."""
        if self._shortlist is None:
            return None
        head_VD, shortlist = self._shortlist
        return shortlist if head_VD is self._head() and not head_VD.flags.writeable else None

    def tie_weights(self) -> None:
        """Make the head the embedding again, if the configuration ties them."""
        if self.config.tie_word_embeddings and not self._bare:
            self._parameters.pop(HEAD, None)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        *,
        seed: int = 0,
    ) -> Embedding:
        """Change the vocabulary's size; new rows are random, N(0, init_std).

        Parameters
        ----------
        new_num_tokens
            New number of rows; None keeps the number (up to rounding).
        pad_to_multiple_of
            Round the number up to a multiple of this.
        seed
            Seed of the new rows.

        Returns
        -------
        Embedding
            The new embedding. A tied head stays tied.

        Raises
        ------
        ValueError
            If a size is below 1, or leaves no room for the padding id.
        """
        if new_num_tokens is None and pad_to_multiple_of is None:
            return self.get_input_embeddings()
        rows = len(self._parameters[EMBEDDING])
        if new_num_tokens is not None:
            rows = whole_number("new_num_tokens", new_num_tokens, 1)
        if pad_to_multiple_of is not None:
            rows += -rows % whole_number("pad_to_multiple_of", pad_to_multiple_of, 1)
        pad = self.config.pad_token_id
        if pad is not None and rows <= pad:
            raise ValueError(f"new_num_tokens is {rows}, expected more than pad_token_id, {pad}")
        generator = np.random.default_rng(seed)
        for name in (EMBEDDING, HEAD):
            if name in self._parameters:
                old_VD = self._parameters[name]
                self._parameters[name] = resized_rows(old_VD, rows, self.config.init_std, generator)
        self.config.vocab_size = rows
        self.tie_weights()
        return self.get_input_embeddings()
