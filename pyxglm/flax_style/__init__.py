"""XGLM behind the calling conventions of Flax's classes in transformers 4.37.

`modeling`
    `FlaxXGLMModel` and `FlaxXGLMForCausalLM`: the decoder of `pyxglm.decoder`, called as there.
`pretrained`
    What both share: parameters outside the model, dtypes, the call.
`calls`
    One call in the decoder's terms: mask, positions, cache, randomness.
`files`
    From and to disk.
`trees`
    Parameters as nested dicts, checked, cast, and handed to the decoder.
`cache`
    The static cache: nested dicts, too, made by `init_cache`.
`positions`
    Position vectors of float64 angles.
`randomness`
    Keys, seeds and generators.
`as_it_was`
    Attention and positions of 4.37: only with ``compat="4.37"``.

JAX and Flax themselves are never needed: arrays are NumPy's, and what has a NumPy
array to offer, as JAX's arrays do, is taken.
"""

from pyxglm.flax_style.modeling import FlaxXGLMForCausalLM, FlaxXGLMModel
from pyxglm.flax_style.pretrained import FlaxXGLMPreTrainedModel

__all__ = [
    "FlaxXGLMForCausalLM",
    "FlaxXGLMModel",
    "FlaxXGLMPreTrainedModel",
]
