"""llama.cpp as a worker (see `protocol`), with XGLM's weights in the graph of a GPT-2.

Its environment has gguf and safetensors as well, for the file. Weights are mapped from it;
activations are rounded to float16 where they meet weights, as llama.cpp does.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llama_cpp
import numpy as np
from checkpoint import config_of, parameters
from converted import converted
from labels import loss_of
from llama_cpp_gpt2 import FILE, convert
from protocol import Runtime, serve
from stepping import Stepping

#: Of llama.cpp's levels of messages, the one that is told.
ERROR = 4

#: Tokens of a call, and of all sequences together; sequences.
MOST, SEQUENCES = 2048, 16


@llama_cpp.llama_log_callback
def tell(level: int, text: bytes, _: object) -> None:
    """Pass on errors, and nothing of the thousands of lines beside."""
    if level == ERROR:
        sys.stderr.write(text.decode(errors="replace"))


class Llama(Stepping):
    """A context, whose memory is the cache: what goes round as the cache is its length."""

    def __init__(self, file: str, threads: int, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        llama_cpp.llama_log_set(tell, ctypes.c_void_p())
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(file.encode(), settings)
        options = llama_cpp.llama_context_default_params()
        options.n_ctx = options.n_batch = MOST
        options.n_seq_max, options.kv_unified = SEQUENCES, True
        options.n_threads = options.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, options)
        if not self.context:
            raise RuntimeError(f"{file}: llama.cpp does not open this")
        self.batch = llama_cpp.llama_batch_init(MOST, 0, 1)

    def ids(self, rows: list[list[int]]) -> Any:
        """Return tokens (B, T) as the runtime takes them."""
        return np.array(rows)

    def step(self, ids: Any, past: Any, all_logits: bool = False) -> tuple[Any, Any]:
        """Return logits, of the last position or of all, and the new cache."""
        if past is None:
            past = 0
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)
        B, T = ids.shape
        batch, rows = self.batch, ids.tolist()
        batch.n_tokens = B * T
        for sequence in range(B):
            for column in range(T):
                at = sequence * T + column
                batch.token[at], batch.pos[at] = rows[sequence][column], past + column
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
                batch.logits[at] = all_logits or column == T - 1
        code = llama_cpp.llama_decode(self.context, batch)
        if code:
            raise RuntimeError(f"llama_decode returned {code} for {B} times {T} tokens")
        found = llama_cpp.llama_get_logits(self.context)
        shape = (B, T if all_logits else 1, self.vocab_size)
        return np.ctypeslib.as_array(found, shape), past + T

    def loss(self, ids: Any) -> float:
        """Return the mean surprisal of all tokens but the first of each text."""
        rows = [ids[i : i + 1] for i in range(len(ids))]
        return float(np.mean([loss_of(self.step(one, None, True)[0], one) for one in rows]))


def opened(path: str, threads: int, words: list[str]) -> Runtime:
    """Open a model."""
    folder = converted(path, "gguf-gpt2", convert)
    model = Llama(str(folder / FILE), threads, config_of(path)["vocab_size"])
    name = f"llama-cpp-python {llama_cpp.__version__}, GPT-2"
    return model.runtime(name, "float16", 2 * parameters(path))


if __name__ == "__main__":
    serve(opened)
