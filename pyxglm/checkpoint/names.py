"""One table of names: what torch, TensorFlow, Flax and fairseq call each parameter.

====================================  ===============================================
torch                                 ``model.layers.0.fc1.weight``
TensorFlow                            ``model/layers.0/fc1/kernel:0``, transposed
Flax                                  ``model/layers/0/fc1/kernel``, transposed
fairseq                               ``decoder.layers.0.fc1.weight``
====================================  ===============================================

The torch name is a parameter's name in this package. Parts of the model are
called alike everywhere (`PARTS`); what differs is where they hang (`HEADS`,
and how layers are numbered) and what the arrays of a part are called
(`LEAVES`). Dense kernels are (in, out) in TensorFlow and Flax, so the torch
weight (out, in) is their transpose. A bare ``XGLMModel`` lacks the prefix
``model.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyxglm.strict_json import quoted

PREFIX = "model."
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"

#: What each part is: the last or only component of its torch name.
PARTS = {
    "embed_tokens": "embedding",
    "self_attn_layer_norm": "norm",
    **dict.fromkeys(("k_proj", "v_proj", "q_proj", "out_proj"), "dense"),
    "encoder_attn_layer_norm": "norm",
    "fc1": "dense",
    "fc2": "dense",
    "final_layer_norm": "norm",
    "layer_norm": "norm",
    "lm_head": "dense",
}


class Leaf(NamedTuple):
    """What an array of a part is called in TensorFlow and Flax, and whether it is transposed."""

    tf: str
    flax: str
    transposed: bool = False


#: The arrays of each kind of part, by torch's name, which is fairseq's, too.
LEAVES: dict[str, dict[str, Leaf]] = {
    "embedding": {"weight": Leaf("weight", "embedding")},
    "dense": {"weight": Leaf("kernel", "kernel", True), "bias": Leaf("bias", "bias")},
    "norm": {"weight": Leaf("gamma", "scale"), "bias": Leaf("beta", "bias")},
}

#: The names that fairseq has had for the untied head.
FAIRSEQ_HEADS = ("decoder.output_projection.weight", "decoder.embed_out")

#: TensorFlow and Flax leaf to torch's; keras's own embedding layer says "embeddings".
_TORCH_LEAVES = {
    "embeddings": "weight",
    **{
        name: torch
        for leaves in LEAVES.values()
        for torch, leaf in leaves.items()
        for name in (leaf.tf, leaf.flax)
    },
}
_TRANSPOSED = {leaf.tf for leaves in LEAVES.values() for leaf in leaves.values() if leaf.transposed}

# What checkpoints hold that is no parameter: computed positions, a fairseq version, and
# the layers of the 4.5B model's training that no XGLM reads.
_BUFFERS = ("embed_positions.weights", "_float_tensor")
_UNREAD = re.compile(r"(?:model\.|decoder\.)?mevo_layer\.|model\.version$")


def tf_name(name: str) -> str:
    """Return what TensorFlow calls a parameter.

    >>> tf_name("model.layers.0.self_attn.k_proj.weight"), tf_name("lm_head.weight")
    ('model/layers.0/self_attn/k_proj/kernel:0', 'lm_head/kernel:0')
    """
    parts, leaf = _split(name)
    path = "/".join((*parts, leaf.tf)).replace("/layers/", "/layers.")
    return f"{path}:0"


def flax_path(name: str) -> tuple[str, ...]:
    """Return where a parameter hangs in the tree of Flax.

    >>> flax_path("model.layers.0.final_layer_norm.weight")
    ('model', 'layers', '0', 'final_layer_norm', 'scale')
    """
    parts, leaf = _split(name)
    return (*parts, leaf.flax)


def _split(name: str) -> tuple[list[str], Leaf]:
    """Return the path of a parameter's part, and the names of its array."""
    *parts, last = name.split(".")
    leaf = LEAVES[PARTS[parts[-1]]].get(last) if parts and parts[-1] in PARTS else None
    if leaf is None:
        raise ValueError(f"{quoted(name)} is no parameter of XGLM")
    return parts, leaf


def is_transposed(name: str) -> bool:
    """Tell whether a tensor of this name, in any format, is the transpose of torch's.

    >>> is_transposed("lm_head/kernel:0"), is_transposed("lm_head.weight")
    (True, False)
    """
    return re.split(r"[./]", name)[-1].removesuffix(":0") in _TRANSPOSED


def torch_name(name: str) -> str:
    """Return the torch name for a tensor's name in any format; what is unknown stays.

    >>> torch_name("tfxglm_for_causal_lm/model/layers.0/fc1/kernel:0")
    'model.layers.0.fc1.weight'
    >>> torch_name("decoder.layers.0.fc1.weight"), torch_name("layers.0.layer_norm.scale")
    ('model.layers.0.fc1.weight', 'layers.0.layer_norm.weight')
    """
    if name in FAIRSEQ_HEADS:
        return HEAD
    if name.startswith("decoder."):
        return PREFIX + name.removeprefix("decoder.")
    if "/" in name:
        parts = name.removesuffix(":0").split("/")
        # TensorFlow's names begin with the name of the whole model.
        starts = [n for n, part in enumerate(parts) if part in ("model", "lm_head")]
        name = ".".join(parts[starts[0] :] if starts else parts)
    rest, dot, leaf = name.rpartition(".")
    return rest + dot + _TORCH_LEAVES.get(leaf, leaf)


def canonical_names(names: Iterable[str]) -> dict[str, str]:
    """Map each name in a file to the parameter's name in ``XGLMForCausalLM``.

    Position buffers, and layers that no XGLM reads, are left out.

    >>> canonical_names(["layers.0.fc1.bias", "embed_positions.weights"])
    {'layers.0.fc1.bias': 'model.layers.0.fc1.bias'}

    Raises
    ------
    ValueError
        If two names mean the same parameter.
    """
    translated = {name: torch_name(name) for name in names}
    kept = {
        file_name: name
        for file_name, name in translated.items()
        if not _UNREAD.match(name)
        and not any(name == buffer or name.endswith(f".{buffer}") for buffer in _BUFFERS)
    }
    if not any(name.startswith(PREFIX) for name in kept.values()):
        kept = {f: name if name == HEAD else PREFIX + name for f, name in kept.items()}
    seen: dict[str, str] = {}
    for file_name, name in kept.items():
        if (other := seen.setdefault(name, file_name)) != file_name:
            raise ValueError(
                f"both {quoted(other)} and {quoted(file_name)} are the parameter {quoted(name)}"
            )
    return kept


def flax_tree(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Hang arrays by torch name into the tree of Flax; dense weights become kernels (views).

    >>> import numpy as np
    >>> tree = flax_tree({"model.layers.0.fc1.weight": np.zeros((3, 2))})
    >>> tree["model"]["layers"]["0"]["fc1"]["kernel"].shape
    (2, 3)

    Raises
    ------
    ValueError
        If a name is no parameter of XGLM; those of a bare model may lack ``model.``.
    """
    named = {"/".join(flax_path(name)): array for name, array in weights.items()}
    return tree_of(
        {path: array.T if is_transposed(path) else array for path, array in named.items()}
    )


def tree_of(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Hang leaves by the path of each, joined by ``/``: nested dicts.

    >>> tree_of({"a/b": 1, "a/c/d": 2})
    {'a': {'b': 1, 'c': {'d': 2}}}
    """
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        *parents, leaf = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def flattened(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a tree of Flax by torch name, kernels transposed (views).

    Names are as in the tree: those of a bare model lack ``model.``.

    >>> import numpy as np
    >>> flattened({"layer_norm": {"scale": np.ones(2)}})
    {'layer_norm.weight': array([1., 1.])}
    """
    found = {}
    for path, array in paths(tree).items():
        found[torch_name(path)] = array.T if is_transposed(path) else array
    return found


def paths(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of nested dicts by the path to each: what `tree_of` undoes."""
    found: dict[str, Any] = {}

    def visit(node: Mapping[str, Any], above: str) -> None:
        for key, value in node.items():
            if isinstance(value, Mapping):
                visit(value, f"{above}{key}/")
            else:
                found[above + key] = value

    visit(tree, "")
    return found
