"""ONNX Runtime as a worker (see `protocol`), on transformers' model as torch exports it.

Its environment has torch and transformers as well, for the export; only the export imports
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from checkpoint import config_of, parameters
from labels import loss_of
from onnx_export import caches, exported
from protocol import Runtime, serve
from stepping import Stepping


class Onnx(Stepping):
    """A session; its caches stay its own."""

    def __init__(self, session: onnxruntime.InferenceSession, config: dict[str, Any]) -> None:
        self.session, self.config, self.vocab_size = session, config, config["vocab_size"]
        self.before, self.after = (
            caches(kind, config["num_layers"]) for kind in ("past", "present")
        )

    def ids(self, rows: list[list[int]]) -> Any:
        """Return tokens (B, T) as the runtime takes them."""
        return np.array(rows, np.int64)

    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return logits, of the last position or of all, and the new cache."""
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        if past is None:
            H = self.config["attention_heads"]
            nothing = np.zeros((len(ids), H, 0, self.config["d_model"] // H), np.float32)
            past = [value(nothing)] * len(self.before)
        first = np.array(0 if all_logits else ids.shape[1] - 1)
        given = {"input_ids": value(np.ascontiguousarray(ids)), "first": value(first)}
        given |= zip(self.before, past, strict=True)
        logits, *present = self.session.run_with_ort_values(["logits", *self.after], given)
        return logits.numpy(), present

    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""
        logits, _ = self.step(ids, None, all_logits=True)
        return loss_of(logits, ids)


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    config = config_of(path)
    session = onnxruntime.InferenceSession(
        str(exported(path)), options, providers=["CPUExecutionProvider"]
    )
    name = f"ONNX Runtime {onnxruntime.__version__}"
    return Onnx(session, config).runtime(name, "float32", 4 * parameters(path))


if __name__ == "__main__":
    serve(opened)
