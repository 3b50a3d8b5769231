"""The XGLM decoder: from token ids to logits, in reading order.

XGLM (Lin et al. 2021, "Few-shot Learning with Multilingual Language Models",
arXiv:2112.10668) is a decoder-only transformer in the manner of GPT-3: token
and sinusoidal position vectors, L blocks of causal self-attention and a GELU
feed-forward part, each behind a layer norm and around a residual, a last layer
norm, and the embedding matrix once more as the output head.

    hidden = E[ids] * sqrt(D) + positions
    for each layer:
        hidden = hidden + SelfAttention(LayerNorm(hidden))
        hidden = hidden + W2 gelu(W1 LayerNorm(hidden) + b1) + b2
    logits = LayerNorm(hidden) Eᵀ

Weights come as nested dicts whose keys are the checkpoint's own names, so the
tree of calls below is the tree of parameters. `ops` is the namespace of a
backend: `ops.reference` in NumPy, with every formula; nothing here asks which.
In training it is `ops.dropout`, which leaves things out at random.

Shapes (the key to every suffix in this package):

    B  batch            D  model width          L  layers
    T  new tokens       H  heads                P  positions
    S  all tokens       K  head width, D / H    E  encoder tokens
    N  packed tokens    F  feed-forward width   V  vocabulary
    I, O  a matrix's input and output width

T new tokens follow S - T cached ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from pyxglm.cache import KVCache
from pyxglm.config import XGLMConfig
from pyxglm.dtypes import Array


class Mask(NamedTuple):
    """Who may see whom; see `ops.reference.visible_keys`."""

    causal: bool = True
    keys_BS: Array | None = None
    visible_BTS: Array | None = None


class Encoder(NamedTuple):
    """States of an encoder that cross-attention reads, and which of them are real."""

    hidden_BED: Array
    mask: Mask


class Trace(NamedTuple):
    """Lists for what a reader may want to see besides the result; None is not kept."""

    hidden_states: list[Array] | None = None  # L + 1 times (B, T, D)
    attentions: list[Array] | None = None  # L times (B, H, T, S)
    cross_attentions: list[Array] | None = None  # L times (B, H, T, E)


class Pass(NamedTuple):
    """One run through the decoder: what every part of it needs besides its weights."""

    config: XGLMConfig
    ops: Any  # the operations of a backend: ops.reference, or others of the same names
    mask: Mask
    cache: KVCache | None = None  # keys and values of earlier tokens; None: none, none kept
    encoder: Encoder | None = None  # for cross-attention, in models that have it
    head_mask_LH: Sequence[Array] | None = None  # factors on each head's attention weights
    cross_head_mask_LH: Array | None = None
    trace: Trace = Trace()
    dropped: frozenset[int] = frozenset()  # layers left out: only in training (LayerDrop)


def embed(ids_BT: Array, positions_BT: Array, embed_VD: Array, table_PD: Array,
          config: XGLMConfig, ops: Any, dtype: Any) -> Array:  # fmt: skip
    """Return the first hidden state: scaled token vectors plus position vectors."""
    scale = math.sqrt(config.d_model) if config.scale_embedding else 1.0
    hidden_BTD: Array = ops.embed(ids_BT, positions_BT, embed_VD, table_PD, scale, dtype)
    return hidden_BTD


def decode(hidden_BTD: Array, model: Any, run: Pass) -> Array:
    """Run the blocks and the last layer norm.

    Parameters
    ----------
    hidden_BTD
        Embedded tokens with their positions; its dtype is the arithmetic's.
    model
        The parameters below ``model.`` as a tree (`parameters.nest`).
    run
        Everything else. Its cache is appended to, and left to the caller to
        commit; its trace is filled.

    Returns
    -------
    hidden_BTD
        The last hidden state, after the final layer norm.
    """
    for index, layer in enumerate(model["layers"]):
        if run.trace.hidden_states is not None:
            run.trace.hidden_states.append(hidden_BTD)
        if index not in run.dropped:
            hidden_BTD = block(hidden_BTD, layer, index, run)
    hidden_BTD = run.ops.layer_norm(hidden_BTD, *affine(model["layer_norm"]))
    if run.trace.hidden_states is not None:  # the last block's raw output is not shown
        run.trace.hidden_states.append(hidden_BTD)
    return hidden_BTD


def block(hidden_BTD: Array, layer: Any, index: int, run: Pass) -> Array:
    """One layer: attend, (attend to the encoder,) feed forward; each added to its input.

    The norms come first ("pre-LN", Xiong et al. 2020).
    """
    ops = run.ops

    normal_BTD = ops.layer_norm(hidden_BTD, *affine(layer["self_attn_layer_norm"]))
    hidden_BTD = self_attention(normal_BTD, hidden_BTD, layer["self_attn"], index, run)

    if run.encoder is not None:
        normal_BTD = ops.layer_norm(hidden_BTD, *affine(layer["encoder_attn_layer_norm"]))
        hidden_BTD = cross_attention(normal_BTD, hidden_BTD, layer["encoder_attn"], index, run)

    # This norm is the feed-forward part's, though its name suggests the model's end.
    normal_BTD = ops.layer_norm(hidden_BTD, *affine(layer["final_layer_norm"]))
    activation = run.config.activation_function
    inner_BTF = ops.linear(normal_BTD, *affine(layer["fc1"]), activation=activation)
    out_BTD: Array = ops.linear(inner_BTF, *affine(layer["fc2"]), residual_BTO=hidden_BTD)
    return out_BTD


def self_attention(x_BTD: Array, residual_BTD: Array, attn: Any, index: int, run: Pass) -> Array:
    """Let every token gather from itself and the tokens before it."""
    q_BHTK = query(x_BTD, attn, run)
    k_BHSK, v_BHSK = keys_and_values(x_BTD, attn, run)
    if run.cache is not None:
        k_BHSK, v_BHSK = run.cache.append(index, k_BHSK, v_BHSK, run.ops)
    head_mask_H = None if run.head_mask_LH is None else run.head_mask_LH[index]
    out_BHTK, weights_BHTS = run.ops.attention(
        q_BHTK, k_BHSK, v_BHSK, **run.mask._asdict(), head_mask_H=head_mask_H,
        return_weights=run.trace.attentions is not None,
    )  # fmt: skip
    if run.trace.attentions is not None:
        run.trace.attentions.append(weights_BHTS)
    out_BTD: Array = run.ops.linear(
        merge_heads(out_BHTK), *affine(attn["out_proj"]), residual_BTO=residual_BTD
    )
    return out_BTD


def cross_attention(x_BTD: Array, residual_BTD: Array, attn: Any, index: int, run: Pass) -> Array:
    """Let every token gather from an encoder's states, which stay the same for all tokens."""
    assert run.encoder is not None  # noqa: S101  # the caller has just looked
    q_BHTK = query(x_BTD, attn, run)
    # The encoder's keys and values are computed at the first step and remembered.
    remembered = None if run.cache is None else run.cache.cross(index)
    k_BHEK, v_BHEK = remembered or keys_and_values(run.encoder.hidden_BED, attn, run)
    if run.cache is not None and remembered is None:
        run.cache.set_cross(index, k_BHEK, v_BHEK)
    head_mask_H = None if run.cross_head_mask_LH is None else run.cross_head_mask_LH[index]
    out_BHTK, weights_BHTE = run.ops.attention(
        q_BHTK, k_BHEK, v_BHEK, **run.encoder.mask._asdict(), head_mask_H=head_mask_H,
        return_weights=run.trace.cross_attentions is not None,
    )  # fmt: skip
    if run.trace.cross_attentions is not None:
        run.trace.cross_attentions.append(weights_BHTE)
    out_BTD: Array = run.ops.linear(
        merge_heads(out_BHTK), *affine(attn["out_proj"]), residual_BTO=residual_BTD
    )
    return out_BTD


def query(x_BTD: Array, attn: Any, run: Pass) -> Array:
    """Project to queries; XGLM scales them by K ** -0.5, after the bias."""
    K = run.config.d_model // run.config.attention_heads
    q_BTD = run.ops.linear(x_BTD, *affine(attn["q_proj"]))
    return split_heads(run.ops.multiply(q_BTD, K**-0.5), K)


def keys_and_values(x_BTD: Array, attn: Any, run: Pass) -> tuple[Array, Array]:
    """Project to the keys and values of every head."""
    K = run.config.d_model // run.config.attention_heads
    k_BTD = run.ops.linear(x_BTD, *affine(attn["k_proj"]))
    v_BTD = run.ops.linear(x_BTD, *affine(attn["v_proj"]))
    return split_heads(k_BTD, K), split_heads(v_BTD, K)


def logits(hidden_BTD: Array, head_VD: Array, ops: Any) -> Array:
    """Score every piece of the vocabulary as the next token: hidden · Eᵀ, no bias."""
    logits_BTV: Array = ops.linear(hidden_BTD, head_VD)
    return logits_BTV


# ------------------------------------------------------------------------------- small parts


def split_heads(x_BTD: Array, K: int) -> Array:
    """Cut vectors into heads of width K: (B, T, D) to (B, H, T, K)."""
    B, T, D = x_BTD.shape
    x_BHTK: Array = x_BTD.reshape(B, T, D // K, K).swapaxes(1, 2)
    return x_BHTK


def merge_heads(x_BHTK: Array) -> Array:
    """Join the heads again: (B, H, T, K) to (B, T, D)."""
    B, H, T, K = x_BHTK.shape
    x_BTD: Array = x_BHTK.swapaxes(1, 2).reshape(B, T, H * K)
    return x_BTD


def affine(part: Any) -> tuple[Array, Array]:
    """Return the weight and the bias of a linear part or a layer norm."""
    return part["weight"], part["bias"]
