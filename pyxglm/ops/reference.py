"""Every operation of XGLM in NumPy: the definition that all else is measured against.

The letters in array names are those of the key at the top of `decoder.py`.
An operation computes in the dtype of its activations, float32 or float64;
weights may be stored narrower (float16, bfloat16) and are widened as they are
used. Nothing here is fast on purpose, and nothing changes its arguments but
`cache_append`, and `attention` the `out_BHTK` that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.ops.activations import FURTHER_ACTIVATIONS
from pyxglm.ops.head import head_log_probs as head_log_probs
from pyxglm.ops.head import head_top as head_top
from pyxglm.ops.special import erf
from pyxglm.ops.stored import widen as widen
from pyxglm.ops.stored import widened_blocks

#: Added to the variance in every layer norm (torch's default, which XGLM keeps).
LAYER_NORM_EPS = 1e-5

#: A logical position p reads row p + 2 of the position table (fairseq's heritage).
POSITION_OFFSET = 2

#: Targets with this value do not count in a loss.
IGNORE_INDEX = -100


# ----------------------------------------------------------------------------- embedding


def sinusoidal_positions(rows: int, width: int, padding_row: int | None = 1) -> Array:
    """Return the table of position vectors, float32, shape (rows, width).

    With half = width // 2 and f_i = 10000 ** (-i / (half - 1)):

        table[p] = [sin(p f_0) … sin(p f_{half-1}) | cos(p f_0) … cos(p f_{half-1})]

    Halves side by side, not interleaved; an odd width ends in a zero column;
    `padding_row` is zero. (Vaswani et al. 2017, §3.5, in the variant of
    tensor2tensor; transformers `XGLMSinusoidalPositionalEmbedding`.)

    The published models were trained with angles rounded to float32, which at
    p near 2000 moves entries by up to 1.6e-4. So the roundings are kept where
    they matter: frequencies and angles are float32, correctly rounded.

    >>> row_D = sinusoidal_positions(3, 4)[2].astype(float)
    >>> row_D.round(4).tolist()  # sin 2, sin 2e-4, cos 2, cos 2e-4
    [0.9093, 0.0002, -0.4161, 1.0]
    """
    half = width // 2
    step = np.float32(-math.log(10000) / (half - 1))
    exponents = np.arange(half, dtype=np.float32) * step
    frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
    angles = np.arange(rows, dtype=np.float32)[:, None] * frequencies
    table_PD = np.zeros((rows, width), np.float32)
    table_PD[:, :half] = np.sin(angles.astype(np.float64))
    table_PD[:, half : 2 * half] = np.cos(angles.astype(np.float64))
    if padding_row is not None and padding_row < rows:
        table_PD[padding_row] = 0
    return table_PD


def add_positions(embeds_BTD: Array, positions_BT: Array, table_PD: Array) -> Array:
    """Add each token's position vector: hidden = embeds + table[position + 2].

    >>> add_positions(np.zeros((1, 1, 4)), np.array([[0]]), sinusoidal_positions(8, 4)).round(2)
    array([[[ 0.91,  0.  , -0.42,  1.  ]]])
    """
    return embeds_BTD + widen(table_PD[positions_BT + POSITION_OFFSET], embeds_BTD.dtype)


def embed(
    ids_BT: Array, positions_BT: Array, embed_VD: Array, table_PD: Array, scale: float, dtype: Any
) -> Array:
    """Turn token ids into vectors: hidden = E[id] * scale + table[position + 2].

    XGLM's scale is sqrt(D), so that rows of norm near 1 outweigh the position
    vectors, whose norm is sqrt(D / 2).

    >>> E_VD, table_PD = np.eye(3, 4, dtype="f2"), np.zeros((8, 4))
    >>> embed(np.array([[2, 0]]), np.array([[0, 1]]), E_VD, table_PD, 2.0, np.float32)
    array([[[0., 0., 2., 0.],
            [2., 0., 0., 0.]]], dtype=float32)
    """
    return add_positions(widen(embed_VD[ids_BT], dtype) * scale, positions_BT, table_PD)


# --------------------------------------------------------------------- dense arithmetic


def multiply(x: Array, factor: float) -> Array:
    """Scale an array: y = factor x.

    >>> multiply(np.float32([2, 3]), 0.5)
    array([1. , 1.5], dtype=float32)
    """
    return x * factor


def layer_norm(x_BTD: Array, weight_D: Array, bias_D: Array) -> Array:
    """Normalise each vector to mean 0 and variance 1, then scale and shift it.

        y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias

    The variance is the biased one (divided by D). (Ba et al. 2016, eq. 4.)

    >>> layer_norm(np.array([[[1.0, 3.0]]]), np.ones(2), np.zeros(2)).round(4)
    array([[[-1.,  1.]]])
    """
    centred_BTD = x_BTD - x_BTD.mean(axis=-1, keepdims=True)
    variance_BT1 = np.square(centred_BTD).mean(axis=-1, keepdims=True)
    normal_BTD = centred_BTD / np.sqrt(variance_BT1 + LAYER_NORM_EPS)
    y_BTD: Array = normal_BTD * widen(weight_D, x_BTD.dtype) + widen(bias_D, x_BTD.dtype)
    return y_BTD


def linear(
    x_BTI: Array,
    weight_OI: Array,
    bias_O: Array | None = None,
    *,
    activation: str | None = None,
    residual_BTO: Array | None = None,
) -> Array:
    """Map vectors of width I to width O: y = activation(x Wᵀ + bias) + residual.

    W keeps the checkpoint's (out, in) order. A matrix that is stored narrow is
    widened by blocks of rows, so that no wide copy of it (of the 256,008-row
    head, say) ever exists.

    >>> W_OI = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype="f2")
    >>> linear(np.array([[[2.0, 3.0]]]), W_OI, np.array([0.5, 0.0, 0.0]))
    array([[[2.5, 3. , 5. ]]])
    """
    dtype, N = x_BTI.dtype, math.prod(x_BTI.shape[:-1])  # one product of N rows, not B of T
    y_BTO = np.empty((*x_BTI.shape[:-1], len(weight_OI)), dtype)
    x_NI, y_NO = x_BTI.reshape(N, x_BTI.shape[-1]), y_BTO.reshape(N, len(weight_OI))
    for block, rows_OI in widened_blocks(weight_OI, dtype):
        y_NO[:, block] = x_NI @ rows_OI.T
    if bias_O is not None:
        y_BTO += widen(bias_O, dtype)
    if activation is not None:
        y_BTO = ACTIVATIONS[activation](y_BTO)
    return y_BTO if residual_BTO is None else y_BTO + residual_BTO


# ---------------------------------------------------------------------------- activations


def gelu(x: Array) -> Array:
    """Gaussian error linear unit, exact: x Φ(x) = x/2 (1 + erf(x / sqrt 2)).

    Φ is the normal distribution function. (Hendrycks and Gimpel 2016.)

    >>> gelu(np.array([-1.0, 0.0, 2.0])).round(6)
    array([-0.158655,  0.      ,  1.9545  ])
    """
    return x * 0.5 * (1.0 + erf(x * math.sqrt(0.5)))


def relu(x: Array) -> Array:
    """Rectifier, the activation of the 4.5B model: max(x, 0).

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


#: Every activation that transformers 4.37's `ACT2FN` names. The published models use
#: the first two; those that are no variant of them stand in `ops/activations.py`.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": gelu,
    "relu": relu,
    "gelu_10": lambda x: np.clip(gelu(x), -10, 10),
    "gelu_python": gelu,
    "relu2": lambda x: np.square(relu(x)),
    **FURTHER_ACTIVATIONS,
}


# ------------------------------------------------------------------------------ attention


def softmax(x: Array) -> Array:
    """Turn scores into weights that add up to 1: exp(x_i) / sum_j exp(x_j).

    The maximum is subtracted first: the quotient stays, nothing overflows.

    >>> softmax(np.array([0.0, math.log(3.0)]))
    array([0.25, 0.75])
    """
    if x.shape[-1] == 0:
        return x
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    weights: Array = powers / powers.sum(axis=-1, keepdims=True)
    return weights


def visible_keys(
    T: int,
    S: int,
    *,
    causal: bool = True,
    keys_BS: Array | None = None,
    visible_BTS: Array | None = None,
) -> Array | None:
    """Say which query may see which key: booleans that broadcast to (B, T, S), or None.

    Query t stands at place S - T + t and sees the keys up to that place; keys
    that are padding (False in `keys_BS`) are seen by nobody. A whole mask
    `visible_BTS` replaces both rules. One query without a mask sees everything:
    None, as then transformers masks nothing either.

    >>> visible_keys(2, 3, keys_BS=np.array([[False, True, True]])).astype(int)
    array([[[0, 1, 0],
            [0, 1, 1]]])
    """
    if visible_BTS is not None:
        return visible_BTS
    if not causal or T == 1:
        return None if keys_BS is None else keys_BS[:, None]
    past_1TS = np.arange(S)[None, None, :] <= S - T + np.arange(T)[None, :, None]
    return past_1TS if keys_BS is None else past_1TS & keys_BS[:, None]


def attention(
    q_BHTK: Array,
    k_BHSK: Array,
    v_BHSK: Array,
    *,
    causal: bool = True,
    keys_BS: Array | None = None,
    visible_BTS: Array | None = None,
    head_mask_H: Array | None = None,
    return_weights: bool = False,
    out_BHTK: Array | None = None,
) -> tuple[Array, Array | None]:
    """Let every query gather values by how well their keys match it.

        weights = softmax(mask(q kᵀ)) * head_mask
        out     = weights v

    The queries arrive scaled by K ** -0.5 (Vaswani et al. 2017, eq. 1). A key that
    may not be seen (`causal`, `keys_BS`, `visible_BTS`: see `visible_keys`) gets the
    lowest finite score, not minus infinity: its weight is exactly 0 next to any
    other key, and a query that may see nothing at all spreads its weight evenly over
    all S keys, as in transformers. `head_mask_H` multiplies the weights after the
    softmax. The result is written to `out_BHTK` if given, else to a new array.

    Returns
    -------
    out_BHTK, weights_BHTS
        The weights only if `return_weights`, else None.

    Examples
    --------
    >>> q_BHTK = k_BHSK = np.zeros((1, 1, 2, 1)); v_BHSK = np.array([[[[2.0], [4.0]]]])
    >>> out_BHTK, _ = attention(q_BHTK, k_BHSK, v_BHSK)  # the second token sees both
    >>> out_BHTK[0, 0]
    array([[2.],
           [3.]])
    """
    T, S = q_BHTK.shape[2], k_BHSK.shape[2]
    scores_BHTS = q_BHTK @ k_BHSK.swapaxes(-1, -2)
    visible = visible_keys(T, S, causal=causal, keys_BS=keys_BS, visible_BTS=visible_BTS)
    if visible is not None:
        lowest = np.finfo(scores_BHTS.dtype).min
        seen = visible[:, None]  # the same for every head
        scores_BHTS = np.where(seen, np.maximum(scores_BHTS, lowest), lowest)
    weights_BHTS = softmax(scores_BHTS)
    if head_mask_H is not None:
        weights_BHTS = weights_BHTS * head_mask_H[:, None, None]
    return np.matmul(weights_BHTS, v_BHSK, out=out_BHTK), weights_BHTS if return_weights else None


def cache_append(
    k_room_BHSK: Array, v_room_BHSK: Array, k_BHTK: Array, v_BHTK: Array, start: int
) -> None:
    """Store the keys and values of T tokens: room[:, :, start + t] = new[:, :, t].

    >>> k_BHSK, v_BHSK = np.zeros((2, 1, 1, 3, 1))
    >>> cache_append(k_BHSK, v_BHSK, np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 2.0), 1)
    >>> k_BHSK.ravel(), v_BHSK.ravel()
    (array([0., 1., 0.]), array([0., 2., 0.]))
    """
    new = slice(start, start + k_BHTK.shape[2])
    k_room_BHSK[:, :, new], v_room_BHSK[:, :, new] = k_BHTK, v_BHTK


# --------------------------------------------------------------------------------- losses


def log_softmax(x: Array) -> Array:
    """Logarithm of the softmax: x_i - log sum_j exp(x_j), without overflow.

    >>> np.exp(log_softmax(np.array([0.0, math.log(3.0)]))).round(6)
    array([0.25, 0.75])
    """
    shifted = x - x.max(axis=-1, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def cross_entropy(logits_NV: Array, targets_N: Array) -> Any:
    """Mean of -log softmax(logits)[target] over the targets that count (not -100).

    NaN, as in torch, when none counts.

    >>> round(float(cross_entropy(np.zeros((2, 4)), np.array([3, -100]))), 6)
    1.386294
    """
    counted = targets_N != IGNORE_INDEX
    if not counted.any():
        return logits_NV.dtype.type(np.nan)
    chosen_NV, targets_N = logits_NV[counted], targets_N[counted]
    return -log_softmax(chosen_NV)[np.arange(len(targets_N)), targets_N].mean()


def causal_lm_loss(logits_BTV: Array, labels_BT: Array) -> Any:
    """Mean next-token loss: the logits at t are judged by the label at t + 1.

    >>> round(float(causal_lm_loss(np.zeros((1, 3, 2)), np.array([[0, 1, 0]]))), 6)
    0.693147
    """
    V = logits_BTV.shape[-1]
    return cross_entropy(logits_BTV[:, :-1].reshape(-1, V), labels_BT[:, 1:].reshape(-1))


def causal_lm_loss_hf_437(logits_BTV: Array, labels_BT: Array, pad_token_id: int) -> Any:
    """Return the loss as transformers 4.37 computes it, one target too many.

    There the labels are shifted into a new array whose last column is filled
    with the pad id, and that column counts: the model is also charged for not
    predicting padding after the last token.

    >>> round(float(causal_lm_loss_hf_437(np.zeros((1, 1, 2)), np.array([[0]]), 1)), 6)
    0.693147
    """
    shifted_BT = np.full_like(labels_BT, pad_token_id)
    shifted_BT[:, :-1] = labels_BT[:, 1:]
    return cross_entropy(logits_BTV.reshape(-1, logits_BTV.shape[-1]), shifted_BT.reshape(-1))
