"""How a model's weights are stored: which dtype, how many, how much memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np

from pyxglm.dtypes import DTYPES, Array, as_dtype, convert
from pyxglm.parameters import EMBEDDING, HEAD, Parameters

Model = TypeVar("Model", bound="StorageMixin")


class StorageMixin:
    """The methods of `XGLMPreTrainedModel` that look at the weights or change their storage.

    In torch a model's dtype is that of its arithmetic as well: after ``half()``
    it computes in float16. Here it is how the weights lie in memory, and
    nothing else: arithmetic, cache and outputs stay what `compute` says
    (float32 by default), into which a weight is widened as it is used. So
    ``half()`` halves the memory, and rounds the weights once.
    """

    _parameters: Parameters
    _bare: ClassVar[bool]

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield every parameter once, by name; a tied head is not listed."""
        for name, array in self._parameters.items():
            if not self._bare:
                yield name, array
            elif name != HEAD:
                yield name.removeprefix("model."), array

    def parameters(self) -> Iterator[Array]:
        """Yield every parameter once."""
        return (array for _, array in self.named_parameters())

    def state_dict(self) -> dict[str, Array]:
        """Return all arrays by name, as stored; a tied head is listed too."""
        named = dict(self.named_parameters())
        if not self._bare:
            named.setdefault(HEAD, self._parameters[EMBEDDING])
        return named

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Return how many numbers the model consists of (a tied head counts once).

        Parameters
        ----------
        only_trainable
            Changes nothing: all are trainable, as far as an inference library
            can say, and as they are in transformers.
        exclude_embeddings
            Leave out the token embedding, and with it a head that is tied to it.
        """
        return sum(
            array.size
            for name, array in self.named_parameters()
            if not (exclude_embeddings and name.endswith("embed_tokens.weight"))
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype of the weights (`pyxglm.dtypes.bfloat16` for bfloat16)."""
        return self._parameters[EMBEDDING].dtype

    @property
    def device(self) -> str:
        """Where the model computes: always ``"cpu"``."""
        return "cpu"

    def get_memory_footprint(self) -> int:
        """Return how many bytes the weights take as they are stored."""
        return sum(array.nbytes for array in self.parameters())

    def to(self: Model, *targets: object, dtype: object = None, device: object = None) -> Model:
        """Store the weights in another dtype, as in ``model.to("float16")``, and return the model.

        A conversion makes a copy in memory; weights that are stored so already
        stay where they are. Arithmetic stays what it is (see `StorageMixin`).

        Parameters
        ----------
        *targets, dtype, device
            Dtypes as `pyxglm.dtypes.as_dtype` takes them, or the device
            ``"cpu"``, where every model is.

        Raises
        ------
        ValueError
            For anything else.
        """
        for target in (*targets, dtype, device):
            if target is None or str(target) == "cpu":
                continue
            try:
                stored = as_dtype(target)
            except ValueError:
                raise ValueError(
                    f"to: {target!r} is given, expected 'cpu' or one of {', '.join(DTYPES)}"
                ) from None
            for name, array in self._parameters.items():
                self._parameters[name] = convert(array, stored)
        return self

    def astype(self: Model, dtype: object) -> Model:
        """Store the weights in another dtype and return the model, which is no copy; see `to`.

        Raises
        ------
        ValueError
            If it is no dtype that weights can be stored in.
        """
        return self.to(as_dtype(dtype))

    def half(self: Model) -> Model:
        """Store the weights in float16; arithmetic stays float32, unlike torch's. See `to`."""
        return self.to("float16")

    def bfloat16(self: Model) -> Model:
        """Store the weights in bfloat16; arithmetic stays float32, unlike torch's. See `to`."""
        return self.to("bfloat16")

    def float(self: Model) -> Model:
        """Store the weights in float32. What narrower storage has rounded stays so. See `to`."""
        return self.to("float32")

    def double(self: Model) -> Model:
        """Store the weights in float64; for float64 arithmetic give ``compute="float64"``."""
        return self.to("float64")

    def cpu(self: Model) -> Model:
        """Return the model, which is where it always is."""
        return self
