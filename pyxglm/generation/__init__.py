"""Text generation: settings, logits processors, the search, streaming.

`settings`
    `GenerationConfig`: what may be asked for, checked by name.
`prompts`
    Prompts of unequal length become one left-padded batch with a mask.
`processors`
    Temperature, top-k, top-p: small functions from scores to scores.
`scores`
    The scores of the next token, as few as a step needs.
`choice`
    From scores to a token: the best one, or a seeded draw.
`search`
    The loop that puts them together: `generate` and `stream`.
`streaming`
    Ids as they come, to text as it can be told.
"""

from pyxglm.generation.search import generate, stream
from pyxglm.generation.settings import GenerationConfig
from pyxglm.generation.streaming import IncrementalDecoder, TextStreamer, text_pieces

__all__ = [
    "GenerationConfig",
    "IncrementalDecoder",
    "TextStreamer",
    "generate",
    "stream",
    "text_pieces",
]
