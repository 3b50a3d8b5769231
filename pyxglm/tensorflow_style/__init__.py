"""XGLM behind the calling conventions of TensorFlow's classes in transformers 4.37.

`modeling`
    `TFXGLMModel` and `TFXGLMForCausalLM`: the decoder of `pyxglm.decoder`, called as there.
`pretrained`
    What both share: how they are made, loaded and run.
`calls`
    Inputs in the first argument: an array, a list or tuple of them, or a dict.
`losses`
    The loss, in TensorFlow's shapes.
`attention`
    The masks of 4.37, which add up: only with ``compat="4.37"``.
`initialization`
    Fresh weights, a head of its own among them.

TensorFlow itself is never needed: arrays are NumPy's, and what has a NumPy
array to offer, as TensorFlow's tensors do, is taken.
"""

from pyxglm.tensorflow_style.modeling import TFXGLMForCausalLM, TFXGLMModel
from pyxglm.tensorflow_style.pretrained import TFXGLMPreTrainedModel

__all__ = [
    "TFXGLMForCausalLM",
    "TFXGLMModel",
    "TFXGLMPreTrainedModel",
]
