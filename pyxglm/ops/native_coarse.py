"""The operations of ``compute="bfloat16"`` on the C kernels; see `coarse` for what they compute.

Names that are not here are those of `native`.
"""

from __future__ import annotations

from typing import Any

from pyxglm.ops import native
from pyxglm.ops.native_head import head_log_probs_coarse as head_log_probs
from pyxglm.ops.native_head import head_top_coarse as head_top
from pyxglm.ops.native_linear import linear_coarse as linear

__all__ = ["head_log_probs", "head_top", "linear"]


def __getattr__(name: str) -> Any:
    return getattr(native, name)
