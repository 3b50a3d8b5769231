"""What the pickle of a fairseq checkpoint mentions besides tensors, and how to see through it.

A checkpoint of fairseq holds the training's arguments: dicts,
``argparse.Namespace``, omegaconf's nodes (2.0 and later), now and then a
scalar of NumPy or an enumeration of fairseq's. The machine keeps a `Record`
of each, which does nothing; here their contents are read as plain values.
"""

from __future__ import annotations

from typing import Any

from pyxglm.checkpoint.pickle_values import LEGACY, MAKERS, STATE_DICT, Global, Names, Record


def _inert(module: str, *names: str) -> dict[str, Global]:
    return {f"{module} {name}": Global(f"{module}.{name}", inert=True) for name in names}


_OMEGACONF = {
    **_inert("omegaconf.dictconfig", "DictConfig"),
    **_inert("omegaconf.listconfig", "ListConfig"),
    **_inert("omegaconf.base", "Metadata", "ContainerMetadata"),
    **_inert(
        "omegaconf.nodes", "AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode",
        "EnumNode", "BytesNode", "PathNode",
    ),
    **_inert("omegaconf", "DictConfig", "ListConfig"),
}  # fmt: skip

_GLOBALS = {
    **_inert("argparse", "Namespace"),
    **_OMEGACONF,
    # Types that omegaconf notes beside a value.
    **_inert("typing", "Any", "Dict", "List", "Tuple", "Optional", "Union"),
    **_inert("operator", "getitem"),
    **_inert("_operator", "getitem"),
    **_inert(
        "__builtin__", "dict", "list", "tuple", "set", "object", "int", "long", "float", "complex",
        "bool", "str", "unicode", "bytes",
    ),
    **_inert("pathlib", "Path", "PosixPath"),
    # Measures of the training: validation losses, times.
    **_inert("numpy.core.multiarray", "scalar", "_reconstruct"),
    **_inert("numpy._core.multiarray", "scalar", "_reconstruct"),
    **_inert("numpy", "dtype", "ndarray", "float32", "float64", "int64"),
    **_inert("_codecs", "encode"),
    **_inert("torch", "device", "Size", *(
        f"{kind}{width}" for kind in ("float", "int") for width in (16, 32, 64)
    )),
    "collections defaultdict": Global("defaultdict"),
    "collections Counter": Global("Counter"),
}  # fmt: skip


def _make_dict(_arguments: tuple[object, ...]) -> dict[object, object]:
    return {}


_MAKERS = {"defaultdict": _make_dict, "Counter": _make_dict}
_MORE = {"instructions": b"]aeG\x81", "keys": (str, int), "inert_modules": ("fairseq",)}

#: A checkpoint of fairseq in torch's zip format, and in the one before.
FAIRSEQ = Names({**STATE_DICT.globals, **_GLOBALS}, {**MAKERS, **_MAKERS}, **_MORE)  # type: ignore[arg-type]
FAIRSEQ_LEGACY = Names({**LEGACY.globals, **_GLOBALS}, {**LEGACY.makers, **_MAKERS}, **_MORE)  # type: ignore[arg-type]

_WRAPPED = "_val"  # of omegaconf's leaves
_CONTENT = "_content"  # of its containers


def fields(value: object) -> dict[str, object] | None:
    """Return the fields of a dict, a namespace or an omegaconf node by name; None for others."""
    if isinstance(value, Record):
        value = value.state
        if isinstance(value, dict) and _CONTENT in value:
            value = value[_CONTENT]
    if not isinstance(value, dict):
        return None
    return {key: item for key, item in value.items() if isinstance(key, str)}


def plain(value: object) -> Any:
    """Return the number, string, bool or None that a value is; others as they are.

    >>> plain(Record("omegaconf.nodes.FloatNode", (), {"_metadata": None, "_val": 0.5}))
    0.5
    """
    if isinstance(value, Record):
        state = value.state
        if isinstance(state, dict) and _WRAPPED in state:
            return plain(state[_WRAPPED]) if not isinstance(state[_WRAPPED], Record) else value
        match value.arguments:  # an enumeration, called with its value
            case (str(text),):
                return text
    return value
