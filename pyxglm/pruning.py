"""Cutting attention heads out of a model.

Head h owns the h-th K rows of the query, key and value projections and the
h-th K columns of the output projection; the other heads do not see them go.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping

from pyxglm.config import XGLMConfig
from pyxglm.parameters import Parameters


def prune(
    parameters: Parameters, config: XGLMConfig, heads_to_prune: Mapping[int, Iterable[int]]
) -> None:
    """Remove self-attention heads by layer, and note them in ``config.pruned_heads``.

    Heads are counted as in the whole model.

    Raises
    ------
    ValueError
        If there is no such layer or head; nothing is changed then.
    """
    H, K = config.attention_heads, config.d_model // config.attention_heads
    wanted = {
        operator.index(layer): {operator.index(head) for head in heads}
        for layer, heads in heads_to_prune.items()
    }
    for layer, heads in wanted.items():
        if layer not in range(config.num_layers) or not heads <= set(range(H)):
            raise ValueError(
                f"heads_to_prune asks for heads {sorted(heads)} of layer {layer}, expected heads"
                f" 0..{H - 1} of layers 0..{config.num_layers - 1}"
            )
    for layer, heads in wanted.items():
        gone = set(config.pruned_heads.get(layer, ()))
        present = [head for head in range(H) if head not in gone]
        kept = [
            place * K + k
            for place, head in enumerate(present)
            if head not in heads
            for k in range(K)
        ]
        attn = f"model.layers.{layer}.self_attn"
        for projection in ("k_proj", "v_proj", "q_proj"):
            for part in ("weight", "bias"):
                name = f"{attn}.{projection}.{part}"
                parameters[name] = parameters[name][kept]
        parameters[f"{attn}.out_proj.weight"] = parameters[f"{attn}.out_proj.weight"][:, kept]
        config.pruned_heads[layer] = sorted(gone | heads)
