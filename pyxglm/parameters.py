"""The parameters of XGLM: their names, their shapes, and the tree they form.

The names are the checkpoints' own (transformers 4.37, `modeling_xglm.py`).
`nest` turns ``{"model.layers.0.fc1.weight": w}`` into
``tree["model"]["layers"][0]["fc1"]["weight"]``, the form in which the decoder
reads them: a part's parameters are splatted into its function by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, ValuesView
from typing import Any

import numpy as np

from pyxglm.config import XGLMConfig
from pyxglm.dtypes import DTYPES, Array, bfloat16, convert

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


def parameter_shapes(config: XGLMConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of ``XGLMForCausalLM``.

    In the order in which transformers lists them. Weight matrices are
    (out, in). ``lm_head.weight`` appears only when it is not tied to the
    embedding; the position table is computed, not a parameter.
    """
    D, F, V = config.d_model, config.ffn_dim, config.vocab_size
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (V, D)}

    def linear(name: str, size_out: int, size_in: int) -> None:
        shapes[f"{name}.weight"] = (size_out, size_in)
        shapes[f"{name}.bias"] = (size_out,)

    def layer_norm(name: str) -> None:
        shapes[f"{name}.weight"] = (D,)
        shapes[f"{name}.bias"] = (D,)

    heads = layer_heads(config)
    for index in range(config.num_layers):
        layer = f"model.layers.{index}"
        inner = heads[index] * (D // config.attention_heads)  # D, unless heads were pruned
        for projection in ("k_proj", "v_proj", "q_proj"):
            linear(f"{layer}.self_attn.{projection}", inner, D)
        linear(f"{layer}.self_attn.out_proj", D, inner)
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
        shapes[HEAD] = (V, D)
    return shapes


def layer_heads(config: XGLMConfig) -> list[int]:
    """Return the number of self-attention heads of every layer.

    >>> layer_heads(XGLMConfig(num_layers=3, attention_heads=16, pruned_heads={1: [0, 5]}))
    [16, 14, 16]
    """
    pruned = config.pruned_heads
    return [config.attention_heads - len(pruned.get(i, ())) for i in range(config.num_layers)]


#: What weights are, as messages call it.
ARRAYS = "a dict of arrays by name"


def fitting(
    config: XGLMConfig, weights: Mapping[str, Array], dtype: object, *, bare: bool
) -> dict[str, Array]:
    """Return the arrays that a configuration asks for, in order, by canonical name.

    Parameters
    ----------
    config
        The configuration.
    weights
        Arrays by name; those of a bare model lack the prefix ``model.``.
    dtype
        Stored dtype to convert to, or None to keep each array as it is.
    bare
        Whether the model has no head.

    Raises
    ------
    ValueError
        If a parameter is missing, unknown, or of another shape or kind.
    """
    named = {("model." if bare else "") + name: np.asarray(w) for name, w in weights.items()}
    shapes = parameter_shapes(config)
    if bare:
        shapes.pop(HEAD, None)
    elif HEAD not in shapes:
        named.pop(HEAD, None)  # tied: the embedding is the head
    for name, shape in shapes.items():
        found = named[name].shape if name in named else "missing"
        if found != shape:
            raise ValueError(f"weights: {name} is {found}, expected shape {shape}")
        if named[name].dtype != bfloat16 and named[name].dtype.kind != "f":
            raise ValueError(
                f"weights: {name} is {named[name].dtype}, expected one of {', '.join(DTYPES)}"
            )
    unknown = sorted(set(named) - set(shapes))
    if unknown:
        raise ValueError(f"weights: {unknown[0]} is given, but an XGLM has no such parameter")
    return {
        name: convert(named[name], named[name].dtype if dtype is None else dtype) for name in shapes
    }


class Parameters(MutableMapping[str, Array]):
    """A model's arrays by name, and the same arrays as the tree the decoder reads."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._flat = dict(weights)
        self._tree: dict[str, Any] | None = None

    @property
    def tree(self) -> dict[str, Any]:
        """The parameters nested by name; see `nest`."""
        if self._tree is None:
            self._tree = nest(self._flat)
        return self._tree

    def __getitem__(self, name: str) -> Array:
        return self._flat[name]

    def __setitem__(self, name: str, array: Array) -> None:
        self._flat[name] = array
        self._tree = None

    def __delitem__(self, name: str) -> None:
        del self._flat[name]
        self._tree = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._flat)

    def __len__(self) -> int:
        return len(self._flat)

    def values(self) -> ValuesView[Array]:
        """Return the arrays; asked for at every token, so not by way of the names."""
        return self._flat.values()


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
