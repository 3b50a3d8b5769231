"""XGLM, Meta's multilingual language models, written from scratch in NumPy.

>>> from pyxglm import XGLMConfig
>>> XGLMConfig().num_layers
24

Names are looked up when they are first used, so that importing the package
costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyxglm._version import __version__

if TYPE_CHECKING:
    from pyxglm.archive import (
        TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST as TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST,
    )
    from pyxglm.archive import (
        XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP as XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP,
    )
    from pyxglm.archive import (
        XGLM_PRETRAINED_MODEL_ARCHIVE_LIST as XGLM_PRETRAINED_MODEL_ARCHIVE_LIST,
    )
    from pyxglm.cache import KVCache as KVCache
    from pyxglm.config import XGLMConfig as XGLMConfig
    from pyxglm.dtypes import bfloat16 as bfloat16
    from pyxglm.flax_style import FlaxXGLMForCausalLM as FlaxXGLMForCausalLM
    from pyxglm.flax_style import FlaxXGLMModel as FlaxXGLMModel
    from pyxglm.flax_style import FlaxXGLMPreTrainedModel as FlaxXGLMPreTrainedModel
    from pyxglm.generation import Constraint as Constraint
    from pyxglm.generation import DisjunctiveConstraint as DisjunctiveConstraint
    from pyxglm.generation import GenerationConfig as GenerationConfig
    from pyxglm.generation import LogitsProcessor as LogitsProcessor
    from pyxglm.generation import LogitsProcessorList as LogitsProcessorList
    from pyxglm.generation import MaxLengthCriteria as MaxLengthCriteria
    from pyxglm.generation import MaxTimeCriteria as MaxTimeCriteria
    from pyxglm.generation import MinLengthLogitsProcessor as MinLengthLogitsProcessor
    from pyxglm.generation import PhrasalConstraint as PhrasalConstraint
    from pyxglm.generation import StoppingCriteria as StoppingCriteria
    from pyxglm.generation import StoppingCriteriaList as StoppingCriteriaList
    from pyxglm.generation import TextIteratorStreamer as TextIteratorStreamer
    from pyxglm.generation import TextStreamer as TextStreamer
    from pyxglm.generation import generate as generate
    from pyxglm.generation import stream as stream
    from pyxglm.modeling import XGLMForCausalLM as XGLMForCausalLM
    from pyxglm.modeling import XGLMModel as XGLMModel
    from pyxglm.ops.native_library import get_num_threads as get_num_threads
    from pyxglm.ops.native_library import set_num_threads as set_num_threads
    from pyxglm.ops.native_library import use_isa as use_isa
    from pyxglm.pretrained import XGLMPreTrainedModel as XGLMPreTrainedModel
    from pyxglm.tensorflow_style import TFXGLMForCausalLM as TFXGLMForCausalLM
    from pyxglm.tensorflow_style import TFXGLMModel as TFXGLMModel
    from pyxglm.tensorflow_style import TFXGLMPreTrainedModel as TFXGLMPreTrainedModel
    from pyxglm.tokenization import AddedToken as AddedToken
    from pyxglm.tokenization import BatchEncoding as BatchEncoding
    from pyxglm.tokenization import XGLMTokenizer as XGLMTokenizer
    from pyxglm.tokenization import XGLMTokenizerFast as XGLMTokenizerFast

#: Every public name and the module that holds it.
_HOMES = {
    "AddedToken": "pyxglm.tokenization",
    "BatchEncoding": "pyxglm.tokenization",
    "Constraint": "pyxglm.generation",
    "DisjunctiveConstraint": "pyxglm.generation",
    "FlaxXGLMForCausalLM": "pyxglm.flax_style",
    "FlaxXGLMModel": "pyxglm.flax_style",
    "FlaxXGLMPreTrainedModel": "pyxglm.flax_style",
    "GenerationConfig": "pyxglm.generation",
    "KVCache": "pyxglm.cache",
    "LogitsProcessor": "pyxglm.generation",
    "LogitsProcessorList": "pyxglm.generation",
    "MaxLengthCriteria": "pyxglm.generation",
    "MaxTimeCriteria": "pyxglm.generation",
    "MinLengthLogitsProcessor": "pyxglm.generation",
    "PhrasalConstraint": "pyxglm.generation",
    "StoppingCriteria": "pyxglm.generation",
    "StoppingCriteriaList": "pyxglm.generation",
    "TFXGLMForCausalLM": "pyxglm.tensorflow_style",
    "TFXGLMModel": "pyxglm.tensorflow_style",
    "TFXGLMPreTrainedModel": "pyxglm.tensorflow_style",
    "TF_XGLM_PRETRAINED_MODEL_ARCHIVE_LIST": "pyxglm.archive",
    "TextIteratorStreamer": "pyxglm.generation",
    "TextStreamer": "pyxglm.generation",
    "XGLMConfig": "pyxglm.config",
    "XGLMForCausalLM": "pyxglm.modeling",
    "XGLMModel": "pyxglm.modeling",
    "XGLMPreTrainedModel": "pyxglm.pretrained",
    "XGLMTokenizer": "pyxglm.tokenization",
    "XGLMTokenizerFast": "pyxglm.tokenization",
    "XGLM_PRETRAINED_CONFIG_ARCHIVE_MAP": "pyxglm.archive",
    "XGLM_PRETRAINED_MODEL_ARCHIVE_LIST": "pyxglm.archive",
    "bfloat16": "pyxglm.dtypes",
    "generate": "pyxglm.generation",
    "get_num_threads": "pyxglm.ops.native_library",
    "set_num_threads": "pyxglm.ops.native_library",
    "stream": "pyxglm.generation",
    "use_isa": "pyxglm.ops.native_library",
}

__all__ = ["__version__", *sorted(_HOMES)]  # names from the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pyxglm' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
