"""OpenVINO as a worker (see `protocol`), on transformers' model as torch exports it.

Its environment has torch and transformers as well, for the export; only the export imports
them. It is told to compute in float32, as the others do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops
from checkpoint import config_of, parameters
from converted import converted
from labels import loss_of
from onnx_export import caches, exported
from openvino._offline_transformations import apply_make_stateful_transformation
from protocol import Runtime, serve
from stepping import Stepping

FILE = "model.xml"


def convert(path: str, folder: Path) -> None:
    """Write a checkpoint as OpenVINO reads it."""
    model = openvino.Core().read_model(exported(path))
    keep_caches(model, config_of(path)["num_layers"])
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)


def keep_caches(model: Any, layers: int) -> None:
    """Let a model keep its caches: inputs and outputs for them become its state.

    So users of OpenVINO run language models: caches are not copied from step to step. A new
    text begins with caches of no token, of as many sequences as it has.
    """
    pairs = zip(*(caches(kind, layers) for kind in ("past", "present")), strict=True)
    apply_make_stateful_transformation(model, dict(pairs))
    sizes = ops.shape_of(model.input("input_ids"), output_type="i64")
    batch = ops.gather(sizes, ops.constant(np.array([0])), ops.constant(np.array(0)))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            _, H, _, K = node.get_output_partial_shape(0)
            rest = np.array([H.get_length(), 0, K.get_length()])
            shape = ops.concat([batch, ops.constant(rest)], axis=0)
            node.set_arguments([ops.broadcast(ops.constant(np.float32(0)), shape)])
    model.validate_nodes_and_infer_types()


class OpenVino(Stepping):
    """A compiled model, whose state is the cache: what goes round is only that there is one."""

    def __init__(self, model: Any, vocab_size: int) -> None:
        self.request, self.vocab_size = model.create_infer_request(), vocab_size

    def ids(self, rows: list[list[int]]) -> Any:
        """Return tokens (B, T) as the runtime takes them."""
        return np.array(rows, np.int64)

    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return logits, of the last position or of all, and the new cache."""
        if past is None:
            self.request.reset_state()
        first = np.array(0 if all_logits else ids.shape[1] - 1)
        given = {"input_ids": np.ascontiguousarray(ids), "first": first}
        found = self.request.infer(given, share_inputs=True, share_outputs=True)
        return found["logits"], self.request

    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""
        logits, _ = self.step(ids, None, all_logits=True)
        return loss_of(logits, ids)


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    version = openvino.__version__.split("-")[0]
    model = openvino.Core().compile_model(
        converted(path, f"openvino-{version}-stateful", convert) / FILE,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        },
    )
    runtime = OpenVino(model, config_of(path)["vocab_size"])
    return runtime.runtime(f"OpenVINO {version}", "float32", 4 * parameters(path))


if __name__ == "__main__":
    serve(opened)
