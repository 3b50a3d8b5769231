"""Keywords of transformers' `from_pretrained` that concern files, not the model.

Programs pass them by habit. Those that say where the files are, are heeded;
those that need nothing done here change nothing, and those that cannot be
heeded say why.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from pyxglm.arguments import check_type
from pyxglm.strict_json import quoted

#: What `from_pretrained` is given.
PATH_OR_ID = "a path or a hub id"

#: What needs nothing: downloads are always resumed, nothing is ever offloaded to a disk
#: (weights are mapped from theirs), and no weight is initialised before it is read.
NEEDLESS = (
    "resume_download", "trust_remote_code", "offload_folder", "offload_state_dict",
    "offload_buffers", "_fast_init", "_from_auto", "_from_pipeline", "_commit_hash",
)  # fmt: skip

_STORED = "weights are stored in float32, float16, bfloat16 or float64"

#: What cannot be done, and why; None, False and what is empty ask for nothing.
IMPOSSIBLE = {
    "proxies": "the environment variables HTTP_PROXY and HTTPS_PROXY name a proxy for downloads",
    "load_in_8bit": _STORED,
    "load_in_4bit": _STORED,
    "quantization_config": _STORED,
    "max_memory": "the one device is the CPU, and weights are mapped from the file, not loaded",
    "ignore_mismatched_sizes": "weights that do not fit are never replaced by random ones",
    "state_dict": "from_weights makes a model of weights that are at hand",
    "use_flash_attention_2": "the one implementation of attention is 'eager'",
}


def as_path(name: str, value: Any, expected: str = "a path") -> str:
    """Return an argument that says where files are, or are to be, as a text.

    Raises
    ------
    TypeError
        If it is neither a text nor a path.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    check_type(name, path, str, expected)
    return str(path)


def take_place(options: MutableMapping[str, Any], **place: Any) -> dict[str, Any]:
    """Take out of keyword arguments what says where the files are, for `locate`.

    Parameters
    ----------
    options
        Keyword arguments of `from_pretrained`; what concerns the model is left in them.
    **place
        What has been taken already.

    Raises
    ------
    ValueError
        For what cannot be done, and for contradictions.
    TypeError
        If a token or a folder is no text.
    """
    for name in NEEDLESS:
        options.pop(name, None)
    for name, reason in IMPOSSIBLE.items():
        if value := options.pop(name, None):
            plain = value is True or isinstance(value, str)
            shown = str(value) if plain else f"a {type(value).__name__}"
            raise ValueError(f"{name} is {shown}, expected none: {reason}")
    tokens = [options.pop(name, None) for name in ("token", "use_auth_token")]
    if None not in tokens:
        raise ValueError("token and use_auth_token are both given, expected the first alone")
    token = tokens[0] if tokens[1] is None else tokens[1]
    if token is not None:
        check_type("token", token, (str, bool), "a str or a bool")
        place["token"] = token
    if subfolder := check_folder(options.pop("subfolder", None) or ""):
        place["subfolder"] = subfolder
    if options.pop("force_download", None):
        place["force_download"] = True
    return place


def check_folder(subfolder: Any) -> str:
    """Return the folder inside a directory or repository, which must not lead out of it.

    Raises
    ------
    ValueError, TypeError
        If it does, or is no text.
    """
    check_type("subfolder", subfolder, str, "a str")
    if subfolder.startswith("/") or "\0" in subfolder or ".." in subfolder.split("/"):
        raise ValueError(f"subfolder is {quoted(subfolder)}, expected a path inside the directory")
    return str(subfolder)
