"""The parameters of XGLM: their names, their shapes, and the tree they form.

The names are the checkpoints' own (transformers 4.37, `modeling_xglm.py`).
`nest` turns ``{"model.layers.0.fc1.weight": w}`` into
``tree["model"]["layers"][0]["fc1"]["weight"]``, the form in which the decoder
reads them: a part's parameters are splatted into its function by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array


def parameter_shapes(config: XGLMConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of ``XGLMForCausalLM``.

    In the order in which transformers lists them. Weight matrices are
    (out, in). ``lm_head.weight`` appears only when it is not tied to the
    embedding; the position table is computed, not a parameter.
    """
    D, F, V = config.d_model, config.ffn_dim, config.vocab_size
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (V, D)}

    def linear(name: str, size_out: int, size_in: int) -> None:
        shapes[f"{name}.weight"] = (size_out, size_in)
        shapes[f"{name}.bias"] = (size_out,)

    def layer_norm(name: str) -> None:
        shapes[f"{name}.weight"] = (D,)
        shapes[f"{name}.bias"] = (D,)

    for index in range(config.num_layers):
        layer = f"model.layers.{index}"
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            linear(f"{layer}.self_attn.{projection}", D, D)
        if config.add_cross_attention:
            for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
                linear(f"{layer}.encoder_attn.{projection}", D, D)
            layer_norm(f"{layer}.encoder_attn_layer_norm")
        layer_norm(f"{layer}.self_attn_layer_norm")
        linear(f"{layer}.fc1", F, D)
        linear(f"{layer}.fc2", D, F)
        layer_norm(f"{layer}.final_layer_norm")
    layer_norm("model.layer_norm")
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = (V, D)
    return shapes


def nest(weights: Mapping[str, Array]) -> dict[str, Any]:
    """Turn dotted names into nested dicts, and numbered children into a list.

    >>> nest({"layers.0.fc1.bias": 1, "layers.1.fc1.bias": 2, "layer_norm.bias": 3})
    {'layers': [{'fc1': {'bias': 1}}, {'fc1': {'bias': 2}}], 'layer_norm': {'bias': 3}}
    """
    tree: dict[str, Any] = {}
    for name, array in weights.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = array
    return {key: _listed(value) for key, value in tree.items()}


def _listed(node: Any) -> Any:
    """Make a dict whose keys count 0, 1, 2, … a list."""
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_listed(node[str(index)]) for index in range(len(node))]
    return {key: _listed(value) for key, value in node.items()}
