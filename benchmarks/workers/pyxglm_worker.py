"""pyxglm as a worker (see `protocol`); options: keywords of from_pretrained, as ``compute=x``."""

from __future__ import annotations

from protocol import Measured, Runtime, serve

import pyxglm
from pyxglm.bench import jobs, work
from pyxglm.bench.grid import Job
from pyxglm.dtypes import dtype_name


def opened(path: str, threads: int, options: list[str]) -> Runtime:
    """Open a model."""
    settings = dict(option.split("=", 1) for option in options)
    model = pyxglm.XGLMForCausalLM.from_pretrained(path, **settings)
    words = [f"pyxglm {pyxglm.__version__}", model.backend]
    if model.backend == "c":
        from pyxglm.ops.native_library import isa

        pyxglm.set_num_threads(threads)
        words.append(isa())

    def run(job: Job) -> Measured:
        return Measured(*jobs.run(model, job))

    stored = work.weight_bytes(dict(model.named_parameters()))
    return Runtime(" ".join(words), dtype_name(model.dtype), stored, run)


if __name__ == "__main__":
    serve(opened)
