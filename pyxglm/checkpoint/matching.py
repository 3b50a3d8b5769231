"""From the names in a file to the parameters of a model.

Checkpoints of XGLM differ in what they call a tensor and in what else they
hold; the rules are those by which transformers 4.37 reads them.

- A bare ``XGLMModel`` was saved without the prefix ``model.``.
- A tied head (``lm_head.weight``) may be there or not; the embedding is what
  counts.
- Old files hold the table of sinusoidal positions, which is computed; files
  converted from fairseq may hold a ``_float_tensor`` and the 4.5B model's
  ``mevo_layer``, which nothing reads.
- TensorFlow's and Flax's names and transposed matrices are translated
  (`names`).

Whatever else does not fit is reported by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyxglm.checkpoint.index import listed, summed
from pyxglm.checkpoint.names import EMBEDDING, HEAD, canonical_names, is_transposed
from pyxglm.checkpoint.pieces import Tensor
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import DTYPES
from pyxglm.parameters import parameter_shapes
from pyxglm.strict_json import quoted


def match(
    found: Mapping[str, Tensor],
    config: XGLMConfig,
    where: Path,
    *,
    with_head: bool,
    keep_head: bool = False,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Find every parameter of a model among a checkpoint's tensors.

    Parameters
    ----------
    found
        The checkpoint's tensors, by their names in the files.
    config
        The model's configuration, which says what is expected.
    where
        The checkpoint, for messages.
    with_head
        Whether an untied ``lm_head.weight`` must be there.
    keep_head
        Whether to return a head that is there although the configuration ties
        it to the embedding: TensorFlow's classes have one of their own.

    Returns
    -------
    tuple
        The parameters by canonical name, in the model's order; and the names
        in the files that are none, about which a warning is given, too.

    Raises
    ------
    ValueError
        If tensors are missing, or have the wrong shape or type. The message
        names the first few of each.
    """
    # Sixteen tensors a layer: a number of layers that cannot be meant is not even listed.
    if config.num_layers > len(found):
        raise ValueError(
            f"{where}: {len(found)} tensors, expected a model of num_layers={config.num_layers}"
        )
    shapes = parameter_shapes(config)
    try:
        by_name = {name: file_name for file_name, name in canonical_names(found).items()}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    tensors = {
        name: found[file_name].T if is_transposed(file_name) else found[file_name]
        for name, file_name in by_name.items()
    }
    expected = dict(shapes)
    if HEAD in by_name:
        # A tied head is not used, but it must be this model's.
        expected[HEAD] = shapes[EMBEDDING]
    elif not with_head:
        expected.pop(HEAD, None)
    missing = [quoted(name) for name in expected if name not in by_name]
    present = [(name, tensors[name], expected[name]) for name in expected if name in tensors]
    misshapen = [
        f"{quoted(name)} of shape {quoted(array.shape)}, expected {shape}"
        for name, array, shape in present
        if array.shape != shape
    ]
    mistyped = [
        f"{quoted(name)} of type {_type_name(array.dtype)}"
        for name, array, _ in present
        if array.dtype not in DTYPES.values()
    ]
    problems = [
        f"{what} {summed(phrases)}"
        for what, phrases in (
            ("missing:", missing),
            ("wrong shape:", misshapen),
            (f"wrong type (expected {', '.join(DTYPES)}):", mistyped),
        )
        if phrases
    ]
    if problems:
        raise ValueError(
            f"{where}: the weights do not fit the configuration: {'; '.join(problems)}"
        )
    unexpected = tuple(file_name for name, file_name in by_name.items() if name not in expected)
    if unexpected:
        warnings.warn(
            f"{where}: tensors that XGLM does not have are ignored: {listed(unexpected)}",
            stacklevel=3,
        )
    kept = [*shapes, HEAD] if keep_head else [*shapes]
    return {name: tensors[name] for name in kept if name in tensors}, unexpected


def _type_name(dtype: np.dtype[Any]) -> str:
    """Name a stored type; one that NumPy lacks is a record of one field of that name."""
    return dtype.names[0] if dtype.names else str(dtype.name)
