"""What `generate` returns with ``return_dict_in_generate=True``, and what is in its scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyxglm.dtypes import Array
from pyxglm.generation.processors.values import log_softmax
from pyxglm.outputs import ModelOutput


@dataclass(eq=False)
class GenerateDecoderOnlyOutput(ModelOutput):
    """The result of a search that chooses one token after another.

    Attributes
    ----------
    sequences
        (B, S): prompts and continuations.
    scores
        For each step, (B, V): the processed scores that the choice was made
        from; ``output_scores=True``.
    attentions, hidden_states
        For each call of the model, a tuple of the layers' arrays;
        ``output_attentions=True``, ``output_hidden_states=True``.
    past_key_values
        The model's cache, which can be given to another call.
    logits
        For each step, (B, V): the model's own scores; ``output_logits=True``.
    log_probs
        (B, new tokens): the model's own log-probability of each generated
        token, in nats, before any processor; 0 in finished rows;
        ``output_log_probs=True``.
    """

    sequences: Array | None = None
    scores: tuple[Array, ...] | None = None
    attentions: tuple[Any, ...] | None = None
    hidden_states: tuple[Any, ...] | None = None
    past_key_values: Any = None
    logits: tuple[Array, ...] | None = None
    log_probs: Array | None = None


@dataclass(eq=False)
class GenerateBeamDecoderOnlyOutput(ModelOutput):
    """The result of a beam search.

    Attributes
    ----------
    sequences
        (B * num_return_sequences, S): prompts and continuations.
    sequences_scores
        (B * num_return_sequences,): their final scores.
    scores
        For each step, (B * num_beams, V): processed log-probabilities.
    beam_indices
        (B * num_return_sequences, new tokens): the beam that each token came
        from, -1 behind the end.
    attentions, hidden_states, past_key_values, logits, log_probs
        As in `GenerateDecoderOnlyOutput`.
    """

    sequences: Array | None = None
    sequences_scores: Array | None = None
    scores: tuple[Array, ...] | None = None
    beam_indices: Array | None = None
    attentions: tuple[Any, ...] | None = None
    hidden_states: tuple[Any, ...] | None = None
    past_key_values: Any = None
    logits: tuple[Array, ...] | None = None
    log_probs: Array | None = None


@dataclass
class Kept:
    """What a search collects for its result, step by step."""

    scores: list[Array] = field(default_factory=list)
    logits: list[Array] = field(default_factory=list)
    log_probs: list[Array] = field(default_factory=list)


def transition_scores(
    sequences: Any,
    scores: Any,
    beam_indices: Any = None,
    normalize_logits: bool = False,
) -> Array:
    """Return the score of every generated token at its step: `compute_transition_scores`.

    Parameters
    ----------
    sequences
        (R, S) of a result.
    scores
        Its scores: for each step, (rows, V).
    beam_indices
        Its `beam_indices` (R, steps), if it is of a beam search.
    normalize_logits
        Make log-probabilities of the scores first.

    Returns
    -------
    scores_RN
        For each generated token; 0 behind the end of a beam.

    Raises
    ------
    ValueError
        If there are no scores, or fewer tokens than steps.

    Examples
    --------
    >>> steps = (np.array([[0.5, 2.0]]), np.array([[3.0, 1.0]]))
    >>> transition_scores(np.array([[0, 1, 0]]), steps).tolist()
    [[2.0, 3.0]]
    """
    if not scores:
        raise ValueError("scores are empty, expected those of a result with output_scores=True")
    ids_RS = np.asarray(sequences)
    steps_NRV = np.stack([np.asarray(step) for step in scores])
    if normalize_logits:
        steps_NRV = log_softmax(steps_NRV)
    N, rows, _ = steps_NRV.shape
    if beam_indices is None:
        beams_RN = np.broadcast_to(np.arange(rows)[:, None], (rows, N))
    else:
        beams_RN = np.asarray(beam_indices)
        beams_RN = beams_RN[:, : int((beams_RN >= 0).sum(axis=-1).max())]
    N = beams_RN.shape[1]
    if ids_RS.ndim != 2 or len(ids_RS) != len(beams_RN) or ids_RS.shape[1] < N:
        raise ValueError(
            f"sequences have shape {ids_RS.shape}, expected ({len(beams_RN)}, {N} or more):"
            " those that the scores are of"
        )
    new_RN = ids_RS[:, ids_RS.shape[1] - N :]
    found_RN: Array = steps_NRV[np.arange(N), np.maximum(beams_RN, 0), new_RN]
    return np.where(beams_RN < 0, found_RN.dtype.type(0), found_RN)
