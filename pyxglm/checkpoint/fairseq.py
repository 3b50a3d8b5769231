"""fairseq's checkpoints, in which XGLM was first published: ``model.pt`` and ``dict.txt``.

``model.pt`` is a pickle of torch: the training's arguments under ``cfg`` (or
``args``), the tensors under ``model``. What transformers' conversion makes of
the arguments is made here, too, but for the activation function, which it
takes to be GELU (the 4.5B model has ReLU), and for an untied head, which it
loses. Arguments that change the architecture into another one are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyxglm.checkpoint.fairseq_values import FAIRSEQ, FAIRSEQ_LEGACY, fields, plain
from pyxglm.checkpoint.names import torch_name
from pyxglm.checkpoint.torch_file import read_saved, tensors_of
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array
from pyxglm.ops.reference import ACTIVATIONS
from pyxglm.strict_json import quoted

#: Ids 0 to 3 are <s>, <pad>, </s> and <unk>; the table of a dictionary has a multiple of 8 rows.
SPECIAL_TOKENS = 4
MULTIPLE = 8

#: The largest dict.txt has 256 thousand lines of some twenty bytes.
DICTIONARY_LIMIT = 64 * 2**20

#: Fields of the configuration, by fairseq's name for them.
_SIZES = {
    "decoder_embed_dim": "d_model",
    "decoder_ffn_embed_dim": "ffn_dim",
    "decoder_layers": "num_layers",
    "decoder_attention_heads": "attention_heads",
}
_RATES = {
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "decoder_layerdrop": "layerdrop",
}
_ACTIVATIONS = {"gelu_accurate": "gelu_new", "gelu_fast": "gelu_new", "swish": "silu"}

#: Arguments that make another model if they are true.
_OTHER_MODELS = (
    "adaptive_input", "adaptive_softmax_cutoff", "alibi", "character_embeddings",
    "decoder_layers_to_keep", "decoder_learned_pos", "layernorm_embedding", "moe_freq",
    "no_decoder_final_norm", "no_token_positional_embeddings", "scale_attn", "scale_fc",
    "scale_heads", "scale_resids",
)  # fmt: skip


class FairseqCheckpoint(NamedTuple):
    """A checkpoint of fairseq: what configuration its arguments mean, and its tensors."""

    config: XGLMConfig
    tensors: dict[str, Array]


def read_fairseq(path: Path) -> FairseqCheckpoint:
    """Read a checkpoint of fairseq; nothing of it is executed.

    Returns
    -------
    FairseqCheckpoint
        Tensors are mapped, by fairseq's names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, no checkpoint of fairseq, or of another architecture.
    """
    saved = read_saved(path, FAIRSEQ, FAIRSEQ_LEGACY)
    state = fields(saved.value)
    if state is None or not isinstance(state.get("model"), dict):
        raise ValueError(f"{path}: no dict with the tensors under 'model', expected fairseq's")
    found: Mapping[object, object] = state["model"]  # type: ignore[assignment]
    # fairseq notes a version, and placeholders of buffers, as tensors among the others.
    tensors = tensors_of(found, saved, path)
    arguments = _Arguments(state, path)
    return FairseqCheckpoint(_config(arguments, tensors), tensors)


class _Arguments:
    """The training's arguments, wherever this version of fairseq keeps them."""

    def __init__(self, state: Mapping[str, object], path: Path) -> None:
        self.path = path
        self.root = fields(state.get("cfg")) or {}
        model = fields(self.root.get("model")) or fields(state.get("args"))
        if model is None:
            raise ValueError(f"{path}: no arguments under 'cfg' or 'args', expected fairseq's")
        self.model = model

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument as a plain value; a reference to another section is followed."""
        value = plain(self.model.get(name, default))
        if isinstance(value, str) and (found := re.fullmatch(r"\$\{(\w+)\.(\w+)\}", value)):
            section = fields(self.root.get(found[1])) or {}
            value = plain(section.get(found[2]))
        return default if value is None else value

    def number(self, name: str, kinds: tuple[type, ...], default: Any = None) -> Any:
        value = self.get(name, default)
        if type(value) not in kinds:
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise ValueError(
                f"{self.path}: the argument {name} is {quoted(value)}, expected {expected}"
            )
        return value


def _config(arguments: _Arguments, tensors: Mapping[str, Array]) -> XGLMConfig:
    """Return the configuration that the arguments mean."""
    path = arguments.path
    for name in _OTHER_MODELS:
        if arguments.get(name):
            raise ValueError(
                f"{path}: the argument {name} is {quoted(arguments.get(name))}: a model that is "
                "not XGLM"
            )
    values: dict[str, Any] = {
        **{field: arguments.number(name, (int,)) for name, field in _SIZES.items()},
        **{field: arguments.number(name, (int, float), 0.0) for name, field in _RATES.items()},
    }
    for name in ("decoder_input_dim", "decoder_output_dim"):
        if arguments.get(name, values["d_model"]) != values["d_model"]:
            raise ValueError(
                f"{path}: the argument {name} is {quoted(arguments.get(name))}, expected "
                f"decoder_embed_dim, {values['d_model']}: a model that is not XGLM"
            )
    length = arguments.get("max_target_positions", arguments.get("tokens_per_sample", 1024))
    activation = arguments.get("activation_fn", "relu")
    activation = _ACTIVATIONS.get(activation, activation) if isinstance(activation, str) else None
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"{path}: the argument activation_fn is {quoted(arguments.get('activation_fn'))}, "
            f"expected one of {', '.join(sorted(ACTIVATIONS))}"
        )
    embedding = next(
        (a for name, a in tensors.items() if torch_name(name) == "model.embed_tokens.weight"), None
    )
    if embedding is None or embedding.ndim != 2:
        raise ValueError(f"{path}: no decoder.embed_tokens.weight of two axes")
    try:
        return XGLMConfig(
            **values,
            vocab_size=len(embedding),
            max_position_embeddings=length,
            activation_function=activation,
            scale_embedding=not arguments.number("no_scale_embedding", (bool, int), False),
            tie_word_embeddings=bool(
                arguments.number("share_decoder_input_output_embed", (bool, int), False)
            ),
            architectures=["XGLMForCausalLM"],
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_dictionary(path: Path) -> list[str]:
    """Return the tokens of a ``dict.txt``, in their order; their ids begin at 4.

    A line is a token, a space and how often it was seen, and now and then
    ``#fairseq:overwrite``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is too large, not UTF-8, or a line is of another form.
    """
    with path.open("rb") as file:
        data = file.read(DICTIONARY_LIMIT + 1)
    if len(data) > DICTIONARY_LIMIT:
        raise ValueError(f"{path}: more than {DICTIONARY_LIMIT} bytes, expected a dictionary")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8") from None
    tokens = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        found = re.fullmatch(r"(.*) (-?\d{1,20})(?: #fairseq:overwrite)?\r?", line)
        if not found or not found[1]:
            raise ValueError(
                f"{path}: line {number} is {quoted(line)}, expected a token and how often it was "
                "seen"
            )
        tokens.append(found[1])
    return tokens


def check_dictionary(path: Path, config: XGLMConfig, pieces: list[str] | None) -> None:
    """Check that a ``dict.txt`` belongs to a model, and to its sentencepiece model.

    Parameters
    ----------
    path
        The dictionary.
    config
        The model's configuration: the table must have the rows that fairseq
        would make of the dictionary.
    pieces
        The sentencepiece model's pieces, whose fourth is the dictionary's
        first; None if there is no such model.

    Raises
    ------
    ValueError
        If they do not: ids would mean other tokens.
    """
    tokens = read_dictionary(path)
    rows = -(-(len(tokens) + SPECIAL_TOKENS) // MULTIPLE) * MULTIPLE
    if config.vocab_size not in (rows, len(tokens) + SPECIAL_TOKENS):
        raise ValueError(
            f"{path}: {len(tokens)} tokens make {rows} rows, but the model's embedding has "
            f"{config.vocab_size}"
        )
    if pieces is None:
        return
    tokens = [token for token in tokens if not token.startswith("madeupword")]
    for number, (token, piece) in enumerate(zip(tokens, pieces[3:], strict=False)):
        if token != piece:
            raise ValueError(
                f"{path}: token {number} is {quoted(token)}, but the sentencepiece model has "
                f"{quoted(piece)} there"
            )
    if len(tokens) != len(pieces) - 3:
        raise ValueError(
            f"{path}: {len(tokens)} tokens, but the sentencepiece model has {len(pieces) - 3} "
            "pieces besides <unk>, <s> and </s>"
        )
