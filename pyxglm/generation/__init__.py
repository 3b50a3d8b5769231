"""Text generation: settings, logits processors, strategies, streaming.

`settings`, `setting_checks`, `setting_files`
    `GenerationConfig`: what may be asked for, checked by name; its JSON.
`texts`, `prompts`, `batches`
    Prompts that are texts; prompts of unequal length become one left-padded batch with a mask;
    long lists of them, some at a time.
`processors`
    Small functions from scores to scores, and the order they come in.
`scores`, `repetition`, `stepper`
    A batch of texts that grow, and the scores of the next token, as few as a
    step needs.
`choice`, `one_by_one`
    From scores to a token: the best one, or a seeded draw; step by step.
`beams`, `contrastive`
    Beam search in all its kinds; contrastive search.
`assisted`
    Tokens proposed cheaply, and checked all at once.
`stopping`
    What ends a row.
`callbacks`, `callback_lists`
    Callers' own processors and criteria: what they return, and lists of them.
`plan`, `planning`, `remembered`, `search`
    What was asked for, checked; the cache of an earlier call; and the strategy
    that does it: `generate` and `stream`.
`outputs`
    Structured results.
`streaming`, `streamers`
    Ids as they come, to text as it can be told.
"""

from pyxglm.generation.beams.constraints import (
    Constraint,
    DisjunctiveConstraint,
    PhrasalConstraint,
)
from pyxglm.generation.beams.progress import ConstraintListState
from pyxglm.generation.callback_lists import (
    LogitsProcessor,
    LogitsProcessorList,
    MaxLengthCriteria,
    MaxTimeCriteria,
    MinLengthLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)
from pyxglm.generation.search import generate, stream
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.streamers import TextIteratorStreamer, TextStreamer
from pyxglm.generation.streaming import IncrementalDecoder, row_pieces, text_pieces

__all__ = [
    "Constraint",
    "ConstraintListState",
    "DisjunctiveConstraint",
    "GenerationConfig",
    "IncrementalDecoder",
    "LogitsProcessor",
    "LogitsProcessorList",
    "MaxLengthCriteria",
    "MaxTimeCriteria",
    "MinLengthLogitsProcessor",
    "PhrasalConstraint",
    "StoppingCriteria",
    "StoppingCriteriaList",
    "TextIteratorStreamer",
    "TextStreamer",
    "generate",
    "row_pieces",
    "stream",
    "text_pieces",
]
