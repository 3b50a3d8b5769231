"""OpenVINO as a worker (see `protocol`), on transformers' model as torch exports it.

Its environment has torch and transformers as well, for the export; only the export imports
them. It is told to compute in float32, as the others do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from checkpoint import config_of, parameters
from converted import converted
from labels import loss_of
from onnx_export import caches, exported
from protocol import Runtime, serve
from stepping import Stepping

FILE = "model.xml"


def convert(path: str, folder: Path) -> None:
    """Write a checkpoint as OpenVINO reads it."""
    model = openvino.Core().read_model(exported(path))
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)


class OpenVino(Stepping):
    """A compiled model."""

    def __init__(self, model: Any, config: dict[str, Any]) -> None:
        self.request = model.create_infer_request()
        self.config, self.vocab_size = config, config["vocab_size"]
        self.before, self.after = (
            caches(kind, config["num_layers"]) for kind in ("past", "present")
        )

    def ids(self, rows: list[list[int]]) -> Any:
        """Return tokens (B, T) as the runtime takes them."""
        return np.array(rows, np.int64)

    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return logits, of the last position or of all, and the new cache."""
        if past is None:
            H = self.config["attention_heads"]
            nothing = np.zeros((len(ids), H, 0, self.config["d_model"] // H), np.float32)
            past = [nothing] * len(self.before)
        first = np.array(0 if all_logits else ids.shape[1] - 1)
        given = {"input_ids": np.ascontiguousarray(ids), "first": first}
        given |= zip(self.before, past, strict=True)
        found = self.request.infer(given, share_inputs=True, share_outputs=False)
        return found["logits"], [found[name] for name in self.after]

    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""
        logits, _ = self.step(ids, None, all_logits=True)
        return loss_of(logits, ids)


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    version = openvino.__version__.split("-")[0]
    config = config_of(path)
    model = openvino.Core().compile_model(
        converted(path, f"openvino-{version}", convert) / FILE,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        },
    )
    return OpenVino(model, config).runtime(f"OpenVINO {version}", "float32", 4 * parameters(path))


if __name__ == "__main__":
    serve(opened)
